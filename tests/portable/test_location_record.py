"""The schema of the location database. Golden octets are written by hand from binding.py."""

from firmware.location import record
from firmware.location.record import Binding

GOLDEN = (
    b"\x01"
    b"\x00\x24" b"\x03\xe8" b"\x00\x00\x00\x00" b"\x00\x00\x00\x00" b"\x00\x00\x00\x00"
    b"\x01\x00\x13sip:alice@192.0.2.1"
    b"\x00\x30" b"\x01\xf4" b"\x65\x00\x00\x00" b"\x00\x00\x00\x07" b"\x00\x00\x00\x02"
    b"\x01\x00\x05sip:b" b"\x02\x00\x02id" b"\x03\x00\x01p" b"\x04\x00\x01r"
    b"\x05\x00\x01u" b"\x06\x00\x06<urn:>"
)  # fmt: skip
FULL = Binding(b"sip:b", 500, 0x65000000, b"id", 7, b"p", b"r", b"u", b"<urn:>", 2)
MD5_HEX = "0123456789abcdef" * 2
SHA_HEX = "0123456789abcdef" * 4


def refused(document):
    """The text of the ValueError that from_json raises."""
    try:
        record.from_json(document)
    except ValueError as error:
        return str(error)
    raise AssertionError("accepted: {}".format(document))


def test_golden_octets():
    bindings = [FULL, Binding(b"sip:alice@192.0.2.1")]
    assert record.encode_aor(bindings) == GOLDEN
    assert record.decode_aor(b"xx" + GOLDEN + b"y", 2, 2 + len(GOLDEN)) == [bindings[1], FULL]
    assert record.check(b"aalice@example.com", GOLDEN) is None


def test_canonical_order():
    wanted = [Binding(b"sip:b", 900), Binding(b"sip:a", 800), Binding(b"sip:c", 800)]
    value = record.encode_aor(wanted)
    for order in ((2, 1, 0), (1, 0, 2), (0, 2, 1)):
        assert record.encode_aor([wanted[i] for i in order]) == value
    assert record.decode_aor(value, 0, len(value)) == wanted


def test_unknown_fields_are_passed_over():
    value = (b"\x02" b"\x00\x1e" b"\x00\x01" + bytes(12)
             + b"\x63\x00\x02zz" + b"\x01\x00\x05sip:b" + b"\x07\x00\x00")
    assert record.decode_aor(value, 0, len(value)) == [Binding(b"sip:b", 1)]


def test_cut_records_raise():
    for end in range(len(GOLDEN)):
        try:
            found = record.decode_aor(GOLDEN, 0, end)
        except ValueError:
            continue
        assert (end, len(found)) in ((1, 0), (39, 1)), end


def test_ranges():
    for wrong in (Binding(b"a", 1001), Binding(b"a", -1), Binding(b"a", 0, 1 << 32),
                  Binding(b"a", 0, 0, b"", 1 << 32), Binding(b"a", reg_id=-1),
                  Binding(bytes(70000))):
        try:
            record.encode_aor([wrong])
        except ValueError:
            continue
        raise AssertionError(repr(wrong))


def test_subscriber_octets():
    md5, sha = MD5_HEX.encode(), SHA_HEX.encode()
    value = record.encode_subscriber(b"example.com", ((2, sha), (1, md5)))
    assert value == b"\x01\x00\x0bexample.com" + b"\x01\x20" + md5 + b"\x02\x40" + sha
    assert record.decode_subscriber(b"z" + value, 1, 1 + len(value)) == (
        b"example.com", ((1, md5), (2, sha)))
    assert record.check(b"salice@example.com", value) is None
    assert record.check(b"salice@example.com", value[:-1])
    assert record.check(b"salice@example.com", value[:14])


def test_json_of_an_aor():
    key, value = record.from_json({"aor": "sip:Alice%20B@Example.COM", "contact": "sip:b@c",
                                   "q": 0.5, "expires": 1700000000})
    assert key == b"aAlice B@example.com"
    assert record.decode_aor(value, 0, len(value)) == [Binding(b"sip:b@c", 500, 1700000000)]
    document = {"kind": "aor", "aor": "Alice%20B@example.com", "bindings": [
        {"contact": "sip:b@c", "q": 0.5, "expires": 1700000000}]}
    assert record.to_json(key, value) == document
    assert record.from_json(document) == (key, value)


def test_json_loses_nothing():
    odd = Binding(b"sip:a%20@b;x=%", 333, 5, b"c%d", 9, b"<sip:p;lr>", b"sip:r",
                  b"A\xe9%\x01", b"<u>", 1)
    key = b"a100% \xc3\xa9@x\"@example.com"
    value = record.encode_aor([odd, Binding(b"sip:z", 0)])
    document = record.to_json(key, value)
    assert document["aor"] == "100%25%20%C3%A9%40x%22@example.com"
    assert document["bindings"][0]["user_agent"] == "A%E9%25%01"
    assert document["bindings"][1] == {"contact": "sip:z", "q": 0}
    assert record.from_json(document) == (key, value)


def test_json_of_the_others():
    document = {"kind": "subscriber", "user": "alice@example.com", "realm": "r",
                "ha1": {"MD5": MD5_HEX, "SHA-256": SHA_HEX}}
    key, value = record.from_json(document)
    assert key == b"salice@example.com" and record.to_json(key, value) == document
    for name, text in (("prefix", "4930"), ("domain", "example.org")):
        document = {"kind": "route", name: text, "target": "sip:gw.example;lr"}
        key, value = record.from_json(document)
        assert value == b"\x01sip:gw.example;lr" and record.to_json(key, value) == document
    assert key == b"dexample.org"


def test_refusals_name_the_field():
    good = {"aor": "a@b", "contact": "sip:c"}
    for change, field in (
            ({"aor": "nobody"}, "aor"), ({"aor": 5}, "aor"), ({"aor": "a%4@b"}, "aor"),
            ({"aor": "@b"}, "aor"), ({"aor": "a" * 300 + "@b"}, "aor"),
            ({"contact": ""}, "contact"), ({"contact": "sip:a b"}, "contact"),
            ({"contact": None}, "contact"), ({"q": 2}, "q "), ({"q": "x"}, "q "),
            ({"expires": -1}, "expires"), ({"expires": 1.5}, "expires"),
            ({"expires": True}, "expires"), ({"cseq": 1 << 32}, "cseq"),
            ({"kind": "other"}, "kind"), ({"bindings": []}, "bindings"),
            ({"bindings": [5]}, "a binding")):
        document = dict(good)
        document.update(change)
        assert refused(document).startswith(field), (change, refused(document))
    assert refused(5) and refused({"aor": "a@b"}).startswith("bindings")
    assert refused({"kind": "subscriber", "user": "a@b"}).startswith("ha1")
    for hashes in ({}, {"MD5": "00"}, {"X": MD5_HEX}, {"MD5": "g" * 32}):
        assert refused({"kind": "subscriber", "user": "a@b", "ha1": hashes}).startswith("ha1")
    assert refused({"kind": "route", "prefix": "12a", "target": "sip:a"}).startswith("prefix")
    assert refused({"kind": "route", "prefix": "12"}).startswith("target")
    assert refused({"kind": "route", "domain": "a b", "target": "x"}).startswith("domain")


def test_check_wants_canonical_records():
    value = record.encode_aor([Binding(b"sip:a", 1), Binding(b"sip:b", 2)])
    middle = 3 + 14 + 3 + 5
    swapped = value[:1] + value[middle:] + value[1:middle]
    assert record.check(b"aa@b", value) is None
    assert "canonical" in record.check(b"aa@b", swapped)
    assert record.check(b"aa@B", value) and record.check(b"aa", value)
    assert record.check(b"xa@b", value) == "unknown kind of record"
    assert record.check(b"aa@b", b"\x01") and record.check(b"aa@b", b"")
