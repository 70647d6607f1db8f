"""The tuple table on both switch cards: the primary tells each change, the secondary follows.

A TUPLES message carries rows of 31 octets, big-endian:

    op 1 | key 13 | slot 1 | MAC 6 | age s 4 | idle s 2 | octets 4

PUT sets an entry, REMOVE takes it out. BEGIN opens a whole table: entries not put again before
END are stale and go. END and VERIFY carry the sender's digest of the whole table in the first 8
octets of the key; a receiver whose digest differs is no longer whole, says so in its heartbeat
(`load_percent` 0) and is sent the whole table again. Both are sent only after every change.

Imports no I/O. Runs on both interpreters.
"""

import struct

from bus import messages
from bus.compat import const, ticks_add, ticks_diff
from firmware.switching.tuples import KEY_BYTES

ROW_BYTES = const(31)
ROWS_PER_MESSAGE = const(40)
BATCH_MS = const(20)
VERIFY_MS = const(1000)
REFRESH_MS = const(30000)
REPEAT_MS = const(500)
HIGHEST_SLOT = const(30)

PUT = const(1)
REMOVE = const(2)
BEGIN = const(3)
END = const(4)
VERIFY = const(5)

_ROW = ">B13sB6sIHI"


def encode_row(op, key, slot=0, mac=b"\0\0\0\0\0\0", age_s=0, idle_s=0, octets=0):
    """One row; age and octets stop at their top values."""
    return struct.pack(_ROW, op, key, slot, mac, min(age_s, 0xFFFFFFFF), min(idle_s, 0xFFFF),
                       min(octets, 0xFFFFFFFF))


def digest_key(digest):
    """A table digest in the place of a key."""
    return digest.to_bytes(8, "big") + b"\0\0\0\0\0"


class TableSender:
    """The primary's side: is the table's journal, gives TUPLES messages.

    Idle while stopped (no mate): nothing is remembered then, the mate gets the whole table when
    it comes. Pending changes are kept by key, bounded by the table's own limit; beyond that the
    whole table is sent instead (counter `overflow`).  `running`: between start and stop.
    """

    def __init__(self, table):
        self.counters = {"messages": 0, "rows": 0, "whole": 0, "overflow": 0}
        self._table = table
        self.running = False
        self._changed = {}
        self._batch = []
        self._since_ms = None
        self._whole = []
        self._begin = False
        self._end = False
        self._verify_ms = 0
        self._repeat_ms = None

    def start(self, now_ms):
        """The mate is there and lacks the table. Sends the whole table, at most each 500 ms."""
        if self._end:
            return
        if self._repeat_ms is not None and ticks_diff(now_ms, self._repeat_ms) < 0:
            return
        self.running = True
        self._table.journal = self
        self._verify_ms = ticks_add(now_ms, VERIFY_MS)
        self._restart()

    def stop(self):
        """The mate has gone, or this card is no longer primary."""
        self.running = False
        self._table.journal = None
        self._changed = {}
        self._batch = []
        self._since_ms = None
        self._whole = []
        self._repeat_ms = None
        self._begin = self._end = False

    def note(self, key):
        """The table's journal: `key` was added, changed or removed."""
        self._changed[key] = True
        if len(self._changed) > self._table.limit * 2:
            self.counters["overflow"] += 1
            self._restart()

    def used(self, entry, now_ms):
        """`entry` was used: tell the mate now and then, so that its times stay near the truth."""
        if self.running and ticks_diff(now_ms, entry.told_ms) >= REFRESH_MS:
            self.note(entry.key)

    def next_message(self, now_ms):
        """The next TUPLES message as bytes, or None while nothing is due.

        Call again until None while the stream has room.
        """
        if not self.running:
            return None
        if self._repeat_ms is not None and ticks_diff(now_ms, self._repeat_ms) >= 0:
            self._repeat_ms = None
        if self._changed and self._since_ms is None:
            self._since_ms = now_ms
        if not self._due(now_ms):
            return None
        rows = []
        if self._begin:
            self._begin = False
            rows.append(encode_row(BEGIN, bytes(KEY_BYTES)))
        self._take_changes(rows, now_ms)
        self._take_whole(rows, now_ms)
        if not self._changed and not self._batch:
            self._since_ms = None
            self._conclude(rows, now_ms)
        self.counters["messages"] += 1
        self.counters["rows"] += len(rows)
        return messages.encode(messages.TUPLES, len(rows), b"".join(rows))

    def next_deadline_ms(self):
        """When a message may become due; None while stopped."""
        if not self.running:
            return None
        if self._since_ms is not None:
            return ticks_add(self._since_ms, BATCH_MS)
        return self._verify_ms

    def _restart(self):
        """Begin a whole table, the least recently used entry first."""
        self._changed = {}
        self._batch = []
        self._since_ms = None
        self._whole = [entry.key for entry in self._table.newest_first()]
        self._begin = self._end = True
        self.counters["whole"] += 1

    def _due(self, now_ms):
        if self._end or self._batch or len(self._changed) >= ROWS_PER_MESSAGE:
            return True
        if self._changed:
            return ticks_diff(now_ms, self._since_ms) >= BATCH_MS
        return ticks_diff(now_ms, self._verify_ms) >= 0

    def _take_changes(self, rows, now_ms):
        if not self._batch:
            self._batch = list(self._changed)
            self._changed = {}
        while self._batch and len(rows) < ROWS_PER_MESSAGE:
            rows.append(self._row(self._batch.pop(), now_ms))

    def _take_whole(self, rows, now_ms):
        while self._whole and len(rows) < ROWS_PER_MESSAGE:
            rows.append(self._row(self._whole.pop(), now_ms))

    def _conclude(self, rows, now_ms):
        """All changes are told: close the whole table, or let the mate verify now and then."""
        if self._end:
            if self._whole:
                return
            self._end = False
            self._repeat_ms = ticks_add(now_ms, REPEAT_MS)
            rows.append(encode_row(END, digest_key(self._table.digest)))
        elif ticks_diff(now_ms, self._verify_ms) >= 0:
            rows.append(encode_row(VERIFY, digest_key(self._table.digest)))
        else:
            return
        self._verify_ms = ticks_add(now_ms, VERIFY_MS)

    def _row(self, key, now_ms):
        entry = self._table.find(key)
        if entry is None:
            return encode_row(REMOVE, key)
        entry.told_ms = now_ms
        return encode_row(PUT, key, entry.slot, entry.mac, entry.age_s(now_ms),
                          entry.idle_s(now_ms), entry.octets)


class TableReceiver:
    """The secondary's side: applies TUPLES rows to its own table.

    whole: True from an END whose digest agreed until something was lost.
    """

    def __init__(self, table):
        self.whole = False
        self.counters = {"rows": 0, "malformed": 0, "differs": 0}
        self._table = table
        self._generation = 0
        self._begun = False

    def lost(self):
        """The stream broke or another card sends now: a whole table is needed."""
        self.whole = False
        self._begun = False

    def receive(self, payload, now_ms):
        """Apply one TUPLES message; a malformed one is counted and changes nothing."""
        message = messages.decode(payload, 0, len(payload))
        if (message is None or message[0] != messages.TUPLES
                or len(message[2]) != message[1] * ROW_BYTES):
            self.counters["malformed"] += 1
            return
        rows = message[2]
        for at in range(0, len(rows), ROW_BYTES):
            self._apply(struct.unpack(_ROW, rows[at:at + ROW_BYTES]), now_ms)
            self.counters["rows"] += 1

    def _apply(self, row, now_ms):
        op, key, slot, mac, age_s, idle_s, octets = row
        if op == PUT and slot <= HIGHEST_SLOT:
            self._put(key, slot, mac, now_ms).restore(age_s, idle_s, octets, now_ms)
        elif op == REMOVE:
            entry = self._table.find(key)
            if entry is not None:
                self._table.remove(entry)
        elif op == BEGIN:
            self._begun = True
            self._generation += 1
        elif op == END or op == VERIFY:
            self._verify(op, key)
        else:
            self.counters["malformed"] += 1

    def _put(self, key, slot, mac, now_ms):
        entry = self._table.find(key)
        if entry is None:
            entry = self._table.add(key, slot, now_ms)
        else:
            self._table.touch(entry, 0, now_ms)
            self._table.move(entry, slot)
        entry.mac = mac
        entry.generation = self._generation
        return entry

    def _verify(self, op, key):
        if op == END and self._begun:
            stale = [entry for entry in self._table.oldest_first()
                     if entry.generation != self._generation]
            for entry in stale:
                self._table.remove(entry)
            self._begun = False
            self.whole = True
        if self.whole and int.from_bytes(key[:8], "big") != self._table.digest:
            self.counters["differs"] += 1
            self.whole = False
