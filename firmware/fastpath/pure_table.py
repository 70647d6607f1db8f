"""The location table in Python: the twin of sf_table_*, octet for octet.

Layout: layout.py and sipfast.h. Every reference read from the region is checked before use, as in
C, so a corrupted region gives CORRUPT or NOT_FOUND, never an exception. Readers in other processes
are served by the C path only. Runs on both interpreters. Imports no I/O.
"""

import binascii
import struct

from firmware.fastpath import layout
from firmware.fastpath.layout import (
    AT_BUCKETS, AT_COUNT, AT_DIGEST, AT_DIRTY, AT_SEQUENCE, AT_SIZE, BAD_ARGUMENT, CORRUPT,
    GRANULE_SHIFT, HEADER_BYTES, MAX_KEY, MAX_SIZE, MAX_VALUE, NO_SPACE, NOT_FOUND, OK,
    RECORD_HEAD, REFERENCE_BITS, REFERENCE_MASK,
)
from firmware.fastpath.pure_heap import Heap
from firmware.fastpath.pure_siphash import bucket, record_digest, siphash_number

_MASK32 = 0xFFFFFFFF
_MASK64 = (1 << 64) - 1


def _slots_for(records):
    """Smallest power of two that keeps `records` at or below three quarters; 0 if too many."""
    slots = layout.MIN_SLOTS
    while slots - (slots >> 2) < records:
        if slots == layout.MAX_SLOTS:
            return 0
        slots <<= 1
    return slots


def table_size(records, heap_bytes):
    """Octets of a region for `records` records that take `heap_bytes` of heap; or BAD_ARGUMENT.

    A record takes 12 octets, its key and its value, rounded up to 16.
    """
    slots = _slots_for(records)
    if not slots or heap_bytes < 0 or heap_bytes > MAX_SIZE:
        return BAD_ARGUMENT
    size = HEADER_BYTES + 4 * slots + ((heap_bytes + 15) >> 4 << 4)
    return size if size <= MAX_SIZE else BAD_ARGUMENT


class Table(Heap):
    """One location table over `mem`; see region.Region and sipfast.h for the contract."""

    def init(self, records, seed16):
        """Make an empty table with an index for `records` records; the heap takes the rest.

        seed16: 16 octets, secret of this card: the SipHash key of the index.  Returns OK,
        BAD_ARGUMENT or NO_SPACE (the region cannot hold such an index).
        """
        slots = _slots_for(records)
        if not slots or len(seed16) != 16 or self.size > MAX_SIZE:
            return BAD_ARGUMENT
        heap = HEADER_BYTES + 4 * slots
        if self.size < heap:
            return NO_SPACE
        mem = self.mem
        blank = bytes(4096)
        for at in range(0, heap, 4096):
            end = at + 4096 if at + 4096 < heap else heap
            mem[at:end] = blank if end - at == 4096 else bytes(end - at)
        mem[0:4] = layout.MAGIC
        struct.pack_into("<HHI", mem, layout.AT_VERSION, layout.LAYOUT_VERSION, 0, self.size)
        mem[layout.AT_SEED:layout.AT_SEED + 16] = bytes(seed16)
        struct.pack_into("<III", mem, layout.AT_SLOTS, slots, heap, (self.size - heap) >> 4)
        return OK

    def attach(self):
        """Take up a region that was filled before (a mapped file).

        Returns OK, BAD_ARGUMENT (no table of this layout and size) or CORRUPT (torn: its writer
        died between begin() and end() or inside a write).
        """
        rc = self._geometry()
        if rc != OK:
            return rc
        if self._u32(AT_SEQUENCE) & 1 or struct.unpack_from("<H", self.mem, AT_DIRTY)[0]:
            return CORRUPT
        return OK

    def _geometry(self):
        """Check the fixed fields and set the working copies of them."""
        mem = self.mem
        if self.size < HEADER_BYTES or bytes(mem[0:4]) != layout.MAGIC:
            return BAD_ARGUMENT
        version = struct.unpack_from("<H", mem, layout.AT_VERSION)[0]
        if version != layout.LAYOUT_VERSION or self._u32(AT_SIZE) != self.size:
            return BAD_ARGUMENT
        slots, heap, granules = struct.unpack_from("<III", mem, layout.AT_SLOTS)
        if slots < layout.MIN_SLOTS or slots > layout.MAX_SLOTS or slots & (slots - 1):
            return BAD_ARGUMENT
        if heap != HEADER_BYTES + 4 * slots or heap > self.size:
            return BAD_ARGUMENT
        if granules != (self.size - heap) >> 4:
            return BAD_ARGUMENT
        self._slots, self._heap, self._granules = slots, heap, granules
        return OK

    def _hash(self, key):
        """(low 32 bits, fingerprint) of the key's hash under the table's seed."""
        seed = bytes(self.mem[layout.AT_SEED:layout.AT_SEED + 16])
        number = siphash_number(seed, key)
        return number & _MASK32, number >> 59 << REFERENCE_BITS

    def _search(self, key):
        """(slot, record offset) of the key, or (free slot, 0); slot -1 if there is no free one."""
        low, fingerprint = self._hash(key)
        mask = self._slots - 1
        slot = low & mask
        for _ in range(self._slots):
            entry = self._u32(HEADER_BYTES + 4 * slot)
            if entry == 0:
                return slot, 0
            if entry & ~REFERENCE_MASK == fingerprint:
                at = self._record(entry)
                klen = len(key)
                if at and struct.unpack_from("<H", self.mem, at + 8)[0] == klen:
                    if self.mem[at + RECORD_HEAD:at + RECORD_HEAD + klen] == key:
                        return slot, at
            slot = (slot + 1) & mask
        return -1, 0

    def find(self, key):
        """Look up `key` (bytes, 1..1024 octets): OK with .offset and .length, or NOT_FOUND."""
        if not 0 < len(key) <= MAX_KEY or self._geometry() != OK:
            return BAD_ARGUMENT
        at = self._search(key)[1]
        if not at:
            return NOT_FOUND
        self.offset = at + RECORD_HEAD + len(key)
        self.length = struct.unpack_from("<H", self.mem, at + 10)[0]
        return OK

    def get(self, key):
        """The value of `key` as bytes, or None.

        Raises OSError where another process has been writing all the while (C path only).
        """
        if self.find(key) != OK:
            return None
        return bytes(self.mem[self.offset:self.offset + self.length])

    def put(self, key, value):
        """Insert or replace one record.

        key: bytes, 1..1024.  value: bytes, 0..65534.  Returns OK, NO_SPACE (index three quarters
        full or heap exhausted: nothing changed), BAD_ARGUMENT or CORRUPT.
        """
        if not 0 < len(key) <= MAX_KEY or len(value) > MAX_VALUE or self._geometry() != OK:
            return BAD_ARGUMENT
        self._bump_sequence()
        rc = self._put(bytes(key), bytes(value))
        self._bump_sequence()
        return rc

    def _put(self, key, value):
        slot, old = self._search(key)
        if slot < 0:
            return CORRUPT
        count = self._u32(AT_COUNT)
        if not old and count >= self._slots - (self._slots >> 2):
            return NO_SPACE
        granules = self._block_granules(RECORD_HEAD + len(key) + len(value))
        held = self._held_granules(old) if old else 0
        if old and held == granules:
            self._count_digest(old, -1)
            at = old
        else:
            at = self._take(granules)
            if at <= 0:
                return at
            if old:
                self._count_digest(old, -1)
                self._give(old, held)
        low, fingerprint = self._hash(key)
        self._write_record(at, low, key, value)
        reference = ((at - self._heap) >> GRANULE_SHIFT) + 1
        self._set32(HEADER_BYTES + 4 * slot, fingerprint | reference)
        self._count_digest(at, 1)
        if not old:
            self._set32(AT_COUNT, count + 1)
        return OK

    def _write_record(self, at, low, key, value):
        """Record with CRC at offset `at`; the rest of its last granule is zeroed."""
        length = RECORD_HEAD + len(key) + len(value)
        body = struct.pack("<IHH", low, len(key), len(value)) + key + value
        crc = struct.pack("<I", binascii.crc32(body))
        self.mem[at:at + ((length + 15) >> 4 << 4)] = crc + body + bytes(-length & 15)

    def _count_digest(self, at, sign):
        """Add (sign 1) or take away (sign -1) the record at `at` from the digest sums."""
        mem = self.mem
        klen, vlen = struct.unpack_from("<HH", mem, at + 8)
        start = at + RECORD_HEAD
        key = bytes(mem[start:start + klen])
        term = record_digest(key, bytes(mem[start + klen:start + klen + vlen]))
        for place in (AT_DIGEST, AT_BUCKETS + 8 * bucket(key)):
            number = struct.unpack_from("<Q", mem, place)[0]
            struct.pack_into("<Q", mem, place, (number + sign * term) & _MASK64)

    def remove(self, key):
        """Remove one record: OK, NOT_FOUND, BAD_ARGUMENT or CORRUPT."""
        if not 0 < len(key) <= MAX_KEY or self._geometry() != OK:
            return BAD_ARGUMENT
        self._bump_sequence()
        rc = self._remove(bytes(key))
        self._bump_sequence()
        return rc

    def _remove(self, key):
        slot, at = self._search(key)
        count = self._u32(AT_COUNT)
        if not at:
            return NOT_FOUND
        if count == 0:
            return CORRUPT
        self._count_digest(at, -1)
        self._give(at, self._held_granules(at))
        self._close_gap(slot)
        self._set32(AT_COUNT, count - 1)
        return OK

    def _close_gap(self, hole):
        """Backward shift: move later entries of the run into the hole, so no tombstone stays."""
        mask = self._slots - 1
        slot = hole
        for _ in range(self._slots):
            slot = (slot + 1) & mask
            entry = self._u32(HEADER_BYTES + 4 * slot)
            if entry == 0:
                break
            at = self._record(entry)
            home = self._u32(at + 4) & mask if at else slot
            if (slot - home) & mask >= (slot - hole) & mask:
                self._set32(HEADER_BYTES + 4 * hole, entry)
                hole = slot
        self._set32(HEADER_BYTES + 4 * hole, 0)

    def apply(self, rows, start, end, count):
        """Apply `count` rows `klen u16 | vlen u16 | key | value` of rows[start:end], in order.

        Big-endian as on the bus; vlen 0xFFFF removes.  The framing is checked before anything
        changes: BAD_ARGUMENT.  Returns count, or the code of the row that failed (rows before it
        stay applied; applying all of them again later is harmless).
        """
        if self._geometry() != OK or not _rows_fit(rows, start, end, count):
            return BAD_ARGUMENT
        at = start
        for _ in range(count):
            klen, vlen = struct.unpack_from(">HH", rows, at)
            at += layout.ROW_HEAD
            key = bytes(rows[at:at + klen])
            at += klen
            if vlen == layout.ROW_REMOVED:
                rc = self.remove(key)
            else:
                rc = self.put(key, rows[at:at + vlen])
                at += vlen
            if rc != OK and rc != NOT_FOUND:
                return rc
        return count

    def next(self, cursor):
        """The record at the first used slot >= cursor: its spans, and the cursor to go on with.

        Start at 0; NOT_FOUND at the end.  Writing between the calls may show a record twice or
        not at all.  CORRUPT for a slot that points outside the heap.
        """
        if self._geometry() != OK:
            return BAD_ARGUMENT
        for slot in range(cursor if cursor > 0 else 0, self._slots):
            entry = self._u32(HEADER_BYTES + 4 * slot)
            if entry:
                at = self._record(entry)
                if not at:
                    return CORRUPT
                klen, self.length = struct.unpack_from("<HH", self.mem, at + 8)
                self.key_offset = at + RECORD_HEAD
                self.key_length = klen
                self.offset = self.key_offset + klen
                return slot + 1
        return NOT_FOUND

    def audit(self, cursor, count):
        """Check the records of `count` slots from `cursor` (CRC, spans, place in the index).

        Returns the cursor to go on with, 0 after the last slot; CORRUPT at the first bad record.
        """
        if self._geometry() != OK or cursor < 0 or cursor >= self._slots:
            return BAD_ARGUMENT
        stop = cursor + count
        if stop > self._slots:
            stop = self._slots
        for slot in range(cursor, stop):
            entry = self._u32(HEADER_BYTES + 4 * slot)
            if entry and not self._sound(entry):
                return CORRUPT
        return stop if stop < self._slots else 0

    def _sound(self, entry):
        """True if the record of an index entry is whole and is the one the entry means."""
        at = self._record(entry)
        if not at:
            return False
        mem = self.mem
        crc, low, klen, vlen = struct.unpack_from("<IIHH", mem, at)
        start = at + RECORD_HEAD
        if binascii.crc32(mem[at + 4:start + klen + vlen]) != crc:
            return False
        key = bytes(mem[start:start + klen])
        return self._hash(key) == (low, entry & ~REFERENCE_MASK)

    def copy_to(self, other, cursor, count):
        """Put the records of `count` slots from `cursor` into the table `other`.

        Returns the cursor to go on with, 0 after the last slot, or the code of the failed put.
        """
        if self._geometry() != OK or cursor < 0 or cursor >= self._slots:
            return BAD_ARGUMENT
        stop = min(cursor + count, self._slots)
        mem = self.mem
        for slot in range(cursor, stop):
            entry = self._u32(HEADER_BYTES + 4 * slot)
            if not entry:
                continue
            at = self._record(entry)
            if not at:
                return CORRUPT
            klen, vlen = struct.unpack_from("<HH", mem, at + 8)
            start = at + RECORD_HEAD + klen
            rc = other.put(bytes(mem[at + RECORD_HEAD:start]), bytes(mem[start:start + vlen]))
            if rc != OK:
                return rc
        return stop if stop < self._slots else 0


def _rows_fit(rows, start, end, count):
    """True if rows[start:end] is exactly `count` well-formed rows."""
    if not 0 <= start <= end <= len(rows):
        return False
    at = start
    for _ in range(count):
        if end - at < layout.ROW_HEAD:
            return False
        klen, vlen = struct.unpack_from(">HH", rows, at)
        need = layout.ROW_HEAD + klen + (0 if vlen == layout.ROW_REMOVED else vlen)
        if not 0 < klen <= MAX_KEY or need > end - at:
            return False
        at += need
    return at == end
