"""Stateless proxy: RFC 3261 16.3 to 16.7, 16.10 and 16.11."""

import re

import pytest
from wire import PROXY, lines

OUTSIDE = "sip:bob@outside.example"


def dialog(caller, phone, **options):
    """An INVITE through the card: (as the phone got it, its Record-Route URI)."""
    phone.bind()
    caller.send(caller.build("INVITE", phone.aor(), call_id="dialog-" + phone.user, **options))
    forwarded = phone.receive()
    return forwarded, re.fullmatch("<(.*)>", forwarded.value("record-route")).group(1)


def in_dialog(caller, phone, method, uri, *extra, **options):
    """A request of that dialog, sent by the caller."""
    return caller.build(method, uri, *extra, call_id="dialog-" + phone.user, cseq=2,
                        to="<{}>;tag=callee".format(phone.aor()), **options)


def test_16_3_2_unknown_scheme(caller):
    assert caller.request("INVITE", "nobody:x", to="<sip:a@proxy.example>").status == 416


def test_16_3_3_max_forwards_0(caller, phone):
    phone.bind()
    answer = caller.request("INVITE", phone.aor(), max_forwards="Max-Forwards: 0")
    assert answer.status == 483
    own = caller.request("OPTIONS", "sip:{}:{}".format(*caller.card),
                         max_forwards="Max-Forwards: 0")
    assert own.status == 200
    assert phone.is_silent(b"\r\n\r\n")


def test_16_3_5_proxy_require_and_require(caller, phone):
    phone.bind()
    answer = caller.request("INVITE", phone.aor(), "Proxy-Require: foo, bar")
    assert answer.status == 420 and answer.value("unsupported") == "foo, bar"
    caller.send(caller.build("INVITE", phone.aor(), "Require: foo"))
    forwarded = phone.receive()
    assert forwarded.value("require") == "foo" and forwarded.start.startswith("INVITE ")


def test_16_4_own_route_is_removed(caller, phone):
    _, route = dialog(caller, phone)
    caller.send(in_dialog(caller, phone, "BYE", phone.contact(), "Route: <{}>".format(route)))
    forwarded = phone.receive()
    assert forwarded.start == "BYE {} SIP/2.0".format(phone.contact())
    assert forwarded.values("route") == []


def test_16_4_strict_router_before_us(caller, phone, other):
    _, route = dialog(caller, phone)
    target = "sip:x@127.0.0.1:{}".format(other.port)
    caller.send(in_dialog(caller, phone, "BYE", route, "Route: <{}>".format(target)))
    forwarded = other.receive()
    assert forwarded.start == "BYE {} SIP/2.0".format(target)
    assert forwarded.values("route") == []


def test_16_5_foreign_domain_is_the_only_target(caller, phone, other):
    _, route = dialog(caller, phone)
    foreign = "sip:x@127.0.0.1:{};y=z".format(other.port)
    caller.send(in_dialog(caller, phone, "BYE", foreign, "Route: <{}>".format(route)))
    assert other.receive().start == "BYE {} SIP/2.0".format(foreign)
    # without a dialog through this card there is no relaying
    assert caller.request("INVITE", OUTSIDE).status == 403


def test_16_5_unknown_user_404_and_no_binding_480(caller, phone):
    assert caller.request("INVITE", "sip:nobody@proxy.example").status == 404
    phone.bind()
    assert phone.register("Contact: *", "Expires: 0").status == 200
    assert caller.request("INVITE", phone.aor()).status == 480


def test_16_6_1_the_copy_keeps_all_else(caller, phone):
    phone.bind()
    body = "v=0\r\nunknown = \u00fc\r\n"
    caller.send(lines(
        "INVITE {} SIP/2.0".format(phone.aor()), caller.via("copy"), "X-One: a",
        "max-forwards : 12", "f: <sip:a@a.example>;tag=1", "x-one: b", "t: <{}>".format(
            phone.aor()), "Subject: \u65e5\u672c", "i: copy-1", "CSEQ: 1 INVITE", "X-One:",
        "c: text/plain", "l: {}".format(len(body.encode())), body=body))
    forwarded = phone.receive()
    assert forwarded.body == body
    own, route, client, *rest = forwarded.lines
    assert own.startswith("Via: SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bK".format(caller.card[1]))
    assert route.startswith("Record-Route: ")
    assert client == "Via: SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bKcopy".format(caller.port)
    assert rest == [
        "X-One: a", "max-forwards : 11", "f: <sip:a@a.example>;tag=1", "x-one: b",
        "t: <{}>".format(phone.aor()), "Subject: \u65e5\u672c", "i: copy-1", "CSEQ: 1 INVITE",
        "X-One:", "c: text/plain", "l: {}".format(len(body.encode()))]


def test_16_6_2_parts_a_request_uri_must_not_have(caller, phone):
    phone.bind(phone.contact() + ";a=b;method=INVITE?Subject=x")
    caller.send(caller.build("MESSAGE", phone.aor()))
    assert phone.receive().start == "MESSAGE {};a=b SIP/2.0".format(phone.contact())


def test_16_6_3_max_forwards(caller, phone):
    phone.bind()
    caller.send(caller.build("MESSAGE", phone.aor(), max_forwards="Max-Forwards: 1"))
    assert phone.receive().value("max-forwards") == "0"
    caller.send(caller.build("MESSAGE", phone.aor(), max_forwards=""))
    assert phone.receive().value("max-forwards") == "70"


def test_16_6_4_record_route_on_top_with_lr(caller, phone):
    phone.bind()
    caller.send(caller.build("INVITE", phone.aor(), "Record-Route: <sip:p.example;lr>"))
    own, before = phone.receive().values("record-route")
    assert own.startswith("<sip:127.0.0.1:{};lr".format(caller.card[1]))
    assert before == "<sip:p.example;lr>"


def test_16_6_6_strict_router_behind_us(caller, phone, other):
    _, route = dialog(caller, phone)
    strict = "sip:strict@127.0.0.1:{}".format(other.port)
    caller.send(in_dialog(caller, phone, "BYE", phone.contact(),
                          "Route: <{}>, <{}>, <sip:last.example;lr>".format(route, strict)))
    forwarded = other.receive()
    assert forwarded.start == "BYE {} SIP/2.0".format(strict)
    assert forwarded.values("route") == ["<sip:last.example;lr>, <{}>".format(phone.contact())]


def test_16_6_6_loose_router_behind_us(caller, phone, other):
    _, route = dialog(caller, phone)
    loose = "<sip:127.0.0.1:{};lr>".format(other.port)
    caller.send(in_dialog(caller, phone, "BYE", phone.contact(), "Route: <{}>".format(route),
                          "Route: " + loose))
    forwarded = other.receive()
    assert forwarded.start == "BYE {} SIP/2.0".format(phone.contact())
    assert forwarded.values("route") == [loose]


def branch(message):
    """The branch of the topmost Via."""
    return re.search("branch=([^;,]*)", message.values("via")[0]).group(1)


def test_16_6_8_branches(caller, phone):
    phone.bind()
    found = []
    for _ in range(3):
        caller.send(caller.build("MESSAGE", phone.aor()))
        found.append(branch(phone.receive()))
    assert len(set(found)) == 3
    assert all(re.fullmatch("z9hG4bK.+", one) for one in found)


def test_16_7_3_own_via_is_removed(caller, phone):
    phone.bind()
    via = caller.via("up")
    caller.send(caller.build("MESSAGE", phone.aor(), via=via))
    phone.answer(phone.receive(), "200 Fine", "X: y", body="hello")
    answer = caller.receive()
    assert answer.start == "SIP/2.0 200 Fine"
    assert answer.values("via") == [via[len("Via: "):]]
    assert answer.value("x") == "y" and answer.body == "hello"


@pytest.mark.parametrize("vias", [
    ["{own}"], ["SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx", "{client}"],
    ["{forged}", "{client}"]])
def test_16_7_3_responses_that_are_not_ours_are_dropped(caller, phone, other, vias):
    phone.bind()
    caller.send(caller.build("MESSAGE", phone.aor(), via=caller.via("drop")))
    request = phone.receive()
    own, client = request.values("via")
    forged = own[:-1] + ("0" if own[-1] != "0" else "1")
    head = ["Via: " + via.format(own=own, client=client, forged=forged) for via in vias]
    assert phone.is_silent(lines(
        "SIP/2.0 200 OK", *head, "From: " + request.value("from"),
        "To: {};tag=1".format(request.value("to")), "Call-ID: " + request.value("call-id"),
        "CSeq: " + request.value("cseq"), "Content-Length: 0"))
    assert caller.is_silent(b"\r\n\r\n")


def test_16_7_5_every_2xx_passes(caller, phone):
    phone.bind()
    caller.send(caller.build("INVITE", phone.aor()))
    request = phone.receive()
    for tag in ("one", "two"):
        phone.answer(request, "200 OK", tag=tag)
        assert caller.receive().value("to").endswith(";tag=" + tag)


def test_16_10_cancel_follows_its_invite(caller, phone):
    phone.bind()
    via = caller.via("cancelled")
    options = {"via": via, "call_id": "cancel-" + phone.user}
    caller.send(caller.build("INVITE", phone.aor(), **options))
    invite = phone.receive()
    caller.send(caller.build("CANCEL", phone.aor(), **options))
    cancel = phone.receive()
    assert cancel.start == "CANCEL {} SIP/2.0".format(phone.contact())
    assert cancel.values("via") == invite.values("via")
    phone.answer(cancel, "200 OK")
    assert caller.receive().value("cseq") == "1 CANCEL"


def test_16_11_retransmission_and_failure_ack_take_the_same_way(caller, phone):
    phone.bind(phone.contact())
    phone.bind(phone.contact("n2"))
    options = {"via": caller.via("again"), "call_id": "again-" + phone.user}
    invite = caller.build("INVITE", phone.aor(), **options)
    caller.send(invite)
    first = phone.receive()
    caller.send(invite)
    assert phone.receive().octets == first.octets
    phone.answer(first, "486 Busy Here")
    refused = caller.receive()
    caller.send(caller.build("ACK", phone.aor(), to=refused.value("to"), **options))
    ack = phone.receive()
    assert ack.start.split()[1] == first.start.split()[1]
    assert branch(ack) == branch(first)


def test_16_11_no_100_of_its_own(caller, phone):
    phone.bind()
    caller.send(caller.build("INVITE", phone.aor()))
    assert phone.receive().start.startswith("INVITE ")
    assert caller.is_silent(b"\r\n\r\n")


def test_7_3_folds_and_compact_names_pass(caller, phone):
    phone.bind()
    caller.send((
        "MESSAGE {0} SIP/2.0\r\nv: SIP/2.0/UDP\r\n 127.0.0.1:{1};branch=z9hG4bKfp\r\n"
        "f: <sip:a@a.example>\r\n\t;tag=1\r\nt: <{0}>\r\ni: fp-1\r\nCSeq: 1\r\n MESSAGE\r\n"
        "s:\r\n  a\r\n  b\r\nl: 0\r\n\r\n").format(phone.aor(), caller.port).encode())
    forwarded = phone.receive()
    assert b"s:\r\n  a\r\n  b\r\n" in forwarded.octets
    assert b"f: <sip:a@a.example>\r\n\t;tag=1\r\n" in forwarded.octets
    phone.answer(phone_view(forwarded), "200 OK")
    assert caller.receive().status == 200


def phone_view(message):
    """The same message with its folds undone, as a parser of the phone would see it."""
    flat = re.sub(rb"\r\n[ \t]+", b" ", message.octets)
    return type(message)(flat)


def test_16_6_7_next_hop_is_what_the_request_uri_says(caller, phone):
    phone.bind("sip:x@127.0.0.1:{};transport=UDP".format(phone.port))
    caller.send(caller.build("MESSAGE", "sip:{}@{}".format(phone.user, PROXY.upper())))
    assert phone.receive().start.startswith("MESSAGE sip:x@127.0.0.1:")


def test_10_3_5_a_domain_named_by_an_address_needs_no_port(caller, phone):
    phone.bind()
    for uri in ("sip:nobody@127.0.0.1", "sip:nobody@127.0.0.1:{}".format(caller.card[1])):
        assert caller.request("INVITE", uri).status == 404
    assert caller.request("OPTIONS", "sip:127.0.0.1").status == 200
    assert caller.request("REGISTER", "sip:127.0.0.1", to="<sip:x@127.0.0.1>").status == 401
    # another port of that address is another server's
    assert caller.request("INVITE", "sip:nobody@127.0.0.1:{}".format(phone.port)).status == 403
