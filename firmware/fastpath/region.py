"""What every implementation of `Table` shares: the plain fields of the region's header.

They are read and written here in Python because the border to C knows no 64-bit integers.
Layout: layout.py and sipfast.h. Runs on both interpreters. Imports no I/O.
"""

import struct

from firmware.fastpath import layout


class Region:
    """Header fields of a table region.

    mem: bytearray or mmap, 4-aligned, of fixed size as long as the table lives. One writer; other
    processes may read (`get`) beside it.
    offset, length: value span in `mem` after `find`; with key_offset, key_length after `next`.
    """

    def __init__(self, mem):
        self.mem = mem
        self.size = len(mem)
        self.offset = self.length = self.key_offset = self.key_length = 0

    def close(self):
        """Let go of the memory, so that a caller may close its mmap."""
        self.mem = None

    def count(self):
        """Records held."""
        return struct.unpack_from("<I", self.mem, layout.AT_COUNT)[0]

    def used(self):
        """Octets of the heap that records occupy, rounded to granules."""
        top, free = struct.unpack_from("<II", self.mem, layout.AT_TOP)
        return (top - free) * layout.GRANULE_BYTES

    def lost(self):
        """Octets of the heap in free blocks, which only records of their size can use."""
        return struct.unpack_from("<I", self.mem, layout.AT_FREE)[0] * layout.GRANULE_BYTES

    def heap_bytes(self):
        """Octets of the whole heap."""
        return struct.unpack_from("<I", self.mem, layout.AT_GRANULES)[0] * layout.GRANULE_BYTES

    def slots(self):
        """Slots of the index: the range of `next` and `audit` cursors."""
        return struct.unpack_from("<I", self.mem, layout.AT_SLOTS)[0]

    def digest(self):
        """Database digest: 8 octets, big-endian sum over all records (sipfast.h)."""
        return struct.pack(">Q", struct.unpack_from("<Q", self.mem, layout.AT_DIGEST)[0])

    def bucket_digest(self, bucket):
        """The part of the digest of the keys in `bucket` (0..255)."""
        if not 0 <= bucket <= 255:
            raise ValueError("bucket out of range: {}".format(bucket))
        at = layout.AT_BUCKETS + 8 * bucket
        return struct.pack(">Q", struct.unpack_from("<Q", self.mem, at)[0])

    def get_level(self):
        """Database level of the content."""
        return struct.unpack_from("<Q", self.mem, layout.AT_LEVEL)[0]

    def set_level(self, level):
        """Set the level, 0..2**64-1; between begin() and end() with the rows it belongs to."""
        if not 0 <= level < 1 << 64:
            raise ValueError("level out of range: {}".format(level))
        struct.pack_into("<Q", self.mem, layout.AT_LEVEL, level)

    def get_birthday(self):
        """Birthday of the content: 8 octets."""
        return bytes(self.mem[layout.AT_BIRTHDAY:layout.AT_BIRTHDAY + 8])

    def set_birthday(self, birthday):
        """Set the birthday, exactly 8 octets."""
        if len(birthday) != 8:
            raise ValueError("a birthday has 8 octets, got {}".format(len(birthday)))
        self.mem[layout.AT_BIRTHDAY:layout.AT_BIRTHDAY + 8] = bytes(birthday)

    def begin(self):
        """Mark the region dirty: `attach` refuses it until `end` (a warm start after a crash)."""
        struct.pack_into("<H", self.mem, layout.AT_DIRTY, 1)

    def is_dirty(self):
        """True between begin() and end()."""
        return struct.unpack_from("<H", self.mem, layout.AT_DIRTY)[0] != 0

    def end(self):
        """Mark the region whole: rows and level belong together."""
        struct.pack_into("<H", self.mem, layout.AT_DIRTY, 0)
