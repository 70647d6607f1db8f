"""Random changes over the virtual bus with faults: every copy ends equal to the location server.

One location server and three cards, each with its BusNode, on one fake clock and one seed. Cards
are restarted warm and cold, cut off, and their tables spoilt on the way.
"""

import random

import pytest

from bus import messages, node, states
from bus.compat import TICKS_PERIOD, ticks_add, ticks_diff
from bus.links.virtual import Faults, VirtualBus
from bus.messages import LIVE_CHANNEL
from bus.wire import MAX_FRAME
from firmware.location import record
from firmware.location.store import LocationStore
from firmware.locserver.changes import AddBinding, Expire, Register, RemoveBinding
from firmware.locserver.distribution import DistributionTask
from firmware.locserver.provisioning import ProvisioningTask
from firmware.locserver.registration import RegisterRequest
from firmware.locserver.storage_sqlite import SqliteStorage
from firmware.replica.limits import ReplicaLimits
from firmware.replica.replica import Replica

SERVER = 1
CARDS = (3, 4, 5)
NOW_S = 1800000000
SETTLE_MS = 30000


class Endpoint:
    """What a slot's server and cards share: a node on the virtual bus."""

    def __init__(self, bus, slot, role, incarnation):
        self.bus = bus
        self.slot = slot
        self.node = node.BusNode(slot, role, incarnation)
        self.node.attach(1)
        bus.attach(slot)
        self.out = bytearray(MAX_FRAME)

    def pump(self, now_ms):
        deadline = self.node.next_deadline_ms()
        if deadline is None or ticks_diff(now_ms, deadline) >= 0:
            self.node.handle_timer(now_ms)
        while (event := self.node.next_event()) is not None:
            self.event(event, now_ms)
        self.step(now_ms)
        while (found := self.node.to_send(self.out, now_ms)) is not None:
            n, _, address = found
            self.bus.send(self.slot, address, self.out, n, now_ms)

    def heartbeat(self, role, state, level, birthday, digest):
        self.node.heartbeat = messages.encode(
            messages.HEARTBEAT, role, states.M4, 0, states.IN_SERVICE, state, 100, level,
            birthday, digest, 0, 0, NOW_S, bytes(4), 0, 0, b"")


class LocationServer(Endpoint):
    def __init__(self, bus, storage):
        super().__init__(bus, SERVER, states.LOCATION_SERVER, 1)
        self.storage = storage
        self.task = ProvisioningTask(storage, log_levels=300)
        self.distribution = DistributionTask(storage, self.node, reload_threshold=60)

    def event(self, event, now_ms):
        if event[0] == node.CARD_BEAT:
            member = self.node.members.get(event[1])
            self.distribution.observe_card(event[1], member and member.beat)
        elif event[0] == node.CARD_DOWN:
            self.distribution.lose_card(event[1])
        elif event[0] == node.MESSAGE:
            self.distribution.receive_message(event[1], event[2])
        elif event[0] == node.LAGGARD:
            self.distribution.laggard(event[1], event[2])

    def step(self, now_ms):
        self.task.commit(NOW_S)
        self.distribution.step(now_ms)
        self.heartbeat(states.LOCATION_SERVER, states.COHERENT, self.storage.level,
                       self.storage.birthday, self.storage.digest)


class Card(Endpoint):
    def __init__(self, bus, slot, incarnation, store, now_ms):
        super().__init__(bus, slot, states.SIP_CLUSTER, incarnation)
        self.store = store
        self.replica = Replica(store, slot, ReplicaLimits, now_ms)
        self.node.join_stream(SERVER, LIVE_CHANNEL)

    def event(self, event, now_ms):
        if event[0] == node.CARD_BEAT and event[1] == SERVER:
            self.replica.observe_server(self.node.members[SERVER].beat, now_ms)
            if self.replica.state == states.COHERENT:
                assert self.replica.staleness_ms(now_ms) < 5000
        elif event[0] == node.CARD_DOWN and event[1] == SERVER:
            self.replica.server_lost(now_ms)
        elif event[0] == node.STREAM:
            before = self.store.level
            self.replica.receive_stream(event[2], event[3], now_ms)
            if self.replica.state == states.COHERENT:
                assert self.store.level >= before, "a coherent card never goes back"
        elif event[0] == node.STREAM_LOST:
            self.replica.stream_lost(event[2], now_ms)

    def step(self, now_ms):
        self.replica.handle_timer(now_ms)
        message = self.replica.next_message()
        if message is not None:
            self.node.send(SERVER, message)
        while self.replica.next_event() is not None:
            pass
        self.heartbeat(states.SIP_CLUSTER, self.replica.state, self.store.level,
                       self.store.birthday, self.store.digest())


class Chassis:
    def __init__(self, seed, path):
        self.random = random.Random(seed)
        self.now_ms = TICKS_PERIOD - 5000
        self.bus = VirtualBus(seed, Faults(loss=30, delay_ms=1, jitter_ms=3, reorder=30,
                                           duplicate=20, corrupt=10))
        self.server = LocationServer(self.bus, SqliteStorage(str(path), b"BIRTHDAY"))
        self.incarnation = 1
        self.cards = {}
        for slot in CARDS:
            self.insert(slot, None)

    def insert(self, slot, store):
        """A card's new life, on the table of its last one (warm) or on an empty one."""
        self.incarnation += 1
        if store is None:
            store = LocationStore(bytearray, 64, bytes(range(16)))
        if slot in self.cards:
            self.bus.detach(slot)
        self.cards[slot] = Card(self.bus, slot, self.incarnation, store, self.now_ms)

    def run(self, span_ms):
        for _ in range(span_ms // 5):
            self.now_ms = ticks_add(self.now_ms, 5)
            ends = {SERVER: self.server}
            ends.update(self.cards)
            for dest, source, frame in self.bus.deliver(self.now_ms):
                ends[dest].node.receive_frame(0, frame, len(frame), source, self.now_ms)
            for slot in sorted(ends):
                ends[slot].pump(self.now_ms)

    def change(self):
        """One random change of the database."""
        rng = self.random
        aor = b"u%d@example.com" % rng.randrange(60)
        contact = b"sip:" + b"c" * rng.choice((1, 5, 700)) + b"@192.0.2.%d" % rng.randrange(5)
        kind = rng.randrange(10)
        if kind < 5:
            return AddBinding(aor, record.Binding(contact, rng.randrange(1001)))
        if kind < 7:
            return RemoveBinding(aor)
        if kind < 9:
            request = RegisterRequest(aor, b"call", rng.randrange(1, 1 << 20), False,
                                      [record.Binding(contact, 1000, rng.randrange(3600))])
            return Register(rng.randbytes(8), request, 3)
        return Expire([record.aor_key(aor)], NOW_S + 1800)

    def mischief(self):
        """Something an operator or the weather might do to the cards."""
        rng = self.random
        slot = rng.choice(CARDS)
        kind = rng.randrange(6)
        if kind == 0:
            self.insert(slot, self.cards[slot].store)
        elif kind == 1:
            self.insert(slot, None)
        elif kind == 2:
            self.bus.partition([one for one in (SERVER, *CARDS) if one != slot], [slot])
        elif kind == 3:
            self.cards[slot].store.put(b"nrot", b"\x01sip:rot.invalid")
        else:
            self.bus.heal()


def content(store):
    found = {}
    cursor = 0
    while True:
        cursor, rows, count = store.rows(cursor, 60000)
        at = 0
        for _ in range(count):
            key_end = at + 4 + int.from_bytes(rows[at:at + 2], "big")
            end = key_end + int.from_bytes(rows[at + 2:at + 4], "big")
            found[bytes(rows[at + 4:key_end])] = bytes(rows[key_end:end])
            at = end
        if cursor == 0:
            return found


@pytest.mark.parametrize("seed", range(6))
def test_all_copies_end_equal_whatever_the_bus_does(seed, tmp_path):
    print("seed", seed)
    chassis = Chassis(seed, tmp_path / "location.sqlite")
    task = chassis.server.task
    for _ in range(25):
        for _ in range(chassis.random.randrange(1, 30)):
            task.submit(chassis.change())
        chassis.run(chassis.random.randrange(5, 600))
        chassis.mischief()
    chassis.bus.heal()
    waited_ms = 0
    while any(card.replica.state != states.COHERENT or card.store.level != task.storage.level
              for card in chassis.cards.values()):
        chassis.run(200)
        waited_ms += 200
        assert waited_ms < SETTLE_MS, [(slot, card.replica.state, card.store.level)
                                       for slot, card in chassis.cards.items()]
    snapshot = task.storage.open_snapshot()
    exported = dict(snapshot.rows(b"", 10000))
    snapshot.close()
    assert task.storage.level > 100 and len(exported) == task.storage.records
    for card in chassis.cards.values():
        assert content(card.store) == exported
        assert card.store.digest() == task.storage.digest
