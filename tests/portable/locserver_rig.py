"""A location server and cards without a bus: storage in memory, streams as lists, a fake clock.

What RMTP promises holds here (order, no silent loss inside a stream); what it does not promise
can be provoked: packets lost at a gap with STREAM_LOST, streams cut, cards that are slow.
"""

from bus import messages, states
from bus.compat import ticks_add
from bus.messages import CATCH_UP_CHANNEL, LIVE_CHANNEL
from firmware.location import record
from firmware.locserver.changes import AddBinding, RemoveBinding
from firmware.locserver.distribution import DistributionTask
from firmware.locserver.errors import StorageError
from firmware.locserver.provisioning import ProvisioningTask

BIRTHDAY = b"BIRTHDAY"
START_MS = (1 << 30) - 5000  # the ticks wrap five seconds into each test
NOW_S = 1800000000


class MemoryStorage:
    """The storage contract (firmware/locserver/README.md) in memory; `failure` makes it refuse."""

    def __init__(self, birthday=BIRTHDAY):
        self.birthday = birthday
        self.level = 0
        self.digest = bytes(8)
        self.records = 0
        self.values = {}
        self.expiries = {}
        self.log = []
        self.commits = []  # rows of each transaction
        self.failure = None
        self.snapshots = 0

    def get(self, key):
        return self.values.get(key)

    def commit(self, rows, records, time_s, trim_to=0):
        if self.failure:
            raise StorageError(self.failure)
        for level, key, value, digest, request_id, expires_s in rows:
            assert level == self.level + 1
            self.log.append((level, key, value, digest, request_id))
            self.values.pop(key, None)
            self.expiries.pop(key, None)
            if value is not None:
                self.values[key] = value
                if expires_s is not None:
                    self.expiries[key] = expires_s
            self.level = level
            self.digest = digest
        self.records = records
        self.commits.append(len(rows))
        if self.log[0][0] <= trim_to:
            self.log = [row for row in self.log if row[0] > trim_to]

    def logged_request(self, request_id):
        for level, key, value, _, known in self.log:
            if known == request_id:
                return level, key, value
        return None

    def expired_keys(self, before_s, limit):
        return [key for key in sorted(self.expiries) if self.expiries[key] < before_s][:limit]

    def count(self, first_octet):
        return len([key for key in self.values if key[0] == first_octet])

    def open_log(self):
        return MemoryLog(self)

    def open_snapshot(self):
        self.snapshots += 1
        return MemorySnapshot(self)


class MemoryLog:
    def __init__(self, storage):
        self._storage = storage

    def rows(self, after_level, limit):
        return [row[:4] for row in self._storage.log if row[0] > after_level][:limit]

    def oldest(self):
        return self._storage.log[0][0] if self._storage.log else None

    def digest_at(self, level):
        for row in self._storage.log:
            if row[0] == level:
                return row[3]
        return None

    def close(self):
        pass


class MemorySnapshot:
    def __init__(self, storage):
        self._storage = storage
        self._pairs = sorted(storage.values.items())
        self.level = storage.level
        self.digest = storage.digest
        self.birthday = storage.birthday
        self.records = storage.records

    def rows(self, after_key, limit):
        return [pair for pair in self._pairs if pair[0] > after_key][:limit]

    def close(self):
        self._storage.snapshots -= 1


class FakeNode:
    """The stream side of a BusNode: what is offered lands in `sent`, `rooms` bounds it."""

    def __init__(self):
        self.sent = {}  # channel -> packets not yet taken by the test
        self.rooms = {}
        self.rosters = {}
        self.open = {}  # channel -> times opened
        self.acked = True
        self.refuse_streams = False

    def open_stream(self, channel, dest, now_ms, base=False):
        if self.refuse_streams:
            return False
        self.sent[channel] = []
        self.open[channel] = self.open.get(channel, 0) + 1
        return True

    def close_stream(self, channel):
        self.sent.pop(channel, None)

    def stream_room(self, channel):
        if channel not in self.sent:
            return 0
        return max(0, self.rooms.get(channel, 1000) - len(self.sent[channel]))

    def stream_offer(self, channel, payload):
        assert 0 < len(payload) <= 1400
        self.sent[channel].append(payload)
        return True

    def stream_roster(self, channel, slots):
        self.rosters[channel] = tuple(slots)

    def stream_acked(self, channel, slot):
        return self.acked and not self.sent.get(channel)

    def take(self, channel):
        """All packets offered on `channel` since the last call."""
        packets = self.sent.get(channel, [])
        if packets:
            self.sent[channel] = []
        return packets


def beat(role, db_state=states.NO_DATABASE, level=0, birthday=bytes(8), digest=bytes(8)):
    """A decoded HEARTBEAT."""
    message = messages.encode(
        messages.HEARTBEAT, role, states.M4, 0, states.IN_SERVICE, db_state, 100, level, birthday,
        digest, 0, 0, NOW_S, bytes(4), 0, 0, b"test")
    return messages.decode(message, 0, len(message))


class Server:
    """Storage, provisioning and distribution of one location server on a FakeNode."""

    def __init__(self, storage=None, reload_threshold=100, log_levels=1000):
        self.storage = storage or MemoryStorage()
        self.task = ProvisioningTask(self.storage, log_levels)
        self.node = FakeNode()
        self.distribution = DistributionTask(self.storage, self.node, reload_threshold)

    def change(self, change, now_s=NOW_S):
        """Submit and commit one change; its Result."""
        ticket = self.task.submit(change)
        return dict(self.task.commit(now_s))[ticket]

    def add(self, name, contact, q=1000, expires_s=0):
        """Provision name@example.com -> contact; the Result."""
        return self.change(AddBinding(name + b"@example.com",
                                      record.Binding(contact, q, expires_s)))

    def remove(self, name):
        """Remove name@example.com; the Result."""
        return self.change(RemoveBinding(name + b"@example.com"))

    def beat(self):
        """The server's decoded heartbeat."""
        storage = self.storage
        return beat(states.LOCATION_SERVER, states.COHERENT, storage.level, storage.birthday,
                    storage.digest)

    def step(self, now_ms):
        """Let the distribution task run dry."""
        for _ in range(200):
            if not self.distribution.step(now_ms):
                return
        raise AssertionError("the distribution task does not run dry")


class Clock:
    """A fake clock in ticks."""

    def __init__(self):
        self.now_ms = START_MS

    def pass_ms(self, span_ms):
        self.now_ms = ticks_add(self.now_ms, span_ms)
        return self.now_ms


def run(server, replicas, clock, rounds=20, beats=True, lose_live=()):
    """Heartbeats, steps and deliveries, 100 ms a round.

    replicas: dict slot -> Replica.  lose_live: slots that miss what is live in this run.
    """
    for _ in range(rounds):
        now_ms = clock.pass_ms(100)
        server.step(now_ms)
        live = server.node.take(LIVE_CHANNEL)
        for slot in sorted(replicas):
            replica = replicas[slot]
            if beats:
                replica.observe_server(server.beat(), now_ms)
            if slot not in lose_live:
                for packet in live:
                    replica.receive_stream(LIVE_CHANNEL, packet, now_ms)
            for packet in server.node.take(CATCH_UP_CHANNEL + slot):
                replica.receive_stream(CATCH_UP_CHANNEL + slot, packet, now_ms)
            replica.handle_timer(now_ms)
            message = replica.next_message()
            if message is not None:
                server.distribution.receive_message(slot, message)
            server.distribution.observe_card(slot, beat(
                states.SIP_CLUSTER, replica.state, replica.store.level))


def content(store):
    """All records of a LocationStore as a dict."""
    found = {}
    cursor = 0
    while True:
        cursor, rows, count = store.rows(cursor, 4000)
        at = 0
        for _ in range(count):
            key_length = rows[at] << 8 | rows[at + 1]
            value_length = rows[at + 2] << 8 | rows[at + 3]
            at += 4
            key = bytes(rows[at:at + key_length])
            at += key_length
            found[key] = bytes(rows[at:at + value_length])
            at += value_length
        if cursor == 0:
            return found
