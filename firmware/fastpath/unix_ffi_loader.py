"""The C fast path on MicroPython's unix port through its `ffi` module.

Objects with the buffer protocol pass as pointers. The unix port only. Opens the library, no other
I/O. sipfast.h is the manual.
"""

from array import array

import ffi

from firmware.fastpath import layout
from firmware.fastpath.layout import BAD_ARGUMENT, BUSY
from firmware.fastpath.region import Region

_lib = {}
_FUNCTIONS = (
    ("sf_siphash", "PPIIP"), ("sf_bucket", "PI"), ("sf_scan", "PIPI"), ("sf_table_size", "II"),
    ("sf_table_init", "PIIP"), ("sf_table_attach", "PI"), ("sf_table_put", "PIPIPI"),
    ("sf_table_remove", "PIPI"), ("sf_table_find", "PIPIP"), ("sf_table_get", "PIPIPI"),
    ("sf_table_apply", "PIPIII"), ("sf_table_next", "PIIP"), ("sf_table_audit", "PIII"),
    ("sf_table_copy", "PIPIII"),
)
_UNSIGNED = 0xFFFFFFFF


def open_library(path):
    """Open the library at `path`; raises OSError if it is none of ours."""
    if _lib:
        return
    library = ffi.open(path)
    for name, arguments in _FUNCTIONS:
        _lib[name] = library.func("i", name, arguments)


def siphash(key16, buf, start, end):
    """SipHash-2-4 of buf[start:end] under `key16`: 8 octets; ValueError for a wrong argument."""
    if len(key16) != 16 or not 0 <= start <= end <= len(buf):
        raise ValueError("siphash: key of 16 octets and a span inside the buffer")
    out = bytearray(8)
    _lib["sf_siphash"](key16, buf, start, end, out)
    return bytes(out)


def bucket(key):
    """Bucket 0..255 of a key in the database digest."""
    return _lib["sf_bucket"](key, len(key))


def table_size(records, heap_bytes):
    """Octets of a region for `records` records in `heap_bytes` of heap; or BAD_ARGUMENT."""
    if not (0 <= records <= _UNSIGNED and 0 <= heap_bytes <= _UNSIGNED):
        return BAD_ARGUMENT
    return _lib["sf_table_size"](records, heap_bytes)


class Scanner:
    """As pure_scan.Scanner."""

    def __init__(self, max_headers=64):
        if not 1 <= max_headers <= 1000:
            raise ValueError("max_headers out of range: {}".format(max_headers))
        self._items = layout.HEAD_ITEMS + max_headers * layout.HEADER_ITEMS
        self.spans = array("H", bytes(2 * self._items))
        self._call = _lib["sf_scan"]

    def scan(self, buf, n):
        """Scan the message at buf[:n]; see pure_scan.Scanner.scan."""
        if not 0 <= n <= len(buf):
            return BAD_ARGUMENT
        return self._call(buf, n, self.spans, self._items)


class Table(Region):
    """As pure_table.Table, over a bytearray."""

    def __init__(self, mem):
        super().__init__(mem)
        self._spans = array("I", bytes(16))
        self._out = bytearray(layout.MAX_VALUE)
        self._value = memoryview(self._out)
        self._get = _lib["sf_table_get"]
        self._find = _lib["sf_table_find"]

    def init(self, records, seed16):
        """Make an empty table; see pure_table.Table.init."""
        if not 0 <= records <= _UNSIGNED or len(seed16) != 16 or self.size > layout.MAX_SIZE:
            return BAD_ARGUMENT
        return _lib["sf_table_init"](self.mem, self.size, records, seed16)

    def attach(self):
        """Take up a region that was filled before; see pure_table.Table.attach."""
        if self.size > layout.MAX_SIZE:
            return BAD_ARGUMENT
        return _lib["sf_table_attach"](self.mem, self.size)

    def put(self, key, value):
        """Insert or replace one record; see pure_table.Table.put."""
        if len(value) > layout.MAX_VALUE:
            return BAD_ARGUMENT
        return _lib["sf_table_put"](self.mem, self.size, key, len(key), value, len(value))

    def remove(self, key):
        """Remove one record: OK, NOT_FOUND, BAD_ARGUMENT or CORRUPT."""
        return _lib["sf_table_remove"](self.mem, self.size, key, len(key))

    def find(self, key):
        """Look up `key` (bytes): OK with .offset and .length, or NOT_FOUND."""
        rc = self._find(self.mem, self.size, key, len(key), self._spans)
        if rc == 0:
            self.offset = self._spans[0]
            self.length = self._spans[1]
        return rc

    def get(self, key):
        """The value of `key` (bytes) as bytes, or None; safe beside a writer in another process.

        Raises OSError where that writer has been writing all the while (or died in a write).
        """
        n = self._get(self.mem, self.size, key, len(key), self._out, layout.MAX_VALUE)
        if n >= 0:
            return bytes(self._value[:n])
        if n == BUSY:
            raise OSError(16, "location table: another process is writing")
        return None

    def apply(self, rows, start, end, count):
        """Apply `count` rows of rows[start:end]; see pure_table.Table.apply."""
        if not 0 <= start <= end <= len(rows) or count < 0:
            return BAD_ARGUMENT
        return _lib["sf_table_apply"](self.mem, self.size, rows, start, end, count)

    def next(self, cursor):
        """The record at the first used slot >= cursor; see pure_table.Table.next."""
        if cursor < 0:
            return BAD_ARGUMENT
        spans = self._spans
        rc = _lib["sf_table_next"](self.mem, self.size, cursor, spans)
        if rc > 0:
            self.key_offset = spans[0]
            self.key_length = spans[1]
            self.offset = spans[2]
            self.length = spans[3]
        return rc

    def audit(self, cursor, count):
        """Check the records of `count` slots; see pure_table.Table.audit."""
        if cursor < 0 or not 0 <= count <= _UNSIGNED:
            return BAD_ARGUMENT
        return _lib["sf_table_audit"](self.mem, self.size, cursor, count)

    def copy_to(self, other, cursor, count):
        """Put the records of `count` slots into `other`; see pure_table.Table.copy_to."""
        if cursor < 0 or not 0 <= count <= _UNSIGNED:
            return BAD_ARGUMENT
        return _lib["sf_table_copy"](
            self.mem, self.size, other.mem, other.size, cursor, count)
