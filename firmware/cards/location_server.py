"""Wiring of the location-server card: provisioning, distribution, door, REGISTER requests.

The database provisioning task commits; the network provisioning task finds the new log rows by
itself and multicasts them. CPython on Linux: the storage is SQLite.
"""

import os

from bus import messages, node, states
from bus.compat import earliest, ticks_add, ticks_diff
from firmware.cards.card import Card
from firmware.location import record
from firmware.locserver.changes import Register
from firmware.locserver.distribution import DistributionTask
from firmware.locserver.door import ProvisioningDoor
from firmware.locserver.errors import StorageError
from firmware.locserver.packing import take_rows
from firmware.locserver.provisioning import ProvisioningTask
from firmware.locserver.registration import RegisterRequest
from firmware.locserver.storage_sqlite import SqliteStorage
from firmware.runtime import clock
from firmware.runtime.config import ConfigError
from firmware.runtime.stream_server import StreamServer

DATABASE_FILE = "location.sqlite"
EXPIRE_EVERY_MS = 1000
DUMP_PAIRS = 1000
LAST_CURSOR = 0xFFFFFFFF


class LocationServerCard(Card):
    """The card that owns the location database."""

    def __init__(self, config, limits, reactor, incarnation):
        super().__init__(config, limits, reactor, incarnation)
        try:
            self.storage = SqliteStorage(config.flash + "/" + DATABASE_FILE, os.urandom(8))
        except StorageError as error:
            raise ConfigError("the location database cannot be opened: {}".format(error))
        database = config.database
        self.provisioning = ProvisioningTask(
            self.storage, log_levels=database.get("log_levels", 100000))
        self.distribution = DistributionTask(
            self.storage, self.node, database.get("reload_threshold", 10000))
        self.max_contacts = config.settings.get("max_contacts", 10)
        self._more = False
        self._waiting = {}  # ticket -> (slot, request_id) of a REGISTER
        self._doors = []
        self._expire_at_ms = clock.now_ms()
        self._dumps = {}  # slot -> (cursor, snapshot, last key)
        self.door = None
        if config.door is not None:
            self.door = StreamServer(
                config.door[0], config.door[1], self._new_door, reactor)
        self.service = states.IN_SERVICE
        self.redundancy = states.ACTIVE

    def _new_door(self):
        return ProvisioningDoor(self.provisioning, self.config.door_token)

    # ---- bus

    def card_event(self, event, now_ms):
        """Cluster cards come and go, ask for catch-up, fall behind."""
        kind, slot = event[0], event[1]
        if kind == node.CARD_BEAT:
            member = self.node.members.get(slot)
            if member is not None:
                self.distribution.observe_card(slot, member.beat)
        elif kind == node.CARD_DOWN:
            self.distribution.lose_card(slot)
            self._end_dump(slot)
        elif kind == node.MESSAGE:
            self.distribution.receive_message(slot, event[2])
        elif kind == node.LAGGARD:
            self.distribution.laggard(event[1], event[2])

    def request(self, slot, request_id, message, now_ms):
        """REGISTER and DUMP requests."""
        if message[0] == messages.REGISTER:
            self._register(slot, request_id, message)
        elif message[0] == messages.DUMP:
            self._dump(slot, request_id, message[1], message[2])
        else:
            return False
        return True

    def _register(self, slot, request_id, message):
        _, aor, call_id, cseq, _, wildcard, bindings = message
        try:
            wanted = record.decode_aor(bindings, 0, len(bindings)) if bindings else []
            change = Register(
                request_id, RegisterRequest(aor, call_id, cseq, bool(wildcard), wanted),
                self.max_contacts)
        except ValueError:
            self._answer_register(slot, request_id, 400, self.storage.level, b"")
            return
        ticket = self.provisioning.submit(change)
        if ticket is None:
            self._answer_register(slot, request_id, 503, self.storage.level, b"")
        else:
            self._waiting[ticket] = (slot, request_id)

    def _answer_register(self, slot, request_id, status, level, value):
        self.node.respond(slot, request_id, messages.encode(
            messages.REGISTER_RESULT, status, level, value))

    # ---- step

    def role_step(self, now_ms):
        """One group commit, its answers, and a bounded amount of distribution."""
        if ticks_diff(now_ms, self._expire_at_ms) >= 0:
            self._expire_at_ms = ticks_add(now_ms, EXPIRE_EVERY_MS)
            self._expire()
        self._commit()
        self._more = self.distribution.step(now_ms)
        if self.door is not None:
            self.door.flush()

    def _expire(self):
        try:
            self.provisioning.expire(self.clock.now_s())
        except StorageError as error:
            self.log.note("expiry waits: {}".format(error))

    def _commit(self):
        if not self.provisioning.pending():
            return
        sessions = [connection.session for connection in self.door.connections] \
            if self.door is not None else []
        for ticket, result in self.provisioning.commit(self.clock.now_s()):
            asker = self._waiting.pop(ticket, None)
            if asker is not None:
                self._answer_register(
                    asker[0], asker[1], result.status, result.level, result.value or b"")
                continue
            for session in sessions:
                if session.resolve(ticket, result):
                    break

    def role_deadline_ms(self):
        """At once while there is more to distribute or commit; else expiry and stall checks."""
        now_ms = clock.now_ms()
        if self._more or self.provisioning.pending():
            return now_ms
        return earliest(self._expire_at_ms, self.distribution.next_deadline_ms(now_ms))

    # ---- dump

    def _dump(self, slot, request_id, cursor, octets):
        try:
            answer = self._dump_page(slot, cursor, octets)
        except StorageError as error:
            self.log.note("dump refused: {}".format(error))
            self._end_dump(slot)
            return
        self.node.respond(slot, request_id, answer)

    def _dump_page(self, slot, cursor, octets):
        held = self._dumps.get(slot)
        if cursor == 0 or held is None or held[0] != cursor:
            self._end_dump(slot)
            held = (0, self.storage.open_snapshot(), b"")
        _, snapshot, after = held
        pairs = snapshot.rows(after, DUMP_PAIRS)
        rows, count = take_rows(pairs, octets) if pairs else (b"", 0)
        if count < len(pairs) or len(pairs) == DUMP_PAIRS:
            cursor = held[0] + count
            self._dumps[slot] = (cursor, snapshot, pairs[count - 1][0])
        else:
            cursor = LAST_CURSOR
            self._dumps[slot] = (cursor, snapshot, b"")
            self._end_dump(slot)
        return messages.encode(messages.DUMP_RESULT, cursor, snapshot.level,
                               bytes(snapshot.birthday), bytes(snapshot.digest), rows)

    def _end_dump(self, slot):
        held = self._dumps.pop(slot, None)
        if held is not None:
            held[1].close()

    # ---- what others see

    def beat_values(self, now_ms):
        """The owner of the database is coherent by definition."""
        storage = self.storage
        return states.COHERENT, 100, storage.level, storage.birthday, storage.digest, 0

    def role_status(self):
        """The database's own figures."""
        storage = self.storage
        return {"database": {
            "state": "coherent", "level": storage.level, "birthday": storage.birthday.hex(),
            "digest": storage.digest.hex(), "records": storage.records, "load_percent": 100,
            "lag_levels": 0}}

    def location_value(self, key):
        """From the database itself."""
        try:
            return self.storage.get(key)
        except StorageError as error:
            raise ValueError(str(error))

    def all_counters(self):
        """The bus', the provisioning task's and the distribution task's counters."""
        counters = super().all_counters()
        for part, task in (("provisioning", self.provisioning),
                           ("distribution", self.distribution)):
            for name, value in task.counters.items():
                counters[part + "_" + name] = value
        return counters

    def pools(self):
        """The bus' bounded things and the queue of changes."""
        task = self.provisioning
        return super().pools() + [(
            "changes", task.pending(), task.queue_limit, task.counters["queue_high"],
            task.counters["busy"])]

    def close(self):
        """Close the door and the database."""
        if self.door is not None:
            self.door.close()
        for slot in list(self._dumps):
            self._end_dump(slot)
        self.distribution.close()
        self.storage.close()
        super().close()
