"""Forking: CANCEL, Timer C, transport errors, non-INVITE (RFC 3261 16.7-16.10, 9.1; RFC 4320)."""

from fork_rig import BOB, UPSTREAM, ForkRig
from firmware.sip.timers import Timers
from sip_bench import request, values


def test_16_7_10_and_9_1_cancel_waits_for_a_provisional_and_is_sent_once():
    one = ForkRig()
    one.begin("abcd")
    one.answer("b", 100)
    one.answer("d", 486)
    assert one.answer("a", 200) == ["200", "CANCEL b"]
    assert one.answer("c", 180) == ["CANCEL c"]  # and the 180 is not forwarded any more
    assert one.answer("c", 180) == [] and one.answer("b", 180) == []
    assert one.answer("b", 200, method="CANCEL") == []
    assert one.answer("b", 487) == ["ACK b"]
    assert one.answer("c", 200) == ["200"]
    assert one.forking.counters["cancels"] == 2 and one.forking.counters["unsent"] == 0
    assert len(one.own) == 1  # the CANCEL's answer concerns nobody else


def test_16_8_timer_c_cancels_what_has_rung():
    one = ForkRig()
    one.begin("ab", (900, 100))
    one.run(1000)
    assert one.answer("a", 180) == ["180"]
    one.run(180000)
    assert one.answer("a", 180) == ["180"]  # starts Timer C again, a 100 does not (16.7 step 2)
    one.run(100000)
    assert one.answer("a", 100) == []
    assert one.run(80999) == []
    assert one.run(1) == ["CANCEL a"]
    one.answer("a", 200, method="CANCEL")
    assert one.answer("a", 487) == ["ACK a", "INVITE b"]
    assert one.answer("b", 404) == ["ACK b", "404"]
    assert one.forking.counters["timer_c"] == 1
    assert one.run(300000) == ["404"] and one.forking.next_deadline_ms() is None
    assert len(one.rig.layer) == 0


def test_16_8_timer_c_runs_from_the_last_provisional():
    one = ForkRig()
    one.begin("a")
    one.run(1000)
    one.answer("a", 180)
    assert one.run(180999) == []
    assert one.run(1) == ["CANCEL a"]


def test_16_8_and_9_1_no_final_response_after_the_cancel():
    one = ForkRig()
    one.begin("a")
    one.answer("a", 180)
    assert one.run(181000) == ["CANCEL a"]
    one.answer("a", 200, method="CANCEL")
    one.run(1000)
    assert one.answer("a", 180) == ["180"]  # gives it no more time
    assert one.run(30999) == []
    assert one.run(1) == ["408"]
    assert one.answer("a", 200) == []  # its transaction is gone (RFC 6026 7.3)
    assert one.rig.layer.counters["stray_responses"] == 1


def test_16_8_timer_c_without_provisional_is_408():
    # with T1 this long, Timer C fires before Timer B would
    one = ForkRig(timers=Timers(4000, 4000, 5000))
    one.begin("a")
    assert one.run(180999) == ["100", "INVITE a"]
    assert one.run(1) == ["408"]


def test_16_9_transport_error_counts_as_503():
    for codes, best in (((), "500"), ((486,), "486")):
        one = ForkRig()
        one.begin("ab"[:1 + len(codes)])
        for code in codes:
            one.answer("b", code)
        one.rig.sent.clear()
        client = [entry for entry in one.server.user.branches][0].client
        one.rig.layer.handle_error(client, one.rig.now_ms)
        assert one.take() == [best]


def test_16_9_error_on_the_way_up_changes_nothing():
    one = ForkRig()
    one.begin("a")
    one.answer("a", 180)
    one.rig.layer.handle_error(one.server, one.rig.now_ms)
    assert one.take() == ["180"] and len(one.own) == 2
    assert one.answer("a", 200) == ["200"]


def test_no_room_for_a_client_transaction_counts_as_503():
    one = ForkRig(limit=4)
    assert one.begin("abcd") == ["INVITE a", "INVITE b", "INVITE c"]
    one.answer("a", 404)
    one.answer("b", 404)
    assert one.answer("c", 503) == ["ACK c", "404"]
    one = ForkRig(limit=4)
    for branch in (b"z9hG4bKx", b"z9hG4bKy", b"z9hG4bKz"):
        one.rig.open_client(branch=branch)
    one.rig.sent.clear()
    assert one.begin("ab") == ["500"]


def test_16_10_and_9_2_cancel_from_upstream():
    one = ForkRig()
    one.begin("abc", (900, 900, 100))
    one.answer("a", 180)
    known, sent = one.cancel()
    assert known and sent == ["200", "CANCEL a"]
    assert values(one.upstream(), b"CSeq") == [b"1 CANCEL"]
    assert one.answer("b", 100) == ["CANCEL b"]
    assert one.answer("a", 487) == ["ACK a"]
    assert one.answer("b", 487) == ["ACK b", "487"]  # c is never tried
    known, sent = one.cancel("Via: " + UPSTREAM)
    assert sent == ["200"]  # its retransmission, by its own transaction


def test_16_10_cancel_and_then_2xx_or_silence():
    one = ForkRig()
    one.begin("ab")
    one.answer("a", 180)
    one.cancel()
    assert one.answer("a", 200) == ["200"]
    one = ForkRig()
    one.begin("a")
    assert one.cancel() == (True, ["200"])
    one.run(31999)
    assert one.run(1) == ["487"]  # no provisional ever came: Timer B
    assert one.upstream().startswith(b"SIP/2.0 487 Request Terminated\r\n")


def test_16_10_cancel_after_the_final_response_has_no_effect():
    one = ForkRig()
    one.begin("ab")
    one.answer("b", 180)
    one.answer("a", 200)
    known, sent = one.cancel()
    assert known and sent == ["200"]


def test_16_10_unknown_cancel_is_left_to_the_caller():
    one = ForkRig()
    one.begin("a")
    before = len(one.rig.layer)
    known, sent = one.cancel("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother")
    assert not known and sent == [] and len(one.rig.layer) == before


def test_16_10_cancel_of_an_invite_that_was_not_forwarded():
    one = ForkRig()
    assert one.cancel() == (True, ["200"])
    assert one.rig.respond(one.server, 487)


def test_17_2_1_retransmitted_invite_does_not_reach_the_target_again():
    one = ForkRig()
    one.begin("a")
    one.answer("a", 180)
    for code, sent in ((None, ["180"]), (486, ["486"])):
        if code:
            one.answer("a", code)
        one.rig.sent.clear()
        one.rig.give(request("INVITE", BOB))
        assert one.take() == sent
    assert len(one.own) == 1


def test_4320_non_invite_gets_no_provisional_and_no_408():
    one = ForkRig("MESSAGE")
    one.begin("ab", (900, 100))
    assert one.answer("a", 180) == []
    assert one.answer("a", 408) == ["MESSAGE b"]
    assert one.run(31999) == ["MESSAGE b", "100"]
    assert one.run(10000) == []
    assert len(one.rig.layer) == 0 and one.forking.next_deadline_ms() is None
    assert one.forking.counters["unsent"] == 0
    one = ForkRig("MESSAGE")
    one.begin("ab")
    one.answer("a", 408)
    assert one.answer("b", 500) == ["500"]


def test_16_7_5_non_invite_gets_exactly_one_final_and_no_cancel():
    one = ForkRig("MESSAGE")
    one.begin("abc")
    one.answer("b", 100)
    assert one.answer("a", 200) == ["200"]
    assert one.answer("b", 200) == [] and one.answer("c", 486) == []
    one = ForkRig("MESSAGE")
    one.begin("ab")
    one.answer("a", 486)
    assert one.answer("b", 603) == ["603"]


def test_16_7_9_a_2xx_goes_up_without_its_server_transaction():
    one = ForkRig()
    one.begin("ab")
    one.answer("b", 180)
    assert one.answer("a", 200) == ["200", "CANCEL b"]
    one.run(31000)
    assert one.answer("b", 200) == ["200"]
    one.run(1000)
    # Timer L has fired; b's transaction still takes 2xx
    assert one.server.state != one.server_state and len(one.rig.layer) == 1
    assert one.answer("b", 200) == ["200"]
    assert one.rig.sent[-1][2] is one.server.peer
    assert values(one.upstream(), b"Via") == [UPSTREAM.encode()]
    one.run(31000)
    assert len(one.rig.layer) == 0


def test_4320_4_2_no_late_answer_to_a_non_invite():
    one = ForkRig("MESSAGE")
    one.rig.run(1000)
    one.begin("a")  # its Timer F ends a second after the server transaction
    one.run(31500)
    assert len(one.rig.layer) == 1
    assert one.answer("a", 200) == [] and one.forking.counters["unsent"] == 1
