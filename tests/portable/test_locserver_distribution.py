"""The distribution task: live updates, five catch-up streams at once, laggards, stalls."""

from locserver_rig import BIRTHDAY, Clock, Server, beat

from bus import messages, states
from bus.messages import CATCH_UP_CHANNEL, LIVE_CHANNEL
from firmware.locserver.distribution import STREAMS
from firmware.locserver.packing import packets


def filled(records=10, **server):
    made = Server(**server)
    for n in range(records):
        made.add(b"user%d" % n, b"sip:%d@192.0.2.1" % n)
    return made


def ask(server, slot, level=0, digest=bytes(8), birthday=BIRTHDAY, reason=0):
    assert server.distribution.receive_message(slot, messages.encode(
        messages.CATCH_UP, birthday, level, digest, reason))


def kinds(server, slot):
    return [packet[0] for packet in server.node.take(CATCH_UP_CHANNEL + slot)]


def test_rows_that_were_logged_before_the_start_are_not_multicast():
    server = filled(3)
    server = Server(server.storage)
    server.step(0)
    assert server.node.take(LIVE_CHANNEL) == []
    server.add(b"new", b"sip:n@192.0.2.1")
    server.step(0)
    update = messages.decode(*_span(server.node.take(LIVE_CHANNEL)[0]))
    assert update[1:5] == [BIRTHDAY, 4, 1, server.storage.digest]


def _span(packet):
    return packet, 0, len(packet)


def test_an_update_has_the_bytes_of_the_contract():
    server = Server()
    server.add(b"a", b"sip:a@192.0.2.1")
    server.step(0)
    value = server.storage.get(b"aa@example.com")
    assert server.node.take(LIVE_CHANNEL) == [
        b"\x20BIRTHDAY\x00\x00\x00\x01\x00\x01" + server.storage.digest
        + b"\x00\x0e" + bytes((0, len(value))) + b"aa@example.com" + value]
    server.remove(b"a")
    server.step(0)
    assert server.node.take(LIVE_CHANNEL) == [
        b"\x20BIRTHDAY\x00\x00\x00\x02\x00\x01" + bytes(8) + b"\x00\x0e\xff\xffaa@example.com"]


def test_rows_are_packed_and_no_packet_is_too_long():
    server = Server()
    server.step(0)
    for n in range(100):
        server.add(b"user%d" % n, b"sip:%d@192.0.2.1" % n)
    server.step(0)
    sent = server.node.take(LIVE_CHANNEL)
    assert 2 <= len(sent) <= 8 and server.distribution.sent_level == 100
    next_level = 1
    for packet in sent:
        update = messages.decode(*_span(packet))
        assert update[2] == next_level
        next_level += update[3]
    assert next_level == 101


def test_fragments_join_to_the_message():
    message = bytes(range(256)) * 20
    pieces = packets(message)
    assert [len(piece) for piece in pieces] == [1400, 1400, 1400, 5 + 5120 - 3 * 1395]
    assert pieces[0][:5] == b"\x24\x00\x00\x00\x04" and pieces[3][:5] == b"\x24\x00\x03\x00\x04"
    assert b"".join(piece[5:] for piece in pieces) == message
    assert packets(message[:1400]) == [message[:1400]]


def test_a_closed_window_delays_and_never_loses():
    server = Server()
    server.node.rooms[LIVE_CHANNEL] = 1
    server.step(0)
    levels = []
    for n in range(60):
        server.add(b"user%d" % n, b"sip:%d@192.0.2.1" % n)
    for _ in range(10):
        server.step(0)
        for packet in server.node.take(LIVE_CHANNEL):
            update = messages.decode(*_span(packet))
            levels += range(update[2], update[2] + update[3])
    assert levels == list(range(1, 61))


def test_the_roster_is_the_cluster_cards_that_keep_up():
    server = filled()
    task = server.distribution
    for slot in (5, 3):
        task.observe_card(slot, beat(states.SIP_CLUSTER))
    task.observe_card(1, beat(states.SWITCH))
    task.observe_card(9, None)
    server.step(0)
    assert server.node.rosters[LIVE_CHANNEL] == (3, 5)
    task.laggard(LIVE_CHANNEL, 3)
    server.step(0)
    assert server.node.rosters[LIVE_CHANNEL] == (5,)
    task.observe_card(3, beat(states.SIP_CLUSTER, states.RESYNC, 2))
    server.step(0)
    assert server.node.rosters[LIVE_CHANNEL] == (5,)
    task.observe_card(3, beat(states.SIP_CLUSTER, states.COHERENT, 10))
    task.lose_card(5)
    server.step(0)
    assert server.node.rosters[LIVE_CHANNEL] == (3,)


def test_what_a_card_gets():
    server = filled(10, reload_threshold=5)
    digests = {row[0]: row[3] for row in server.storage.log}
    full = [messages.RELOAD_BEGIN, messages.RELOAD_ROWS, messages.RELOAD_END]
    cases = (
        (dict(level=8, digest=digests[8]), [messages.UPDATE]),
        (dict(level=5, digest=digests[5]), [messages.UPDATE]),
        (dict(level=4, digest=digests[4]), full),
        (dict(level=8, digest=b"notright"), full),
        (dict(level=8, digest=digests[8], birthday=b"another!"), full),
        (dict(level=8, digest=digests[8], reason=messages.REASON_MISMATCH), full),
        (dict(level=10, digest=digests[10]), []),
        (dict(level=10, digest=digests[9]), full),
        (dict(level=11, digest=digests[10]), full),
    )
    for fields, wanted in cases:
        ask(server, 4, **fields)
        server.step(0)
        assert kinds(server, 4) == wanted, fields
        server.step(0)
        assert not server.distribution.status()["streams"]
    assert server.storage.snapshots == 0


def test_at_most_five_streams_at_once_and_the_others_wait():
    server = filled()
    server.node.acked = False
    for slot in range(3, 11):
        ask(server, slot)
        ask(server, slot)
    server.step(0)
    status = server.distribution.status()
    assert sorted(status["streams"]) == [3, 4, 5, 6, 7] and len(status["streams"]) == STREAMS
    assert status["queued"] == [8, 9, 10]
    server.distribution.lose_card(3)
    server.distribution.lose_card(9)
    server.step(0)
    status = server.distribution.status()
    assert sorted(status["streams"]) == [4, 5, 6, 7, 8] and status["queued"] == [10]


def test_a_reminder_does_not_restart_a_stream_but_a_loss_does():
    server = filled()
    server.node.acked = False
    ask(server, 3)
    server.step(0)
    ask(server, 3)
    server.step(0)
    assert server.node.open[CATCH_UP_CHANNEL + 3] == 1
    ask(server, 3, reason=messages.REASON_STREAM_LOST)
    server.step(0)
    assert server.node.open[CATCH_UP_CHANNEL + 3] == 2


def test_a_stream_that_stalls_or_lags_is_ended():
    server = filled()
    clock = Clock()
    server.node.rooms[CATCH_UP_CHANNEL + 3] = 1
    ask(server, 3, reason=messages.REASON_EMPTY)
    server.step(clock.now_ms)
    server.step(clock.pass_ms(2900))
    assert server.distribution.status()["streams"]
    server.step(clock.pass_ms(200))
    assert not server.distribution.status()["streams"] and server.storage.snapshots == 0
    ask(server, 3, reason=messages.REASON_EMPTY)
    server.step(clock.now_ms)
    server.distribution.laggard(CATCH_UP_CHANNEL + 3, 3)
    assert not server.distribution.status()["streams"] and server.storage.snapshots == 0


def test_no_stream_to_be_had_keeps_the_card_waiting():
    server = filled()
    server.step(0)
    server.node.refuse_streams = True
    ask(server, 3)
    server.step(0)
    assert server.distribution.status()["queued"] == [3] and server.storage.snapshots == 0
    server.node.refuse_streams = False
    server.step(0)
    assert server.distribution.status()["queued"] == []


def test_a_malformed_request_is_counted():
    server = filled()
    assert server.distribution.receive_message(3, bytes((messages.CATCH_UP,)) + b"short")
    assert not server.distribution.receive_message(3, b"")
    assert not server.distribution.receive_message(3, bytes((messages.ECHO,)))
    assert server.distribution.counters["bad_messages"] == 1
