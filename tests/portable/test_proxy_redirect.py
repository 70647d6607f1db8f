"""Redirect mode and requests about the card itself (RFC 3261 8, 11.2, 18.2; RFC 3581)."""

from sip_bench import (
    CLIENT, NOW_MS, NOW_S, PlainStore, aor, binding, exchange, message, only, request, server,
    status, subscriber, values)

BOB = "sip:bob@redirect.example"


def card(**settings):
    store = PlainStore()
    aor(store, b"bob@redirect.example",
        binding(b"sip:bob@192.0.2.4:5070", 700, NOW_S + 60),
        binding(b"sip:bob@192.0.2.5", 1000),
        binding(b"sip:bob@192.0.2.6", 900, NOW_S - 1))
    aor(store, b"gone@redirect.example", binding(b"sip:gone@192.0.2.6", 900, NOW_S))
    return server(store, **settings)


def test_8_3_every_live_contact_in_q_order():
    datagram, address = only(exchange(card(), request("INVITE", BOB)))
    assert address == CLIENT
    assert datagram.startswith(b"SIP/2.0 302 Moved Temporarily\r\n")
    assert values(datagram, b"Contact") == [
        b"<sip:bob@192.0.2.5>;q=1", b"<sip:bob@192.0.2.4:5070>;q=0.7;expires=60"]


def test_8_2_6_2_copied_headers():
    text = request(
        "INVITE", BOB, "Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKb",
        via="v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1,"
            " SIP/2.0/TCP x.example;branch=z9hG4bKc",
        sender='"A. \\"B\\"" <sip:a@b.example>;tag=77')
    datagram, _ = only(exchange(card(), text))
    assert values(datagram, b"Via") == [
        b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1, SIP/2.0/TCP x.example;branch=z9hG4bKc",
        b"SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKb"]
    assert values(datagram, b"From") == [b'"A. \\"B\\"" <sip:a@b.example>;tag=77']
    assert values(datagram, b"Call-ID") == [b"c1@192.0.2.1"]
    assert values(datagram, b"CSeq") == [b"1 INVITE"]
    to = values(datagram, b"To")[0]
    assert to.startswith(b"<sip:bob@redirect.example>;tag=") and len(to) == 31 + 16


def test_8_2_6_2_tagged_to_stays():
    text = request("INVITE", BOB, to="<sip:bob@redirect.example>;TAG=abc")
    datagram, _ = only(exchange(card(), text))
    assert values(datagram, b"To") == [b"<sip:bob@redirect.example>;TAG=abc"]


def test_8_2_7_retransmission_gets_the_same_answer_from_every_card():
    first = exchange(card(), request("INVITE", BOB))
    assert first == exchange(card(), request("INVITE", BOB))


def test_8_3_unknown_404_and_no_live_contact_480():
    assert status(only(exchange(card(), request("INVITE", "sip:no@redirect.example")))[0]) == 404
    assert status(only(exchange(card(), request("INVITE", "sip:gone@redirect.example")))[0]) == 480
    assert status(only(exchange(card(), request("INVITE", "sip:bob@other.example")))[0]) == 403


def test_21_4_18_a_subscriber_without_any_binding():
    store = PlainStore()
    for realm, code in ((b"example.com", 480), (b"redirect.example", 404)):
        subscriber(store, b"carol", b"secret", realm)
        for uri in ("sip:carol@{}", "sip:%63arol@{};x=y"):
            text = request("INVITE", uri.format(realm.decode()))
            assert status(only(exchange(server(store), text))[0]) == code


def test_8_3_never_to_the_request_uri_itself():
    store = PlainStore()
    aor(store, b"me@redirect.example", binding(b"sip:me@Redirect.example"))
    text = request("INVITE", "sip:me@redirect.example")
    assert status(only(exchange(server(store), text))[0]) == 404


def test_8_3_unknown_method_and_require_are_ignored():
    text = request("NEWMETHOD", BOB, "Require: foo", "Proxy-Require: bar")
    assert status(only(exchange(card(), text))[0]) == 302


def test_8_3_cancel():
    one = card()
    assert status(only(exchange(one, request("CANCEL", BOB)))[0]) == 481
    exchange(one, request("INVITE", BOB))
    assert status(only(exchange(one, request("CANCEL", BOB)))[0]) == 200
    other = request("CANCEL", BOB, via="Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother")
    assert status(only(exchange(one, other))[0]) == 481


def test_8_3_cancel_memory_is_bounded_in_time_and_size():
    one = card(invite_limit=4)
    exchange(one, request("INVITE", BOB), now_ms=0)
    later = 64001
    assert status(only(exchange(one, request("CANCEL", BOB), now_ms=later))[0]) == 481
    for number in range(50):
        via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{}".format(number)
        exchange(one, request("INVITE", BOB, via=via), now_ms=later)
        assert len(one.redirect.invites) <= 8


def test_17_ack_is_never_answered():
    for uri in (BOB, "sip:no@redirect.example", "sip:192.0.2.10", "sip:x@other.example", "no:x"):
        assert exchange(card(), request("ACK", uri)) == []


def test_10_3_5_lookup_unescapes_and_ignores_parameters():
    for uri in ("sip:%62ob@REDIRECT.example;x=y", "sip:bob:pw@redirect.example:5060"):
        assert status(only(exchange(card(), request("INVITE", uri)))[0]) == 302


def test_default_domain_by_the_vip_address():
    store = PlainStore()
    aor(store, b"service@redirect.example", binding(b"sip:s@192.0.2.4"))
    one = server(store, domains=[{"name": "redirect.example", "mode": "redirect"}])
    assert status(only(exchange(one, request("INVITE", "sip:service@192.0.2.10:5060")))[0]) == 302
    assert status(only(exchange(one, request("INVITE", "sip:service@192.0.2.10:5999")))[0]) == 403


def test_number_route_in_redirect_mode():
    store = PlainStore()
    from firmware.location import record
    store.records[b"n49"] = record.encode_route(b"sip:192.0.2.77:5080")
    datagram, _ = only(exchange(server(store), request("INVITE", "sip:+49-30@redirect.example")))
    assert values(datagram, b"Contact") == [b"<sip:+49-30@192.0.2.77:5080>;q=1"]


def test_11_2_options_to_the_card():
    for uri in ("sip:192.0.2.10", "sip:192.0.2.10:5060;transport=udp", "sip:redirect.example"):
        datagram, _ = only(exchange(card(), request("OPTIONS", uri)))
        assert status(datagram) == 200
        for name in (b"Allow", b"Accept", b"Accept-Encoding", b"Accept-Language", b"Supported"):
            assert len(values(datagram, name)) == 1, name


def test_11_2_options_says_503_while_draining_and_all_does_while_not_serving():
    one = card()
    one.drain = True
    datagram, _ = only(exchange(one, request("OPTIONS", "sip:192.0.2.10")))
    assert status(datagram) == 503 and values(datagram, b"Retry-After") == [b"5"]
    assert status(only(exchange(one, request("INVITE", BOB)))[0]) == 302
    one.serving = False
    assert status(only(exchange(one, request("INVITE", BOB)))[0]) == 503
    assert exchange(one, request("ACK", BOB)) == []


def test_8_2_1_method_not_allowed_and_not_implemented():
    datagram, _ = only(exchange(card(), request("INVITE", "sip:192.0.2.10")))
    assert status(datagram) == 405
    assert values(datagram, b"Allow") == [b"INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER"]
    assert status(only(exchange(card(), request("NEWMETHOD", "sip:192.0.2.10")))[0]) == 501


def test_8_2_2_3_require_at_the_card_itself():
    datagram, _ = only(exchange(card(), request("OPTIONS", "sip:192.0.2.10", "Require: foo, bar")))
    assert status(datagram) == 420
    assert values(datagram, b"Unsupported") == [b"foo, bar"]
    text = request("CANCEL", "sip:192.0.2.10", "Require: a")
    assert status(only(exchange(card(), text))[0]) == 481


def test_8_2_2_1_scheme():
    for uri in ("nobody:x", "sips:bob@redirect.example", "mailto:a@b"):
        assert status(only(exchange(card(), request("INVITE", uri, to="<sip:a@b>")))[0]) == 416


def test_18_2_1_and_18_2_2_received():
    text = request("INVITE", BOB, via="Via: SIP/2.0/UDP client.example:5066;branch=z9hG4bKa1")
    datagram, address = only(exchange(card(), text, ("192.0.2.200", 40000)))
    assert address == ("192.0.2.200", 5066)
    assert values(datagram, b"Via") == [
        b"SIP/2.0/UDP client.example:5066;branch=z9hG4bKa1;received=192.0.2.200"]
    text = request("INVITE", BOB, via="Via: SIP/2.0/UDP client.example;branch=z9hG4bKa1")
    assert only(exchange(card(), text, ("192.0.2.200", 40000)))[1] == ("192.0.2.200", 5060)


def test_3581_4_rport():
    text = request("INVITE", BOB, via="Via: SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkj")
    datagram, address = only(exchange(card(), text, ("192.0.2.1", 9988)))
    assert address == ("192.0.2.1", 9988)
    assert values(datagram, b"Via") == [
        b"SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkj;received=192.0.2.1;rport=9988"]


def test_7_3_folded_and_compact_headers():
    text = message(
        "OPTIONS " + BOB + " SIP/2.0", "v: SIP/2.0/UDP", " 192.0.2.1 ;branch=z9hG4bKa",
        "f : <sip:a@b>", "\t;tag=1", "T: <sip:bob@redirect.example>", "i: x", "CSEQ: 1",
        "  OPTIONS")
    datagram, address = only(exchange(card(), text))
    assert status(datagram) == 302 and address == CLIENT


def malformed(text):
    return status(only(exchange(card(), text))[0])


def test_8_malformed_but_answerable_is_400():
    assert malformed(request("INVITE", BOB, cseq="x")) == 400
    assert malformed(request("INVITE", BOB, cseq=1 << 31)) == 400
    assert malformed(request("INVITE", BOB, "Content-Length: 5")) == 400
    assert malformed(request("INVITE", BOB, "Content-Length: x")) == 400
    assert malformed(request("INVITE", BOB, "Content-Length: 0", "Content-Length: 0")) == 400
    assert malformed(request("INVITE", BOB, sender="sip:a@b?c=d")) == 400
    assert malformed(request("INVITE", "<sip:bob@redirect.example>", to="<sip:a@b>")) == 400
    assert malformed(request("INVITE", "sip:bob @redirect.example", to="<sip:a@b>")) == 400
    assert malformed(request("INVITE", BOB).replace(b"1 INVITE", b"1 BYE")) == 400
    assert malformed(request("INVITE", BOB).replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia")) == 505


def test_8_2_6_2_malformed_to_is_copied_as_it_is():
    for to in ("<;tag=2", ";tag=2", '"x;tag=2', "<sip:a@b>;tag=", "<sip:a@b>;tag=1;tag=2"):
        datagram, _ = only(exchange(card(), request("INVITE", BOB, to=to)))
        assert status(datagram) == 400 and values(datagram, b"To") == [to.encode()]


def test_8_phrase_of_a_400_says_what_in_our_own_words():
    datagram, _ = only(exchange(card(), request("INVITE", BOB, "Content-Length: 5")))
    assert datagram.startswith(
        b"SIP/2.0 400 Bad Request - body shorter than Content-Length\r\n")


def test_18_3_octets_beyond_content_length_are_dropped():
    text = request("INVITE", BOB, "Content-Length: 0", body=b"INVITE again")
    assert status(only(exchange(card(), text))[0]) == 302


def test_unanswerable_is_dropped_and_counted():
    text = request("INVITE", BOB)
    for gone in (b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1\r\n",
                 b"From: <sip:caller@example.net>;tag=f1\r\n", b"Call-ID: c1@192.0.2.1\r\n",
                 b"CSeq: 1 INVITE\r\n"):
        one = card()
        assert gone in text
        assert exchange(one, text.replace(gone, b"")) == []
        assert one.counters["unanswerable"] == 1 and one.counters["dropped"] == 1
    for noise in (b"x", b"\0" * 30, b"GET / HTTP/1.0\r\n\r\n", text[:-2], b"\xff" * 2000):
        one = card()
        assert exchange(one, noise) == []
        assert one.counters["dropped"] == 1


def test_4475_3_1_2_1_unread_via_is_answered_to_the_source():
    for via in ("SIP/2.0/UDP 192.0.2.15;;,;,,", "SIP/9/UDP a", "SIP/2.0/UDP", "a"):
        text = request("INVITE", BOB, via="Via: " + via)
        datagram, address = only(exchange(card(), text, ("192.0.2.9", 777)))
        assert status(datagram) == 400 and address == ("192.0.2.9", 777)
        assert values(datagram, b"Via") == [via.encode()]
        assert exchange(card(), text.replace(b"INVITE", b"ACK")) == []


def test_4475_3_3_8_repeated_header_is_400():
    text = request("INVITE", BOB, "Call-ID: other", "To: <sip:x@y>;tag=1")
    datagram, _ = only(exchange(card(), text))
    assert status(datagram) == 400 and values(datagram, b"Call-ID") == [b"c1@192.0.2.1"]


def test_keepalive_is_no_error():
    one = card()
    assert exchange(one, b"\r\n\r\n") == []
    assert one.counters["keepalives"] == 1 and one.counters["dropped"] == 0


def test_queue_is_bounded():
    one = card(queue_limit=2)
    for _ in range(3):
        text = request("INVITE", BOB)
        one.receive_message(bytearray(text), len(text), CLIENT, NOW_MS, NOW_S)
    assert one.counters["queue_full"] == 1 and one.counters["answered"] == 2


