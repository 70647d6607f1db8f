"""Messages and answers against the bytes of RFC 3261 24 and RFC 4475, written by hand."""

from sip_bench import NOW_MS, NOW_S, PlainStore, aor, binding, drain, message
from firmware import fastpath
from firmware.fastpath import layout
from firmware.proxy.server import SipServer
from firmware.sip.builder import Edits, http_date, response, response_head
from firmware.sip.errors import Malformed, SipError
from firmware.sip.headers import Via
from firmware.sip.message import SipMessage, unfold

# RFC 3261 24.2, F1: INVITE Alice -> atlanta.com proxy (its body left out of the RFC as well)
F1 = message(
    "INVITE sip:bob@biloxi.com SIP/2.0",
    "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8",
    "Max-Forwards: 70",
    "To: Bob <sip:bob@biloxi.com>",
    "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
    "Call-ID: a84b4c76e66710",
    "CSeq: 314159 INVITE",
    "Contact: <sip:alice@pc33.atlanta.com>",
    "Content-Type: application/sdp",
    "Content-Length: 0")
# RFC 3261 24.1, F1: REGISTER Bob -> Registrar
REGISTER = message(
    "REGISTER sip:registrar.biloxi.com SIP/2.0",
    "Via: SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKnashds7",
    "Max-Forwards: 70",
    "To: Bob <sip:bob@biloxi.com>",
    "From: Bob <sip:bob@biloxi.com>;tag=456248",
    "Call-ID: 843817637684230@998sdasdh09",
    "CSeq: 1826 REGISTER",
    "Contact: <sip:bob@192.0.2.4>",
    "Expires: 7200",
    "Content-Length: 0")


def parsed(data):
    one = SipMessage(fastpath.Scanner(64))
    assert one.parse(data, len(data)) == 0
    assert one.answerable()
    return one


def biloxi(**settings):
    store = PlainStore()
    aor(store, b"bob@biloxi.com", binding(b"sip:bob@192.0.2.4"))
    settings["vip"] = ("192.0.2.222", 5060)
    settings["domains"] = [{"name": "biloxi.com", "auth": False}, {"name": "registrar.biloxi.com"}]
    return SipServer(settings, store, bytes(16))


def give(card, data, source):
    card.receive_message(bytearray(data), len(data), source, NOW_MS, NOW_S)
    return drain(card)


def test_24_2_f1_read():
    one = parsed(F1)
    assert one.method == b"INVITE" and one.request_uri == b"sip:bob@biloxi.com"
    assert one.call_id == b"a84b4c76e66710" and one.cseq_value == b"314159 INVITE"
    assert one.header(layout.H_CONTENT_TYPE) == b"application/sdp"
    assert one.header(layout.H_EXPIRES) is None
    assert one.body == b""


def test_24_2_f4_the_proxy_forwards_to_bob():
    sent = give(biloxi(), F1, ("192.0.2.1", 5060))
    assert len(sent) == 1 and sent[0][1] == ("192.0.2.4", 5060)
    lines = sent[0][0].split(b"\r\n")
    assert lines[0] == b"INVITE sip:bob@192.0.2.4 SIP/2.0"
    assert lines[1].startswith(b"Via: SIP/2.0/UDP 192.0.2.222:5060;branch=z9hG4bK")
    assert lines[3:] == [
        b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;received=192.0.2.1",
        b"Max-Forwards: 69",
        b"To: Bob <sip:bob@biloxi.com>",
        b"From: Alice <sip:alice@atlanta.com>;tag=1928301774",
        b"Call-ID: a84b4c76e66710",
        b"CSeq: 314159 INVITE",
        b"Contact: <sip:alice@pc33.atlanta.com>",
        b"Content-Type: application/sdp",
        b"Content-Length: 0", b"", b""]


def test_24_2_f9_the_200_goes_back_without_our_via():
    card = biloxi()
    forwarded = give(card, F1, ("192.0.2.1", 5060))[0][0]
    ours = forwarded.split(b"\r\n")[1]
    answer = message(
        "SIP/2.0 200 OK", ours,
        "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;received=192.0.2.1",
        "To: Bob <sip:bob@biloxi.com>;tag=a6c85cf",
        "From: Alice <sip:alice@atlanta.com>;tag=1928301774", "Call-ID: a84b4c76e66710",
        "CSeq: 314159 INVITE", "Contact: <sip:bob@192.0.2.4>", "Content-Length: 0")
    sent = give(card, answer, ("192.0.2.4", 5060))
    assert sent == [(answer.replace(ours + b"\r\n", b""), ("192.0.2.1", 5060))]


def test_24_1_f2_the_registrar_answers():
    card = biloxi()
    assert give(card, REGISTER, ("192.0.2.4", 5060)) == []
    identity = card.next_event()[1]
    from firmware.location import record
    committed = record.encode_aor([binding(b"sip:bob@192.0.2.4", 1000, NOW_S + 7200)])
    card.locator.store.records[record.aor_key(b"bob@biloxi.com")] = committed
    card.register_result(identity, 200, committed, NOW_MS, NOW_S)
    datagram, address = drain(card)[0]
    assert address == ("192.0.2.4", 5060)
    lines = datagram.split(b"\r\n")
    assert lines[0] == b"SIP/2.0 200 OK"
    assert lines[1] == (b"Via: SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKnashds7"
                        b";received=192.0.2.4")
    assert lines[2] == b"From: Bob <sip:bob@biloxi.com>;tag=456248"
    assert lines[3].startswith(b"To: Bob <sip:bob@biloxi.com>;tag=")
    assert lines[4:] == [
        b"Call-ID: 843817637684230@998sdasdh09", b"CSeq: 1826 REGISTER",
        b"Contact: <sip:bob@192.0.2.4>;q=1;expires=7200", b"Date: Tue, 14 Nov 2023 22:13:20 GMT",
        b"Content-Length: 0", b"", b""]


def test_4475_3_1_1_1_a_tortuous_invite_is_read():
    one = parsed(message(
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0",
        "TO :", ' sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n',
        'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>', "  ;", "  tag = 98asjd8",
        "MaX-fOrWaRdS: 0068", "Call-ID: wsinv.ndaksdj@192.0.2.1", "Content-Length   : 3",
        "cseq: 0009", "  INVITE", "Via  : SIP  /   2.0", " /UDP", "    192.0.2.2;branch=390skdjuw",
        "s :", "v:  SIP  / 2.0  / TCP     spindle.example.com   ;",
        "  branch  =   z9hG4bK9ikj8  ,", " SIP  /    2.0   / UDP  192.168.255.111   ; branch=",
        " z9hG4bK30239", body=b"v=0"))
    assert one.cseq_value == b"0009 INVITE" and one.body == b"v=0"
    top = Via(one.via_value)
    assert (top.transport, top.host, top.branch) == (b"UDP", b"192.0.2.2", b"390skdjuw")
    second = Via(one.headers(layout.H_VIA)[1])
    assert (second.transport, second.host, second.branch) == (
        b"TCP", b"spindle.example.com", b"z9hG4bK9ikj8")
    assert one.number(layout.H_MAX_FORWARDS, 255) == 68
    assert len(one.list_of(layout.H_VIA)) == 3


def test_7_3_1_unfold():
    assert unfold(b"a  \r\n \t b\n c") == b"a b c"


def test_18_3_body_and_content_length():
    one = parsed(F1.replace(b"Content-Length: 0", b"Content-Length: 2") + b"abc")
    assert one.body == b"ab"
    for value, error in ((b"9", Malformed), (b"x", SipError)):
        one = parsed(F1.replace(b"Content-Length: 0", b"Content-Length: " + value))
        try:
            one.end()
        except error:
            continue
        raise AssertionError(value)


def test_message_with_a_missing_needed_header_is_not_answerable():
    for old in (b"Call-ID: a84b4c76e66710\r\n", b"CSeq: 314159 INVITE\r\n"):
        one = SipMessage(fastpath.Scanner(64))
        data = F1.replace(old, b"")
        assert data != F1 and one.parse(data, len(data)) == 0
        assert not one.answerable(), old


def test_4475_3_3_8_repeated_header_is_told_and_the_first_value_stands():
    for new in (b"To: <sip:x@y>\r\nMax-F", b"i: 2\r\nMax-F"):
        one = SipMessage(fastpath.Scanner(64))
        data = F1.replace(b"Max-F", new)
        assert data != F1 and one.parse(data, len(data)) == 0
        assert one.answerable() and one.repeated, new


def test_8_2_6_2_response_by_hand():
    one = parsed(F1)
    head = response_head(one, Via(one.via_value), b"SIP/2.0/UDP x;received=1.2.3.4", b"77")
    assert b"To: Bob <sip:bob@biloxi.com>\r\n" in response_head(one, Via(one.via_value), b"v", b"")
    assert response(486, b"Busy Here", head, b"Retry-After: 1\r\n") == (
        b"SIP/2.0 486 Busy Here\r\n"
        b"Via: SIP/2.0/UDP x;received=1.2.3.4\r\n"
        b"From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
        b"To: Bob <sip:bob@biloxi.com>;tag=77\r\n"
        b"Call-ID: a84b4c76e66710\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Retry-After: 1\r\n"
        b"Content-Length: 0\r\n\r\n")


def test_edits():
    edits = Edits(b"0123456789")
    edits.replace(0, 2, b"ab")
    edits.replace(4, 4, b"--")
    edits.replace(6, 8, b"")
    assert edits.finish(9) == b"ab23--458"


def test_20_17_date():
    assert http_date(1289690940) == b"Sat, 13 Nov 2010 23:29:00 GMT"  # RFC 3261 20.17
    assert http_date(951782400) == b"Tue, 29 Feb 2000 00:00:00 GMT"
    assert http_date(4107542399) == b"Sun, 28 Feb 2100 23:59:59 GMT"
    assert http_date(4107542400) == b"Mon, 01 Mar 2100 00:00:00 GMT"


def test_config_is_checked():
    for settings in ({"min_expires_s": 0}, {"min_expires_s": 9999}, {"max_contacts": "many"},
                     {"domains": [{"name": "x", "mode": "forward"}]}):
        settings["vip"] = ("192.0.2.1", 5060)
        try:
            SipServer(settings, PlainStore(), bytes(16))
        except ValueError:
            continue
        raise AssertionError(settings)
    one = SipServer({"vip": ("h", 5060), "domains": {"b.example": "redirect", b"a.example": {
        "mode": "proxy", "auth": False}}}, PlainStore(), bytes(16))
    assert one.config.domains[b"b.example"].mode == "redirect"
    assert one.config.domains[b"a.example"].auth is False
