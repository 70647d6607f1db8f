"""Whatever comes over the bus: a node never raises, never answers what it dropped, counts it all.

CPython only (hypothesis). A failing example is printed by hypothesis with its seed.
"""

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from bus import messages, node, wire
from bus.limits import BusLimits
from bus.trace import describe

KEY = b"chassis key"
COUNTED = ("received", "dropped", "duplicate", "foreign", "own")
TYPES = st.one_of(st.sampled_from(sorted(wire.TYPE_NAMES)), st.integers(0, 255))
SMALL = dict(events=8, outgoing_messages=8, requests_pending=4, requests_executing=4, answers=4,
             answer_octets=4096, reassembly_total=3, reassembly_octets=70000, streams_out=2,
             streams_in=2, stream_window=8, stream_cache=8)


def busy_node(key=None):
    """A node with everything open that a frame could reach."""
    one = node.BusNode(1, 2, 7, key, BusLimits(**SMALL))
    one.attach(2)
    one.handle_timer(0)
    one.heartbeat = messages.encode(messages.HEARTBEAT, 2, 4, 0, 2, 3, 100, 0, bytes(8), bytes(8),
                                    0, 0, 0, bytes(4), 0, 0, b"")
    one.open_stream(1, wire.ALL, 0)
    one.stream_roster(1, [2, 3])
    for number in range(6):
        one.stream_offer(1, b"body %d" % number)
    for slot in (2, 3):
        one.join_stream(slot, 1)
    one.request(2, b"question", 0, request_id=b"pending!")
    drain(one, 0)
    return one


def drain(one, now_ms):
    """Take all that a node wants to say; every frame must be one that others accept."""
    out = bytearray(wire.MAX_FRAME)
    events = []
    for _ in range(2000):
        found = one.to_send(out, now_ms)
        if found is None:
            break
        assert one._codec.check(out, found[0]) == wire.OK
    else:
        raise AssertionError("a node that never stops talking")
    while (event := one.next_event()) is not None:
        events.append(event)
        if event[0] == node.REQUEST:
            one.respond(event[1], event[2], b"answer")
    return events


def total(one):
    counters = one.counters
    return sum(counters[name] for name in COUNTED)


@st.composite
def frames(draw):
    """A frame with a right trailer and fields that come near to making sense."""
    payload = draw(st.one_of(
        st.binary(max_size=80),
        st.builds(lambda seq, base, body: seq.to_bytes(4, "big") + base.to_bytes(4, "big")
                  + bytes(4) + body,
                  st.integers(0, 20), st.integers(0, 20), st.binary(max_size=40)),
        st.builds(lambda inner, size, step, index, body: bytes((inner, 0, 0, 1))
                  + size.to_bytes(2, "big") + step.to_bytes(2, "big") + index.to_bytes(2, "big")
                  + body,
                  st.integers(0, 6), st.integers(0, 65535), st.integers(0, 20),
                  st.integers(0, 20), st.binary(max_size=20)),
        st.just(b"pending!" + b"x")))
    head = bytes((
        wire.MAGIC, draw(TYPES), draw(st.integers(0, 127)), draw(st.sampled_from((1, 2, 3, 31))),
        draw(st.sampled_from((1, 1, 1, 255, 9))), draw(st.sampled_from((0, 1, 33, 200))),
    )) + len(payload).to_bytes(2, "big")
    head += draw(st.integers(5, 9)).to_bytes(4, "big")
    head += draw(st.integers(0, 200)).to_bytes(4, "big")
    return head + payload + zlib.crc32(head + payload).to_bytes(4, "big")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=wire.MAX_FRAME + 20), max_size=10), st.booleans())
def test_arbitrary_octets_are_dropped_and_counted(blobs, keyed):
    one = busy_node(KEY if keyed else None)
    for blob in blobs:
        one.receive_frame(0, blob, len(blob), "there", 1)
        describe(blob, len(blob))
    assert total(one) == len(blobs)
    assert one.counters["received"] == 0 and drain(one, 1) == []


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(frames(), st.integers(0, 1), st.integers(0, 300)), max_size=40))
def test_frames_of_any_content_are_survived_and_counted(sequence):
    one = busy_node()
    now_ms = 0
    for octets, link, span_ms in sequence:
        now_ms += span_ms
        buf = bytearray(octets)
        one.receive_frame(link, buf, len(buf), "there", now_ms)
        one.handle_timer(now_ms)
        drain(one, now_ms)
        describe(buf, len(buf))
    malformed = one.counters["malformed"]  # received frames whose payload made no sense
    assert total(one) - malformed == len(sequence)
    for name, used, limit, high, dropped in one.pools():
        assert 0 <= used <= limit and high >= 0 and dropped >= 0, name


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_mutated_frame_of_a_keyed_bus_has_no_effect(data):
    one = busy_node(KEY)
    out = bytearray(wire.MAX_FRAME)
    payload = data.draw(st.binary(max_size=60))
    n = wire.FrameCodec(KEY).encode(out, data.draw(TYPES), 0, 2, 1, 1, 7, 50, payload, 0,
                                    len(payload))
    at = data.draw(st.integers(0, n - 1))
    bit = data.draw(st.integers(0, 7))
    out[at] ^= 1 << bit
    cut = data.draw(st.sampled_from((n, n, n - 1, n + 1)))
    one.receive_frame(0, out, cut, "attacker", 1)
    assert one.counters["received"] == 0 and total(one) == 1
    assert drain(one, 1) == [] and one.members == {}
