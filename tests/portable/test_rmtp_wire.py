"""RMTP payloads against bytes written by hand, and what a single frame does at either end."""

from bus.compat import TICKS_PERIOD
from bus.rmtp import LAGGARD, LOST, NO_ECHO, OPENED, ENDED, RmtpParams, encode_ack, unwrap
from bus.rmtp_receiver import RmtpReceiver
from bus.rmtp_sender import RmtpSender
from bus.wire import (
    ACK, ACK_TXNOW, ALL, DATA, DATA_EOF, NULL, RESET, RTT_ACK, RTT_MEASURE)


def data(seq, base=0, stamp=1000, body=b"x"):
    """A DATA payload: seq 4, base 4, stamp 4, body."""
    return b"".join([value.to_bytes(4, "big") for value in (seq, base, stamp)]) + body


def mark(following, base=0, stamp=1000):
    """A NULL or RESET payload."""
    return data(following, base, stamp, b"")


def ack(low, highest, bits=b"", nbits=0, echo=b"\xff\xff\xff\xff", dwell=0):
    """An ACK payload."""
    return (low.to_bytes(4, "big") + highest.to_bytes(4, "big") + echo
            + dwell.to_bytes(2, "big") + nbits.to_bytes(2, "big") + bits)


def small(**changes):
    values = {"Wr": 8, "Ws": 8, "cache_size": 16}
    values.update(changes)
    return RmtpParams(**values)


def frames(end, now_ms):
    """Everything an end wants to send: [(payload, frame type[, dest])]."""
    out = bytearray(1500)
    found = []
    frame = end.to_send(out, 4, now_ms)
    while frame is not None:
        found.append((bytes(out[4:4 + frame[0]]),) + tuple(frame[1:]))
        frame = end.to_send(out, 4, now_ms)
    return found


def feed(receiver, payload, now_ms=1000, frame_type=DATA):
    receiver.receive(frame_type, payload, 0, len(payload), now_ms)


def take(receiver):
    found = []
    body = receiver.next_body()
    while body is not None:
        found.append(body)
        body = receiver.next_body()
    return found


def sent(count, **changes):
    """A sender with slots 1 and 2 on its roster that has sent `count` one-octet packets."""
    sender = RmtpSender(small(**changes), ALL, 0, 1000)
    sender.set_roster((1, 2), 1000)
    for number in range(count):
        assert sender.offer(bytes((number,)), 0, 1)
    frames(sender, 1000)
    return sender


def test_worked_example_of_the_papers():
    """Window 8, L = 15, V = 01110001: 16, 17, 18 and 22 are held, 15, 19, 20, 21 are not."""
    receiver = RmtpReceiver(small())
    feed(receiver, data(14))
    assert receiver.next_event() == (OPENED,)
    assert take(receiver) == [b"x"]
    for seq in (16, 17, 18, 22):
        feed(receiver, data(seq, 0, 0x01020304), 2000)
    assert take(receiver) == []
    found = frames(receiver, 2007)
    assert found[0] == (
        b"\x00\x00\x00\x0f" b"\x00\x00\x00\x16" b"\x01\x02\x03\x04" b"\x00\x07" b"\x00\x08"
        b"\x71", ACK)


def test_sender_reads_the_worked_example():
    sender = sent(23 - 15, Wr=8)
    assert not sender.offer(b"!", 0, 1)
    # the same picture with L = 0 in place of 15
    payload = b"\0\0\0\0" b"\0\0\0\x07" b"\xff\xff\xff\xff" b"\0\0" b"\0\x08" b"\x71"
    sender.receive_ack(2, ACK, payload, 0, len(payload), 1001)
    found = frames(sender, 1001)
    assert [(frame[0][3], frame[1], frame[2]) for frame in found] == [
        (0, DATA, 2), (4, DATA, 2), (5, DATA, 2), (6, DATA, 2)]
    assert found[1][0] == b"\0\0\0\x04" b"\0\0\0\0" b"\0\0\x03\xe9" b"\x04"


def test_bytes_of_an_ack_with_holes_over_more_than_an_octet():
    out = bytearray(32)
    held = [False] + [True] * 8 + [False, True]
    n = encode_ack(out, 1, 0xFFFFFFFE, held, NO_ECHO, 0)
    assert bytes(out[1:1 + n]) == (
        b"\xff\xff\xff\xfe" b"\x00\x00\x00\x08" b"\xff\xff\xff\xff" b"\x00\x00" b"\x00\x0b"
        b"\x7f\xa0")


def test_ack_without_holes_has_no_bitmap():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0), 1000)
    receiver.handle_timer(1001)
    assert frames(receiver, 1001)[0] == (
        b"\0\0\0\x01" b"\0\0\0\0" b"\0\0\x03\xe8" b"\0\x01" b"\0\0", ACK)


def test_data_and_null_bytes():
    sender = RmtpSender(small(), ALL, 0xFFFFFFFF, 1000)
    assert frames(sender, 1000) == [
        (b"\xff\xff\xff\xff" b"\xff\xff\xff\xff" b"\0\0\x03\xe8", NULL, ALL)]
    assert sender.offer(b"_ab_", 1, 2)
    assert sender.offer(b"end", 0, 3, True)
    assert frames(sender, 1001) == [
        (b"\xff\xff\xff\xff" b"\xff\xff\xff\xff" b"\0\0\x03\xe9" b"ab", DATA, ALL),
        (b"\0\0\0\0" b"\xff\xff\xff\xff" b"\0\0\x03\xe9" b"end", DATA_EOF, ALL)]


def test_unwrap_takes_the_nearest():
    assert unwrap(0, 0xFFFFFFFF) == 0x100000000
    assert unwrap(0xFFFFFFFF, 0x100000000) == 0xFFFFFFFF
    assert unwrap(5, 7) == 5
    assert unwrap(5, 0x300000000) == 0x300000005


def test_rtt_measure_comes_back_unchanged_to_its_asker():
    sender = RmtpSender(small(), ALL, 0, 1000)
    frames(sender, 1000)
    sender.receive_ack(3, RTT_MEASURE, b"\x12\x34\x56\x78", 0, 4, 1000)
    assert frames(sender, 1000) == [(b"\x12\x34\x56\x78", RTT_ACK, 3)]


def test_receiver_measures_its_round_trip_and_slows_its_acks():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0), 1000)
    assert (b"\0\0\x03\xe8", RTT_MEASURE) in frames(receiver, 1000)
    feed(receiver, b"\0\0\x03\xe8", 1030, RTT_ACK)
    receiver.handle_timer(1030)
    frames(receiver, 1030)
    feed(receiver, data(1), 1040)
    assert receiver.next_deadline_ms() == 1070


def test_malformed_payloads_are_counted_and_change_nothing():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0))
    for payload, frame_type in ((b"", DATA), (data(1)[:11], DATA), (b"abc", RTT_ACK),
                                (mark(9)[:11], NULL), (data(1), 99)):
        feed(receiver, payload, 1000, frame_type)
    assert receiver.bad == 5
    assert take(receiver) == [b"x"]
    sender = sent(4)
    bad = (b"", ack(0, 3)[:15],
           ack(5, 4), ack(0, 4, b"\x00", 5), ack(2, 0),  # beyond what was sent, or upside down
           ack(0xFFFFFFFF, 0xFFFFFFFE),  # before the first
           ack(0, 3, b"\x70", 3), ack(0, 3, b"", 4), ack(0, 3, b"\x70\x00", 4))
    for payload in bad:
        sender.receive_ack(1, ACK, payload, 0, len(payload), 1001)
    sender.receive_ack(1, 77, ack(4, 3), 0, 16, 1001)
    assert sender.bad == len(bad) + 1
    assert sender.acks == 0
    assert frames(sender, 1001) == []


def test_hole_is_asked_at_once_and_in_order_data_after_tack():
    receiver = RmtpReceiver(small(ack_every=4))
    feed(receiver, data(0), 1000)
    frames(receiver, 1000)
    feed(receiver, data(1), 1000)
    assert frames(receiver, 1000) == []
    feed(receiver, data(3), 1000)
    assert [frame[1] for frame in frames(receiver, 1000)] == [ACK]
    feed(receiver, data(2), 1000)
    assert take(receiver) == [b"x"] * 4
    feed(receiver, data(4), 1000)
    feed(receiver, data(5), 1000)
    assert frames(receiver, 1000) == []
    feed(receiver, data(6), 1000)
    assert frames(receiver, 1000)[0][0][:4] == b"\0\0\0\x07"


def test_duplicates_are_dropped_and_acknowledged():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0))
    feed(receiver, data(2))
    frames(receiver, 1000)
    feed(receiver, data(0, 0, 1000, b"other"))
    feed(receiver, data(2, 0, 1000, b"other"))
    assert receiver.duplicates == 2
    feed(receiver, data(1))
    assert take(receiver) == [b"x"] * 3
    assert receiver.next_deadline_ms() is not None


def test_buffer_is_bounded_by_wr():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0))
    assert take(receiver) == [b"x"]
    feed(receiver, data(9))
    assert receiver.overflow == 1
    for seq in range(1, 9):
        feed(receiver, data(seq))
    feed(receiver, data(9))
    assert receiver.overflow == 2
    assert take(receiver) == [b"x"] * 8
    feed(receiver, data(9))
    assert take(receiver) == [b"x"]


def test_silence_above_the_highest_is_no_request_until_a_round_trip_and_tack():
    sender = sent(4)
    for now_ms in (1000, 1001):
        sender.receive_ack(1, ACK, ack(2, 1), 0, 16, now_ms)
        assert frames(sender, now_ms) == []
    sender.receive_ack(1, ACK, ack(2, 1), 0, 16, 1000 + sender.hold_down_ms())
    found = frames(sender, 1002)
    assert [(frame[0][3], frame[2]) for frame in found if frame[1] == DATA] == [(2, 1), (3, 1)]


def test_repair_is_held_down_by_the_measured_round_trip():
    sender = sent(4)
    echo = (1000).to_bytes(4, "big")
    hole = ack(0, 3, b"\x70", 4, echo, 5)
    sender.receive_ack(1, ACK, hole, 0, len(hole), 1045)  # 45 ms less 5 ms of dwell
    assert sender.hold_down_ms() == 42
    assert [frame[2] for frame in frames(sender, 1045) if frame[1] == DATA] == [1]
    again = ack(0, 3, b"\x70", 4)
    sender.receive_ack(1, ACK, again, 0, len(again), 1086)
    assert [frame for frame in frames(sender, 1086) if frame[1] == DATA] == []
    sender.receive_ack(1, ACK, again, 0, len(again), 1087)
    assert [frame[2] for frame in frames(sender, 1087) if frame[1] == DATA] == [1]
    assert sender.retransmitted == 2


def test_more_than_mcast_thresh_askers_get_a_multicast():
    for thresh, expected in ((1, [ALL]), (2, [1, 2])):
        sender = sent(4, MCASTthresh=thresh)
        hole = ack(0, 3, b"\x70", 4)
        sender.receive_ack(1, ACK, hole, 0, len(hole), 1001)
        sender.receive_ack(2, ACK, hole, 0, len(hole), 1001)
        found = frames(sender, 1001)
        assert [frame[2] for frame in found if frame[1] == DATA] == expected


def test_txnow_is_answered_at_once_by_unicast_even_in_a_tretx():
    sender = sent(4, Tretx=50)
    hole = ack(0, 3, b"\x70", 4)
    for slot in (1, 2):
        sender.receive_ack(slot, ACK_TXNOW, hole, 0, len(hole), 1001)
    found = frames(sender, 1001)
    assert [frame[2] for frame in found if frame[1] == DATA] == [1, 2]


def test_window_moves_with_the_slowest_of_the_roster():
    sender = sent(8)
    assert sender.room() == 0
    sender.receive_ack(1, ACK, ack(8, 7), 0, 16, 1001)
    assert sender.room() == 0 and sender.delivered(1) and not sender.delivered(2)
    sender.receive_ack(2, ACK, ack(3, 2), 0, 16, 1001)
    assert sender.room() == 3
    sender.receive_ack(9, ACK, ack(8, 7), 0, 16, 1001)  # not on the roster: moves nothing
    assert sender.room() == 3 and not sender.delivered(9)
    sender.set_roster((1,), 1001)
    assert sender.room() == 8 and sender.idle()


def test_laggard_leaves_the_roster_and_the_rest_goes_on():
    sender = sent(8)
    sender.receive_ack(1, ACK, ack(8, 7), 0, 16, 1001)
    frames(sender, 1001)
    for now_ms in range(1002, 1990, 20):
        sender.handle_timer(now_ms)
        frames(sender, now_ms)
    assert sender.next_event() is None and sender.room() == 0
    sender.handle_timer(2001)
    assert sender.next_event() == (LAGGARD, 2)
    assert sender.next_event() is None
    assert sender.roster() == [1] and sender.room() == 8


def test_null_after_silence_finds_the_lost_last_packet():
    sender = RmtpSender(small(), ALL, 0, 1000)
    frames(sender, 1000)
    sender.set_roster((1,), 1000)
    sender.offer(b"a", 0, 1)
    frames(sender, 1000)
    deadline = sender.next_deadline_ms()
    assert 1000 < deadline <= 1050
    sender.handle_timer(deadline)
    found = frames(sender, deadline)
    assert found[0][0][:4] == b"\0\0\0\x01" and found[0][1:] == (NULL, ALL)
    receiver = RmtpReceiver(small())
    feed(receiver, mark(0), 990, NULL)
    frames(receiver, 990)
    feed(receiver, found[0][0], deadline, NULL)
    answer = frames(receiver, deadline)[0]
    sender.receive_ack(1, answer[1], answer[0], 0, len(answer[0]), deadline)
    assert [frame[1:] for frame in frames(sender, deadline)] == [(DATA, 1)]


def test_idle_stream_beats_every_tsap():
    sender = RmtpSender(small(null_first_ms=50, Tsap=200), ALL, 0, 0)
    beats = []
    now_ms = 0
    sender.offer(b"a", 0, 1)
    while now_ms < 1000:
        beats += [now_ms for frame in frames(sender, now_ms) if frame[1] == NULL]
        now_ms = sender.next_deadline_ms()
        sender.handle_timer(now_ms)
    assert beats == [50, 150, 350, 550, 750, 950]


def test_gap_behind_the_base_is_lost_and_told_after_what_was_in_order():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0, 0, 1000, b"a"))
    feed(receiver, data(2, 0, 1000, b"c"))
    feed(receiver, mark(40, 30), 1001, NULL)
    assert receiver.next_event() == (OPENED,)
    assert receiver.next_event() is None
    feed(receiver, data(40, 30), 1002)  # nothing is taken before the loss has been told
    assert take(receiver) == [b"a"]
    assert receiver.next_event() == (LOST,)
    feed(receiver, data(5, 0), 1003)  # stale: from before the loss
    feed(receiver, data(41, 31, 1000, b"d"), 1003)
    assert receiver.next_event() == (OPENED,)
    assert take(receiver) == [b"d"]


def test_base_receiver_rejoins_at_the_base():
    receiver = RmtpReceiver(small(), True)
    feed(receiver, data(3, 1, 1000, b"d"))
    assert receiver.next_event() == (OPENED,)
    answer = frames(receiver, 1000)[0]
    assert answer[1] == ACK_TXNOW
    assert answer[0] == (b"\0\0\0\x01" b"\0\0\0\x03" b"\0\0\x03\xe8" b"\0\0" b"\0\x03" b"\x20")
    feed(receiver, data(1, 1, 1000, b"b"))
    feed(receiver, data(2, 1, 1000, b"c"))
    assert take(receiver) == [b"b", b"c", b"d"]


def test_reset_is_a_loss_and_a_stale_reset_is_none():
    receiver = RmtpReceiver(small())
    feed(receiver, data(7))
    receiver.next_event()
    feed(receiver, mark(5), 1000, RESET)
    assert take(receiver) == [b"x"] and receiver.next_event() is None
    feed(receiver, mark(8), 1000, RESET)
    assert receiver.next_event() == (LOST,)
    sender = sent(2)
    sender.reset()
    assert [frame[1:] for frame in frames(sender, 1000)] == [(RESET, ALL)]
    assert sender.done() and sender.next_deadline_ms() is None


def test_end_is_told_once_after_the_last_body_and_the_next_stream_begins_unlost():
    receiver = RmtpReceiver(small())
    feed(receiver, data(0, 0, 1000, b"a"))
    receiver.next_event()
    feed(receiver, data(1, 0, 1000, b"z"), 1000, DATA_EOF)
    assert receiver.next_event() is None
    assert take(receiver) == [b"a", b"z"]
    assert receiver.next_event() == (ENDED,)
    feed(receiver, data(1, 0, 1000, b"z"), 1000, DATA_EOF)
    assert take(receiver) == [] and receiver.next_event() is None
    feed(receiver, data(34, 34, 1000, b"n"))
    feed(receiver, data(34, 34, 1000, b"n"))
    assert receiver.next_event() == (OPENED,)
    assert take(receiver) == [b"n"]


def test_clock_wrap_does_not_disturb_the_hold_down():
    sender = RmtpSender(small(), ALL, 0, TICKS_PERIOD - 1)
    sender.set_roster((1,), TICKS_PERIOD - 1)
    sender.offer(b"a", 0, 1)
    frames(sender, TICKS_PERIOD - 1)
    for now_ms, repairs in ((0, 0), (1, 1), (2, 0), (3, 1)):
        sender.receive_ack(1, ACK, ack(0, 0xFFFFFFFF), 0, 16, now_ms)
        assert len(frames(sender, now_ms)) == repairs
