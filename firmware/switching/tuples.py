"""The connection tuple table: which card serves which connection.

The key is 13 octets: destination IPv4 4 | source IPv4 4 | destination port 2 | source port 2 |
IP protocol 1, as a datagram on its way to the VIP shows them. The value names the card: its slot
and the MAC of its node. Entries stand in order of last use, so that eviction and the idle time-out
take from one end; a doubly linked list, because MicroPython's dict keeps no order.

Imports no I/O. Runs on both interpreters. Bounded: keep `limit` below 20,000 on MicroPython, whose
hashes of bytes are 16 bits wide.
"""

import hashlib

from bus.compat import const, ticks_add, ticks_diff

KEY_BYTES = const(13)
UDP = const(17)
MASK_64 = (1 << 64) - 1


def flow_key(destination_ip, destination_port, source_ip, source_port, protocol):
    """The key of one connection; IPs as four octets, ports 0..65535."""
    return destination_ip + source_ip + bytes((
        destination_port >> 8, destination_port & 0xFF, source_port >> 8, source_port & 0xFF,
        protocol))


def node_mac(slot):
    """The MAC of the node in `slot`: locally administered, 02:00:00:00:00:SLOT."""
    return bytes((2, 0, 0, 0, 0, slot))


def entry_hash(key, slot):
    """The share of one entry in the table's digest: 64 bits of SHA-256(key | slot)."""
    return int.from_bytes(hashlib.sha256(key + bytes((slot,))).digest()[:8], "big")


class Connection:
    """One entry. `asked_ms` is when the last unanswered request came in, or None."""

    def __init__(self, key, slot, now_ms):
        self.key = key
        self.slot = slot
        self.mac = node_mac(slot)
        self.seen_ms = now_ms
        self.octets = 0
        self.asked_ms = None
        self.told_ms = now_ms
        self.generation = 0
        self.older = self
        self.newer = self
        self._age_ms = 0

    def use(self, octets, now_ms):
        """Count one datagram of `octets` octets at now_ms."""
        self._age_ms += max(0, ticks_diff(now_ms, self.seen_ms))
        self.seen_ms = now_ms
        self.octets += octets

    def age_s(self, now_ms):
        """Seconds since the first datagram; summed up use by use, so that ticks may wrap."""
        return (self._age_ms + max(0, ticks_diff(now_ms, self.seen_ms))) // 1000

    def idle_s(self, now_ms):
        """Seconds since the last datagram."""
        return max(0, ticks_diff(now_ms, self.seen_ms)) // 1000

    def restore(self, age_s, idle_s, octets, now_ms):
        """Take over age, idle time and octets as the mate tells them."""
        idle_s = min(idle_s, age_s)
        self.seen_ms = ticks_add(now_ms, -idle_s * 1000)
        self._age_ms = (age_s - idle_s) * 1000
        self.octets = octets


class TupleTable:
    """Connections by key, least recently used first, bounded.

    limit: 1.. entries; when full the least recently used entry makes room (counter `evicted`).
    idle_ms: an entry unused for so long is removed by `expire`.  `journal`: None, or an object
    whose `note(key)` is told of every key that changed (replication).
    """

    def __init__(self, limit=4096, idle_ms=300000):
        self.limit = limit
        self.idle_ms = idle_ms
        self.journal = None
        self.digest = 0
        self.counters = {"added": 0, "evicted": 0, "expired": 0, "moved": 0, "high_water": 0}
        self._entries = {}
        self._active = {}
        # the sentinel: its `newer` is the oldest entry, its `older` the newest
        self._ends = Connection(b"", 0, 0)

    def __len__(self):
        return len(self._entries)

    def find(self, key):
        """The Connection under `key`, or None."""
        return self._entries.get(key)

    def active(self, slot):
        """Number of connections that `slot` serves."""
        return self._active.get(slot, 0)

    def oldest_first(self):
        """All connections in order of last use. Change nothing while walking."""
        entry = self._ends.newer
        while entry is not self._ends:
            yield entry
            entry = entry.newer

    def newest_first(self):
        """All connections, the last used one first. Change nothing while walking."""
        entry = self._ends.older
        while entry is not self._ends:
            yield entry
            entry = entry.older

    def add(self, key, slot, now_ms):
        """A new Connection of `key` to `slot`; `key` must not be in the table."""
        if len(self._entries) >= self.limit:
            self.counters["evicted"] += 1
            self.remove(self._ends.newer)
        entry = Connection(key, slot, now_ms)
        self._entries[key] = entry
        self._append(entry)
        self._count(entry, 1)
        self.counters["added"] += 1
        if len(self._entries) > self.counters["high_water"]:
            self.counters["high_water"] = len(self._entries)
        self._note(key)
        return entry

    def touch(self, entry, octets, now_ms):
        """Count one datagram and make `entry` the most recently used."""
        entry.use(octets, now_ms)
        if self._ends.older is not entry:
            self._unlink(entry)
            self._append(entry)

    def move(self, entry, slot):
        """Give `entry` to another slot."""
        if entry.slot == slot:
            return
        self._count(entry, -1)
        entry.slot = slot
        entry.mac = node_mac(slot)
        entry.asked_ms = None
        self._count(entry, 1)
        self.counters["moved"] += 1
        self._note(entry.key)

    def remove(self, entry):
        """Take `entry` out."""
        del self._entries[entry.key]
        self._unlink(entry)
        self._count(entry, -1)
        self._note(entry.key)

    def expire(self, now_ms, count=64):
        """Remove at most `count` idle entries; returns how many there were."""
        removed = 0
        while removed < count and len(self._entries):
            entry = self._ends.newer
            if ticks_diff(now_ms, entry.seen_ms) < self.idle_ms:
                break
            self.remove(entry)
            removed += 1
        self.counters["expired"] += removed
        return removed

    def next_deadline_ms(self):
        """When the oldest entry will have been idle for too long; None for an empty table."""
        if not len(self._entries):
            return None
        return ticks_add(self._ends.newer.seen_ms, self.idle_ms)

    def _append(self, entry):
        last = self._ends.older
        entry.older = last
        entry.newer = self._ends
        last.newer = entry
        self._ends.older = entry

    def _unlink(self, entry):
        entry.older.newer = entry.newer
        entry.newer.older = entry.older

    def _count(self, entry, step):
        self._active[entry.slot] = self._active.get(entry.slot, 0) + step
        self.digest = (self.digest + step * entry_hash(entry.key, entry.slot)) & MASK_64

    def _note(self, key):
        if self.journal is not None:
            self.journal.note(key)
