"""The registrar front (RFC 3261 10.3, RFC 3327, RFC 7616, RFC 8760)."""

from sip_bench import (
    NOW_MS, NOW_S, PlainStore, aor, binding, drain, exchange, hashes, only, request, server,
    status, subscriber, values)
from bus import messages
from bus.compat import ticks_add
from firmware.location import record
from firmware.sip import digest

ALICE = "<sip:alice@example.com>"
OPEN = "<sip:alice@open.example>"


def store():
    found = PlainStore()
    subscriber(found, b"alice", b"wonderland")
    subscriber(found, b"bob", b"builder")
    return found


def register(*extra, **options):
    options["to"] = options.get("to", ALICE)
    options["sender"] = options["to"] + ";tag=f1"
    return request("REGISTER", options.pop("uri", "sip:example.com"), *extra, **options)


def open_register(*extra, **options):
    """A REGISTER for a domain without authentication."""
    options["to"] = options.get("to", OPEN)
    return register(*extra, uri="sip:open.example", **options)


def fields_of(challenge):
    found = {}
    for item in challenge[len(b"Digest "):].split(b","):
        name, _, value = item.partition(b"=")
        found[name] = value.strip(b'"')
    return found


def authorization(challenge, user=b"alice", password=b"wonderland", **options):
    """The Authorization line a client makes of a challenge (computed here from RFC 7616 3.4)."""
    fields = fields_of(challenge)
    number = digest.SHA256 if fields[b"algorithm"] == b"SHA-256" else digest.MD5
    function = [item[1] for item in hashes() if item[0] == number][0]
    realm = fields[b"realm"]
    nc = options.get("nc", b"00000001")
    uri = options.get("digest_uri", b"sip:example.com")
    secret = digest.ha1(function, user.partition(b"@")[0], realm, password)
    answer = digest.response(function, secret, fields[b"nonce"], nc, b"0a4f113b", b"REGISTER", uri)
    return b"".join((
        b'Authorization: Digest username="', user, b'", realm="', realm, b'", nonce="',
        fields[b"nonce"], b'", uri="', uri, b'", response="', answer, b'", algorithm=',
        fields[b"algorithm"], b', cnonce="0a4f113b", qop=auth, nc=', nc))


def challenge_of(card, index=0):
    datagram, _ = only(exchange(card, register("Contact: <sip:alice@192.0.2.1>")))
    assert status(datagram) == 401
    return values(datagram, b"WWW-Authenticate")[index]


def code(card, text, **options):
    return status(only(exchange(card, text, **options))[0])


def event(card):
    """The fields of the REGISTER bus message the card emits, after its id."""
    kind, identity, body = card.next_event()
    assert kind == "register" and len(identity) == 8
    assert card.next_event() is None
    number, name, call_id, cseq, now_s, wildcard, wanted = messages.decode(body, 0, len(body))
    assert number == messages.REGISTER
    bindings = record.decode_aor(wanted, 0, len(wanted))
    return identity, name, call_id, cseq, now_s, wildcard, bindings


def test_8760_one_challenge_each_strongest_first():
    datagram, _ = only(exchange(server(store()), register()))
    challenges = values(datagram, b"WWW-Authenticate")
    algorithms = [fields_of(value)[b"algorithm"] for value in challenges]
    expected = [b"SHA-256", b"MD5"]
    assert algorithms == expected[:len(hashes())]
    assert status(datagram) == 401


def test_clients_that_refuse_two_challenges_see_md5_alone():
    card = server(store(), md5_only_agents=["oldphone/1."])
    for agent, count in (("oldphone/1.2", 1), ("oldphone/2.0", 2), ("x", 2)):
        datagram, _ = only(exchange(card, register("User-Agent: " + agent)))
        challenges = values(datagram, b"WWW-Authenticate")
        assert len(challenges) == min(count, len(hashes()))
    if len(hashes()) == 2:
        datagram, _ = only(exchange(card, register("User-Agent: oldphone/1.2")))
        assert b"algorithm=MD5" in values(datagram, b"WWW-Authenticate")[0]


def test_22_4_right_password_registers_with_each_algorithm():
    for index in range(len(hashes())):
        card = server(store())
        challenge = challenge_of(card, index)
        text = register(authorization(challenge), "Contact: <sip:alice@192.0.2.1:5070>", cseq=2)
        assert exchange(card, text) == []
        _, name, call_id, cseq, now_s, wildcard, wanted = event(card)
        assert (name, call_id, cseq, now_s, wildcard) == (
            b"alice@example.com", b"c1@192.0.2.1", 2, NOW_S, 0)
        assert [(one.contact, one.q, one.expires_s) for one in wanted] == [
            (b"sip:alice@192.0.2.1:5070", 1000, 3600)]


def test_22_4_username_with_its_domain():
    card = server(store())
    challenge = challenge_of(card)
    fields = fields_of(challenge)
    text = authorization(challenge, b"alice@example.com")
    assert fields[b"realm"] == b"example.com"
    assert exchange(card, register(text, "Contact: <sip:a@192.0.2.1>", cseq=2)) == []
    assert event(card)[1] == b"alice@example.com"


def test_a_nonce_of_one_card_is_good_at_another():
    challenge = challenge_of(server(store()))
    other = server(store())
    assert exchange(other, register(authorization(challenge), "Contact: <sip:a@192.0.2.1>",
                                    cseq=2)) == []
    assert event(other)[1] == b"alice@example.com"


def test_22_4_wrong_password_and_unknown_user_look_the_same():
    card = server(store())
    answers = []
    for user, to in ((b"alice", ALICE), (b"nobody", "<sip:nobody@example.com>")):
        challenge = challenge_of(card)
        text = register(authorization(challenge, user, b"guess"), to=to, cseq=3)
        datagram, _ = only(exchange(card, text))
        answers.append(datagram.replace(b"nobody@", b"alice@"))
    assert answers[0] == answers[1] and status(answers[0]) == 401
    assert b"stale" not in answers[0]
    assert card.authenticator.failures == 2


def test_10_3_4_another_user_is_403():
    card = server(store())
    text = register(authorization(challenge_of(card), b"bob", b"builder"), cseq=2)
    assert code(card, text) == 403


def test_7616_3_3_old_nonce_with_the_right_password_is_stale():
    card = server(store())
    challenge = challenge_of(card)
    late = NOW_S + 301
    datagram, _ = only(exchange(card, register(authorization(challenge), cseq=2), now_s=late))
    fresh = values(datagram, b"WWW-Authenticate")[0]
    assert status(datagram) == 401 and b"stale=true" in fresh
    assert code(card, register(authorization(fresh), cseq=3), now_s=late) == 200
    wrong = register(authorization(challenge, password=b"x"), cseq=4)
    assert b"stale" not in only(exchange(card, wrong, now_s=late))[0]


def test_7616_3_4_5_nonce_count_replay_is_refused():
    card = server(store())
    challenge = challenge_of(card)
    assert code(card, register(authorization(challenge), cseq=2)) == 200
    assert code(card, register(authorization(challenge), cseq=3)) == 401
    assert code(card, register(authorization(challenge, nc=b"00000002"), cseq=4)) == 200


def test_two_phones_at_one_address_register_in_the_same_second():
    card = server(store())
    phones = []
    for user, password in ((b"alice", b"wonderland"), (b"bob", b"builder")):
        to = "<sip:{}@example.com>".format(user.decode())
        call_id = user.decode()
        datagram, _ = only(exchange(card, register(to=to, call_id=call_id)))
        line = authorization(values(datagram, b"WWW-Authenticate")[0], user, password)
        phones.append(register(line, to=to, call_id=call_id, cseq=2))
    for text in phones:
        assert code(card, text) == 200


def test_nonce_for_another_client_is_refused():
    card = server(store())
    text = register(authorization(challenge_of(card)), cseq=2)
    assert code(card, text, source=("192.0.2.2", 5060)) == 401


def test_22_4_malformed_credentials_are_400():
    card = server(store())
    good = authorization(challenge_of(card))
    for old, new in ((b"qop=auth", b"qop=x"), (b"nc=00000001", b"nc=1"),
                     (b"username=", b"user="), (b'", uri', b'"" uri'),
                     (b'uri="sip:example.com"', b'uri="sip:other.example"')):
        assert old in good
        assert code(card, register(good.replace(old, new), cseq=2)) == 400, new
    assert code(card, register(good.replace(b"Digest", b"Basic"), cseq=2)) == 401
    assert code(card, register(good.replace(b'realm="e', b'realm="x'), cseq=2)) == 401


def test_10_3_domains():
    card = server(store())
    assert code(card, register(to="<sip:alice@other.example>")) == 404
    assert code(card, register(to="<tel:+49>")) == 404
    assert code(card, register(to="<sip:example.com>")) == 404
    assert code(card, register(uri="sip:registrar.other.example")) == 403


def test_10_3_2_require():
    datagram, _ = only(exchange(server(store()), register("Require: path, gruu", "Require: x")))
    assert status(datagram) == 420 and values(datagram, b"Unsupported") == [b"gruu, x"]


def test_10_3_6_wildcard_rules():
    card = server(store())
    for lines in (("Contact: *",), ("Contact: *", "Expires: 60"), ("Contact: *", "Expires: x"),
                  ("Contact: *, <sip:a@192.0.2.1>", "Expires: 0"),
                  ("Contact: *", "Contact: <sip:a@192.0.2.1>", "Expires: 0")):
        assert code(card, open_register(*lines)) == 400, lines
        assert card.next_event() is None
    assert exchange(card, open_register("Contact: *", "Expires: 0")) == []
    _, name, _, _, _, wildcard, wanted = event(card)
    assert (name, wildcard, wanted) == (b"alice@open.example", 1, [])


def test_10_3_7_one_bad_contact_refuses_all():
    card = server(store())
    for bad in ("<sip:@192.0.2.1>", "<sip:a@b>;q=7", "<sip:a b@c>", "sip:a@b?x=y", "<>", "\"x",
                "<sip:a@b>;reg-id=0", "<sip:a%zz@b>", "<sip:" + "a" * 600 + "@b>"):
        text = open_register("Contact: <sip:a@192.0.2.1>, " + bad)
        assert code(card, text) == 400, bad
        assert card.next_event() is None
    assert code(card, open_register("Contact: <sip:a@192.0.2.1>", "Path: nonsense")) == 400


def test_10_3_7_expires():
    for lines, expected in (
            (("Contact: <sip:a@192.0.2.1>;expires=120", "Expires: 900"), 120),
            (("Contact: <sip:a@192.0.2.1>", "Expires: 900"), 900),
            (("Contact: <sip:a@192.0.2.1>",), 3600),
            (("Contact: <sip:a@192.0.2.1>;expires=99999",), 7200),
            (("Contact: <sip:a@192.0.2.1>;expires=zzz",), 3600),
            (("Contact: <sip:a@192.0.2.1>", "Expires: 99999999999999"), 7200),
            (("Contact: <sip:a@192.0.2.1>;expires=0",), 0)):
        card = server(store())
        assert exchange(card, open_register(*lines)) == []
        assert event(card)[6][0].expires_s == expected, lines


def test_10_3_7_interval_too_brief():
    card = server(store())
    text = open_register("Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>;expires=59")
    datagram, _ = only(exchange(card, text))
    assert status(datagram) == 423 and values(datagram, b"Min-Expires") == [b"60"]
    assert card.next_event() is None
    card = server(store(), min_expires_s=5000, default_expires_s=6000)
    assert exchange(card, open_register("Contact: <sip:a@192.0.2.1>;expires=3600")) == []


def test_contacts_are_bounded():
    card = server(store(), max_contacts=2)
    three = "Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>, <sip:c@192.0.2.1>"
    assert code(card, open_register(three)) == 403


def test_10_3_8_the_200_lists_what_was_committed():
    found = store()
    card = server(found)
    text = open_register("Contact: <sip:a@192.0.2.1>;q=0.5", "Record-Route: <sip:x;lr>",
                         "Path: <sip:192.0.2.7;lr>", "Path: <sip:192.0.2.8;lr>")
    assert exchange(card, text) == []
    identity, _, _, _, _, _, wanted = event(card)
    assert wanted[0].path == b"<sip:192.0.2.7;lr>, <sip:192.0.2.8;lr>"
    committed = record.encode_aor([
        binding(b"sip:a@192.0.2.1", 500, NOW_S + 3600), binding(b"sip:desk@192.0.2.9")])
    found.records[record.aor_key(b"alice@open.example")] = committed
    card.register_result(identity, 200, committed, NOW_MS, NOW_S + 1)
    datagram, address = only(drain(card))
    assert address == ("192.0.2.1", 5060) and status(datagram) == 200
    assert values(datagram, b"Contact") == [
        b"<sip:desk@192.0.2.9>;q=1;expires=4294967295",
        b"<sip:a@192.0.2.1>;q=0.5;expires=3599"]
    assert values(datagram, b"Path") == [b"<sip:192.0.2.7;lr>, <sip:192.0.2.8;lr>"]
    assert values(datagram, b"Date") == [b"Tue, 14 Nov 2023 22:13:21 GMT"]
    assert values(datagram, b"Record-Route") == []


def test_5626_instance_and_reg_id_are_kept():
    found = store()
    card = server(found)
    text = open_register('Contact: <sip:a@192.0.2.1>;reg-id=1;+sip.instance="<urn:uuid:1-2>"')
    assert exchange(card, text) == []
    identity, _, _, _, _, _, wanted = event(card)
    assert (wanted[0].instance, wanted[0].reg_id) == (b"urn:uuid:1-2", 1)
    wanted[0].expires_s += NOW_S
    committed = found.records[record.aor_key(b"alice@open.example")] = record.encode_aor(wanted)
    card.register_result(identity, 200, committed, NOW_MS, NOW_S)
    assert values(only(drain(card))[0], b"Contact") == [
        b'<sip:a@192.0.2.1>;q=1;expires=3600;+sip.instance="<urn:uuid:1-2>";reg-id=1']


def test_10_3_8_fetch_is_answered_from_the_copy_without_an_event():
    found = store()
    aor(found, b"alice@open.example", binding(b"sip:a@192.0.2.1", 500, NOW_S + 60),
        binding(b"sip:b@192.0.2.1", 500, NOW_S))
    card = server(found)
    datagram, _ = only(exchange(card, open_register()))
    assert status(datagram) == 200 and card.next_event() is None
    assert values(datagram, b"Contact") == [b"<sip:a@192.0.2.1>;q=0.5;expires=60"]
    datagram, _ = only(exchange(card, open_register(to="<sip:new@open.example>", cseq=2)))
    assert status(datagram) == 200 and values(datagram, b"Contact") == []


def test_retransmission_is_absorbed_then_answered_from_memory():
    card = server(store())
    text = open_register("Contact: <sip:a@192.0.2.1>")
    assert exchange(card, text) == []
    identity = event(card)[0]
    assert exchange(card, text) == [] and card.next_event() is None
    card.register_result(identity, 200, b"", NOW_MS, NOW_S)
    first = drain(card)
    assert exchange(card, text, now_ms=ticks_add(NOW_MS, 31999)) == first
    assert card.next_event() is None and card.registrar.absorbed == 2
    # when it is forgotten the location server sees the same request id again
    assert exchange(card, text, now_ms=ticks_add(NOW_MS, 64001)) == []
    assert event(card)[0] == identity


def test_request_id_is_the_same_on_every_card_and_differs_with_the_request():
    ids = []
    other_via = {"via": "Via: SIP/2.0/UDP h;branch=z9"}
    for options in ({}, {}, {"cseq": 2}, {"call_id": "x"}, other_via):
        card = server(store())
        exchange(card, open_register("Contact: <sip:a@192.0.2.1>", **options))
        ids.append(event(card)[0])
    assert ids[0] == ids[1] and len({one: 0 for one in ids}) == 4


def test_8_2_2_2_merged_request_is_482():
    card = server(store())
    assert exchange(card, open_register("Contact: <sip:a@192.0.2.1>")) == []
    other = open_register("Contact: <sip:a@192.0.2.1>",
                          via="Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKother")
    assert code(card, other) == 482


def test_8_2_2_2_merged_request_with_the_same_credentials_is_482():
    card = server(store())
    text = register("Contact: <sip:a@192.0.2.1>", authorization(challenge_of(card)))
    assert exchange(card, text) == []
    assert b";branch=z9hG4bKa1" in text
    assert code(card, text.replace(b";branch=z9hG4bKa1", b";branch=z9hG4bKother")) == 482


def test_by_the_vip_address_users_of_the_default_domain_register():
    card = server(store(), domains=[{"name": "open.example", "auth": False}])
    text = register("Contact: <sip:a@192.0.2.1>", uri="sip:192.0.2.10:5060",
                    to="<sip:alice@192.0.2.10>")
    assert exchange(card, text) == []
    assert event(card)[1] == b"alice@open.example"


def test_bounds_of_what_goes_on_the_bus():
    card = server(store())
    contact = "Contact: <sip:a@192.0.2.1>"
    assert code(card, open_register(contact, call_id="c" * 300)) == 400
    assert code(card, open_register(contact, to="<sip:" + "a" * 300 + "@open.example>")) == 400
    assert exchange(card, open_register(contact, "User-Agent: " + "u" * 500)) == []
    assert event(card)[6][0].user_agent == b"u" * 64
