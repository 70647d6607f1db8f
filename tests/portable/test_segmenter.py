"""Segments by hand, and back in any order; the bounds of reassembly."""

from bus.limits import BusLimits
from bus.reassembler import Reassembler
from bus.segmenter import SEGMENT_STEP, Segmenter


def segments(body, step=SEGMENT_STEP, transfer=7, inner=2):
    """All segments of a body."""
    cutter = Segmenter(step)
    cutter.start(inner, transfer, body)
    out = bytearray(1472)
    made = []
    while True:
        n = cutter.next_segment(out, 16)
        if not n:
            assert not cutter.busy
            return made
        made.append(bytes(out[16:16 + n]))


def joined(joiner, slot, pieces, now_ms=0):
    """What the reassembler gave for each piece, without the None."""
    found = [joiner.receive(slot, piece, 0, len(piece), now_ms) for piece in pieces]
    return [one for one in found if one is not None]


def test_bytes_by_hand():
    # inner type, 0, transfer, total, step, index (segmenter.py, head)
    assert segments(b"abcdefg", 3, 0x0102, 3) == [
        b"\x03\0\x01\x02\0\x07\0\x03\0\0abc",
        b"\x03\0\x01\x02\0\x07\0\x03\0\x01def",
        b"\x03\0\x01\x02\0\x07\0\x03\0\x02g"]


def test_longest_message_and_any_order():
    body = bytes([n * 7 & 0xFF for n in range(60000)])
    pieces = segments(body)
    assert len(pieces) == 42 and max([len(one) for one in pieces]) == 1448
    order = sorted(range(42), key=lambda n: n * 25 % 42)
    joiner = Reassembler(BusLimits())
    assert joined(joiner, 1, [pieces[n] for n in order]) == [(2, body)]
    assert len(joiner) == 0 and joiner.octets == 0


def test_repeated_segments_do_not_complete_a_message():
    pieces = segments(b"abcdefgh", 3)
    joiner = Reassembler(BusLimits())
    assert joined(joiner, 1, [pieces[0], pieces[0], pieces[1], pieces[1]]) == []
    assert joined(joiner, 1, [pieces[2]]) == [(2, b"abcdefgh")]


def test_a_retry_fills_the_holes():
    pieces = segments(b"abcdefgh", 3)
    joiner = Reassembler(BusLimits())
    assert joined(joiner, 1, [pieces[0]]) == []
    assert joined(joiner, 1, [pieces[1], pieces[2]]) == [(2, b"abcdefgh")]


def test_sources_and_transfers_do_not_mix():
    joiner = Reassembler(BusLimits())
    one = segments(b"abcdefgh", 3, 1)
    two = segments(b"ABCDEFGH", 3, 2)
    pieces = [(1, one[0]), (2, one[1]), (1, two[1]), (1, two[2]), (2, one[2]), (1, one[1]),
              (1, two[0]), (2, one[0]), (1, one[2])]
    found = []
    for slot, piece in pieces:
        whole = joiner.receive(slot, piece, 0, len(piece), 0)
        if whole is not None:
            found.append((slot, bytes(whole[1])))
    assert found == [(1, b"ABCDEFGH"), (2, b"abcdefgh"), (1, b"abcdefgh")]


def test_nonsense_is_counted_and_dropped():
    joiner = Reassembler(BusLimits())
    good = segments(b"abcdefgh", 3)[0]
    bad = [
        b"", good[:9], good[:10],  # no header, no body
        good[:12], good + b"x",  # not a step long
        b"\x02\0\0\x07\0\x08\0\0\0\0abc",  # step 0
        b"\x02\0\0\x07\0\x08\0\x03\0\x03abc",  # index beyond the end
        b"\x02\0\0\x07\xff\xff\0\x03\0\0abc",  # longer than a message may be
        b"\x02\0\0\x07\0\0\0\x03\0\0abc",  # total 0
    ]
    assert joined(joiner, 1, bad) == []
    assert joiner.malformed == len(bad) and len(joiner) == 0


def test_a_source_pushes_out_only_its_own():
    joiner = Reassembler(BusLimits(reassembly_per_source=2))
    first = segments(b"other source", 4, 1)
    assert joined(joiner, 9, first[:2]) == []
    for transfer in (1, 2, 3):
        piece = segments(b"abcdefgh", 3, transfer)[0]
        assert joiner.receive(1, piece, 0, len(piece), transfer) is None
    assert joiner.evicted == 1 and len(joiner) == 3
    # transfer 1 was the oldest: what is left of it no longer completes
    assert joined(joiner, 1, segments(b"abcdefgh", 3, 3)[1:]) == [(2, b"abcdefgh")]
    assert joined(joiner, 9, first[2:]) == [(2, b"other source")]


def test_all_sources_together_are_bounded():
    joiner = Reassembler(BusLimits(reassembly_total=3))
    for slot in range(5):
        assert joined(joiner, slot, segments(b"abcdefgh", 3)[:1]) == []
    assert (len(joiner), joiner.refused) == (3, 2)
    joiner = Reassembler(BusLimits(reassembly_octets=100000))
    for slot in range(3):
        assert joined(joiner, slot, segments(bytes(60000))[:1]) == []
    assert (joiner.octets, joiner.refused, joiner.high_water) == (60000, 2, 60000)


def test_unfinished_messages_time_out():
    joiner = Reassembler(BusLimits(reassembly_timeout_ms=1000))
    pieces = segments(b"abcdefgh", 3)
    assert joiner.next_deadline_ms() is None
    assert joined(joiner, 1, pieces[:1], 100) == []
    assert joiner.next_deadline_ms() == 1100
    joiner.handle_timer(1099)
    assert joined(joiner, 1, pieces[1:2], 1099) == []  # a segment prolongs it
    joiner.handle_timer(1100)
    assert (len(joiner), joiner.timed_out, joiner.next_deadline_ms()) == (1, 0, 2099)
    joiner.handle_timer(2099)
    assert (len(joiner), joiner.timed_out, joiner.next_deadline_ms()) == (0, 1, None)
    assert joined(joiner, 1, pieces[2:], 2100) == []


def test_forget_drops_one_source():
    joiner = Reassembler(BusLimits())
    joined(joiner, 1, segments(b"abcdefgh", 3)[:1])
    joined(joiner, 2, segments(b"abcdefgh", 3)[:1])
    joiner.forget(1)
    assert len(joiner) == 1 and joiner.octets == 8


def test_bounds_of_the_segmenter():
    for body in (b"", bytes(60001)):
        try:
            Segmenter().start(2, 1, body)
        except ValueError:
            continue
        raise AssertionError("took {} octets".format(len(body)))
    for step in (0, SEGMENT_STEP + 1):
        try:
            Segmenter(step)
        except ValueError:
            continue
        raise AssertionError("took step {}".format(step))
