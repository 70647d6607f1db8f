"""The node: membership over frames, requests under loss, windows, fencing, planes, counters."""

from bus import messages, node, wire
from bus.compat import ticks_add
from bus.limits import BusLimits
from bus_net import START_MS, Net, heartbeat, make_node

KEY = b"chassis key"


def frame(slot, incarnation, frame_no, frame_type, payload, dest=wire.ALL, key=None, flags=0,
          channel=0):
    """A frame of our own making."""
    out = bytearray(wire.MAX_FRAME)
    n = wire.FrameCodec(key).encode(out, frame_type, flags, slot, dest, channel, incarnation,
                                    frame_no, payload, 0, len(payload))
    return bytes(out[:n])


def give(one, octets, now_ms=START_MS, link=0, source="somewhere"):
    one.receive_frame(link, octets, len(octets), source, now_ms)


def events(one):
    found = []
    while True:
        event = one.next_event()
        if event is None:
            return found
        found.append(event)


def test_cards_come_up_and_go_down():
    net = Net(make_node(1), make_node(2), make_node(3))
    for one in net.nodes:
        one.handle_timer(net.now_ms)
    net.settle()
    assert sorted(net.of(1, node.CARD_UP)) == [(node.CARD_UP, 2), (node.CARD_UP, 3)]
    assert net.nodes[0].members[2].beat[12] == 1000
    gone = net.nodes.pop(2)
    net.run(690)
    assert net.of(1, node.CARD_DOWN) == []
    net.run(20)
    assert net.of(1, node.CARD_DOWN) == [(node.CARD_DOWN, 3, "silent")]
    assert net.of(2, node.CARD_DOWN) == [(node.CARD_DOWN, 3, "silent")]
    net.nodes.append(gone)
    net.events = []
    net.run(300)
    assert net.of(1, node.CARD_UP) == [(node.CARD_UP, 3)]


def test_heartbeats_every_200_ms_and_at_once_when_asked():
    one = make_node(1)
    net = Net(one)
    net.start()
    net.run(10000)
    assert len(net.frames) == 50
    one.beat_now()
    net.settle()
    assert len(net.frames) == 51
    assert all([at[wire.AT_TYPE] == wire.HEARTBEAT for at in net.frames])


def test_a_restart_is_down_then_up():
    one = make_node(1)
    give(one, frame(2, 5, 900, wire.HEARTBEAT, heartbeat()))
    assert events(one) == [(node.CARD_UP, 2), (node.CARD_BEAT, 2)]
    give(one, frame(2, 6, 1, wire.MESSAGE, b"early"))
    assert events(one) == [(node.CARD_DOWN, 2, "restarted"), (node.MESSAGE, 2, b"early")]
    assert 2 not in one.members
    give(one, frame(2, 6, 2, wire.HEARTBEAT, heartbeat()))
    assert events(one) == [(node.CARD_UP, 2), (node.CARD_BEAT, 2)]


def test_a_life_that_is_over_is_fenced():
    one = make_node(1)
    give(one, frame(2, 6, 1, wire.HEARTBEAT, heartbeat()))
    events(one)
    give(one, frame(2, 5, 1000, wire.MESSAGE, b"old life"))
    assert events(one) == []
    assert one.counters["fenced"] == 1 and one.members[2].incarnation == 6


def test_replays_and_duplicates_are_dropped():
    one = make_node(1, key=KEY)
    octets = frame(2, 5, 100, wire.MESSAGE, b"m", key=KEY)
    give(one, octets)
    give(one, octets)
    for frame_no in range(101, 165):
        give(one, frame(2, 5, frame_no, wire.MESSAGE, b"m", key=KEY))
    give(one, octets)
    assert len(events(one)) == 65
    counters = one.counters
    assert (counters["duplicate"], counters["replayed"], counters["received"]) == (1, 1, 65)
    assert counters["dropped"] == 1


def test_frames_to_us_and_to_all_may_be_read_far_apart():
    one = make_node(1)
    give(one, frame(2, 5, 1000, wire.MESSAGE, b"own", dest=1))
    give(one, frame(2, 5, 100, wire.MESSAGE, b"all"))
    assert [event[2] for event in events(one)] == [b"own", b"all"]


def test_frames_of_others_and_our_own_are_left():
    one = make_node(1, incarnation=7)
    give(one, frame(2, 5, 1, wire.MESSAGE, b"m", dest=3))
    give(one, frame(1, 7, 1, wire.MESSAGE, b"m"))
    give(one, frame(1, 8, 1, wire.MESSAGE, b"m"))
    assert events(one) == []
    counters = one.counters
    assert (counters["foreign"], counters["own"], counters["conflict"]) == (1, 1, 1)
    assert counters["dropped"] == 1


def test_bad_frames_are_counted_by_reason():
    one = make_node(1, key=KEY)
    give(one, b"")
    give(one, frame(2, 5, 1, wire.MESSAGE, b"m"))
    give(one, frame(2, 5, 1, wire.MESSAGE, b"m", key=b"another"))
    give(one, frame(2, 5, 1, wire.HEARTBEAT, b"\x02no heartbeat", key=KEY))
    give(one, frame(2, 5, 2, wire.REQUEST, b"short", key=KEY))
    give(one, frame(2, 5, 3, 99, b"unknown type", key=KEY))
    give(one, frame(2, 5, 4, 9, b"unknown type", key=KEY))
    unkeyed = make_node(1)
    bad = bytearray(frame(2, 5, 1, wire.MESSAGE, b"m"))
    bad[-1] ^= 1
    give(unkeyed, bad)
    assert events(one) == [] and events(unkeyed) == []
    counters = one.counters
    assert [counters[name] for name in ("bad_header", "bad_keying", "bad_tag", "malformed")] == [
        1, 1, 1, 4]
    assert counters["dropped"] == 7 and unkeyed.counters["bad_crc"] == 1


def test_messages_of_any_length_arrive_whole():
    net = Net(make_node(1), make_node(2), make_node(3))
    net.start()
    for size in (1, 1448, 1449, 60000):
        assert net.nodes[0].send(2, bytes(size))
    assert net.nodes[0].send(wire.ALL, b"a" * 3000)
    net.settle()
    got = [len(event[2]) for event in net.of(2, node.MESSAGE)]
    assert got == [1, 1448, 1449, 60000, 3000]
    assert net.of(3, node.MESSAGE) == [(node.MESSAGE, 1, b"a" * 3000)]
    try:
        net.nodes[0].send(2, bytes(60001))
    except ValueError:
        return
    raise AssertionError("a message above the bound was taken")


def test_what_fits_a_frame_is_not_cut():
    one = make_node(1)
    one.heartbeat = b""
    out = bytearray(wire.MAX_FRAME)
    types = []
    for size in (1448, 1449):
        one.send(2, bytes(size))
        while one.to_send(out) is not None:
            types.append(out[wire.AT_TYPE])
    assert types == [wire.MESSAGE, wire.SEGMENT, wire.SEGMENT]


def test_request_and_answer_of_any_length():
    net = Net(make_node(1), make_node(2))
    net.start()
    net.answer = lambda message: b"answer to " + message
    ids = [net.nodes[0].request(2, bytes(size), net.now_ms) for size in (0, 1440, 1441, 50000)]
    net.settle()
    answers = net.of(1, node.RESPONSE)
    assert [(event[1], event[2], len(event[3])) for event in answers] == [
        (2, ids[0], 10), (2, ids[1], 1450), (2, ids[2], 1451), (2, ids[3], 50010)]


def test_an_answer_that_takes_long_is_made_once():
    net = Net(make_node(1), make_node(2))
    net.start()
    request_id = net.nodes[0].request(2, b"slow", net.now_ms)
    net.run(1000)
    assert net.executed == [b"slow"]
    assert net.nodes[1].counters["request_repeated"] == 2  # after 250 and 750 ms
    net.nodes[1].respond(1, request_id, b"done")
    net.run(3000)
    assert net.of(1, node.RESPONSE, node.TIMEOUT) == [(node.RESPONSE, 2, request_id, b"done")]


def test_a_lost_answer_comes_from_the_cache():
    net = Net(make_node(1), make_node(2))
    net.start()
    net.answer = lambda message: b"x" * 5000
    lost = []

    def lose_first_answer(octets, sender, receiver):
        if receiver.slot == 1 and octets[wire.AT_TYPE] == wire.SEGMENT and len(lost) < 2:
            lost.append(1)
            return True
        return False

    net.lose = lose_first_answer
    request_id = net.nodes[0].request(2, b"once", net.now_ms)
    net.run(1000)
    assert net.executed == [b"once"]
    assert net.of(1, node.RESPONSE) == [(node.RESPONSE, 2, request_id, b"x" * 5000)]


def test_no_answer_is_a_timeout():
    net = Net(make_node(1), make_node(2))
    net.start()
    net.lose = lambda octets, sender, receiver: octets[wire.AT_TYPE] == wire.REQUEST
    request_id = net.nodes[0].request(2, b"void", net.now_ms, timeout_ms=500)
    net.run(490)
    assert net.of(1, node.TIMEOUT) == []
    net.run(10)
    assert net.of(1, node.TIMEOUT) == [(node.TIMEOUT, 2, request_id)]


def test_the_same_identifier_is_asked_once():
    net = Net(make_node(1), make_node(2), make_node(3))
    net.start()
    one, _, three = net.nodes
    assert one.request(2, b"register", net.now_ms, request_id=b"12345678") == b"12345678"
    assert one.request(2, b"register", net.now_ms, request_id=b"12345678") == b"12345678"
    three.request(2, b"register", net.now_ms, request_id=b"12345678")
    net.settle()
    assert net.executed == [b"register"]
    net.nodes[1].respond(1, b"12345678", b"ok")
    net.settle()
    assert net.of(1, node.RESPONSE) == [(node.RESPONSE, 2, b"12345678", b"ok")]
    assert net.of(3, node.RESPONSE) == [(node.RESPONSE, 2, b"12345678", b"ok")]


def test_requests_go_to_one_other_card():
    one = make_node(1)
    for dest in (1, 32, wire.ALL, -1):
        try:
            one.request(dest, b"", START_MS)
        except ValueError:
            continue
        raise AssertionError(dest)


def test_a_full_event_queue_takes_no_request_in_hand():
    one = make_node(1, limits=BusLimits(events=2))
    for frame_no in range(3):
        give(one, frame(2, 5, frame_no, wire.MESSAGE, b"m"))
    give(one, frame(2, 5, 10, wire.REQUEST, b"12345678ask", dest=1))
    assert one.counters["overflow"] == 2
    assert [event[0] for event in events(one)] == [node.MESSAGE, node.MESSAGE]
    give(one, frame(2, 5, 11, wire.REQUEST, b"12345678ask", dest=1))  # the retry
    assert events(one) == [(node.REQUEST, 2, b"12345678", b"ask")]


def test_unicast_goes_to_all_until_an_address_is_known():
    one = make_node(1)
    one.heartbeat = b""
    out = bytearray(wire.MAX_FRAME)
    one.send(2, b"m")
    assert one.to_send(out)[1:] == (-1, None)
    give(one, frame(2, 5, 1, wire.HEARTBEAT, heartbeat()), source="there")
    one.send(2, b"m")
    assert one.to_send(out)[1:] == (0, "there")
    give(one, frame(2, 5, 2, wire.MESSAGE, b"m"), source="moved")
    one.send(2, b"m")
    assert one.to_send(out)[1:] == (0, "moved")
    one.send(wire.ALL, b"m")
    assert one.to_send(out)[1:] == (-1, None)
    assert one.to_send(out) is None


def test_both_planes_carry_each_unicast_frame():
    one = make_node(1, link_count=2)
    one.heartbeat = b""
    octets = frame(2, 5, 1, wire.HEARTBEAT, heartbeat())
    give(one, octets, link=0, source="on a")
    give(one, octets, link=1, source="on b")
    assert one.counters["duplicate"] == 1
    one.send(2, b"m")
    out = bytearray(wire.MAX_FRAME)
    n, link, address = one.to_send(out)
    first = bytes(out[:n])
    routes = [(link, address)]
    out = bytearray(wire.MAX_FRAME)
    n, link, address = one.to_send(out)
    routes.append((link, address))
    assert sorted(routes) == [(0, "on a"), (1, "on b")]
    assert bytes(out[:n]) == first and one.to_send(out) is None


def test_a_replayed_copy_does_not_move_an_address():
    one = make_node(1, link_count=2)
    octets = frame(2, 5, 1, wire.HEARTBEAT, heartbeat())
    give(one, octets, link=0, source="true")
    give(one, octets, link=0, source="attacker")
    assert one.members[2].address == "true"


def test_own_sleep_brings_nobody_down():
    net = Net(make_node(1), make_node(2))
    net.start()
    net.run(1000)
    late_ms = ticks_add(net.now_ms, 20000)
    net.nodes[0].handle_timer(late_ms)
    assert net.of(1, node.CARD_DOWN) == [] and net.nodes[0].next_event() is None
    assert net.nodes[0].members[2].up


def test_deadline_is_the_next_heartbeat_when_all_is_quiet():
    one = make_node(1)
    assert one.next_deadline_ms() is None
    one.handle_timer(START_MS)
    assert one.next_deadline_ms() == ticks_add(START_MS, 200)
    one.request(2, b"", START_MS, timeout_ms=100)
    assert one.next_deadline_ms() == ticks_add(START_MS, 100)


def test_segments_of_an_old_life_do_not_join_those_of_the_new():
    one = make_node(1)
    half = b"\x02\0\0\x07\0\x06\0\x03\0\0old"
    rest = b"\x02\0\0\x07\0\x06\0\x03\0\x01new"
    give(one, frame(2, 5, 1, wire.SEGMENT, half))
    give(one, frame(2, 6, 1, wire.SEGMENT, rest))
    assert events(one) == []
    give(one, frame(2, 6, 2, wire.SEGMENT, half))
    assert events(one) == [(node.MESSAGE, 2, b"oldnew")]


def test_limits_are_checked_by_name():
    assert BusLimits(events=3).events == 3
    for name in ("event", "__init__", "_x"):
        try:
            BusLimits(**{name: 1})
        except ValueError:
            continue
        raise AssertionError(name)


def test_pools_name_everything_bounded():
    one = make_node(1)
    one.send(2, b"m")
    rows = {row[0]: row[1:] for row in one.pools()}
    assert rows["bus outgoing"] == (1, 512, 1, 0)
    assert len(rows) == 8 and all([len(row) == 4 for row in rows.values()])


def test_echo_message_survives_the_bus():
    net = Net(make_node(1, key=KEY), make_node(2, key=KEY))
    net.start()
    net.answer = lambda message: message
    net.nodes[0].request(2, messages.encode(messages.ECHO, b"ping"), net.now_ms)
    net.settle()
    assert net.of(1, node.RESPONSE)[0][3] == b"\x02ping"
