"""RMTP: the sender's queue of repairs and the round trip from which their hold-down is made.

Without a hold-down a request that crosses its own repair is answered again and again, until
repairs fill the bus; a fixed one shorter than the round trip does the same. Sans-I/O, both
interpreters.
"""

from collections import deque

from bus.compat import const, ticks_add, ticks_diff
from bus.wire import ALL

RTT_MOST_MS = const(2000)
EVERYONE = const(-1)
SLOTS = const(32)


class RepairQueue:
    """Which packet has to go again, and to whom.

    params: RmtpParams.  dest: the connection's destination; only a stream to ALL multicasts
    repairs. Rings are indexed by seq modulo cache_size; slots are bits.
    """

    def __init__(self, params, dest, now_ms):
        self.params = params
        size = params.cache_size
        self.sent_at = [0] * size
        self._dest = dest
        self._mask = size - 1
        self._repaired = [0] * size
        self._wanted = [0] * size
        self._queue = deque((), 2 * size)
        self._urgent = deque((), params.Ws)
        self._left = 0 if params.Tretx else params.Ws
        self._refill_ms = now_ms
        self._rtt_x32 = 0

    def hold_down_ms(self):
        """How long a sending is given before silence or a request after it is believed."""
        return ((self._rtt_x32 + 31) >> 5) + self.params.Tack + 1

    def measure(self, sample_ms):
        """One round trip: fast up, slow down, so that the hold-down covers the slowest card."""
        if 0 <= sample_ms <= RTT_MOST_MS:
            sample = sample_ms << 5
            rtt = self._rtt_x32
            self._rtt_x32 = sample if sample > rtt else rtt + ((sample - rtt) >> 3)

    def forget(self, at):
        """Ring place `at` is taken over by a new packet."""
        self._wanted[at] = 0
        self._repaired[at] = 0

    def ask_holes(self, slot, low, top, base, buf, at, now_ms, urgent):
        """Requests below the highest packet received: every 0 bit of V at buf[at:].

        low: L.  top: one past the highest.  base: lowest seq still kept.  urgent: ACK_TXNOW.
        Returns how many requests were taken.
        """
        asked = 0
        seq = low
        while seq < top:
            octet = buf[at]
            if octet != 0xFF:
                for hole in range(seq, min(seq + 8, top)):
                    if not octet & (0x80 >> (hole - seq)) and hole >= base:
                        asked += self._ask(hole, slot, now_ms, urgent)
            at += 1
            seq += 8
        return asked

    def ask_tail(self, slot, first, end, now_ms, urgent):
        """Requests above the highest packet received: first .. end-1.

        There silence is a request only when it has grown older than a round trip and Tack;
        before that the packets may be on their way. Returns how many requests were taken.
        """
        asked = 0
        hold = self.hold_down_ms()
        for seq in range(first, end):
            at = seq & self._mask
            if not self._repaired[at] and ticks_diff(now_ms, self.sent_at[at]) < hold:
                break
            asked += self._ask(seq, slot, now_ms, urgent)
        return asked

    def _ask(self, seq, slot, now_ms, urgent):
        """Queue one repair; 0 when one is already under way to that slot."""
        at = seq & self._mask
        bit = 1 << slot
        if ticks_diff(now_ms, self.sent_at[at]) >= self.hold_down_ms():
            self._repaired[at] = 0
        elif self._repaired[at] & bit:
            return 0
        if urgent:
            if len(self._urgent) < self.params.Ws:
                self._urgent.append((seq, slot))
                self._repaired[at] |= bit
            return 1
        if not self._wanted[at]:
            self._queue.append(seq)
        self._wanted[at] |= bit
        return 1

    def next(self, base):
        """The next repair as (seq, dest slot or ALL), or None.

        Urgent ones at once and to their asker, the others at most Ws in a Tretx, multicast when
        more than MCASTthresh cards want it. Packets below `base` are no longer kept.
        """
        while self._urgent:
            seq, slot = self._urgent.popleft()
            if seq >= base:
                return seq, slot
        while self._queue and self._left:
            seq = self._queue.popleft()
            at = seq & self._mask
            wanted = self._wanted[at] if seq >= base else 0
            if not wanted:
                continue
            slots = [slot for slot in range(SLOTS) if wanted >> slot & 1]
            if self._dest == ALL and len(slots) > self.params.MCASTthresh:
                self._wanted[at] = 0
                self._repaired[at] = EVERYONE
                slot = ALL
            else:
                slot = slots[0]
                self._wanted[at] = wanted & ~(1 << slot)
                self._repaired[at] |= 1 << slot
                if len(slots) > 1:
                    self._queue.append(seq)
            self._left = self._left - 1 if self._queue or not self.params.Tretx else 0
            return seq, slot
        return None

    def waiting(self):
        """True when next() may have something, now or after the next refill."""
        return bool(self._queue or self._urgent)

    def deadline_ms(self):
        """When the queue may go on, or None when it is empty."""
        return self._refill_ms if self._queue else None

    def handle_timer(self, now_ms):
        """Begin a new Tretx (1 ms in event mode, where it only paces) when the last is over."""
        if ticks_diff(now_ms, self._refill_ms) >= 0:
            tretx = self.params.Tretx
            self._left = self.params.Ws if self._queue or not tretx else 0
            self._refill_ms = ticks_add(now_ms, max(1, tretx))
