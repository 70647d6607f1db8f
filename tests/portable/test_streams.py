"""Streams of a node: joining, catch-up from the base, generations, loss, restart, planes."""

from bus import node, wire
from bus.limits import BusLimits
from bus_net import Net, heartbeat, make_node

LIVE = 1


def bodies(net, slot, channel=LIVE):
    return [event[3] for event in net.of(slot, node.STREAM) if event[2] == channel]


def kinds(net, slot, channel=35):
    return [event[0] for event in net.of(slot, node.STREAM, node.STREAM_OPENED, node.STREAM_LOST)
            if event[2] == channel]


def numbered(first, last):
    return [str(number).encode() for number in range(first, last)]


def offer(one, channel, payloads):
    for payload in payloads:
        assert one.stream_offer(channel, payload)


def live_net(count=3):
    limits = BusLimits(stream_window=256, stream_cache=256)
    net = Net(*[make_node(slot, limits=limits) for slot in range(1, count + 1)])
    net.start()
    for one in net.nodes[1:]:
        one.join_stream(1, LIVE)
    assert net.nodes[0].open_stream(LIVE, wire.ALL, net.now_ms)
    net.nodes[0].stream_roster(LIVE, list(range(2, count + 1)))
    return net


def test_live_stream_reaches_all_in_order_and_is_acknowledged():
    net = live_net()
    offer(net.nodes[0], LIVE, numbered(0, 100))
    net.run(1000)
    for slot in (2, 3):
        assert bodies(net, slot) == numbered(0, 100)
        assert kinds(net, slot, LIVE)[0] == node.STREAM_OPENED
        assert net.nodes[0].stream_acked(LIVE, slot)
    assert not net.nodes[0].stream_acked(LIVE, 9)


def test_loss_is_mended():
    net = live_net()
    state = [99]

    def lose(octets, sender, receiver):
        state[0] = (state[0] * 1103515245 + 12345) & 0x3FFFFFFF
        return (state[0] >> 12) % 100 < 20

    net.lose = lose
    sent = 0
    for _ in range(60):
        while sent < 600 and net.nodes[0].stream_offer(LIVE, str(sent).encode()):
            sent += 1
        net.run(50)
    net.lose = None
    net.run(1000)
    for slot in (2, 3):
        assert bodies(net, slot)[-1] == b"599"
        first = int(bodies(net, slot)[0])  # joined where the first frame got through
        assert bodies(net, slot) == numbered(first, 600)
    assert net.nodes[0].counters["retransmitted"] > 0


def test_not_joined_is_not_taken():
    net = live_net()
    net.nodes[2].leave_stream(1, LIVE)
    offer(net.nodes[0], LIVE, [b"a"])
    net.run(100)
    assert bodies(net, 2) == [b"a"] and bodies(net, 3) == []
    assert net.nodes[2].counters["stream_unjoined"] > 0


def test_own_catch_up_stream_is_joined_by_itself_and_seen_by_nobody_else():
    net = live_net()
    one = net.nodes[0]
    assert one.open_stream(32 + 3, 3, net.now_ms)
    one.stream_roster(32 + 3, [3])
    offer(one, 32 + 3, numbered(0, 50))
    net.run(500)
    assert bodies(net, 3, 35) == numbered(0, 50) and bodies(net, 2, 35) == []
    assert one.stream_acked(35, 3)


def test_catch_up_begins_at_the_base_even_if_its_start_is_lost():
    net = live_net()
    one = net.nodes[0]
    net.lose = lambda octets, sender, receiver: octets[wire.AT_TYPE] == wire.DATA
    assert one.open_stream(35, 3, net.now_ms)
    one.stream_roster(35, [3])
    offer(one, 35, numbered(0, 20))
    net.settle()
    net.lose = None
    net.run(1000)
    assert bodies(net, 3, 35) == numbered(0, 20)


def test_closed_stream_ends_quietly_when_all_have_all():
    net = live_net()
    one = net.nodes[0]
    for turn in range(3):  # the same channel again and again: each is a stream of its own
        net.events = []
        assert one.open_stream(35, 3, net.now_ms)
        one.stream_roster(35, [3])
        offer(one, 35, numbered(turn, turn + 20))
        net.run(200)
        one.close_stream(35)
        assert one.stream_room(35) == 0 and not one.stream_offer(35, b"late")
        net.run(100)
        assert kinds(net, 3) == [node.STREAM_OPENED] + [node.STREAM] * 20, turn
        assert bodies(net, 3, 35) == numbered(turn, turn + 20)
    net.run(10000)
    assert net.of(3, node.STREAM_LOST) == []
    assert dict([row[:2] for row in one.pools()])["bus streams out"] == 1


def test_stream_closed_before_the_end_is_lost():
    net = live_net()
    one = net.nodes[0]
    one.open_stream(35, 3, net.now_ms)
    one.stream_roster(35, [3])
    offer(one, 35, [b"a"])
    net.run(100)
    net.lose = lambda octets, sender, receiver: octets[wire.AT_TYPE] == wire.DATA
    offer(one, 35, [b"b"])
    net.settle()
    one.close_stream(35)
    net.run(100)
    assert kinds(net, 3) == [node.STREAM_OPENED, node.STREAM, node.STREAM_LOST]


def reopened(channel, dest, base):
    """A stream with one packet taken is opened again: the events of slot 3."""
    net = live_net()
    one = net.nodes[0]
    net.nodes[2].join_stream(1, channel)
    for body in (b"old", b"new"):
        one.open_stream(channel, dest, net.now_ms, base)
        one.stream_roster(channel, [3])
        offer(one, channel, [body])
        net.run(100)
    assert one.stream_acked(channel, 3)
    assert bodies(net, 3, channel) == [b"old", b"new"]
    return kinds(net, 3, channel)


def test_reopened_live_stream_tells_the_loss_first():
    assert reopened(5, wire.ALL, False) == [
        node.STREAM_OPENED, node.STREAM, node.STREAM_LOST, node.STREAM_OPENED, node.STREAM]


def test_reopened_from_the_base_replaces_without_a_loss():
    # a loss would make a card ask again, and its server open yet another stream, without end
    for channel, dest, base in ((5, wire.ALL, True), (35, 3, False)):
        assert reopened(channel, dest, base) == [
            node.STREAM_OPENED, node.STREAM, node.STREAM_OPENED, node.STREAM]


def test_late_frames_of_the_stream_before_touch_nothing():
    net = live_net()
    one, _, three = net.nodes
    one.open_stream(35, 3, net.now_ms)
    one.stream_roster(35, [3])
    offer(one, 35, numbered(0, 3))
    net.frames = []
    net.run(100)
    late = {}
    for octets in net.frames:
        if octets[wire.AT_CHANNEL] == 35:
            late[octets[wire.AT_TYPE]] = octets
    one.open_stream(35, 3, net.now_ms)
    one.stream_roster(35, [3])
    net.run(100)
    offer(one, 35, [b"new"])
    codec = wire.FrameCodec()
    for frame_type, sender, taker in ((wire.DATA, one, three), (wire.ACK, three, one)):
        octets = bytearray(late[frame_type])
        # a number not yet seen, whose window still takes the frames to come
        n = codec.seal(octets, octets[1], octets[2], octets[3], octets[4], 35, 1,
                       sender._frame_no + 60, len(octets) - 20)
        taker.receive_frame(0, octets, n, octets[wire.AT_SOURCE], net.now_ms)
        assert taker.counters["stream_stale"] == 1
    assert not one.stream_acked(35, 3)
    net.run(100)
    assert bodies(net, 3, 35) == numbered(0, 3) + [b"new"] and one.stream_acked(35, 3)
    assert net.of(3, node.STREAM_LOST) == []


def test_sender_that_restarts_is_lost_then_joined_again():
    net = live_net()
    offer(net.nodes[0], LIVE, [b"old"])
    net.run(100)
    net.events = []
    net.nodes[0] = make_node(1, incarnation=2)
    net.nodes[0].open_stream(LIVE, wire.ALL, net.now_ms)
    net.nodes[0].stream_roster(LIVE, [2, 3])
    net.run(20)
    offer(net.nodes[0], LIVE, [b"new"])
    net.run(300)
    found = [event[0] for event in net.of(
        2, node.STREAM_LOST, node.CARD_DOWN, node.CARD_UP, node.STREAM_OPENED, node.STREAM)]
    assert found == [node.STREAM_LOST, node.CARD_DOWN, node.CARD_UP, node.STREAM_OPENED,
                     node.STREAM]
    assert bodies(net, 2) == [b"new"] and bodies(net, 3) == [b"new"]


def test_an_ack_of_the_life_before_confirms_nothing():
    net = live_net()
    offer(net.nodes[0], LIVE, numbered(0, 3))
    net.frames = []
    net.run(100)
    old = [octets for octets in net.frames
           if octets[wire.AT_TYPE] == wire.ACK and octets[wire.AT_SOURCE] == 3][-1]
    again = make_node(1, incarnation=2)
    again.open_stream(LIVE, wire.ALL, net.now_ms)
    again.stream_roster(LIVE, [2, 3])
    offer(again, LIVE, numbered(3, 6))
    out = bytearray(wire.MAX_FRAME)
    sent = []
    while again.to_send(out, net.now_ms) is not None:
        if out[wire.AT_TYPE] == wire.DATA:
            sent.append(bytes(out[:wire.HEADER_BYTES]))
    # the first stream of life 1 is generation 1, of life 2 generation 2 (README: FLAG_GENERATION)
    assert len(sent) == 3
    assert [octets[wire.AT_FLAGS] & wire.FLAG_GENERATION for octets in sent] == [2, 2, 2]
    again.receive_frame(0, old, len(old), 3, net.now_ms)  # acknowledges packets 0 to 2
    assert again.counters["stream_stale"] == 1 and not again.stream_acked(LIVE, 3)


def test_receiver_that_restarts_takes_the_stream_where_it_stands():
    net = live_net()
    offer(net.nodes[0], LIVE, numbered(0, 10))
    net.run(300)
    net.nodes[2] = make_node(3, incarnation=2)
    net.nodes[2].join_stream(1, LIVE)
    net.events = []
    net.run(300)
    offer(net.nodes[0], LIVE, numbered(10, 20))
    net.run(300)
    assert bodies(net, 3)[-10:] == numbered(10, 20)
    assert net.nodes[0].stream_acked(LIVE, 3)


def test_a_sender_that_falls_silent_is_given_up():
    net = live_net()
    offer(net.nodes[0], LIVE, [b"a"])
    net.run(100)
    net.nodes.pop(0)
    net.run(4800)
    assert net.of(2, node.STREAM_LOST) == []
    net.run(400)
    assert net.of(2, node.STREAM_LOST) == [(node.STREAM_LOST, 1, LIVE)]


def test_a_dead_card_is_dropped_from_the_roster_with_an_event():
    net = live_net()
    net.nodes.pop(2)
    one = net.nodes[0]
    sent = 0
    for _ in range(400):
        while sent < 1000 and one.stream_offer(LIVE, str(sent).encode()):
            sent += 1
        net.run(10)
    assert sent == 1000 and bodies(net, 2) == numbered(0, 1000)
    assert net.of(1, node.LAGGARD) == [(node.LAGGARD, LIVE, 3)]


def test_live_goes_before_catch_up():
    net = live_net()
    one = net.nodes[0]
    for channel, dest in ((34, 2), (35, 3)):
        one.open_stream(channel, dest, net.now_ms)
        one.stream_roster(channel, [dest])
        offer(one, channel, numbered(0, 10))
    offer(one, LIVE, numbered(0, 5))
    net.frames = []
    net.settle()
    channels = [octets[wire.AT_CHANNEL] for octets in net.frames
                if octets[wire.AT_TYPE] == wire.DATA]
    assert channels[:5] == [LIVE] * 5
    assert sorted(channels[5:9]) == [34, 34, 35, 35]  # in turn


def test_streams_are_bounded():
    one = make_node(1, limits=BusLimits(streams_out=2))
    assert one.open_stream(33, 2, 0) and one.open_stream(34, 3, 0)
    assert not one.open_stream(35, 4, 0)
    assert one.open_stream(34, 3, 0)  # replaces its own
    one.close_stream(33)
    assert one.open_stream(35, 4, 0)
    net = Net(make_node(1), make_node(2, limits=BusLimits(streams_in=1)))
    net.start()
    for channel in (1, 2):
        net.nodes[1].join_stream(1, channel)
        net.nodes[0].open_stream(channel, wire.ALL, net.now_ms)
        net.nodes[0].stream_roster(channel, [2])
        net.nodes[0].stream_offer(channel, b"a")
    net.settle()
    assert len(net.of(2, node.STREAM)) == 1


def test_what_streams_do_not_know_is_harmless():
    one = make_node(1)
    one.close_stream(9)
    one.stream_roster(9, [2])
    one.leave_stream(2, 9)
    assert one.stream_room(9) == 0 and not one.stream_offer(9, b"a")
    assert not one.stream_acked(9, 2)
    one.heartbeat = heartbeat()
    out = bytearray(wire.MAX_FRAME)
    codec = wire.FrameCodec()
    for number, frame_type in enumerate(list(range(16, 26)) * 2):
        payload = b"\x01" * number
        n = codec.encode(out, frame_type, 0, 2, 1, 33, 1, number, payload, 0, number)
        one.receive_frame(0, out, n, "there", 0)
        one.handle_timer(0)
    while one.next_event() is not None:
        pass
    while one.to_send(out, 0) is not None:
        pass
    assert one.counters["malformed"] == 4  # 23 and 25 are no types of ours, twice each
