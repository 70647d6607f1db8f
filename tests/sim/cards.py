"""The simulator's cards: the firmware's pure objects, wired as firmware/cards wires them.

A location server over real SQLite and cluster cards with their replica. What a power cut leaves
is the database file, or the table's memory of a card whose flash maps it.
"""

from bus import messages, node, states
from bus.compat import earliest, ticks_add, ticks_diff
from bus.messages import LIVE_CHANNEL
from bus.wire import MAX_FRAME
from firmware.location import record
from firmware.location.store import LocationStore
from firmware.locserver.changes import Register
from firmware.locserver.distribution import DistributionTask
from firmware.locserver.errors import StorageError
from firmware.locserver.provisioning import ProvisioningTask
from firmware.locserver.registration import RegisterRequest
from firmware.locserver.storage_sqlite import SqliteStorage
from firmware.replica.replica import Replica
from firmware.switching.encapsulation import ip_bytes
from tests.sim.world import Crash

SERVER_SLOT = 1
BEAT_REFRESH_MS = 50
EXPIRE_EVERY_MS = 1000
MAX_CONTACTS = 8
STEPS_A_TURN = 50
FIRST_RECORDS = 64


class SimCard:
    """What both roles share: the node, its frames, its heartbeat."""

    role = None
    plane = None  # (host, port) of its relay socket
    redundancy = states.NO_REDUNDANCY
    service = states.IN_SERVICE

    def __init__(self, world, slot, incarnation):
        self.world = world
        self.slot = slot
        self.node = node.BusNode(slot, self.role, incarnation)
        self.node.attach(1)
        self._out = bytearray(MAX_FRAME)
        self._beat_at_ms = world.now_ms
        self._said = None
        self.node.handle_timer(world.now_ms)

    def receive(self, source, frame, now_ms):
        """A frame off the bus."""
        self.node.receive_frame(0, frame, len(frame), source, now_ms)

    def step(self, now_ms):
        """All that is due; True when something was sent or is left to do at once."""
        self.node.handle_timer(now_ms)
        event = self.node.next_event()
        while event is not None:
            if event[0] == node.REQUEST and event[3][0] == messages.ECHO:
                self.node.respond(event[1], event[2], event[3])
            else:
                self.take(event, now_ms)
            event = self.node.next_event()
        more = self.role_step(now_ms)
        self._beat(now_ms)
        return self._send(now_ms) or more

    def _send(self, now_ms):
        sent = False
        found = self.node.to_send(self._out, now_ms)
        while found is not None:
            sent = True
            self.world.bus.send(self.slot, found[2], self._out, found[0], now_ms)
            found = self.node.to_send(self._out, now_ms)
        return sent

    def _beat(self, now_ms):
        """As cards/card.py: refreshed every 50 ms, sent at once when the state changes."""
        if ticks_diff(now_ms, self._beat_at_ms) >= 0:
            self.refresh_beat(now_ms)

    def refresh_beat(self, now_ms):
        """Tell the node what its heartbeats say from now on."""
        self._beat_at_ms = ticks_add(now_ms, BEAT_REFRESH_MS)
        state, percent, level, birthday, digest, staleness_ms = self.beat_values(now_ms)
        host, port = self.plane or ("0.0.0.0", 0)
        self.node.heartbeat = messages.encode(
            messages.HEARTBEAT, self.role, states.M4, self.redundancy, self.service, state,
            percent, level, birthday, digest, staleness_ms, self.epoch(), self.world.now_s,
            ip_bytes(host), port, self.connections(), b"sim")
        said = (self.redundancy, self.service, state, self.plane)
        if self._said != said:
            self._said = said
            self.node.beat_now()

    def epoch(self):
        """As cards/card.py."""
        return 0

    def connections(self):
        """As cards/card.py."""
        return 0

    def next_deadline_ms(self, now_ms):
        """When step wants to run."""
        deadline = earliest(self.node.next_deadline_ms(), self._beat_at_ms)
        return earliest(deadline, self.role_deadline_ms(now_ms))


class FaultyStorage(SqliteStorage):
    """SQLite that can lose power before or after a commit, or have a full disk.

    fault: None, "before", "after" or "full"; it strikes once.
    """

    fault = None

    def commit(self, rows, records, time_s, trim_to=0):
        fault, self.fault = self.fault, None
        if fault == "full":
            raise StorageError("the disk of the location database is full: free some space")
        if fault == "before":
            raise Crash("before a commit")
        super().commit(rows, records, time_s, trim_to)
        if fault == "after":
            raise Crash("after a commit, before its answers")


class SimServer(SimCard):
    """The location-server card."""

    role = states.LOCATION_SERVER
    redundancy = states.ACTIVE

    def __init__(self, world, incarnation, path, reload_threshold, log_levels):
        super().__init__(world, SERVER_SLOT, incarnation)
        self.storage = FaultyStorage(path, b"SIMBIRTH")
        self.provisioning = ProvisioningTask(self.storage, log_levels)
        self.distribution = DistributionTask(self.storage, self.node, reload_threshold)
        self.answers = []  # (ticket, Result) for the workload
        self._waiting = {}
        self._expire_at_ms = world.now_ms

    def take(self, event, now_ms):
        kind, slot = event[0], event[1]
        if kind == node.CARD_BEAT:
            member = self.node.members.get(slot)
            if member is not None:
                self.distribution.observe_card(slot, member.beat)
        elif kind == node.CARD_DOWN:
            self.distribution.lose_card(slot)
        elif kind == node.MESSAGE:
            self.distribution.receive_message(slot, event[2])
        elif kind == node.LAGGARD:
            self.distribution.laggard(event[1], event[2])
        elif kind == node.REQUEST:
            self._register(slot, event[2], event[3])

    def _register(self, slot, request_id, octets):
        message = messages.decode(octets, 0, len(octets))
        _, aor, call_id, cseq, _, wildcard, bindings = message
        wanted = record.decode_aor(bindings, 0, len(bindings)) if bindings else []
        ticket = self.provisioning.submit(Register(
            request_id, RegisterRequest(aor, call_id, cseq, bool(wildcard), wanted),
            MAX_CONTACTS))
        if ticket is None:
            self.node.respond(slot, request_id, messages.encode(
                messages.REGISTER_RESULT, 503, self.storage.level, b""))
        else:
            self._waiting[ticket] = (slot, request_id)

    def role_step(self, now_ms):
        if ticks_diff(now_ms, self._expire_at_ms) >= 0:
            self._expire_at_ms = ticks_add(now_ms, EXPIRE_EVERY_MS)
            self.provisioning.expire(self.world.now_s)
        while self.provisioning.pending():
            for ticket, result in self.provisioning.commit(self.world.now_s):
                self._answer(ticket, result)
        storage = self.storage
        self.world.witness("the server", storage.birthday, storage.level, storage.digest)
        self.world.committed(storage.level)
        return self.distribution.step(now_ms)

    def _answer(self, ticket, result):
        asker = self._waiting.pop(ticket, None)
        if asker is None:
            self.answers.append((ticket, result))
            return
        self.node.respond(asker[0], asker[1], messages.encode(
            messages.REGISTER_RESULT, result.status, result.level, result.value or b""))

    def role_deadline_ms(self, now_ms):
        return earliest(self._expire_at_ms, self.distribution.next_deadline_ms(now_ms))

    def beat_values(self, now_ms):
        storage = self.storage
        return states.COHERENT, 100, storage.level, storage.birthday, storage.digest, 0

    def kill(self):
        """What was not committed is gone; the file stays."""
        self.distribution.close()
        self.storage.close()


class WatchedStore(LocationStore):
    """A store that refuses to be written out of order and shows each level it reaches."""

    def watch(self, world, slot):
        """Say who looks on."""
        self._world = world
        self._who = "slot {}".format(slot)

    def apply(self, first_level, rows, start, end, count):
        before = self.level
        rc = super().apply(first_level, rows, start, end, count)
        self._world.require(
            self.level == before + max(0, rc) and (rc <= 0 or first_level <= before + 1),
            "{} goes from level {} to {} by {} rows from level {}".format(
                self._who, before, self.level, rc, first_level))
        return rc


class SimCluster(SimCard):
    """A sip-cluster card's bus and replica.

    region: the table's memory that the flash kept from the card's last life, or None.
    """

    role = states.SIP_CLUSTER

    def __init__(self, world, slot, incarnation, region=None):
        super().__init__(world, slot, incarnation)
        self.store = WatchedStore(bytearray, FIRST_RECORDS, bytes(16))
        self.store.watch(world, slot)
        if region is not None:
            self.store.attach(region)
        self.replica = Replica(self.store, slot, now_ms=world.now_ms)
        self.answers = []  # (request_id, status or None for a timeout)

    def take(self, event, now_ms):
        kind, slot = event[0], event[1]
        if kind == node.STREAM:
            self.replica.receive_stream(event[2], event[3], now_ms)
            self._witness()
        elif kind == node.CARD_BEAT:
            member = self.node.members.get(slot)
            if member is not None and member.beat[1] == states.LOCATION_SERVER:
                self.node.join_stream(slot, LIVE_CHANNEL)
                self.replica.observe_server(member.beat, now_ms)
        elif kind == node.STREAM_LOST:
            self.replica.stream_lost(event[2], now_ms)
        elif kind == node.CARD_DOWN and slot == SERVER_SLOT:
            self.node.leave_stream(slot, LIVE_CHANNEL)
            self.replica.server_lost(now_ms)
        elif kind == node.RESPONSE:
            message = messages.decode(event[3], 0, len(event[3]))
            self.answers.append((event[2], message[1], message[2]))
        elif kind == node.TIMEOUT:
            self.answers.append((event[2], None, 0))

    def _witness(self):
        store = self.store
        if self.replica.state in (states.RESYNC, states.COHERENT):
            self.world.witness("slot {}".format(self.slot), store.birthday, store.level,
                               store.digest())

    def role_step(self, now_ms):
        deadline = self.replica.next_deadline_ms()
        if deadline is not None and ticks_diff(now_ms, deadline) >= 0:
            self.replica.handle_timer(now_ms)
        message = self.replica.next_message()
        if message is not None:
            self.node.send(SERVER_SLOT, message)
        event = self.replica.next_event()
        while event is not None:
            self.world.note("slot {}: {} -> {}, {}".format(
                self.slot, states.DATABASE[event[1]], states.DATABASE[event[2]], event[3]))
            event = self.replica.next_event()
        return False

    def role_deadline_ms(self, now_ms):
        return self.replica.next_deadline_ms()

    def beat_values(self, now_ms):
        replica, store = self.replica, self.store
        return (replica.state, replica.load_percent, store.level, store.birthday, store.digest(),
                replica.staleness_ms(now_ms))

    def coherent(self):
        """True when the replica says so."""
        return self.replica.state == states.COHERENT

    def pairs(self):
        """The whole content, sorted (key, value)."""
        found = []
        cursor = 0
        while True:
            cursor, rows, count = self.store.rows(cursor, 8192)
            at = 0
            for _ in range(count):
                key = int.from_bytes(rows[at:at + 2], "big")
                value = int.from_bytes(rows[at + 2:at + 4], "big")
                at += 4
                found.append((bytes(rows[at:at + key]), bytes(rows[at + key:at + key + value])))
                at += key + value
            if not count or cursor == 0 or cursor == 0xFFFFFFFF:
                return sorted(found)

    def kill(self):
        """The table's memory is what a mapped flash keeps."""
        self.region = self.store.memory
