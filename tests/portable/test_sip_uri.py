"""RFC 3261 19.1: SIP URIs, their comparison and the canonical address-of-record."""

from firmware.sip import uri
from firmware.sip.uri import equal, is_ipv4, parse_uri, telephone_digits, unescape


def raises(function, *arguments):
    try:
        function(*arguments)
    except ValueError:
        return True
    return False


def check(data):
    parse_uri(data).validate()


def test_19_1_1_components():
    one = parse_uri(b"sip:alice:secretword@Atlanta.com:5070;transport=tcp;lr?subject=x&y=z")
    assert (one.scheme, one.user, one.password) == (b"sip", b"alice", b"secretword")
    assert (one.host, one.port) == (b"atlanta.com", 5070)
    assert one.param(b"transport") == b"tcp"
    assert one.param(b"lr") == b""
    assert one.param(b"maddr") is None
    assert one.headers == b"subject=x&y=z"


def test_19_1_3_examples_are_valid():
    for text in (b"sip:alice@atlanta.com",
                 b"sip:alice:secretword@atlanta.com;transport=tcp",
                 b"sips:alice@atlanta.com?subject=project%20x&priority=urgent",
                 b"sip:+1-212-555-1212:1234@gateway.com;user=phone",
                 b"sips:1212@gateway.com",
                 b"sip:alice@192.0.2.4",
                 b"sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
                 b"sip:alice;day=tuesday@atlanta.com",
                 b"sip:[2001:db8::1]:5060",
                 b"tel:+1-212-555-1212;phone-context=x"):
        check(text)


def test_19_1_1_malformed():
    for text in (b"", b"sip", b":x@y", b"sip:", b"sip:@host", b"sip:a@", b"sip:a@h:0",
                 b"sip:a@h:70000", b"sip:a@h:", b"sip:a@h:5x", b"sip:a@[::1", b"sip:a@b@c",
                 b"sip:a b@c", b"sip:a%4@c", b"sip:a%zz@c", b"sip:a@c;", b"sip:a@c;;x",
                 b"sip:a@c;x=1;X=2", b"sip:a@c;x=", b"<sip:a@c>", b"sip:a\"b@c", b"1:x",
                 b"sip:a@c;x=\"q\"", b"sip:" + b"a" * 2000 + b"@c"):
        assert raises(check, text), text


def test_10_3_5_canonical_aor():
    assert parse_uri(b"sip:%62ob@EXAMPLE.com;x=y").aor() == b"bob@example.com"
    assert parse_uri(b"sip:Bob:pw@example.com:5070").aor() == b"Bob@example.com"
    assert parse_uri(b"sip:example.com").aor() is None


def test_19_1_4_equivalent():
    for one, other in (
            (b"sip:%61lice@atlanta.com;transport=TCP", b"sip:alice@AtLanTa.CoM;Transport=tcp"),
            (b"sip:carol@chicago.com", b"sip:carol@chicago.com;newparam=5"),
            (b"sip:carol@chicago.com;security=on", b"sip:carol@chicago.com;newparam=5"),
            (b"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
             b"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"),
            (b"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
             b"sip:alice@atlanta.com?priority=urgent&subject=project%20x")):
        assert equal(parse_uri(one), parse_uri(other)), one
        assert equal(parse_uri(other), parse_uri(one)), one


def test_19_1_4_not_equivalent():
    for one, other in (
            (b"SIP:ALICE@AtLanTa.CoM;Transport=udp", b"sip:alice@AtLanTa.CoM;Transport=UDP"),
            (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:5060"),
            (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com;transport=udp"),
            (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:6000;transport=tcp"),
            (b"sip:carol@chicago.com", b"sip:carol@chicago.com?Subject=next%20meeting"),
            (b"sip:bob@phone21.boxesbybob.com", b"sip:bob@192.0.2.4"),
            (b"sip:carol@chicago.com;security=on", b"sip:carol@chicago.com;security=off"),
            (b"sips:a@b", b"sip:a@b")):
        assert not equal(parse_uri(one), parse_uri(other)), one


def test_19_1_1_request_uri_has_no_headers_and_no_method():
    one = parse_uri(b"sip:a@h:5070;method=INVITE;transport=udp?subject=x")
    assert one.request_uri() == b"sip:a@h:5070;transport=udp"
    assert parse_uri(b"sip:10.0.0.9").request_uri(b"+4912") == b"sip:+4912@10.0.0.9"
    assert parse_uri(b"tel:+4912").request_uri() == b"tel:+4912"


def test_helpers():
    assert is_ipv4(b"192.0.2.4") and is_ipv4(b"0.0.0.0")
    for text in (b"192.0.2", b"256.0.0.1", b"1.2.3.4.5", b"a.b.c.d", b"1..2.3", b"0001.2.3.4"):
        assert not is_ipv4(text), text
    assert unescape(b"a%41%zz%") == b"aA%zz%"
    assert telephone_digits(b"+1-(212)-555.1212;phone-context=x") == b"12125551212"
    assert telephone_digits(b"alice") is None
    assert telephone_digits(b"+") is None
    assert uri.URI_LIMIT == 1024
