"""The transaction layer: timers, retransmission, ACK, 100 (RFC 3261 17; RFC 4320; RFC 6026)."""

from firmware.sip import transaction as layer
from firmware.sip.timers import Timers
from sip_bench import message, request, values
from transaction_rig import BRANCH, CALLEE, CALLER, STREAM, Rig, outgoing, reply

BOB = "sip:bob@example.com"


def test_17_1_1_2_timers_a_and_b():
    rig = Rig()
    rig.open_client()
    rig.run(40000)
    # the gaps double from T1; B ends it at 64*T1
    assert rig.instants("INVITE") == [0, 500, 1500, 3500, 7500, 15500, 31500]
    assert rig.take_told() == [("TIMEOUT", None)] and len(rig.layer) == 0
    assert rig.sent[0][2] is CALLEE and rig.sent[0][1] == rig.sent[6][1] == outgoing()


def test_17_1_1_2_a_provisional_stops_timers_a_and_b():
    rig = Rig()
    rig.open_client()
    rig.run(600)
    rig.give(reply(100), CALLEE)
    rig.take()
    rig.run(200000)
    assert rig.take() == [] and rig.take_told() == [("RESPONSE", 100)] and len(rig.layer) == 1


def test_17_1_2_2_timers_e_and_f():
    rig = Rig()
    rig.open_client("OPTIONS")
    rig.run(40000)
    assert rig.instants("OPTIONS") == [0, 500, 1500, 3500] + list(range(7500, 32000, 4000))
    assert rig.take_told() == [("TIMEOUT", None)]


def test_17_1_2_2_timer_e_is_t2_in_proceeding():
    rig = Rig()
    rig.open_client("OPTIONS")
    rig.run(600)
    rig.give(reply(100, method="OPTIONS"), CALLEE)
    rig.run(40000)
    # the E that ran goes on to 1500, then T2
    assert rig.instants("OPTIONS") == [0, 500, 1500] + list(range(5500, 32000, 4000))
    assert rig.take_told() == [("RESPONSE", 100), ("TIMEOUT", None)]


def test_17_2_1_timers_g_and_h():
    rig = Rig()
    server = rig.open_server()
    server.user = "mine"
    rig.run(100)
    rig.respond(server, 486)
    rig.take_told()
    rig.run(40000)
    assert rig.instants("486") == [100, 600, 1600, 3600] + list(range(7600, 32100, 4000))
    assert rig.take_told() == [("TIMEOUT", None)] and len(rig.layer) == 0
    # what ended keeps nothing alive
    assert server.user is None and server.data == b"" and server.trying is None


def test_17_2_1_invite_100_after_200_ms():
    rig = Rig()
    text = request("INVITE", BOB, "Timestamp: 54.21")
    rig.give(text)
    rig.run(199)
    assert rig.sent == []
    rig.run(1)
    assert len(rig.sent) == 1
    assert rig.sent[0][1] == message(
        "SIP/2.0 100 Trying", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1",
        "From: <sip:caller@example.net>;tag=f1", "To: <sip:bob@example.com>",
        "Call-ID: c1@192.0.2.1", "CSeq: 1 INVITE", "Timestamp: 54.21 0.200", "Content-Length: 0")
    rig.run(100000)
    assert rig.take() == ["100"]


def test_17_2_1_no_100_after_another_answer():
    for status in (180, 200, 486):
        rig = Rig()
        server = rig.open_server()
        rig.respond(server, status)
        rig.run(400)
        assert rig.take() == [str(status)]


def test_17_2_1_retransmissions_get_the_last_response():
    rig = Rig()
    server = rig.open_server()
    assert rig.give(request("INVITE", BOB)) == layer.TAKEN and rig.take() == []
    for status in (180, 183):
        rig.respond(server, status)
        rig.take()
        rig.give(request("INVITE", BOB))
        assert rig.take() == [str(status)]
    rig.respond(server, 486)
    rig.give(request("INVITE", BOB))
    assert rig.take() == ["486", "486"]
    assert rig.take_told() == [("REQUEST", "INVITE")]
    assert rig.layer.counters["retransmissions"] == 4


def test_4320_4_1_one_100_at_3500_ms_and_nothing_else():
    for peer in (CALLER, STREAM):
        rig = Rig()
        rig.give(request("MESSAGE", BOB, "Timestamp: 7"), peer)
        server = rig.told[0][1]
        for status in (100, 180, 408):
            assert rig.respond(server, status) is False
        assert rig.layer.counters["refused"] == 3
        rig.run(3499)
        assert rig.sent == []
        rig.run(1)
        assert values(rig.sent[0][1], b"Timestamp") == [b"7 3.500"]
        assert rig.take() == ["100"]
        rig.run(28499)
        assert len(rig.layer) == 1
        rig.run(1)
        assert len(rig.layer) == 0 and rig.take() == []  # 4.2: nothing at the end


def test_6026_7_1_invites_again_are_absorbed_for_64_t1_after_2xx():
    for peer in (CALLER, STREAM):
        rig = Rig()
        server = rig.open_server(peer=peer)
        rig.respond(server, 200)
        rig.take_told()
        rig.run(31999)
        rig.take()
        assert rig.give(request("INVITE", BOB), peer) == layer.TAKEN
        assert rig.take() == [] and rig.take_told() == []
        assert rig.respond(server, 200) and rig.take() == ["200"]  # of another branch
        assert rig.respond(server, 486) is False and rig.respond(server, 180) is False
        rig.run(1)
        assert len(rig.layer) == 0 and rig.respond(server, 200) is False
        rig.give(request("INVITE", BOB), peer)
        assert rig.take_told() == [("REQUEST", "INVITE")]


def test_6026_7_2_later_2xx_are_passed_for_64_t1():
    rig = Rig()
    rig.open_client()
    rig.give(reply(200, to="<sip:bob@example.com>;tag=t1"), CALLEE)
    rig.run(31999)
    rig.give(reply(200, to="<sip:bob@example.com>;tag=t2"), CALLEE)
    assert rig.take_told() == [("RESPONSE", 200), ("RESPONSE", 200)]
    for status in (180, 486):
        rig.give(reply(status), CALLEE)
    assert rig.take_told() == [] and rig.take() == ["INVITE"]
    rig.run(1)
    # 7.3: a response without a transaction is dropped
    assert rig.give(reply(200), CALLEE) == layer.STRAY and rig.take_told() == []
    assert rig.layer.counters["stray_responses"] == 1


def test_17_1_1_3_ack_to_a_failure():
    rig = Rig()
    data = outgoing("INVITE", BRANCH, "sip:bob@192.0.2.4:5070",
                    "Route: <sip:192.0.2.7;lr>, <sip:192.0.2.8;lr>", "Route: <sip:192.0.2.9;lr>",
                    "Require: foo", "Proxy-Authorization: Digest a=b")
    rig.layer.send_request(data, BRANCH, b"INVITE", CALLEE, rig.now_ms)
    rig.give(reply(486, to="Bob <sip:bob@example.com>;tag=t9"), CALLEE)
    assert len(rig.sent) == 2 and rig.sent[1][2] is CALLEE
    assert rig.sent[1][1] == message(
        "ACK sip:bob@192.0.2.4:5070 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKp1", "Max-Forwards: 70",
        "Route: <sip:192.0.2.7;lr>, <sip:192.0.2.8;lr>", "Route: <sip:192.0.2.9;lr>",
        "From: <sip:caller@example.net>;tag=f1", "Call-ID: c1@192.0.2.1",
        "To: Bob <sip:bob@example.com>;tag=t9", "CSeq: 1 ACK", "Content-Length: 0")
    rig.take()
    rig.give(reply(486), CALLEE)
    assert rig.take() == ["ACK"]
    assert rig.take_told() == [("RESPONSE", 486)]


def test_9_1_cancel_needs_a_provisional_and_no_final():
    rig = Rig()
    client = rig.open_client()
    assert rig.layer.send_cancel(client, rig.now_ms) is None
    rig.give(reply(100), CALLEE)
    rig.take()
    assert rig.layer.send_cancel(client, rig.now_ms) is not None
    rig.drain()
    assert rig.sent[0][1] == message(
        "CANCEL sip:bob@192.0.2.4:5070 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKp1", "Max-Forwards: 70",
        "From: <sip:caller@example.net>;tag=f1", "Call-ID: c1@192.0.2.1",
        "To: <sip:bob@example.com>", "CSeq: 1 CANCEL", "Content-Length: 0")
    # the CANCEL's answer is matched by the method of CSeq, the INVITE goes on (17.1.3)
    rig.take_told()
    rig.give(reply(200, method="CANCEL"), CALLEE)
    assert rig.told[0][1] is not client and client.user is None
    rig.give(reply(487), CALLEE)
    assert rig.told[1][1] is client
    assert rig.layer.send_cancel(client, rig.now_ms) is None
    assert rig.layer.send_cancel(rig.open_client("OPTIONS"), rig.now_ms) is None


def test_other_timer_values():
    rig = Rig(timers=Timers(100, 300, 700))
    rig.open_client("OPTIONS")
    rig.run(7000)
    assert rig.instants("OPTIONS") == [0, 100, 300] + list(range(600, 6400, 300))
