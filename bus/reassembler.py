"""SEGMENT payloads joined to whole messages (layout in segmenter.py), within fixed bounds.

A source holds a bounded number of unfinished messages: a new one beyond that pushes out the one of
that source untouched for longest. What exceeds the bounds of all sources together is refused. An
unfinished message that gets no segment for `reassembly_timeout_ms` is dropped. All is counted.
Imports no I/O. Runs on both interpreters.
"""

import struct

from bus.compat import earliest, ticks_add, ticks_diff
from bus.segmenter import MAX_MESSAGE, SEGMENT_HEADER, SEGMENT_HEADER_BYTES


class _Transfer:
    """One unfinished message."""

    def __init__(self, slot, inner_type, number, total, step, now_ms):
        self.slot = slot
        self.inner_type = inner_type
        self.number = number
        self.step = step
        self.body = bytearray(total)
        self.missing = (total + step - 1) // step
        self.held = bytearray((self.missing + 7) // 8)
        self.touched_ms = now_ms

    def is_same(self, slot, inner_type, number, total, step):
        """Whether a segment with these values belongs here."""
        return (self.slot == slot and self.number == number and self.inner_type == inner_type
                and len(self.body) == total and self.step == step)

    def put(self, index, buf, start, end):
        """Store one segment; False when it was held already."""
        bit = 1 << (index & 7)
        if self.held[index >> 3] & bit:
            return False
        self.held[index >> 3] |= bit
        at = index * self.step
        self.body[at:at + end - start] = buf[start:end]
        self.missing -= 1
        return True


class Reassembler:
    """Joins the segments of all sources; see the module's head for the bounds."""

    def __init__(self, limits):
        """limits: BusLimits (bus/limits.py), fields reassembly_*."""
        self._limits = limits
        self._transfers = []
        self.octets = 0
        self._expiry_ms = None
        self.malformed = 0
        self.refused = 0
        self.evicted = 0
        self.timed_out = 0
        self.high_water = 0

    def __len__(self):
        return len(self._transfers)

    def receive(self, slot, buf, start, end, now_ms):
        """One SEGMENT payload buf[start:end] from `slot`.

        Returns (inner_type, body as bytearray) when it completes a message, else None.
        Cost O(unfinished messages).
        """
        n = end - start - SEGMENT_HEADER_BYTES
        if n < 1:
            self.malformed += 1
            return None
        inner_type, _, number, total, step, index = struct.unpack_from(SEGMENT_HEADER, buf, start)
        if step == 0 or total > MAX_MESSAGE or n != min(step, total - index * step):
            self.malformed += 1
            return None
        transfer = None
        for one in self._transfers:
            if one.is_same(slot, inner_type, number, total, step):
                transfer = one
        if transfer is None:
            transfer = self._open(slot, inner_type, number, total, step, now_ms)
            if transfer is None:
                return None
        transfer.touched_ms = now_ms
        transfer.put(index, buf, start + SEGMENT_HEADER_BYTES, end)
        if transfer.missing:
            return None
        self._close(transfer)
        return transfer.inner_type, transfer.body

    def _open(self, slot, inner_type, number, total, step, now_ms):
        """A place for a new message within the bounds, or None."""
        limits = self._limits
        oldest = None
        mine = 0
        for one in self._transfers:
            if one.slot == slot:
                mine += 1
                if oldest is None or ticks_diff(one.touched_ms, oldest.touched_ms) < 0:
                    oldest = one
        if mine >= limits.reassembly_per_source:
            self._close(oldest)
            self.evicted += 1
        if (len(self._transfers) >= limits.reassembly_total
                or self.octets + total > limits.reassembly_octets):
            self.refused += 1
            return None
        transfer = _Transfer(slot, inner_type, number, total, step, now_ms)
        self._transfers.append(transfer)
        self.octets += total
        self.high_water = max(self.high_water, self.octets)
        if self._expiry_ms is None:
            self._expiry_ms = ticks_add(now_ms, limits.reassembly_timeout_ms)
        return transfer

    def _close(self, transfer):
        self._transfers.remove(transfer)
        self.octets -= len(transfer.body)

    def forget(self, slot):
        """Drop what `slot` has left unfinished (the card restarted)."""
        for one in list(self._transfers):
            if one.slot == slot:
                self._close(one)

    def next_deadline_ms(self):
        """When to call handle_timer, never later than the first expiry; None when idle."""
        return self._expiry_ms

    def handle_timer(self, now_ms):
        """Drop what has waited too long."""
        if self._expiry_ms is None or ticks_diff(now_ms, self._expiry_ms) < 0:
            return
        self._expiry_ms = None
        for one in list(self._transfers):
            expiry = ticks_add(one.touched_ms, self._limits.reassembly_timeout_ms)
            if ticks_diff(now_ms, expiry) >= 0:
                self._close(one)
                self.timed_out += 1
            else:
                self._expiry_ms = earliest(self._expiry_ms, expiry)
