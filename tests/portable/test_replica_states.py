"""Each of the six states driven in and out, by the streams of a real distribution task."""

from locserver_rig import BIRTHDAY, Clock, MemoryStorage, Server, content, run

from bus import messages, states
from bus.messages import CATCH_UP_CHANNEL, LIVE_CHANNEL
from firmware.location.store import LocationStore, StoreFull
from firmware.replica import table
from firmware.replica.limits import ReplicaLimits
from firmware.replica.replica import STATE, STALENESS_MAX_MS, Replica

SLOT = 3


class StubbornStore(LocationStore):
    """A LocationStore that can be told to refuse writes."""

    def __init__(self):
        self.refuse = False
        super().__init__(bytearray, 64, b"0123456789abcdef")

    def apply(self, first_level, rows, start, end, count):
        if self.refuse:
            raise StoreFull("no memory for the test")
        return super().apply(first_level, rows, start, end, count)


def rig(records=5, **server):
    """(server, replica, clock) with the replica coherent."""
    made = Server(**server)
    for n in range(records):
        made.add(b"user%d" % n, b"sip:%d@192.0.2.1" % n)
    clock = Clock()
    replica = Replica(StubbornStore(), SLOT, ReplicaLimits, clock.now_ms)
    run(made, {SLOT: replica}, clock)
    assert replica.state == states.COHERENT
    events(replica)
    return made, replica, clock


def events(replica):
    found = []
    while True:
        event = replica.next_event()
        if event is None:
            return found
        assert event[0] == STATE and event[3]
        found.append((event[1], event[2]))


def assert_equal(server, replica):
    assert replica.store.level == server.storage.level
    assert replica.store.digest() == server.storage.digest
    assert content(replica.store) == server.storage.values


def test_loading_to_coherent_from_nothing():
    server = Server()
    for n in range(150):
        server.add(b"user%d" % n, b"sip:%d@192.0.2.1" % n)
    clock = Clock()
    replica = Replica(StubbornStore(), SLOT, ReplicaLimits, clock.now_ms)
    assert replica.state == states.LOADING and not replica.serves()
    assert replica.load_percent == 0 and replica.staleness_ms(clock.now_ms) == STALENESS_MAX_MS
    run(server, {SLOT: replica}, clock)
    assert events(replica) == [(states.LOADING, states.RESYNC), (states.RESYNC, states.COHERENT)]
    assert replica.serves() and replica.load_percent == 100
    assert_equal(server, replica)
    assert server.distribution.counters["full"] == 1
    assert server.storage.snapshots == 0


def test_an_empty_database_is_coherent_too():
    server, replica, _ = rig(records=0)
    assert replica.store.birthday == BIRTHDAY and replica.store.level == 0
    assert_equal(server, replica)


def test_live_updates_keep_a_card_coherent_without_asking():
    server, replica, clock = rig()
    asked = replica.counters["asked"]
    for n in range(50):
        server.add(b"user%d" % n, b"sip:new@192.0.2.1")
        run(server, {SLOT: replica}, clock, 1)
    server.remove(b"user7")
    run(server, {SLOT: replica}, clock, 2)
    assert events(replica) == [] and replica.counters["asked"] == asked
    assert_equal(server, replica)


def test_resync_when_a_gap_stays_and_incremental_catch_up():
    server, replica, clock = rig()
    server.add(b"lost", b"sip:l@192.0.2.1")
    run(server, {SLOT: replica}, clock, 1, lose_live=(SLOT,))
    server.add(b"kept", b"sip:k@192.0.2.1")
    run(server, {SLOT: replica}, clock)
    assert events(replica) == [(states.COHERENT, states.RESYNC),
                               (states.RESYNC, states.COHERENT)]
    assert replica.serves()
    assert replica.counters["ahead_kept"] == 1
    assert server.distribution.counters["incremental"] == 1
    assert server.distribution.counters["full"] == 1, "only the first load"
    assert_equal(server, replica)


def test_behind_beyond_the_threshold_is_a_full_reload_that_goes_on_serving():
    server, replica, clock = rig(reload_threshold=10)
    for n in range(40):
        server.add(b"more%d" % n, b"sip:m@192.0.2.1")
    served = []
    for _ in range(30):
        run(server, {SLOT: replica}, clock, 1, lose_live=(SLOT,))
        served.append(replica.serves())
    assert all(served) and server.distribution.counters["full"] == 2
    assert (states.RESYNC, states.LOADING) in events(replica)
    assert replica.state == states.COHERENT
    assert_equal(server, replica)


def test_a_trimmed_log_is_a_full_reload():
    server, replica, clock = rig(log_levels=5, reload_threshold=1000)
    for n in range(40):
        server.add(b"more%d" % n, b"sip:m@192.0.2.1")
    run(server, {SLOT: replica}, clock, 30, lose_live=(SLOT,))
    assert server.distribution.counters["full"] == 2
    assert_equal(server, replica)


def test_incoherent_when_a_write_fails_and_back():
    server, replica, clock = rig()
    replica.store.refuse = True
    server.add(b"new", b"sip:n@192.0.2.1")
    run(server, {SLOT: replica}, clock, 1)
    assert replica.state in (states.INCOHERENT, states.LOADING) and not replica.serves()
    replica.store.refuse = False
    run(server, {SLOT: replica}, clock)
    assert events(replica)[0] == (states.COHERENT, states.INCOHERENT)
    assert replica.state == states.COHERENT and replica.serves()
    assert_equal(server, replica)


def test_inconsistent_when_the_content_differs_and_back():
    server, replica, clock = rig()
    replica.store.put(b"aeve@example.com", b"\x01forged")
    run(server, {SLOT: replica}, clock, 1)
    assert events(replica)[0] == (states.COHERENT, states.INCONSISTENT)
    assert not replica.serves()
    run(server, {SLOT: replica}, clock)
    assert replica.state == states.COHERENT
    assert_equal(server, replica)


def test_inconsistent_when_an_update_s_digest_differs():
    server, replica, clock = rig()
    replica.store.put(b"aeve@example.com", b"\x01forged")
    server.add(b"new", b"sip:n@192.0.2.1")
    run(server, {SLOT: replica}, clock, 1, beats=False)
    assert events(replica) == [(states.COHERENT, states.INCONSISTENT)]


def test_inconsistent_when_ahead_of_the_server_but_not_for_a_late_heartbeat():
    server, replica, clock = rig()
    old_beat = server.beat()
    server.add(b"new", b"sip:n@192.0.2.1")
    run(server, {SLOT: replica}, clock, 1)
    replica.observe_server(old_beat, clock.pass_ms(10))
    run(server, {SLOT: replica}, clock, 20)
    assert events(replica) == []
    for _ in range(12):
        replica.observe_server(old_beat, clock.pass_ms(100))
    assert events(replica) == [(states.COHERENT, states.INCONSISTENT)]
    assert not replica.serves()
    run(server, {SLOT: replica}, clock, 30)
    assert replica.state == states.COHERENT


def test_a_steady_stream_of_changes_overtakes_every_heartbeat_and_is_no_fault():
    server, replica, clock = rig()
    for n in range(40):
        late_beat = server.beat()
        server.add(b"steady%d" % n, b"sip:s@192.0.2.1")
        run(server, {SLOT: replica}, clock, 1, beats=False)
        replica.observe_server(late_beat, clock.pass_ms(200))
    assert events(replica) == [] and replica.serves()


def test_another_birthday_is_another_database():
    _, replica, clock = rig()
    other = Server(MemoryStorage(b"NEWBIRTH"))
    other.add(b"only", b"sip:o@192.0.2.1")
    run(other, {SLOT: replica}, clock, 1)
    assert not replica.serves()
    run(other, {SLOT: replica}, clock, 20)
    assert events(replica)[0] == (states.COHERENT, states.INCONSISTENT)
    assert replica.state == states.COHERENT and replica.store.birthday == b"NEWBIRTH"
    assert_equal(other, replica)


def test_corrupt_when_a_record_rots_and_back():
    server, replica, clock = rig()
    memory = replica.store.memory
    at = bytes(memory).find(b"sip:3@192.0.2.1")
    memory[at] ^= 1
    for _ in range(30):
        replica.handle_timer(clock.pass_ms(100))
    assert events(replica) == [(states.COHERENT, states.CORRUPT)]
    assert not replica.serves() and replica.counters["bad_records"] == 1
    run(server, {SLOT: replica}, clock, 20)
    assert replica.state == states.COHERENT
    assert_equal(server, replica)


def test_server_lost_serves_the_last_whole_copy_and_grows_stale():
    server, replica, clock = rig()
    assert replica.staleness_ms(clock.now_ms) == 0
    replica.server_lost(clock.pass_ms(700))
    assert events(replica) == [(states.COHERENT, states.RESYNC)]
    assert replica.serves() and replica.next_message() is None
    assert replica.staleness_ms(clock.pass_ms(300)) == 1000
    for _ in range(10):
        replica.handle_timer(clock.pass_ms(1 << 27))
    assert replica.staleness_ms(clock.now_ms) == STALENESS_MAX_MS
    run(server, {SLOT: replica}, clock, 3)
    assert replica.state == states.COHERENT and replica.staleness_ms(clock.now_ms) == 0


def begin_load(server, replica, clock):
    """Bring the replica into the middle of a full copy; the packets that are still to come."""
    server.add(b"ahead", b"sip:a@192.0.2.1", q=server.storage.level)
    server.step(clock.now_ms)
    server.node.take(LIVE_CHANNEL)
    server.distribution.receive_message(SLOT, messages.encode(
        messages.CATCH_UP, BIRTHDAY, 0, bytes(8), messages.REASON_EMPTY))
    server.step(clock.now_ms)
    packets = server.node.take(CATCH_UP_CHANNEL + SLOT)
    assert messages.decode(packets[0], 0, len(packets[0]))[0] == messages.RELOAD_BEGIN
    replica.receive_stream(CATCH_UP_CHANNEL + SLOT, packets[0], clock.now_ms)
    replica.receive_stream(CATCH_UP_CHANNEL + SLOT, packets[1], clock.now_ms)
    assert replica.state == states.LOADING and 0 < replica.load_percent < 100
    return packets[2:]


def test_a_load_cut_at_every_packet_ends_coherent():
    server, replica, clock = rig(records=60)
    count = len(begin_load(server, replica, clock))
    for cut in range(count + 1):
        packets = begin_load(server, replica, clock)
        for packet in packets[:cut]:
            replica.receive_stream(CATCH_UP_CHANNEL + SLOT, packet, clock.now_ms)
        replica.stream_lost(CATCH_UP_CHANNEL + SLOT, clock.now_ms)
        assert replica.serves(), "the older copy is whole"
        run(server, {SLOT: replica}, clock, 25)
        assert replica.state == states.COHERENT
        assert_equal(server, replica)


def test_live_updates_during_a_load_are_not_lost():
    server, replica, clock = rig(records=60)
    packets = begin_load(server, replica, clock)
    for n in range(5):
        server.add(b"while%d" % n, b"sip:w@192.0.2.1")
    server.step(clock.now_ms)
    for packet in server.node.take(LIVE_CHANNEL):
        replica.receive_stream(LIVE_CHANNEL, packet, clock.now_ms)
    assert replica.store.level == 60
    for packet in packets:
        replica.receive_stream(CATCH_UP_CHANNEL + SLOT, packet, clock.now_ms)
    assert_equal(server, replica)


def test_a_full_copy_older_than_what_the_card_holds_is_passed_over():
    server, replica, clock = rig()
    server.distribution.receive_message(SLOT, messages.encode(
        messages.CATCH_UP, BIRTHDAY, 0, bytes(8), messages.REASON_EMPTY))
    server.step(clock.now_ms)
    late = server.node.take(CATCH_UP_CHANNEL + SLOT)
    server.add(b"new", b"sip:n@192.0.2.1")
    run(server, {SLOT: replica}, clock, 2)
    for packet in late:
        replica.receive_stream(CATCH_UP_CHANNEL + SLOT, packet, clock.now_ms)
        assert replica.state == states.COHERENT
    assert events(replica) == []
    assert_equal(server, replica)


def test_a_wrong_copy_is_refused_and_asked_again_at_a_bounded_rate():
    server, replica, clock = rig()
    server.storage.digest = b"\x00\x01\x02\x03\x04\x05\x06\x07"
    asked = replica.counters["asked"]
    run(server, {SLOT: replica}, clock, 100)
    assert not replica.serves()
    assert 2 <= replica.counters["asked"] - asked <= 12, "ten seconds, at most one a second"


def test_asking_backs_off_while_nobody_answers():
    server, replica, clock = rig()
    server.add(b"new", b"sip:n@192.0.2.1")
    asked = []
    for _ in range(300):
        now_ms = clock.pass_ms(100)
        replica.observe_server(server.beat(), now_ms)
        replica.handle_timer(now_ms)
        if replica.next_message() is not None:
            asked.append(now_ms)
    assert 4 <= len(asked) <= 8, asked


def test_a_long_record_travels_in_fragments():
    server, replica, clock = rig()
    for n in range(10):
        server.add(b"long", b"sip:" + b"x" * 500 + b"%d@192.0.2.1" % n)
    run(server, {SLOT: replica}, clock, 3)
    assert len(server.storage.get(b"along@example.com")) > 5000
    assert events(replica) == []
    assert_equal(server, replica)
    fresh = Replica(StubbornStore(), SLOT, ReplicaLimits, clock.now_ms)
    run(server, {SLOT: fresh}, clock)
    assert_equal(server, fresh)


def test_hostile_packets_are_counted_and_change_nothing():
    server, replica, clock = rig()
    before = content(replica.store)
    level = replica.store.level
    rows = b"\x00\x09\x00\x01aeve"
    update = messages.encode(messages.UPDATE, BIRTHDAY, level + 1, 1, bytes(8), rows)
    foreign = messages.encode(messages.UPDATE, b"ANOTHER!", level + 1, 1, bytes(8), rows)
    part = messages.encode(messages.FRAGMENT, 1, 3, b"x")
    for packet in (b"", b"\xff", b"\x20", update[:-1], update, foreign, part,
                   messages.encode(messages.RELOAD_ROWS, 1, rows),
                   messages.encode(messages.RELOAD_END, level, bytes(8))):
        for channel in (LIVE_CHANNEL, CATCH_UP_CHANNEL + SLOT):
            replica.receive_stream(channel, packet, clock.now_ms)
    assert events(replica) == [] and content(replica.store) == before
    assert replica.counters["bad_messages"] >= 8


def test_a_warm_start_serves_at_once_and_verifies():
    server, replica, clock = rig()
    again = Replica(replica.store, SLOT, ReplicaLimits, clock.now_ms)
    assert again.state == states.RESYNC and again.serves()
    run(server, {SLOT: again}, clock, 2)
    assert again.state == states.COHERENT and again.counters["asked"] == 0


def test_the_table_answers_every_state_and_event():
    assert len(table.TABLE) == len(table.EVENTS)
    for event in range(len(table.EVENTS)):
        for state in table.STATES:
            assert table.after(state, event) in table.STATES
    for state in table.STATES:
        reached = [table.after(state, event) for event in range(len(table.EVENTS))]
        assert states.LOADING in reached and states.CORRUPT in reached
