"""RMTP, the sending end of one connection; bus/rmtp.py has the layouts and parameters.

Sans-I/O, both interpreters. Sequence numbers inside count without wrapping:

    first .. base .......... low ............ next ............... end
             kept for repair     outstanding       offered, waiting     (end - low <= Wr)
"""

import struct
from collections import deque

from bus.compat import TICKS_MASK, const, earliest, ticks_add, ticks_diff
from bus.rmtp import (
    ACK_HEAD_BYTES, DATA_HEAD_BYTES, LAGGARD, SEQ_MASK, STAMP_BYTES, unwrap)
from bus.rmtp_repair import RepairQueue
from bus.wire import (
    ACK, ACK_TXNOW, ALL, DATA, DATA_EOF, NULL, RESET, RTT_ACK, RTT_MEASURE)

CONTROL_LIMIT = const(64)
EVENT_LIMIT = const(32)
WINDOW_LEAST = const(8)


class RmtpSender:
    """Multicasts a stream of packets to a known roster and mends what they miss.

    params: RmtpParams.  dest: slot, or ALL.  first_seq: 0..2**32-1, number of the first packet. A
    stream that follows another on its channel starts at that one's successor_seq(); after a
    restart the number is made from the incarnation, so that no stale ACK can confirm anything.
    Counters (ints): sent, retransmitted, acks, bad, congested.
    """

    def __init__(self, params, dest=ALL, first_seq=0, now_ms=0):
        self.params = params
        self.dest = dest
        self.sent = self.retransmitted = self.acks = self.bad = self.congested = 0
        self._mask = params.cache_size - 1
        self._cache = [None] * params.cache_size
        self._repairs = RepairQueue(params, dest, now_ms)
        self._sent_at = self._repairs.sent_at
        self._control = deque((), CONTROL_LIMIT)
        self._events = deque((), EVENT_LIMIT)
        self._lows = {}
        self._first = self._base = self._low = self._next = self._end = first_seq
        self._eof = None
        self._done = False
        self._window = 1 if params.Tsend else params.Ws
        self._limit = first_seq if params.Tsend else first_seq + self._window
        self._askers = 0
        self._cut_ms = now_ms
        self._cycle_ms = now_ms
        self._silent_ms = now_ms
        self._null_wait = params.Tsap
        self._null_due = True
        self._heard_ms = now_ms
        self._blocked = False
        self._blocked_ms = now_ms
        self._blocked_target = first_seq

    def room(self):
        """Packets that can be offered now: 0..Wr."""
        return self._low + self.params.Wr - self._end

    def offer(self, body, start, n, last=False):
        """Queue body[start:start+n] as the next packet; last=True makes it DATA_EOF.

        Returns False, and keeps nothing, when room() is 0. Raises ValueError for more than
        packet_size octets and after the last packet. A whole bytes object is kept, not copied.
        """
        if n > self.params.packet_size or self._eof is not None:
            raise ValueError("RMTP packet of {} octets refused".format(n))
        end = self._end
        if end - self._low >= self.params.Wr:
            return False
        at = end & self._mask
        whole = start == 0 and n == len(body) and isinstance(body, bytes)
        self._cache[at] = body if whole else bytes(body[start:start + n])
        self._repairs.forget(at)
        if last:
            self._eof = end
        self._end = end = end + 1
        if end - self._base > self._mask + 1:
            self._base = end - self._mask - 1
        return True

    def set_roster(self, slots, now_ms):
        """The cards whose acknowledgements move the window.

        A new one counts from the present window; a stream that has to reach a card from its
        first packet therefore names it before offering.
        """
        lows = {}
        for slot in slots:
            lows[slot] = self._lows.get(slot, self._low)
        self._lows = lows
        self._heard_ms = now_ms
        self._blocked = False
        self._move_window()

    def roster(self):
        """The slots on the roster, in no order."""
        return list(self._lows)

    def delivered(self, slot):
        """True when `slot` is on the roster and has acknowledged all that was offered."""
        return self._lows.get(slot, -1) == self._end

    def idle(self):
        """True when the whole roster has acknowledged all that was offered."""
        return self._low == self._end

    def done(self):
        """True after DATA_EOF and Tdally of silence, or after reset(): drop the object."""
        return self._done

    def successor_seq(self):
        """first_seq for the next stream on this channel within the same incarnation."""
        return (self._end + 2 * self.params.cache_size) & SEQ_MASK

    def hold_down_ms(self):
        """The present repair hold-down: smoothed round trip, Tack and a tick."""
        return self._repairs.hold_down_ms()

    def reset(self):
        """Kill the connection. One RESET goes out; a card that misses it finds the break by the
        base of the next stream."""
        self._control = deque((), CONTROL_LIMIT)
        self._control.append((RESET, self.dest, None))
        self._done = True

    def next_event(self):
        """(LAGGARD, slot): taken off the roster because it blocked the others; or None."""
        return self._events.popleft() if self._events else None

    def receive_ack(self, slot, frame_type, buf, start, end, now_ms):
        """Take an ACK, ACK_TXNOW or RTT_MEASURE payload buf[start:end] of `slot`, 0..31."""
        if frame_type == RTT_MEASURE and end - start == STAMP_BYTES:
            self._control.append((RTT_ACK, slot, bytes(buf[start:end])))
            return
        if (frame_type != ACK and frame_type != ACK_TXNOW) or end - start < ACK_HEAD_BYTES:
            self.bad += 1
            return
        low, top, echo, dwell_ms, nbits = struct.unpack_from(">IIIHH", buf, start)
        low = unwrap(low, self._next)
        top = unwrap(top, self._next) + 1
        if (not self._first <= low <= top <= self._next or nbits != top - low
                or nbits > self.params.Wr or end - start != ACK_HEAD_BYTES + ((nbits + 7) >> 3)):
            self.bad += 1
            return
        self.acks += 1
        self._heard_ms = now_ms
        if echo <= TICKS_MASK:
            self._repairs.measure(ticks_diff(now_ms, echo) - dwell_ms)
        known = self._lows.get(slot)
        if known is not None and low > known:
            self._lows[slot] = low
            if known == self._low:
                self._move_window()
                self._silent_ms = now_ms
        if low < self._next:
            self._take_requests(slot, frame_type == ACK_TXNOW, low, top, buf, start, now_ms)

    def _take_requests(self, slot, urgent, low, top, buf, start, now_ms):
        base = self._base
        if low < base:
            # what it asks first is gone: tell it the base, so that it rejoins
            self._control.append((NULL, slot, None))
        asked = self._repairs.ask_holes(
            slot, low, top, base, buf, start + ACK_HEAD_BYTES, now_ms, urgent)
        asked += self._repairs.ask_tail(
            slot, max(top, base), min(self._next, low + self.params.Wr), now_ms, urgent)
        if asked and not urgent and slot in self._lows:
            self._feel_congestion(asked, now_ms)

    def _feel_congestion(self, asked, now_ms):
        """Paper mode counts the asking ACKs of a cycle. Event mode has no cycles: there a burst
        of loss, an eighth of the window, halves the window once per hold-down."""
        self._askers += 1
        if (not self.params.Tsend and asked > self.params.Ws >> 3
                and ticks_diff(now_ms, self._cut_ms) >= self.hold_down_ms()):
            self._cut_ms = now_ms
            self._window = max(min(WINDOW_LEAST, self.params.Ws), self._window >> 1)
            self.congested += 1

    def _move_window(self):
        low = self._next
        for each in self._lows.values():
            if each < low:
                low = each
        if low > self._low:
            self._low = low
            self._null_wait = 0
            if low >= self._blocked_target:
                self._blocked = False
            if not self.params.Tsend and self._window < self.params.Ws:
                self._window += 1
        if not self.params.Tsend:
            self._limit = self._low + self._window

    def to_send(self, out, start, now_ms):
        """Write the next payload at out[start:].

        Returns (n, frame_type, dest) with dest a slot or ALL, or None: nothing to send now.
        """
        if self._control:
            return self._write_control(out, start, now_ms)
        if self._done:
            return None
        if self._repairs.waiting():
            repair = self._repairs.next(self._base)
            if repair is not None:
                self.retransmitted += 1
                return self._write_data(out, start, repair[0], repair[1], now_ms)
        seq = self._next
        if seq < self._end and seq < self._limit:
            self._next = seq + 1
            self.sent += 1
            self._silent_ms = now_ms
            self._null_wait = 0
            self._null_due = False
            if not self._lows:
                self._move_window()
            return self._write_data(out, start, seq, self.dest, now_ms)
        if not self._blocked and self._low < seq and self._is_blocked():
            self._watch_block(now_ms)
        if self._null_due:
            self._null_due = False
            return self._write_mark(out, start, NULL, self.dest, now_ms)
        return None

    def _write_data(self, out, start, seq, dest, now_ms):
        at = seq & self._mask
        body = self._cache[at]
        self._sent_at[at] = now_ms
        struct.pack_into(">III", out, start, seq & SEQ_MASK, self._base & SEQ_MASK, now_ms)
        n = DATA_HEAD_BYTES + len(body)
        out[start + DATA_HEAD_BYTES:start + n] = body
        return n, DATA_EOF if seq == self._eof else DATA, dest

    def _write_mark(self, out, start, frame_type, dest, now_ms):
        struct.pack_into(">III", out, start, self._next & SEQ_MASK, self._base & SEQ_MASK, now_ms)
        return DATA_HEAD_BYTES, frame_type, dest

    def _write_control(self, out, start, now_ms):
        frame_type, slot, stamp = self._control.popleft()
        if frame_type == RTT_ACK:
            out[start:start + STAMP_BYTES] = stamp
            return STAMP_BYTES, RTT_ACK, slot
        return self._write_mark(out, start, frame_type, slot, now_ms)

    def next_deadline_ms(self):
        """When handle_timer wants to run (ticks), or None when the connection is over."""
        if self._done:
            return None
        deadline = ticks_add(self._silent_ms, self._silence_ms())
        deadline = earliest(deadline, self._repairs.deadline_ms())
        if self.params.Tsend and self._next < self._end:
            deadline = earliest(deadline, self._cycle_ms)
        if self._blocked:
            deadline = earliest(deadline, ticks_add(self._blocked_ms, self.params.laggard_ms))
        if self._eof is not None and self._low == self._end:
            deadline = earliest(deadline, ticks_add(self._heard_ms, self.params.Tdally))
        return deadline

    def handle_timer(self, now_ms):
        """Run cycles, NULL heartbeats, the laggard watch; then call to_send until None."""
        params = self.params
        self._repairs.handle_timer(now_ms)
        if params.Tsend and ticks_diff(now_ms, self._cycle_ms) >= 0:
            self._start_cycle(now_ms)
        wait = self._silence_ms()
        if ticks_diff(now_ms, self._silent_ms) >= wait:
            self._null_due = True
            self._silent_ms = now_ms
            self._null_wait = min(2 * wait, params.Tsap)
        if self._blocked and ticks_diff(now_ms, self._blocked_ms) >= params.laggard_ms:
            self._drop_laggards()
        if (self._eof is not None and self._low == self._end
                and ticks_diff(now_ms, self._heard_ms) >= params.Tdally):
            self._done = True

    def _start_cycle(self, now_ms):
        """A Tsend of the papers: grow by one, fall to one, send min(avail, cong_win, Ws)."""
        params = self.params
        if self._askers > (params.CONGthresh or max(1, len(self._lows) // 2)):
            self._window = 1
            self.congested += 1
        elif self._window < params.Ws:
            self._window += 1
        self._askers = 0
        self._limit = min(self._low + params.Wr, self._next + self._window)
        self._cycle_ms = ticks_add(now_ms, params.Tsend)

    def _silence_ms(self):
        """How long to be silent before the next NULL. While somebody has not confirmed the last
        packets the first comes as soon as their loss can be told from their flight."""
        if self._null_wait:
            return self._null_wait
        if self._low == self._next:
            return self.params.null_first_ms
        return min(self.params.null_first_ms, self.hold_down_ms() + self.params.Tack + 1)

    def _is_blocked(self):
        """True when packets wait for an acknowledgement to open the window, or the end does."""
        if self._eof is not None or self._end - self._low >= self.params.Wr:
            return True
        span = self.params.Wr if self.params.Tsend else self._window
        return self._next < self._end and self._next >= self._low + span

    def _watch_block(self, now_ms):
        """Start the laggard's clock: half of what is outstanding has to be confirmed by then."""
        self._blocked = True
        self._blocked_ms = now_ms
        self._blocked_target = (
            self._next if self._eof is not None else (self._low + self._next + 1) >> 1)

    def _drop_laggards(self):
        """Take off the roster who has not reached the target within laggard_ms."""
        self._blocked = False
        if not self._is_blocked():
            return
        for slot in list(self._lows):
            if self._lows[slot] < self._blocked_target:
                del self._lows[slot]
                self._events.append((LAGGARD, slot))
        self._move_window()
