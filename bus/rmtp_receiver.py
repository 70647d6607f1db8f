"""RMTP, the receiving end of one connection; bus/rmtp.py has the layouts and parameters.

Sans-I/O, both interpreters. Sequence numbers inside count without wrapping; the ring holds

    taken ............ low .................. top .............. known
          in order, for     L: first missing       not seen yet        (top - taken <= Wr)
          next_body()       holes and packets      but sent
"""

import struct
from collections import deque

from bus.compat import const, earliest, ticks_add, ticks_diff
from bus.rmtp import (
    DATA_HEAD_BYTES, ENDED, LOST, NO_ECHO, OPENED, SEQ_HALF, SEQ_MASK, STAMP_BYTES, encode_ack,
    unwrap)
from bus.wire import ACK, ACK_TXNOW, DATA, DATA_EOF, NULL, RESET, RTT_ACK, RTT_MEASURE

EVENT_LIMIT = const(8)
DWELL_MOST_MS = const(0xFFFF)
ACK_WAIT_MOST_MS = const(100)
RTT_MOST_MS = const(2000)


class RmtpReceiver:
    """Takes one sender's packets and gives their bodies in order, each once.

    params: RmtpParams, the sender's.  base: True starts at the lowest packet the sender still
    keeps and asks for it by ACK_TXNOW, False at the first packet heard (the live point).
    Order of use after each receive: next_event() until None, next_body() until None, next_event()
    until None. LOST comes only when all bodies before the gap were taken; nothing after the gap
    is accepted before that, then the receiver rejoins by itself.
    Counters (ints): received, duplicates, overflow, bad.
    """

    def __init__(self, params, base=False):
        self.params = params
        self.base = base
        self.received = self.duplicates = self.overflow = self.bad = 0
        self._ring = [None] * params.Wr
        self._mask = params.Wr - 1
        self._events = deque((), EVENT_LIMIT)
        self._open = False
        self._ending = None
        self._ended = False
        self._eof = None
        self._floor = None
        self._taken = self._low = self._top = self._known = 0
        self._echo = NO_ECHO
        self._heard_ms = 0
        self._since_ack = 0
        self._ack_now = False
        self._txnow = False
        self._ack_ms = None
        self._ack_wait = 0
        self._rtt_ms = 0
        self._rtt_at_ms = None
        self._rtt_due = False

    def receive(self, frame_type, buf, start, end, now_ms):
        """Take a DATA, DATA_EOF, NULL, RESET or RTT_ACK payload buf[start:end].

        What is malformed, foreign or outside the window is counted and dropped.
        """
        if frame_type == RTT_ACK:
            self._take_rtt(buf, start, end, now_ms)
            return
        if end - start < DATA_HEAD_BYTES:
            self.bad += 1
            return
        seq, base, stamp = struct.unpack_from(">III", buf, start)
        is_data = frame_type == DATA or frame_type == DATA_EOF
        if not self._open and not self._join(is_data, frame_type, seq, base, now_ms):
            return
        gap = (base - self._low) & SEQ_MASK
        if self._ending == LOST or 0 < gap < SEQ_HALF:
            self._break(unwrap(base, self._low))
            return
        self._echo = stamp
        self._heard_ms = now_ms
        self._ack_wait = 0
        if is_data:
            self._take_data(frame_type, unwrap(seq, self._low), buf, start, end, now_ms)
        elif frame_type == NULL:
            self._known = max(self._known, unwrap(seq, self._low))
            self._ack_soon(now_ms, True)
        elif frame_type == RESET:
            if unwrap(seq, self._low) >= self._low:
                self._break(unwrap(seq, self._low))
        else:
            self.bad += 1

    def _take_data(self, frame_type, seq, buf, start, end, now_ms):
        low = self._low
        if seq - self._taken >= self.params.Wr:
            self.overflow += 1
            self._known = max(self._known, seq + 1)
            self._ack_soon(now_ms, False)
            return
        at = seq & self._mask
        if seq < low or self._ring[at] is not None:
            self.duplicates += 1
            self._ack_soon(now_ms, False)
            return
        self._ring[at] = bytes(buf[start + DATA_HEAD_BYTES:end])
        self.received += 1
        if frame_type == DATA_EOF:
            self._eof = seq
        top = self._top
        if seq >= top:
            self._top = seq + 1
            if seq >= self._known:
                self._known = seq + 1
        if seq == low:
            low += 1
            while low < top and self._ring[low & self._mask] is not None:
                low += 1
            self._low = low
        self._since_ack += 1
        if self._eof is not None and self._low > self._eof and not self._ended:
            self._ending = ENDED
            self._ack_soon(now_ms, True)
        else:
            self._ack_soon(now_ms, seq > top or self._since_ack == self.params.ack_every)

    def _ack_soon(self, now_ms, at_once):
        """An ACK at once (in event mode) or Tack from now."""
        if at_once and self.params.ack_every:
            self._ack_now = True
        elif self._ack_ms is None:
            self._ack_ms = ticks_add(now_ms, self._tack_ms())

    def _tack_ms(self):
        """Tack is not below the round trip, else one hole is asked for twice (papers, Tack)."""
        return max(self.params.Tack, self._rtt_ms)

    def _join(self, is_data, frame_type, seq, base, now_ms):
        """Open the connection at this frame; False when it is not one to begin with."""
        if not is_data and frame_type != NULL:
            if frame_type == RESET:
                self._floor = seq if self._floor is None else unwrap(seq, self._floor)
            else:
                self.bad += 1
            return False
        floor = self._floor
        if floor is not None:
            seq = unwrap(seq, floor)
            base = max(unwrap(base, seq), floor)
            if seq < floor:
                return False
        else:
            base = unwrap(base, seq)
        first = base if self.base else seq
        self._taken = self._low = self._top = self._known = first
        self._open = True
        self._ended = False
        self._eof = None
        self._txnow = first < seq
        self._ack_now = first < seq
        self._ack_ms = None
        self._since_ack = 0
        self._rtt_due = True
        self._rtt_at_ms = ticks_add(now_ms, self.params.Trtt)
        self._known = max(first, seq)
        self._events.append((OPENED,))
        return True

    def _break(self, floor):
        """What is missing will never come: give up behind `floor`, or begin the next stream."""
        if self._ending is not None:
            return
        self._floor = floor
        for seq in range(self._low, self._top):
            self._ring[seq & self._mask] = None
        self._top = self._known = self._low
        self._ack_now = self._txnow = self._rtt_due = False
        self._ack_ms = self._rtt_at_ms = None
        if self._ended:
            self._open = False
        else:
            self._ending = LOST

    def _take_rtt(self, buf, start, end, now_ms):
        if end - start != STAMP_BYTES:
            self.bad += 1
            return
        sample_ms = ticks_diff(now_ms, struct.unpack_from(">I", buf, start)[0])
        if 0 <= sample_ms <= RTT_MOST_MS:
            rtt = self._rtt_ms
            self._rtt_ms = sample_ms if sample_ms > rtt else rtt - ((rtt - sample_ms + 7) >> 3)

    def next_body(self):
        """The next body in order as bytes, or None."""
        taken = self._taken
        if taken == self._low:
            return None
        at = taken & self._mask
        body = self._ring[at]
        self._ring[at] = None
        self._taken = taken + 1
        return body

    def next_event(self):
        """(OPENED,); (LOST,): a gap that can never be mended, or a RESET; (ENDED,): all of the
        stream was taken; or None."""
        if self._events:
            return self._events.popleft()
        if self._ending is None or self._taken != self._low:
            return None
        event = self._ending
        self._ending = None
        if event == LOST:
            self._open = False
        else:
            self._ended = True
        return (event,)

    def to_send(self, out, start, now_ms):
        """Write the next payload for the sender at out[start:]; (n, frame_type), or None."""
        if self._ack_now:
            return self._write_ack(out, start, now_ms)
        if self._rtt_due:
            self._rtt_due = False
            struct.pack_into(">I", out, start, now_ms)
            return STAMP_BYTES, RTT_MEASURE
        return None

    def _write_ack(self, out, start, now_ms):
        echo = self._echo
        dwell_ms = ticks_diff(now_ms, self._heard_ms)
        if not 0 <= dwell_ms <= DWELL_MOST_MS:
            echo, dwell_ms = NO_ECHO, 0
        low = self._low
        held = ()
        if low < self._top:
            ring = self._ring
            mask = self._mask
            # from 0: on a 32-bit MicroPython the range() of a comprehension ends at 2**31
            held = [ring[low + n & mask] is not None for n in range(self._top - low)]
        n = encode_ack(out, start, low, held, echo, dwell_ms)
        frame_type = ACK_TXNOW if self._txnow else ACK
        self._echo = NO_ECHO
        self._ack_now = self._txnow = False
        self._since_ack = 0
        self._ack_ms = None
        if low < self._known or not self.params.ack_every:
            self._ack_wait = min(ACK_WAIT_MOST_MS, max(self._tack_ms(), 2 * self._ack_wait))
            if dwell_ms < self.params.Tdally:
                self._ack_ms = ticks_add(now_ms, self._ack_wait)
        return n, frame_type

    def next_deadline_ms(self):
        """When handle_timer wants to run (ticks), or None."""
        return earliest(self._ack_ms, self._rtt_at_ms)

    def handle_timer(self, now_ms):
        """Run the acknowledgement and RTT cycles; then call to_send until None."""
        if self._ack_ms is not None and ticks_diff(now_ms, self._ack_ms) >= 0:
            self._ack_ms = None
            self._ack_now = True
        if self._rtt_at_ms is not None and ticks_diff(now_ms, self._rtt_at_ms) >= 0:
            self._rtt_due = ticks_diff(now_ms, self._heard_ms) < self.params.Tdally
            self._rtt_at_ms = ticks_add(now_ms, self.params.Trtt)
