"""User agent server and redirect rules: RFC 3261 8.2, 8.3, 9.2, 11.2; transport: 7.3, 18, 3581."""

import re

import pytest
from wire import REDIRECT, lines


def own_uri(peer):
    """The card's own URI: no user, the VIP's host and port."""
    return "sip:{}:{}".format(*peer.card)


def test_8_2_1_method_not_allowed_and_not_implemented(caller):
    for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
        answer = caller.request(method, own_uri(caller))
        assert answer.status == 405
        assert answer.value("allow") == "INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER"
    answer = caller.request("DANCE", own_uri(caller))
    assert answer.status == 501


def test_8_2_2_1_unknown_scheme(caller):
    for uri in ("nobody:x", "mailto:bob@redirect.example", "nobodyKnowsThisScheme:total"):
        assert caller.request("INVITE", uri, to="<sip:bob@redirect.example>").status == 416


def test_8_2_2_3_require_at_registrar_and_card(caller, phone):
    answer = phone.register("Require: foo, path")
    assert answer.status == 420 and answer.value("unsupported") == "foo"
    answer = caller.request("OPTIONS", own_uri(caller), "Require: foo")
    assert answer.status == 420 and answer.value("unsupported") == "foo"


def test_8_2_2_3_require_is_ignored_in_cancel_and_ack(caller, phone):
    answer = caller.request("CANCEL", own_uri(caller), "Require: foo")
    assert answer.status == 481 and answer.values("unsupported") == []
    via, uri = caller.via(), phone.aor(REDIRECT)
    refused = caller.request("INVITE", uri, via=via, call_id="ack-require")
    assert caller.is_silent(caller.build(
        "ACK", uri, "Require: foo", via=via, to=refused.value("to"), call_id="ack-require"))


def test_8_2_6_copied_headers(caller, phone):
    phone.bind(domain=REDIRECT)
    answer = caller.ask(lines(
        "INVITE {} SIP/2.0".format(phone.aor(REDIRECT)),
        "v: SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bKa, SIP/2.0/TCP b.example".format(caller.port),
        'f: "A, B" <sip:a@a.example;x=1>;tag=77', "Via: SIP/2.0/UDP c.example;branch=z9hG4bKc",
        "t: <{}>".format(phone.aor(REDIRECT)), "i: id-1", "cseq: 7 INVITE", "Max-Forwards: 9"))
    assert answer.status == 302
    assert answer.values("via") == [
        "SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bKa, SIP/2.0/TCP b.example".format(caller.port),
        "SIP/2.0/UDP c.example;branch=z9hG4bKc"]
    assert answer.value("from") == '"A, B" <sip:a@a.example;x=1>;tag=77'
    assert re.fullmatch("<{}>;tag=.+".format(re.escape(phone.aor(REDIRECT))), answer.value("to"))
    assert answer.value("call-id") == "id-1"
    assert answer.value("cseq") == "7 INVITE"


def test_8_2_6_2_no_second_tag(caller):
    answer = caller.request("OPTIONS", own_uri(caller), to="<sip:x@y.example>;tag=mine")
    assert answer.value("to") == "<sip:x@y.example>;tag=mine"


def test_8_2_7_retransmission_gets_the_same_answer(caller):
    datagram = caller.build("INVITE", "sip:nobody@redirect.example")
    assert caller.ask(datagram).octets == caller.ask(datagram).octets


def test_8_3_known_user_gets_contacts_and_no_request_is_sent(caller, phone):
    phone.bind(phone.contact(), domain=REDIRECT)
    answer = caller.request("INVITE", phone.aor(REDIRECT))
    assert answer.start == "SIP/2.0 302 Moved Temporarily"
    assert answer.value("contact").startswith("<{}>".format(phone.contact()))
    # the next thing the phone hears is an answer to itself
    assert phone.is_silent(b"\r\n\r\n")


def test_8_3_only_itself_as_target_is_404(caller, phone):
    uri = phone.aor(REDIRECT)
    phone.bind(uri, domain=REDIRECT)
    assert caller.request("INVITE", uri).status == 404


def test_8_3_cancel(caller, phone):
    uri = phone.aor(REDIRECT)
    phone.bind(domain=REDIRECT)
    via = caller.via()
    assert caller.request("INVITE", uri, via=via, call_id="cancel-1").status == 302
    assert caller.request("CANCEL", uri, via=via, call_id="cancel-1").status == 200
    assert caller.request("CANCEL", uri, call_id="cancel-2").status == 481


def test_8_3_unknown_methods_and_extensions_are_ignored(caller, phone):
    phone.bind(domain=REDIRECT)
    answer = caller.request("DANCE", phone.aor(REDIRECT), "Require: foo", "X: y")
    assert answer.status == 302


def test_11_2_options(caller):
    answer = caller.request("OPTIONS", own_uri(caller))
    assert answer.start == "SIP/2.0 200 OK"
    for name in ("allow", "accept", "accept-encoding", "accept-language", "supported"):
        assert len(answer.values(name)) == 1, name


def test_17_1_1_3_ack_has_no_answer(caller):
    assert caller.is_silent(caller.build("ACK", "sip:nobody@redirect.example"))
    assert caller.is_silent(caller.build("ACK", own_uri(caller)))


def test_7_3_compact_case_folds_and_space(caller, phone):
    phone.bind(domain=REDIRECT)
    answer = caller.ask((
        "INVITE {0} SIP/2.0\r\n"
        "vIA  :  SIP / 2.0 /\r\n UDP  127.0.0.1 : {1} ;\r\n\tbranch=z9hG4bKfold\r\n"
        "F\t: \"A\"\r\n  <sip:a@a.example>\r\n ;tag=1\r\n"
        "TO:\r\n <{0}>\r\nI : fold-1\r\nCseQ: 1\r\n\tINVITE\r\nmax-FORWARDS: 0070\r\n\r\n"
    ).format(phone.aor(REDIRECT), caller.port).encode())
    assert answer.status == 302
    assert answer.value("from") == '"A" <sip:a@a.example> ;tag=1'
    assert answer.value("cseq") == "1 INVITE"


def test_7_5_empty_lines_before_the_start_line(caller):
    datagram = caller.build("OPTIONS", own_uri(caller))
    assert caller.ask(b"\r\n\r\n" + datagram).status == 200


def test_18_2_1_received_where_the_host_differs(caller):
    via = "Via: SIP/2.0/UDP client.example:{};branch=z9hG4bK1".format(caller.port)
    answer = caller.request("OPTIONS", own_uri(caller), via=via)
    assert answer.value("via") == (
        "SIP/2.0/UDP client.example:{};branch=z9hG4bK1;received=127.0.0.1".format(caller.port))


def test_18_2_2_answer_goes_to_the_port_of_the_via(caller, other):
    caller.send(caller.build("OPTIONS", own_uri(caller), via=other.via("p")))
    assert other.receive().status == 200


def test_18_3_octets_beyond_content_length(caller):
    answer = caller.ask(caller.build("OPTIONS", own_uri(caller), "Content-Length: 0")
                        + b"INVITE sip:again SIP/2.0")
    assert answer.status == 200


def test_18_3_short_body(caller):
    assert caller.request("OPTIONS", own_uri(caller), "Content-Length: 5").status == 400


def test_3581_4_rport(caller):
    via = "Via: SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkj"
    answer = caller.request("OPTIONS", own_uri(caller), via=via)
    assert answer.value("via") == (
        "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkj;received=127.0.0.1;rport={}".format(
            caller.port))


def test_3581_4_rport_with_the_right_host_too(caller):
    answer = caller.request("OPTIONS", own_uri(caller), via=caller.via("k", ";rport"))
    assert answer.value("via") == (
        "SIP/2.0/UDP 127.0.0.1:{0};branch=z9hG4bKk;received=127.0.0.1;rport={0}".format(
            caller.port))


@pytest.mark.parametrize("broken", [
    {"cseq": 1 << 31}, {"cseq": "x"}, {"sender": "<sip:a"}, {"to": '"a <sip:b@c>'},
    {"max_forwards": "Max-Forwards: 70\r\nMax-Forwards: 70"}])
def test_8_1_1_malformed_is_400(caller, broken):
    uri = "sip:bob@redirect.example"
    assert caller.request("INVITE", uri, **broken).status == 400


def test_7_1_version(caller):
    datagram = caller.build("OPTIONS", own_uri(caller))
    assert caller.ask(datagram.replace(b" SIP/2.0\r\n", b" SIP/7.0\r\n", 1)).status == 505


def test_21_4_18_known_user_who_never_registered(caller, phone):
    assert caller.request("INVITE", phone.aor()).status == 480
    assert caller.request("INVITE", phone.aor(REDIRECT)).status == 404
    assert caller.request("INVITE", "sip:nobody@redirect.example").status == 404


def test_rfc4475_3_1_2_1_unread_via(caller):
    answer = caller.request("INVITE", "sip:nobody@redirect.example",
                            via="Via: SIP/2.0/UDP 192.0.2.15;;,;,,")
    assert answer.status == 400
    assert answer.value("via") == "SIP/2.0/UDP 192.0.2.15;;,;,,"


def test_rfc4475_3_3_8_header_given_twice(caller):
    answer = caller.request("INVITE", "sip:nobody@redirect.example", "Call-ID: two",
                            call_id="one")
    assert answer.status == 400 and answer.value("call-id") == "one"
