"""The C fast path on CPython through cffi's ABI mode (no compiler or headers at run time).

Pointers are bound once per object: a call costs one border crossing. CPython only. Opens the
library, no other I/O. sipfast.h is the manual.
"""

from array import array

import cffi

from firmware.fastpath import layout
from firmware.fastpath.layout import BAD_ARGUMENT, BUSY
from firmware.fastpath.region import Region

_FUNCTIONS = """
int32_t sf_siphash(const uint8_t *, const uint8_t *, uint32_t, uint32_t, uint8_t *);
int32_t sf_bucket(const uint8_t *, uint32_t);
int32_t sf_scan(const uint8_t *, uint32_t, uint16_t *, uint32_t);
int32_t sf_table_size(uint32_t, uint32_t);
int32_t sf_table_init(void *, uint32_t, uint32_t, const uint8_t *);
int32_t sf_table_attach(const void *, uint32_t);
int32_t sf_table_put(void *, uint32_t, const uint8_t *, uint32_t, const uint8_t *, uint32_t);
int32_t sf_table_remove(void *, uint32_t, const uint8_t *, uint32_t);
int32_t sf_table_find(const void *, uint32_t, const uint8_t *, uint32_t, uint32_t *);
int32_t sf_table_get(const void *, uint32_t, const uint8_t *, uint32_t, uint8_t *, uint32_t);
int32_t sf_table_apply(void *, uint32_t, const uint8_t *, uint32_t, uint32_t, uint32_t);
int32_t sf_table_next(const void *, uint32_t, uint32_t, uint32_t *);
int32_t sf_table_audit(const void *, uint32_t, uint32_t, uint32_t);
int32_t sf_table_copy(const void *, uint32_t, void *, uint32_t, uint32_t, uint32_t);
"""

_ffi = cffi.FFI()
_ffi.cdef(_FUNCTIONS)
_lib = None
_VALUE_BYTES = layout.MAX_VALUE
_UNSIGNED = 0xFFFFFFFF


def open_library(path):
    """Open the library at `path`; raises OSError if it is none of ours."""
    global _lib
    if _lib is None:
        _lib = _ffi.dlopen(path)


def _octets(data):
    """A pointer to the octets of `data`; bytes pass to C as they are."""
    return data if type(data) is bytes else _ffi.from_buffer("uint8_t[]", data)


def siphash(key16, buf, start, end):
    """SipHash-2-4 of buf[start:end] under `key16`: 8 octets; ValueError for a wrong argument."""
    if len(key16) != 16 or not 0 <= start <= end <= len(buf):
        raise ValueError("siphash: key of 16 octets and a span inside the buffer")
    out = _ffi.new("uint8_t[8]")
    _lib.sf_siphash(_octets(key16), _octets(buf), start, end, out)
    return bytes(out)


def bucket(key):
    """Bucket 0..255 of a key in the database digest."""
    return _lib.sf_bucket(_octets(key), len(key))


def table_size(records, heap_bytes):
    """Octets of a region for `records` records in `heap_bytes` of heap; or BAD_ARGUMENT."""
    if not (0 <= records <= _UNSIGNED and 0 <= heap_bytes <= _UNSIGNED):
        return BAD_ARGUMENT
    return _lib.sf_table_size(records, heap_bytes)


class Scanner:
    """As pure_scan.Scanner. Keeps the last buffer bound: give it buffers of fixed size."""

    def __init__(self, max_headers=64):
        if not 1 <= max_headers <= 1000:
            raise ValueError("max_headers out of range: {}".format(max_headers))
        items = layout.HEAD_ITEMS + max_headers * layout.HEADER_ITEMS
        self.spans = array("H", bytes(2 * items))
        self._items = items
        self._out = _ffi.from_buffer("uint16_t[]", self.spans)
        self._buf = None
        self._octets = None
        self._room = 0
        self._call = _lib.sf_scan

    def scan(self, buf, n):
        """Scan the message at buf[:n]; see pure_scan.Scanner.scan."""
        if buf is not self._buf:
            self._octets = _ffi.from_buffer("uint8_t[]", buf)
            self._buf = buf
            self._room = len(buf)
        if not 0 <= n <= self._room:
            return BAD_ARGUMENT
        return self._call(self._octets, n, self._out, self._items)


class Table(Region):
    """As pure_table.Table. `get` is one C call and one copy."""

    def __init__(self, mem):
        super().__init__(mem)
        self._mem = _ffi.from_buffer("uint8_t[]", mem, require_writable=True)
        self._spans = _ffi.new("uint32_t[4]")
        self._out = _ffi.new("uint8_t[]", _VALUE_BYTES)
        self._value = _ffi.buffer(self._out)
        self._get = _lib.sf_table_get
        self._find = _lib.sf_table_find

    def close(self):
        """Let go of the memory, so that a caller may close its mmap."""
        _ffi.release(self._mem)
        super().close()

    def init(self, records, seed16):
        """Make an empty table; see pure_table.Table.init."""
        if not 0 <= records <= _UNSIGNED or len(seed16) != 16 or self.size > layout.MAX_SIZE:
            return BAD_ARGUMENT
        return _lib.sf_table_init(self._mem, self.size, records, _octets(seed16))

    def attach(self):
        """Take up a region that was filled before; see pure_table.Table.attach."""
        if self.size > layout.MAX_SIZE:
            return BAD_ARGUMENT
        return _lib.sf_table_attach(self._mem, self.size)

    def put(self, key, value):
        """Insert or replace one record; see pure_table.Table.put."""
        if len(value) > layout.MAX_VALUE:
            return BAD_ARGUMENT
        return _lib.sf_table_put(
            self._mem, self.size, _octets(key), len(key), _octets(value), len(value))

    def remove(self, key):
        """Remove one record: OK, NOT_FOUND, BAD_ARGUMENT or CORRUPT."""
        return _lib.sf_table_remove(self._mem, self.size, _octets(key), len(key))

    def find(self, key):
        """Look up `key` (bytes): OK with .offset and .length, or NOT_FOUND."""
        spans = self._spans
        rc = self._find(self._mem, self.size, key, len(key), spans)
        if rc == 0:
            self.offset = spans[0]
            self.length = spans[1]
        return rc

    def get(self, key):
        """The value of `key` (bytes) as bytes, or None; safe beside a writer in another process.

        Raises OSError where that writer has been writing all the while (or died in a write).
        """
        n = self._get(self._mem, self.size, key, len(key), self._out, _VALUE_BYTES)
        if n >= 0:
            return self._value[:n]
        if n == BUSY:
            raise OSError(16, "location table: another process is writing")
        return None

    def apply(self, rows, start, end, count):
        """Apply `count` rows of rows[start:end]; see pure_table.Table.apply."""
        if not 0 <= start <= end <= len(rows) or count < 0:
            return BAD_ARGUMENT
        return _lib.sf_table_apply(self._mem, self.size, _octets(rows), start, end, count)

    def next(self, cursor):
        """The record at the first used slot >= cursor; see pure_table.Table.next."""
        if cursor < 0:
            return BAD_ARGUMENT
        spans = self._spans
        rc = _lib.sf_table_next(self._mem, self.size, cursor, spans)
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
        return _lib.sf_table_audit(self._mem, self.size, cursor, count)

    def copy_to(self, other, cursor, count):
        """Put the records of `count` slots into `other`; see pure_table.Table.copy_to."""
        if cursor < 0 or not 0 <= count <= _UNSIGNED:
            return BAD_ARGUMENT
        return _lib.sf_table_copy(
            self._mem, self.size, other._mem, other.size, cursor, count)
