"""The RMTP sender's finer state: congestion window, repair queue, cache, round trip."""

import struct
import sys

from bus.rmtp import NO_ECHO, RmtpParams, paper_params
from bus.rmtp_receiver import RmtpReceiver
from bus.rmtp_sender import RmtpSender
from bus.wire import ACK, ACK_TXNOW, ALL, DATA, NULL

sys.path.insert(0, __file__.rsplit("/", 1)[0] if "/" in __file__ else ".")

from test_rmtp_wire import ack, data, feed, frames, small  # noqa: E402 - beside this file


def started(parameters, count, slots=(1, 2)):
    """A sender with a roster that has been offered `count` packets at 1000 ms."""
    sender = RmtpSender(parameters, ALL, 0, 1000)
    frames(sender, 1000)
    sender.set_roster(slots, 1000)
    for number in range(count):
        assert sender.offer(bytes((number & 0xFF,)), 0, 1)
    return sender


def give(sender, slot, payload, now_ms, frame_type=ACK):
    sender.receive_ack(slot, frame_type, payload, 0, len(payload), now_ms)


def data_sent(sender, now_ms):
    """(seq, dest) of each data packet that leaves now."""
    return [(struct.unpack(">I", frame[0][:4])[0], frame[2])
            for frame in frames(sender, now_ms) if frame[1] == DATA]


def test_paper_window_grows_by_one_a_cycle_and_falls_to_one():
    sender = started(paper_params(Wr=64, Ws=4, cache_size=64, CONGthresh=1), 60)
    now_ms = 1000
    counts = []
    for _ in range(5):
        sender.handle_timer(now_ms)
        counts.append(len(data_sent(sender, now_ms)))
        now_ms += 2
    assert counts == [2, 3, 4, 4, 4]  # one, grown by one at each cycle's start, up to Ws
    hole = ack(0, 16, b"\x7f\xff\x80", 17)
    for slot in (1, 2):
        give(sender, slot, hole, now_ms)
    sender.handle_timer(now_ms)
    new = [seq for seq, _ in data_sent(sender, now_ms) if seq > 16]
    assert new == [17] and sender.congested == 1


def test_paper_repairs_wait_for_tretx_and_gather_their_askers():
    sender = started(paper_params(Wr=64, Ws=32, cache_size=64, Tretx=10), 8)
    for now_ms in range(1000, 1020):
        sender.handle_timer(now_ms)
        frames(sender, now_ms)
    assert sender.sent == 8
    give(sender, 1, ack(0, 7, b"\x7f", 8), 1025)
    assert data_sent(sender, 1025) == []
    give(sender, 2, ack(0, 7, b"\x7f", 8), 1026)
    sender.handle_timer(1030)
    assert data_sent(sender, 1030) == [(0, ALL)]


def test_event_window_is_what_is_outstanding_and_a_burst_of_loss_halves_it():
    sender = started(RmtpParams(Wr=64, Ws=32, cache_size=64), 64)
    assert len(data_sent(sender, 1000)) == 32
    give(sender, 1, ack(0, 31, b"\x00\x00\x00\x01", 32), 1010)
    assert sender.congested == 1
    for slot in (1, 2):
        give(sender, slot, ack(32, 31), 1011)
    assert [seq for seq, _ in data_sent(sender, 1011) if seq > 31] == list(range(32, 32 + 17))


def test_a_multicast_repair_answers_whoever_asks_within_the_hold_down():
    sender = started(small(), 4, (1, 2, 3))
    frames(sender, 1000)
    hole = ack(0, 3, b"\x70", 4)
    give(sender, 1, hole, 1001)
    give(sender, 2, hole, 1001)
    assert data_sent(sender, 1001) == [(0, ALL)]
    give(sender, 3, hole, 1002)
    assert data_sent(sender, 1002) == []
    give(sender, 3, hole, 1003)
    assert data_sent(sender, 1003) == [(0, 3)]


def test_a_unicast_repair_holds_down_nobody_else():
    sender = started(small(), 4)
    frames(sender, 1000)
    hole = ack(0, 3, b"\x70", 4)
    give(sender, 1, hole, 1001)
    assert data_sent(sender, 1001) == [(0, 1)]
    give(sender, 2, hole, 1002)
    assert data_sent(sender, 1002) == [(0, 2)]


def test_a_young_repair_does_not_hide_the_lost_tail_behind_it():
    sender = started(small(), 4)
    frames(sender, 1000)
    give(sender, 1, ack(0, 3, b"\x70", 4), 1001)
    assert data_sent(sender, 1001) == [(0, 1)]
    give(sender, 2, ack(0, 0xFFFFFFFF), 1002)
    assert [seq for seq, _ in data_sent(sender, 1002)] == [0, 1, 2, 3]


def test_round_trip_falls_slowly():
    sender = started(small(), 1)
    frames(sender, 1000)
    give(sender, 1, ack(0, 0xFFFFFFFF, echo=(1000).to_bytes(4, "big")), 1080)
    assert sender.hold_down_ms() == 82
    give(sender, 1, ack(0, 0xFFFFFFFF, echo=(1080).to_bytes(4, "big")), 1080)
    assert sender.hold_down_ms() == 72  # an eighth of the way to 0
    for _ in range(60):
        give(sender, 1, ack(0, 0xFFFFFFFF, echo=(1080).to_bytes(4, "big")), 1080)
    assert sender.hold_down_ms() == 2


def test_echoes_that_cannot_be_are_not_believed():
    sender = started(small(), 1)
    frames(sender, 1000)
    for echo, dwell in ((2000, 0), (0x7FFFFFFF, 0), (1000, 90)):
        give(sender, 1, ack(0, 0xFFFFFFFF, echo=echo.to_bytes(4, "big"), dwell=dwell), 1080)
    assert sender.hold_down_ms() == 2


def test_each_echo_is_used_once():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0), 1000)
    feed(receiver, data(2), 1000)
    first = frames(receiver, 1000)[0][0]
    receiver.handle_timer(1001)
    second = frames(receiver, 1001)[0][0]
    assert first[8:12] == b"\0\0\x03\xe8"
    assert second[8:12] == NO_ECHO.to_bytes(4, "big")


def test_who_asks_for_what_is_gone_is_told_the_base():
    sender = started(small(Wr=8, cache_size=8), 0, ())
    for number in range(20):
        assert sender.offer(bytes((number,)), 0, 1)
        frames(sender, 1000)
    give(sender, 9, ack(3, 2), 1000)
    found = frames(sender, 1000)
    assert found == [(b"\0\0\0\x14" b"\0\0\0\x0c" b"\0\0\x03\xe8", NULL, 9)]


def test_repairs_of_packets_that_left_the_cache_are_forgotten():
    for frame_type in (ACK, ACK_TXNOW):
        sender = started(small(Wr=8, cache_size=8), 0, ())
        for number in range(8):
            sender.offer(bytes((number,)), 0, 1)
        frames(sender, 1000)
        give(sender, 9, ack(0, 7, b"\x7f", 8), 1001, frame_type)
        assert sender.offer(b"8", 0, 1)  # takes the place of packet 0
        assert data_sent(sender, 1001) == [(8, ALL)]


def test_a_new_packet_does_not_inherit_the_requests_of_the_one_it_replaces():
    sender = started(small(Wr=8, cache_size=8, Tretx=50), 0, ())
    for number in range(8):
        sender.offer(bytes((number,)), 0, 1)
    frames(sender, 1000)
    for slot in (9, 10):
        give(sender, slot, ack(0, 7, b"\x7f", 8), 1001)
    sender.offer(b"8", 0, 1)
    assert data_sent(sender, 1001) == [(8, ALL)]
    give(sender, 9, ack(8, 7), 1003)
    sender.handle_timer(1050)
    assert data_sent(sender, 1050) == [(8, 9)]


def test_end_of_the_stream_waits_tdally():
    sender = RmtpSender(small(Tdally=300), ALL, 0, 1000)
    sender.set_roster((1,), 1000)
    sender.offer(b"", 0, 0, True)
    frames(sender, 1000)
    sender.receive_ack(1, ACK, ack(1, 0), 0, 16, 1100)
    sender.handle_timer(1399)
    assert not sender.done()
    sender.handle_timer(1400)
    assert sender.done()
    assert sender.successor_seq() == 33


def test_offer_refuses_what_is_too_long_or_comes_after_the_end():
    sender = RmtpSender(small(packet_size=4), ALL, 0, 0)
    for body, last in ((b"12345", False), (b"1", True), (b"2", False)):
        try:
            sender.offer(body, 0, len(body), last)
            refused = False
        except ValueError:
            refused = True
        assert refused == (body != b"1")


def test_params_out_of_range_are_refused():
    for changes in ({"Wr": 100}, {"Wr": 16, "cache_size": 8}, {"Ws": 9}, {"Wr": 4},
                    {"Wr": 16384, "cache_size": 16384}):
        try:
            small(**changes)
            refused = False
        except ValueError:
            refused = True
        assert refused, changes
