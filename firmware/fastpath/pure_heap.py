"""The heap of records inside a table region: granules, size classes, free lists (pure twin).

A block is 1..64 granules of 16 octets, or 128, 256 ... 8192. The first four octets of a free block
hold the reference (granule + 1) of the next free one of its class. Layout: layout.py, sipfast.h.
Runs on both interpreters. Imports no I/O.
"""

import struct

from firmware.fastpath.layout import (
    AT_FREE, AT_FREE_LISTS, AT_SEQUENCE, AT_TOP, CLASSES, CORRUPT, EXACT_CLASSES, GRANULE_SHIFT,
    MAX_KEY, NO_SPACE, RECORD_HEAD, REFERENCE_MASK,
)
from firmware.fastpath.region import Region


def _class_of(granules):
    """Size class of a block of `granules` (which is a block size)."""
    if granules <= EXACT_CLASSES:
        return granules - 1
    number = EXACT_CLASSES
    while EXACT_CLASSES << (number - EXACT_CLASSES + 1) < granules:
        number += 1
    return number


def _granules_of(number):
    """Granules of a block of size class `number`."""
    if number < EXACT_CLASSES:
        return number + 1
    return EXACT_CLASSES << (number - EXACT_CLASSES + 1)


class Heap(Region):
    """Takes and gives back blocks; the geometry was checked by the caller (`_geometry`)."""

    def _u32(self, at):
        return struct.unpack_from("<I", self.mem, at)[0]

    def _set32(self, at, number):
        struct.pack_into("<I", self.mem, at, number)

    def _bump_sequence(self):
        """Odd before a write, even after it."""
        self._set32(AT_SEQUENCE, (self._u32(AT_SEQUENCE) + 1) & 0xFFFFFFFF)

    def _record(self, entry):
        """Offset of the record an index entry refers to; 0 if it cannot be one."""
        reference = entry & REFERENCE_MASK
        if reference == 0 or reference > self._granules:
            return 0
        at = self._heap + ((reference - 1) << GRANULE_SHIFT)
        room = (self._granules - reference + 1) << GRANULE_SHIFT
        klen, vlen = struct.unpack_from("<HH", self.mem, at + 8)
        if not 0 < klen <= MAX_KEY or RECORD_HEAD + klen + vlen > room:
            return 0
        return at

    def _block_granules(self, length):
        """Granules of the block that a record of `length` octets takes."""
        granules = (length + 15) >> GRANULE_SHIFT
        if granules <= EXACT_CLASSES:
            return granules
        return _granules_of(_class_of(granules))

    def _held_granules(self, at):
        """Granules of the block of the record at `at`, which `_record` has checked."""
        klen, vlen = struct.unpack_from("<HH", self.mem, at + 8)
        return self._block_granules(RECORD_HEAD + klen + vlen)

    def _take(self, granules):
        """Offset of a block: a free one, new ground, or a larger one cut; or a negative rc."""
        wanted = _class_of(granules)
        if self._u32(AT_FREE_LISTS + 4 * wanted):
            return self._pop(wanted)
        top = self._u32(AT_TOP)
        if top <= self._granules and granules <= self._granules - top:
            self._set32(AT_TOP, top + granules)
            return self._heap + (top << GRANULE_SHIFT)
        for number in range(wanted + 1, CLASSES):
            if self._u32(AT_FREE_LISTS + 4 * number):
                at = self._pop(number)
                if at > 0:
                    rest = _granules_of(number) - granules
                    self._give(at + (granules << GRANULE_SHIFT), rest)
                return at
        return NO_SPACE

    def _pop(self, number):
        """Take the first free block of a class that has one."""
        place = AT_FREE_LISTS + 4 * number
        reference = self._u32(place)
        granules = _granules_of(number)
        if reference > self._granules or granules > self._granules - reference + 1:
            return CORRUPT
        at = self._heap + ((reference - 1) << GRANULE_SHIFT)
        self._set32(place, self._u32(at))
        self._set32(AT_FREE, (self._u32(AT_FREE) - granules) & 0xFFFFFFFF)
        return at

    def _give(self, at, granules):
        """Put ground back as free blocks: whole, or cut into the largest block sizes that fit."""
        start = (at - self._heap) >> GRANULE_SHIFT
        if granules > self._granules - start:
            granules = self._granules - start
        self._set32(AT_FREE, (self._u32(AT_FREE) + granules) & 0xFFFFFFFF)
        while granules:
            number = CLASSES - 1
            while _granules_of(number) > granules:
                number -= 1
            place = AT_FREE_LISTS + 4 * number
            self._set32(self._heap + (start << GRANULE_SHIFT), self._u32(place))
            self._set32(place, start + 1)
            start += _granules_of(number)
            granules -= _granules_of(number)
