"""The stateless proxy (RFC 3261 16.3-16.7, 16.11; RFC 3327; RFC 3581)."""

from sip_bench import (
    CLIENT, NOW_S, PlainStore, aor, binding, exchange, message, only, request, server, status,
    values)
from firmware.location import record

BOB = "sip:bob@example.com"
BOB_ADDRESS = ("192.0.2.4", 5070)


def card(*bindings, **settings):
    store = PlainStore()
    bindings = bindings or (binding(b"sip:bob@192.0.2.4:5070"),)
    aor(store, b"bob@example.com", *bindings)
    return server(store, **settings)


def answer_to(forwarded, code=200, to_tag="t1", extra=()):
    """What the callee answers to a forwarded request: the Vias and dialog headers copied."""
    lines = ["SIP/2.0 {} Fine".format(code)]
    for name in (b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Record-Route"):
        for value in values(forwarded, name):
            tag = b";tag=" + to_tag.encode() if name == b"To" and b"tag=" not in value else b""
            lines.append(name + b": " + value + tag)
    return message(*(lines + list(extra)))


def test_16_6_forwarded_copy():
    text = message(
        "INVITE sip:bob@example.com SIP/2.0",
        "Via: SIP/2.0/UDP client.example:5066;branch=z9hG4bKa1",
        "max-forwards : 70", "f: <sip:caller@example.net>;tag=f1", "To: <sip:bob@example.com>",
        "X-Strange: one", "Call-ID: c1", "CSeq: 1 INVITE", "x-strange: two", "Content-Length: 4",
        body=b"v=0\n")
    datagram, address = only(exchange(card(), text, ("192.0.2.1", 7000)))
    assert address == BOB_ADDRESS
    lines = datagram.split(b"\r\n")
    assert lines[0] == b"INVITE sip:bob@192.0.2.4:5070 SIP/2.0"
    assert lines[1].startswith(b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK")
    assert lines[2].startswith(b"Record-Route: <sip:192.0.2.10:5060;lr;m=")
    assert lines[3:] == [
        b"Via: SIP/2.0/UDP client.example:5066;branch=z9hG4bKa1;received=192.0.2.1",
        b"max-forwards : 69", b"f: <sip:caller@example.net>;tag=f1", b"To: <sip:bob@example.com>",
        b"X-Strange: one", b"Call-ID: c1", b"CSeq: 1 INVITE", b"x-strange: two",
        b"Content-Length: 4", b"", b"v=0\n"]


def test_16_6_3_max_forwards():
    text = request("INVITE", BOB)
    assert status(only(exchange(card(), text.replace(b": 70", b": 0")))[0]) == 483
    assert status(only(exchange(card(), text.replace(b": 70", b": 256")))[0]) == 400
    assert status(only(exchange(card(), text.replace(b": 70", b": x")))[0]) == 400
    datagram, _ = only(exchange(card(), text.replace(b"Max-Forwards: 70\r\n", b"")))
    assert values(datagram, b"Max-Forwards") == [b"70"]


def test_16_3_5_proxy_require_and_require():
    datagram, _ = only(exchange(card(), request("INVITE", BOB, "Proxy-Require: foo, bar")))
    assert status(datagram) == 420 and values(datagram, b"Unsupported") == [b"foo, bar"]
    datagram, address = only(exchange(card(), request("INVITE", BOB, "Require: foo")))
    assert address == BOB_ADDRESS and values(datagram, b"Require") == [b"foo"]
    assert only(exchange(card(), request("CANCEL", BOB, "Proxy-Require: x")))[1] == BOB_ADDRESS


def test_16_11_same_branch_from_every_card_and_for_cancel_and_failure_ack():
    first, _ = only(exchange(card(), request("INVITE", BOB)))
    branch = values(first, b"Via")[0]
    for method in ("INVITE", "CANCEL"):
        assert values(only(exchange(card(), request(method, BOB)))[0], b"Via")[0] == branch
    ack = request("ACK", BOB, to="<sip:bob@example.com>;tag=zz")
    assert values(only(exchange(card(), ack))[0], b"Via")[0] == branch
    other = request("INVITE", BOB, via="Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa2")
    assert values(only(exchange(card(), other))[0], b"Via")[0] != branch


def test_4475_3_2_1_a_bare_cookie_tells_no_transactions_apart():
    via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"
    one, _ = only(exchange(card(), request("INVITE", BOB, via=via)))
    two, _ = only(exchange(card(), request("INVITE", BOB, via=via, call_id="other")))
    assert values(one, b"Via")[0] != values(two, b"Via")[0]
    ack = request("ACK", BOB, via=via, to="<sip:bob@example.com>;tag=zz")
    assert values(only(exchange(card(), ack))[0], b"Via")[0] == values(one, b"Via")[0]


def test_16_11_rfc2543_client_without_cookie():
    via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=1"
    first, _ = only(exchange(card(), request("INVITE", BOB, via=via)))
    branch = values(first, b"Via")[0]
    assert values(only(exchange(card(), request("CANCEL", BOB, via=via)))[0], b"Via")[0] == branch
    ack = request("ACK", BOB, via=via, to="<sip:bob@example.com>;tag=zz")
    assert values(only(exchange(card(), ack))[0], b"Via")[0] == branch
    other = request("INVITE", BOB, via=via, cseq=2)
    assert values(only(exchange(card(), other))[0], b"Via")[0] != branch


def test_16_5_unknown_404_no_contact_480_foreign_403():
    one = card(binding(b"sip:bob@192.0.2.4", 1000, NOW_S))
    assert status(only(exchange(one, request("INVITE", BOB)))[0]) == 480
    assert status(only(exchange(one, request("INVITE", "sip:no@example.com")))[0]) == 404
    assert status(only(exchange(one, request("INVITE", "sip:a@192.0.2.99")))[0]) == 403
    text = request("INVITE", "sip:a\"@example.com", to="<sip:a@b>")
    assert status(only(exchange(one, text))[0]) == 400


def test_16_11_highest_q_and_even_spread_of_equals():
    one = card(binding(b"sip:bob@192.0.2.4", 500), binding(b"sip:bob@192.0.2.5", 900),
               binding(b"sip:bob@192.0.2.6", 900))
    hosts = {}
    for number in range(40):
        text = request("INVITE", BOB, call_id="call{}".format(number))
        host = only(exchange(one, text))[1][0]
        assert only(exchange(one, text))[1][0] == host
        hosts[host] = hosts.get(host, 0) + 1
    assert sorted(hosts) == ["192.0.2.5", "192.0.2.6"] and min(hosts.values()) > 5


def test_16_7_response_goes_back():
    one = card()
    text = request("INVITE", BOB, via="Via: SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkj")
    forwarded, _ = only(exchange(one, text, ("192.0.2.1", 9988)))
    for code in (100, 180, 200, 486):
        back, address = only(exchange(card(), answer_to(forwarded, code), BOB_ADDRESS))
        assert address == ("192.0.2.1", 9988)
        assert back.startswith(b"SIP/2.0 %d Fine\r\n" % code)
        assert values(back, b"Via") == [
            b"SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkj;received=192.0.2.1;rport=9988"]
        assert values(back, b"Record-Route") == values(forwarded, b"Record-Route")


def test_16_7_3_vias_joined_on_one_line():
    forwarded, _ = only(exchange(card(), request("INVITE", BOB)))
    vias = values(forwarded, b"Via")
    text = answer_to(forwarded).replace(
        b"Via: " + vias[0] + b"\r\nVia: " + vias[1], b"v: " + vias[0] + b" ,\r\n " + vias[1])
    back, address = only(exchange(card(), text))
    assert address == CLIENT
    assert values(back, b"v") == [b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1"]


def test_18_1_2_responses_that_are_not_ours_are_dropped():
    forwarded, _ = only(exchange(card(), request("INVITE", BOB)))
    good = answer_to(forwarded)
    vias = values(forwarded, b"Via")
    for old, new in (
            (b"192.0.2.10:5060", b"192.0.2.11:5060"), (b"192.0.2.10:5060", b"192.0.2.10:5061"),
            (b"UDP 192.0.2.1:5060", b"UDP 192.0.2.66:5060"),
            (b"UDP 192.0.2.1:5060", b"UDP 192.0.2.1:5061"),
            (b"branch=z9hG4bKa1", b"branch=z9hG4bKa1;received=192.0.2.66"),
            (b"branch=z9hG4bKa1", b"branch=z9hG4bKa1;rport=53"),
            (b"Call-ID: c1", b"Call-ID: c2"), (b"Via: " + vias[1] + b"\r\n", b""),
            (vias[0][-20:], b"0" * 20), (b"Call-ID: c1@192.0.2.1\r\n", b""),
            (b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n")):
        one = card()
        assert old in good
        assert exchange(one, good.replace(old, new)) == [], (old, new)
        assert one.counters["bad_responses"] == 1
    assert len(exchange(card(), good)) == 1


def test_16_6_4_record_route_only_where_a_dialog_is():
    for method, count in (("INVITE", 1), ("SUBSCRIBE", 1), ("OPTIONS", 0), ("BYE", 0)):
        datagram, _ = only(exchange(card(), request(method, BOB)))
        assert len(values(datagram, b"Record-Route")) == count, method


def route_of(forwarded):
    return values(forwarded, b"Record-Route")[0].decode()


def test_16_4_dialog_by_our_marked_route():
    one = card()
    forwarded, _ = only(exchange(one, request("INVITE", BOB)))
    route = "Route: " + route_of(forwarded)
    bye = request("BYE", "sip:bob@192.0.2.4:5070", route, to="<sip:bob@example.com>;tag=t1",
                  cseq=2)
    datagram, address = only(exchange(one, bye))
    assert address == BOB_ADDRESS
    assert datagram.startswith(b"BYE sip:bob@192.0.2.4:5070 SIP/2.0\r\n")
    assert values(datagram, b"Route") == []
    # the callee's side of the dialog: tags swapped, to an address of the caller's choice
    back = request("BYE", "sip:caller@192.0.2.1:5999", route,
                   sender="<sip:bob@example.com>;tag=t1", cseq=7,
                   to="<sip:caller@example.net>;tag=f1")
    datagram, address = only(exchange(one, back))
    assert address == ("192.0.2.1", 5999)


def test_no_open_relay():
    one = card()
    forwarded, _ = only(exchange(one, request("INVITE", BOB)))
    good = route_of(forwarded)
    foreign = "sip:victim@198.51.100.7"
    for route in ("<sip:192.0.2.10:5060;lr>", "<sip:192.0.2.10:5060;lr;m=0000000000000000>",
                  "<sip:192.0.2.10:5060;lr;m>"):
        for to in ("<sip:a@b>", "<sip:a@b>;tag=1"):
            text = request("BYE", foreign, "Route: " + route, to=to)
            assert status(only(exchange(one, text))[0]) == 403
    other_call = request("BYE", foreign, "Route: " + good, call_id="other", to="<sip:a@b>;tag=1")
    assert status(only(exchange(one, other_call))[0]) == 403
    other_tag = request("BYE", foreign, "Route: " + good, sender="<sip:x@y>;tag=z",
                        to="<sip:a@b>;tag=1")
    assert status(only(exchange(one, other_tag))[0]) == 403
    onward = request("INVITE", BOB, "Route: <sip:192.0.2.10:5060;lr>, <sip:198.51.100.7;lr>")
    assert status(only(exchange(one, onward))[0]) == 403
    onward = request("INVITE", BOB, "Route: <sip:198.51.100.7;lr>")
    assert status(only(exchange(one, onward))[0]) == 403


def test_16_4_preloaded_route_to_us_is_removed_and_the_user_looked_up():
    text = request("INVITE", BOB, "Route: <sip:192.0.2.10:5060;lr>")
    datagram, address = only(exchange(card(), text))
    assert address == BOB_ADDRESS and values(datagram, b"Route") == []


def test_16_6_6_loose_route_onward():
    one = card(relay_allowed=True)
    text = request("BYE", "sip:bob@192.0.2.4:5070", "Route: <sip:192.0.2.10:5060;lr>",
                   "Route: <sip:198.51.100.7;lr>, <sip:198.51.100.8;lr>")
    datagram, address = only(exchange(one, text))
    assert address == ("198.51.100.7", 5060)
    assert datagram.startswith(b"BYE sip:bob@192.0.2.4:5070 SIP/2.0\r\n")
    assert values(datagram, b"Route") == [b"<sip:198.51.100.7;lr>, <sip:198.51.100.8;lr>"]


def test_16_6_6_strict_router_next():
    one = card(relay_allowed=True)
    text = request("BYE", "sip:bob@192.0.2.4:5070",
                   "Route: <sip:192.0.2.10:5060;lr>, <sip:198.51.100.7>, <sip:198.51.100.8;lr>")
    datagram, address = only(exchange(one, text))
    assert address == ("198.51.100.7", 5060)
    assert datagram.startswith(b"BYE sip:198.51.100.7 SIP/2.0\r\n")
    assert values(datagram, b"Route") == [b"<sip:198.51.100.8;lr>, <sip:bob@192.0.2.4:5070>"]


def test_16_4_strict_router_before_us():
    one = card()
    forwarded, _ = only(exchange(one, request("INVITE", BOB)))
    ours = route_of(forwarded)[1:-1]
    text = request("BYE", ours, "Route: <sip:bob@192.0.2.4:5070>", to="<sip:b@example.com>;tag=1")
    datagram, address = only(exchange(one, text))
    assert address == BOB_ADDRESS
    assert datagram.startswith(b"BYE sip:bob@192.0.2.4:5070 SIP/2.0\r\n")
    assert values(datagram, b"Route") == []


def test_sipp_in_dialog_requests_with_the_aor_are_looked_up_again():
    for method in ("ACK", "BYE"):
        text = request(method, BOB, to="<sip:bob@example.com>;tag=1SIPpTag011",
                       via="Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-2")
        datagram, address = only(exchange(card(), text))
        assert address == BOB_ADDRESS
        assert datagram.startswith(method.encode() + b" sip:bob@192.0.2.4:5070 SIP/2.0\r\n")


def test_17_1_1_3_ack_to_our_own_failure_is_absorbed():
    one = card()
    refused, _ = only(exchange(one, request("INVITE", BOB, "Proxy-Require: x")))
    to = values(refused, b"To")[0].decode()
    assert exchange(one, request("ACK", BOB, to=to)) == []
    assert one.counters["acks"] == 1


def test_3327_5_4_path_becomes_the_route():
    path = b"<sip:192.0.2.7:5062;lr>, <sip:192.0.2.8;lr>"
    one = card(binding(b"sip:bob@phone.invalid", path=path))
    datagram, address = only(exchange(one, request("INVITE", BOB)))
    assert address == ("192.0.2.7", 5062)
    assert datagram.startswith(b"INVITE sip:bob@phone.invalid SIP/2.0\r\n")
    assert values(datagram, b"Route") == [path]


def test_16_6_7_next_hop_that_udp_cannot_reach_is_500():
    for contact in (b"sip:bob@phone.example", b"sip:bob@192.0.2.4;transport=tcp",
                    b"sips:bob@192.0.2.4", b"sip:bob@[2001:db8::1]"):
        assert status(only(exchange(card(binding(contact)), request("INVITE", BOB)))[0]) == 500
    one = card(binding(b"sip:bob@x.example;maddr=192.0.2.9:"))
    assert status(only(exchange(one, request("INVITE", BOB)))[0]) == 500
    one = card(binding(b"sip:bob@x.example;maddr=192.0.2.9"))
    assert only(exchange(one, request("INVITE", BOB)))[1] == ("192.0.2.9", 5060)


def test_contact_that_is_another_user_of_ours_is_followed_and_a_ring_is_482():
    store = PlainStore()
    aor(store, b"a@example.com", binding(b"sip:b@example.com"))
    aor(store, b"b@example.com", binding(b"sip:b@192.0.2.4:5070"))
    aor(store, b"x@example.com", binding(b"sip:y@example.com"))
    aor(store, b"y@example.com", binding(b"sip:x@example.com"))
    aor(store, b"self@example.com", binding(b"sip:192.0.2.10"))
    one = server(store)
    datagram, address = only(exchange(one, request("INVITE", "sip:a@example.com")))
    assert address == BOB_ADDRESS and datagram.startswith(b"INVITE sip:b@192.0.2.4:5070 ")
    assert status(only(exchange(one, request("INVITE", "sip:x@example.com")))[0]) == 482
    assert status(only(exchange(one, request("INVITE", "sip:self@example.com")))[0]) == 482


def test_number_routes_take_the_longest_prefix():
    store = PlainStore()
    store.records[record.prefix_key(b"49")] = record.encode_route(b"sip:192.0.2.20")
    store.records[record.prefix_key(b"4930")] = record.encode_route(b"sip:192.0.2.21:5080")
    aor(store, b"+49301@example.com", binding(b"sip:desk@192.0.2.30"))
    one = server(store)
    for uri, address, line in (
            ("sip:+49-89-1@example.com", ("192.0.2.20", 5060), b"sip:+49-89-1@192.0.2.20"),
            ("sip:49305@example.com;user=phone", ("192.0.2.21", 5080),
             b"sip:49305@192.0.2.21:5080"),
            ("tel:+4930-7;ext=1", ("192.0.2.21", 5080), b"sip:+4930-7@192.0.2.21:5080"),
            ("sip:+49301@example.com", ("192.0.2.30", 5060), b"sip:desk@192.0.2.30")):
        datagram, where = only(exchange(one, request("INVITE", uri)))
        assert where == address and datagram.startswith(b"INVITE " + line + b" SIP/2.0")
    assert status(only(exchange(one, request("INVITE", "sip:+33@example.com")))[0]) == 404


def test_domain_routes_and_relaying():
    store = PlainStore()
    store.records[record.domain_key(b"partner.example")] = record.encode_route(b"192.0.2.40:5090")
    one = server(store)
    datagram, address = only(exchange(one, request("INVITE", "sip:x@partner.example")))
    assert address == ("192.0.2.40", 5090)
    assert datagram.startswith(b"INVITE sip:x@partner.example SIP/2.0\r\n")
    one = server(store, relay_allowed=True)
    assert only(exchange(one, request("INVITE", "sip:x@192.0.2.50")))[1] == ("192.0.2.50", 5060)
    assert status(only(exchange(one, request("INVITE", "sip:x@no.example")))[0]) == 500


def test_18_3_octets_beyond_content_length_are_not_forwarded():
    text = request("INVITE", BOB, "Content-Length: 3", body=b"v=0INVITE sip:x SIP/2.0")
    assert only(exchange(card(), text))[0].endswith(b"\r\n\r\nv=0")


def test_7_5_leading_empty_lines_are_not_forwarded():
    assert only(exchange(card(), b"\r\n\r\n" + request("INVITE", BOB)))[0].startswith(b"INVITE ")


def test_whereto():
    one = card(binding(b"sip:bob@192.0.2.4:5070", 500), binding(b"sip:bob@192.0.2.5", 900))
    found = one.whereto("INVITE", "sip:bob@example.com", NOW_S)
    assert found == {
        "uri": "sip:bob@example.com", "method": "INVITE", "mode": "proxy",
        "domain": "example.com", "status": None, "record": "abob@example.com",
        "contacts": ["sip:bob@192.0.2.5", "sip:bob@192.0.2.4:5070"],
        "target": "sip:bob@192.0.2.5", "next_hop": "192.0.2.5:5060"}
    for uri, code in (("sip:no@example.com", 404), ("sip:a@192.0.2.99", 403), ("bad", 400),
                      ("no:x", 416), ("sip:example.com", 405)):
        assert one.whereto("INVITE", uri, NOW_S)["status"] == code
    assert one.to_send() is None


def address_card(vip_port, contact=b"sip:bob@192.0.2.4:5070"):
    """A card whose domain is the VIP's own address."""
    store = PlainStore()
    aor(store, b"bob@192.0.2.10", binding(contact))
    return server(store, vip=("192.0.2.10", vip_port),
                  domains=[{"name": "192.0.2.10", "mode": "proxy"}])


def test_19_1_2_domain_named_by_an_address():
    for vip_port, ours, foreign in ((5999, ("", ":5999"), (":5060", ":6000")),
                                    (5060, ("", ":5060"), (":5999",))):
        for port in ours:
            uri = "sip:bob@192.0.2.10" + port
            assert only(exchange(address_card(vip_port), request("INVITE", uri)))[1] == BOB_ADDRESS
            own = request("OPTIONS", "sip:192.0.2.10" + port)
            assert status(only(exchange(address_card(vip_port), own))[0]) == 200
        for port in foreign:
            text = request("INVITE", "sip:bob@192.0.2.10" + port)
            assert status(only(exchange(address_card(vip_port), text))[0]) == 403


def test_19_1_2_contact_at_the_vip_s_host_without_a_port_is_at_5060():
    card = address_card(5999, b"sip:bob@192.0.2.10")
    datagram, address = only(exchange(card, request("INVITE", "sip:bob@192.0.2.10")))
    assert address == ("192.0.2.10", 5060)
    route = values(datagram, b"Record-Route")[0].decode()
    # the caller's next request of this dialog goes to that contact, not to the record
    text = request("BYE", "sip:bob@192.0.2.10", "Route: " + route,
                   to="<sip:bob@192.0.2.10>;tag=2", cseq=2)
    datagram, address = only(exchange(address_card(5999), text))
    assert address == ("192.0.2.10", 5060)
    assert datagram.startswith(b"BYE sip:bob@192.0.2.10 SIP/2.0\r\n")
