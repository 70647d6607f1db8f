"""The transaction layer: matching, where answers go, bounds, counters (RFC 3261 17.1.3, 17.2)."""

from firmware.sip import transaction as layer
from firmware.sip.transaction_match import Peer
from sip_bench import message, request, values
from transaction_rig import BRANCH, CALLEE, CALLER, STREAM, STREAM_OUT, Rig, outgoing, reply

BOB = "sip:bob@example.com"


def test_17_1_3_responses_match_by_branch_and_method():
    rig = Rig()
    rig.open_client()
    assert rig.give(reply(180, branch=b"z9hG4bKp2"), CALLEE) == layer.STRAY
    assert rig.give(reply(180, method="OPTIONS"), CALLEE) == layer.STRAY
    assert rig.give(reply(180).replace(b"CSeq: 1 INVITE", b"CSeq: 1"), CALLEE) == layer.STRAY
    assert rig.layer.counters["bad_responses"] == 1
    assert rig.give(reply(180), CALLEE) == layer.TAKEN
    assert rig.take_told() == [("RESPONSE", 180)]
    try:
        rig.open_client()
    except ValueError:
        return
    raise AssertionError("one branch for two requests")


def test_17_2_3_requests_match_by_branch_sent_by_and_method():
    rig = Rig()
    server = rig.open_server()
    for via in ("Via: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bKa1",
                "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKa1",
                "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa2"):
        rig.take_told()
        rig.give(request("INVITE", BOB, via=via))
        assert rig.take_told() == [("REQUEST", "INVITE")], via
    rig.give(request("CANCEL", BOB))
    assert rig.take_told() == [("REQUEST", "CANCEL")]
    # the same by another spelling: host in capitals, the default port left out
    rig = Rig()
    rig.open_server(via="Via: SIP/2.0/UDP Host.Example:5060;branch=z9hG4bKa1")
    rig.give(request("INVITE", BOB, via="Via: SIP/2.0/UDP host.example;branch=z9hG4bKa1"))
    assert rig.layer.counters["retransmissions"] == 1
    assert server.is_invite() and not server.is_client()


def test_17_2_3_ack_matches_its_invite_and_stray_acks_are_told():
    rig = Rig()
    server = rig.open_server()
    ack = request("ACK", BOB, to="<sip:bob@example.com>;tag=t1")
    assert rig.give(ack.replace(b"a1", b"a2")) == layer.STRAY
    rig.respond(server, 486)
    assert rig.give(ack) == layer.TAKEN
    assert rig.layer.counters["stray_acks"] == 1
    rig.take()
    rig.run(4999)
    assert rig.take() == [] and len(rig.layer) == 1
    rig.run(1)
    assert len(rig.layer) == 0


def test_9_2_find_invite_of_a_cancel():
    rig = Rig()
    server = rig.open_server()
    rig.give(request("CANCEL", BOB))
    assert rig.layer.find_invite(rig.parsed) is server
    rig.give(request("CANCEL", BOB, via="Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother"))
    assert rig.layer.find_invite(rig.parsed) is None


def test_17_2_3_rfc_2543_requests_match_by_their_fields():
    for via in ("Via: SIP/2.0/UDP 192.0.2.1:5060", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=1",
                "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"):
        rig = Rig()
        server = rig.open_server(via=via)
        rig.give(request("INVITE", BOB, via=via))
        assert rig.layer.counters["retransmissions"] == 1
        rig.respond(server, 486)
        rig.give(request("ACK", BOB, via=via, to="<sip:bob@example.com>;tag=t1"))
        assert rig.layer.counters["stray_acks"] == 0
        rig.take_told()
        rig.give(request("INVITE", BOB, via=via, cseq=2))
        rig.give(request("INVITE", BOB, via=via, call_id="c2"))
        rig.give(request("INVITE", BOB, via=via, sender="<sip:caller@example.net>;tag=f2"))
        rig.give(request("INVITE", "sip:carol@example.com", via=via))
        assert len(rig.take_told()) == 4


def test_long_branches_take_bounded_room():
    rig = Rig()
    long = "z9hG4bK" + "x" * 4000
    for last in "ab":
        rig.open_server(via="Via: SIP/2.0/UDP 192.0.2.1:5060;branch=" + long + last)
    rig.give(request("INVITE", BOB, via="Via: SIP/2.0/UDP 192.0.2.1;branch=" + long + "a"))
    assert rig.layer.counters["retransmissions"] == 1 and len(rig.layer) == 2
    assert max([len(item[1].key) for item in rig.told if item[0] == "REQUEST"]) <= 128


def test_18_2_2_where_answers_go():
    for via, source, port in (
            ("192.0.2.1:5066;branch=z9hG4bKa1", CALLER, 5066),
            ("192.0.2.1;branch=z9hG4bKa1", Peer(b"192.0.2.1", 7000), 5060),
            ("192.0.2.1:5066;rport;branch=z9hG4bKa1", Peer(b"192.0.2.1", 7000), 7000)):
        rig = Rig()
        rig.give(request("OPTIONS", BOB, via="Via: SIP/2.0/UDP " + via), source)
        rig.respond(rig.told[0][1], 200)
        assert (rig.sent[0][2].host, rig.sent[0][2].port) == (b"192.0.2.1", port)
    rig = Rig()
    rig.give(request("INVITE", BOB, via="Via: SIP/2.0/UDP 10.0.0.1:1;rport;branch=z9hG4bKa1"),
             Peer(b"192.0.2.1", 7000))
    rig.run(200)
    assert values(rig.sent[0][1], b"Via") == [
        b"SIP/2.0/UDP 10.0.0.1:1;branch=z9hG4bKa1;received=192.0.2.1;rport=7000"]


def test_full_table_refuses_new_requests_first():
    rig = Rig(limit=8)
    via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{}"
    for number in range(6):
        rig.open_server("OPTIONS", via=via.format(number))
    verdict = rig.give(request("OPTIONS", BOB, via=via.format(6)))
    assert verdict == layer.FULL and rig.layer.counters["full"] == 1 and len(rig.layer) == 6
    assert rig.give(request("OPTIONS", BOB, via=via.format(5))) == layer.TAKEN
    assert rig.open_client(branch=b"z9hG4bKx") is not None
    assert rig.open_client(branch=b"z9hG4bKy") is not None
    assert rig.open_client(branch=b"z9hG4bKz") is None
    assert rig.layer.counters["full"] == 2 and rig.layer.high_water == 8 == len(rig.layer)
    for limit in (3, layer.LARGEST_TABLE + 1):
        try:
            Rig(limit=limit)
        except ValueError:
            continue
        raise AssertionError(limit)


def test_full_queue_loses_as_the_network_does():
    rig = Rig(queue_limit=2)
    for branch in (b"z9hG4bK1", b"z9hG4bK2", b"z9hG4bK3"):
        rig.layer.send_request(outgoing("INVITE", branch), branch, b"INVITE", CALLEE, rig.now_ms)
    rig.drain()
    assert rig.take() == ["INVITE", "INVITE"] and rig.layer.counters["queue_full"] == 1
    rig.run(500)
    assert len(rig.sent) == 2 and rig.layer.counters["queue_full"] == 2


def test_one_call_serves_a_bounded_number_of_timers():
    rig = Rig(limit=200, queue_limit=400)
    for number in range(150):
        branch = b"z9hG4bK%d" % number
        rig.layer.send_request(
            outgoing("INVITE", branch), branch, b"INVITE", STREAM_OUT, rig.now_ms)
    rig.drain()
    rig.now_ms = (rig.now_ms + 32000) & ((1 << 30) - 1)
    rig.layer.handle_timer(rig.now_ms)
    rig.layer.handle_timer(rig.now_ms)  # nobody took the events of the first call
    rig.drain()
    assert len(rig.take_told()) == 64
    rig.run(0)
    assert len(rig.take_told()) == 86 and len(rig.layer) == 0


def test_transport_errors_are_told_with_their_transaction():
    rig = Rig()
    client = rig.layer.send_request(
        outgoing(), BRANCH, b"INVITE", STREAM_OUT, rig.now_ms, "mine")
    data, peer, transaction = rig.layer.to_send()
    assert data == outgoing() and peer is STREAM_OUT and transaction is client
    rig.layer.handle_error(transaction, rig.now_ms)
    rig.drain()
    assert rig.take_told() == [("ERROR", None)] and client.user == "mine"
    rig.layer.handle_error(transaction, rig.now_ms)
    rig.layer.abandon(transaction, rig.now_ms)
    rig.drain()
    assert rig.take_told() == []


def test_an_invite_that_cannot_be_read_is_not_sent():
    rig = Rig()
    for data in (b"nonsense", message("INVITE sip:a SIP/2.0", "Via: x")):
        try:
            rig.layer.send_request(data, BRANCH, b"INVITE", CALLEE, rig.now_ms)
        except ValueError:
            continue
        raise AssertionError(data)
    assert len(rig.layer) == 0


def test_class_boundaries_of_status_codes():
    rig = Rig()
    client = rig.open_client()
    rig.give(reply(199), CALLEE)
    rig.give(reply(300), CALLEE)
    assert rig.take() == ["INVITE", "ACK"]
    rig = Rig()
    server = rig.open_server()
    rig.respond(server, 199)
    rig.respond(server, 300)
    rig.take()
    rig.give(request("INVITE", BOB))
    assert rig.take() == ["300"]
    rig = Rig()
    rig.open_client(branch=b"z9hG4bK2")
    rig.give(reply(299, branch=b"z9hG4bK2"), CALLEE)
    server = rig.open_server()
    rig.respond(server, 299)
    rig.take()
    rig.give(request("INVITE", BOB))
    assert rig.take() == [] and client.hop is not None


def test_an_ended_transaction_leaves_no_deadline():
    rig = Rig()
    client = rig.open_client("OPTIONS", STREAM_OUT)
    rig.give(reply(200, method="OPTIONS"), STREAM_OUT)
    assert len(rig.layer) == 0 and rig.layer.next_deadline_ms() is None
    assert client.data == b""
    server = rig.open_server("OPTIONS", STREAM)
    rig.respond(server, 200)
    assert rig.layer.next_deadline_ms() is None


def test_an_invite_may_have_a_few_headers_more_than_the_door_lets_in():
    rig = Rig()
    for count, fits in ((65, True), (66, False)):  # with the seven of outgoing: 72 and 73
        branch = b"z9hG4bK%d" % count
        extra = ["X-%d: y" % number for number in range(count)]
        data = outgoing("INVITE", branch, "sip:bob@192.0.2.4", *extra)
        try:
            rig.layer.send_request(data, branch, b"INVITE", CALLEE, rig.now_ms)
            assert fits
        except ValueError:
            assert not fits


def test_counters():
    rig = Rig()
    client = rig.open_client()
    server = rig.open_server()
    rig.run(500)
    rig.respond(server, 180)
    rig.give(request("INVITE", BOB))
    rig.respond(server, 200)
    rig.respond(server, 180)
    rig.layer.handle_error(client, rig.now_ms)
    rig.open_client("OPTIONS")
    rig.run(32000)
    counters = rig.layer.counters
    expected = {"servers": 1, "clients": 2, "retransmissions": 1, "repeats": 1 + 1 + 10,
                "errors": 1, "timeouts": 1, "ignored": 1}
    for name in counters:
        assert counters[name] == expected.get(name, 0), name
    assert rig.layer.high_water == 2
