"""The location store of a card: one table of records at a level, growing, and its reloads.

All records live in the fast path's table; no dict holds keys. The store asks `allocate` for memory
and nothing else of the outside. Runs on both interpreters. Imports no I/O.
"""

import struct

from bus.compat import const
from firmware import fastpath

# Heap octets planned per record: head, key and one contact of usual length (measured mean ~90).
RECORD_BYTES = const(112)
MIN_RECORDS = const(16)
MAX_RECORDS = const(1 << 24)
_COPY_SLOTS = const(1 << 16)


class StoreFull(Exception):
    """`allocate` refused the memory that the records need, or the largest table is too small."""


class LocationStore:
    """Records by key, the level and birthday they belong to, and their digest.

    allocate: function (size in octets) -> bytearray or mmap of that size, 4-aligned; it refuses by
    returning None or raising MemoryError or OSError.  records: how many to make room for at
    first.  seed: 16 octets, secret of this card, against crafted collisions.
    memory: the memory in use; it changes when the store has grown or was replaced, so a caller
    who keeps it in a file compares it after each writing call.
    """

    def __init__(self, allocate, records=1024, seed=bytes(16)):
        self._allocate = allocate
        self._seed = bytes(seed)
        self._next = None  # the table a reload builds
        self._next_records = 0
        self._next_level = 0
        self._audit_cursor = 0
        self.audits = 0  # whole passes of audit_step
        self._records = max(MIN_RECORDS, min(records, MAX_RECORDS))
        self.table = self._new_table(self._records)

    def _new_table(self, records):
        """An empty table for `records`, or StoreFull."""
        size = fastpath.table_size(records, records * RECORD_BYTES)
        if size < 0:
            raise StoreFull("no table can hold {} records".format(records))
        try:
            memory = self._allocate(size)
        except (MemoryError, OSError) as error:
            raise StoreFull("no memory for {} records: {}".format(records, error))
        if memory is None:
            raise StoreFull("no memory for {} records".format(records))
        table = fastpath.Table(memory)
        rc = table.init(records, self._seed)
        if rc != fastpath.OK:
            raise StoreFull("the table could not be made: code {}".format(rc))
        return table

    def _grown(self, table, records):
        """(a copy of `table` in a new one, as dirty as it is; the records it was made for).

        The new one has twice the room, or the same where half of it is lost between the blocks:
        copying closes the gaps.
        """
        if 2 * table.lost() < table.heap_bytes() or 2 * table.count() > records:
            records *= 2
        while True:
            larger = self._new_table(records)
            larger.begin()
            cursor = table.copy_to(larger, 0, _COPY_SLOTS)
            while cursor > 0:
                cursor = table.copy_to(larger, cursor, _COPY_SLOTS)
            if cursor == 0:
                break
            if cursor != fastpath.NO_SPACE:
                raise OSError(5, "location table: code {} while growing".format(cursor))
            records *= 2
        larger.set_level(table.get_level())
        larger.set_birthday(table.get_birthday())
        if not table.is_dirty():
            larger.end()
        return larger, records

    def _write(self, call, *arguments):
        """Do a writing call of the table in use, growing it as often as it says NO_SPACE."""
        rc = call(self.table, *arguments)
        while rc == fastpath.NO_SPACE:
            larger, self._records = self._grown(self.table, self._records)
            self._use(larger)
            rc = call(self.table, *arguments)
        return rc

    def _use(self, table):
        self.table = table
        self._audit_cursor = 0

    def attach(self, memory):
        """Take up a table filled by an earlier life (a mapped file): OK, BAD_ARGUMENT or CORRUPT.

        CORRUPT: its writer died within a change; nothing is taken up then.  The records are not
        read here: audit them before they are trusted.
        """
        table = fastpath.Table(memory)
        rc = table.attach()
        if rc == fastpath.OK:
            self._use(table)
            slots = table.slots()
            self._records = max(slots - slots // 4, table.heap_bytes() // RECORD_BYTES)
        else:
            table.close()
        return rc

    @property
    def memory(self):
        """The memory of the table in use."""
        return self.table.mem

    @property
    def level(self):
        """Database level of the content."""
        return self.table.get_level()

    @property
    def birthday(self):
        """Birthday of the database: 8 octets, zero when nothing was ever loaded."""
        return self.table.get_birthday()

    def set_identity(self, birthday, level):
        """Name the database and level the content belongs to (a new, empty database)."""
        self.table.begin()
        self.table.set_birthday(birthday)
        self.table.set_level(level)
        self.table.end()

    def __len__(self):
        return self.table.count()

    def get(self, key):
        """Value of `key` (bytes) as bytes, or None."""
        return self.table.get(key)

    def find(self, key):
        """OK, with the value's span in `memory` at table.offset and table.length; or NOT_FOUND."""
        return self.table.find(key)

    def put(self, key, value):
        """Insert or replace one record at the present level: OK or a negative code."""
        return self._write(_put, key, value)

    def remove(self, key):
        """Remove one record at the present level: OK, NOT_FOUND or another negative code."""
        return self.table.remove(key)

    def apply(self, first_level, rows, start, end, count):
        """Apply the rows of the levels first_level, first_level + 1, ... and take up the last.

        rows[start:end]: exactly `count` rows (fastpath's row form), one a level.  Rows of levels
        the store has already are passed over, because results must not be applied out of order.
        Returns how many rows were applied, or a negative code: BAD_ARGUMENT, with nothing
        changed, for a gap before first_level or rows that do not fill the span; another code
        leaves the region dirty.  Raises StoreFull.
        """
        known = self.level
        if first_level > known + 1 or not 0 <= start <= end <= len(rows):
            return fastpath.BAD_ARGUMENT
        skip = min(known + 1 - first_level, count)
        start = skip_rows(rows, start, end, skip)
        count -= skip
        if start < 0:
            return fastpath.BAD_ARGUMENT
        if not count:
            return 0 if start == end else fastpath.BAD_ARGUMENT
        self.table.begin()
        rc = self._write(_apply, rows, start, end, count)
        if rc == count:
            self.table.set_level(known + count)
            self.table.end()
        elif rc == fastpath.BAD_ARGUMENT:
            self.table.end()
        return rc

    def digest(self):
        """Digest of the content: 8 octets, equal on all cards that hold the same records."""
        return self.table.digest()

    def bucket_digest(self, bucket):
        """Digest of the keys in `bucket` (0..255, fastpath.bucket of a key): 8 octets."""
        return self.table.bucket_digest(bucket)

    def rows(self, cursor, octets):
        """Rows of the records from `cursor` on, up to `octets`: (next cursor, rows, count).

        Start at 0; the next cursor is 0 after the last record.  At least one row is given while
        there is one.  The order is the index's: sort by key where order matters.
        """
        table = self.table
        memory = table.mem
        parts = []
        count = total = 0
        following = table.next(cursor)
        while following > 0:
            key = bytes(memory[table.key_offset:table.key_offset + table.key_length])
            need = 4 + table.key_length + table.length
            if count and total + need > octets:
                return cursor, b"".join(parts), count
            parts.append(struct.pack(">HH", table.key_length, table.length))
            parts.append(key)
            parts.append(bytes(memory[table.offset:table.offset + table.length]))
            total += need
            count += 1
            cursor = following
            following = table.next(cursor)
        if following == fastpath.CORRUPT:
            raise OSError(5, "location table: a reference is corrupt")
        return 0, b"".join(parts), count

    def audit_step(self, slots):
        """Check the records in the next `slots` slots of the index; False if one is corrupt."""
        cursor = self.table.audit(self._audit_cursor, slots)
        if cursor < 0:
            self._audit_cursor = 0
            return False
        self._audit_cursor = cursor
        self.audits += cursor == 0
        return True

    def replace_begin(self, birthday, level, records):
        """Begin a reload into a second table; the first goes on serving.

        records: how many are to come, a hint.  Raises StoreFull.
        """
        self.replace_abort()
        self._next_records = max(MIN_RECORDS, min(records + records // 8, MAX_RECORDS))
        table = self._new_table(self._next_records)
        table.begin()
        table.set_birthday(birthday)
        self._next_level = level
        self._next = table

    def replace_rows(self, rows, count):
        """Add `count` rows (bytes) to the second table: count, or a negative code; StoreFull."""
        if self._next is None:
            return fastpath.BAD_ARGUMENT
        rc = self._next.apply(rows, 0, len(rows), count)
        while rc == fastpath.NO_SPACE:
            self._next, self._next_records = self._grown(self._next, self._next_records)
            rc = self._next.apply(rows, 0, len(rows), count)
        return rc

    def replace_commit(self, digest):
        """Serve from the second table if its digest is `digest` (8 octets); else drop it."""
        table = self._next
        self._next = None
        if table is None or table.digest() != bytes(digest):
            return False
        table.set_level(self._next_level)
        table.end()
        self._records = self._next_records
        self._use(table)
        return True

    def replace_abort(self):
        """Drop the second table."""
        self._next = None


def _put(table, key, value):
    return table.put(key, value)


def _apply(table, rows, start, end, count):
    return table.apply(rows, start, end, count)


def skip_rows(rows, start, end, count):
    """Offset behind the first `count` rows of rows[start:end]; -1 if there are not so many."""
    at = start
    for _ in range(count):
        if end - at < fastpath.ROW_HEAD:
            return -1
        key_length, value_length = struct.unpack_from(">HH", rows, at)
        at += fastpath.ROW_HEAD + key_length
        if value_length != fastpath.ROW_REMOVED:
            at += value_length
        if at > end:
            return -1
    return at
