"""A backplane in memory with seeded faults: loss, delay, reordering, duplication, corruption,
partition. The link of the simulator and of the protocol tests.

One seed gives the same run on both interpreters. Imports no I/O, reads no clock.
"""

import heapq

from bus.compat import const, ticks_add, ticks_diff

PERMILLE = const(1000)
_MULTIPLIER = const(6364136223846793005)
_INCREMENT = const(1442695040888963407)
_STATE_MASK = const((1 << 64) - 1)


class SeededRandom:
    """A small generator with the same numbers on both interpreters (Knuth's 64-bit LCG, MMIX).

    Only its high 32 bits are used. Not for secrets.
    """

    def __init__(self, seed):
        self._state = seed & _STATE_MASK
        for _ in range(4):
            self.getrandbits(32)

    def getrandbits(self, count):
        """An int of `count` random bits."""
        value = 0
        have = 0
        while have < count:
            self._state = (self._state * _MULTIPLIER + _INCREMENT) & _STATE_MASK
            value = (value << 32) | (self._state >> 32)
            have += 32
        return value >> (have - count)

    def below(self, bound):
        """0..bound-1; bound 1..2**32."""
        return (self.getrandbits(32) * bound) >> 32

    def chance(self, permille):
        """True `permille` times in a thousand. Draws nothing when the answer is certain."""
        return permille > 0 and (permille >= PERMILLE or self.below(PERMILLE) < permille)

    def pick(self, items):
        """One of a sequence."""
        return items[self.below(len(items))]


class Faults:
    """What one direction between two cards does to frames; shares are in permille.

    delay_ms: least delay.  jitter_ms: up to this much more, which also reorders.  reorder: share
    of frames that wait another reorder_ms.  duplicate: share sent twice.  corrupt: share with one
    bit turned over.  loss: share that vanishes.
    """

    def __init__(self, *, loss=0, delay_ms=0, jitter_ms=0, reorder=0, reorder_ms=5, duplicate=0,
                 corrupt=0):
        self.loss = loss
        self.delay_ms = delay_ms
        self.jitter_ms = jitter_ms
        self.reorder = reorder
        self.reorder_ms = reorder_ms
        self.duplicate = duplicate
        self.corrupt = corrupt


class VirtualBus:
    """Carries frames between stations (slots) by their faults.

    seed: int.  faults: Faults for every pair.  limit: frames in flight; more are dropped and
    counted (overflow), as a full socket buffer would.
    Counters (ints): sent (copies asked for), delivered, lost, corrupted, duplicated, overflow.
    """

    def __init__(self, seed, faults=None, limit=65536):
        self.random = SeededRandom(seed)
        self.faults = faults or Faults()
        self.limit = limit
        self.sent = self.delivered = self.lost = 0
        self.corrupted = self.duplicated = self.overflow = 0
        self._stations = []
        self._pairs = {}
        self._groups = {}
        self._flight = []
        self._order = 0
        self._elapsed_ms = 0
        self._now_ms = None

    def attach(self, slot):
        """A station that hears the multicasts from now on."""
        if slot not in self._stations:
            self._stations.append(slot)
            self._stations.sort()

    def detach(self, slot):
        """The station is pulled; what is in flight to it is lost."""
        self._stations.remove(slot)

    def set_faults(self, source, dest, faults):
        """Other faults for this direction of this pair; None: those of all."""
        self._pairs[source, dest] = faults

    def partition(self, *groups):
        """Cut the bus: only stations of one group hear each other; who is in none hears nobody."""
        self._groups = {}
        for number, group in enumerate(groups):
            for slot in group:
                self._groups[slot] = number + 1

    def heal(self):
        """End the partition."""
        self._groups = {}

    def send(self, source, dest, buf, n, now_ms):
        """Put buf[:n] on the bus.  dest: a slot, or None for every other station."""
        self._advance(now_ms)
        frame = bytes(buf[:n])
        for slot in self._stations if dest is None else (dest,):
            if slot != source:
                self._carry(source, slot, frame)

    def _carry(self, source, dest, frame):
        faults = self._pairs.get((source, dest)) or self.faults
        random = self.random
        copies = 1
        if random.chance(faults.duplicate):
            self.duplicated += 1
            copies = 2
        for _ in range(copies):
            self.sent += 1
            if self._cut(source, dest) or random.chance(faults.loss):
                self.lost += 1
                continue
            if len(self._flight) >= self.limit:
                self.overflow += 1
                continue
            content = frame
            if random.chance(faults.corrupt):
                self.corrupted += 1
                content = self._damage(frame)
            due = self._elapsed_ms + faults.delay_ms
            if faults.jitter_ms:
                due += random.below(faults.jitter_ms + 1)
            if random.chance(faults.reorder):
                due += faults.reorder_ms
            self._order += 1
            heapq.heappush(self._flight, (due, self._order, dest, source, content))

    def _cut(self, source, dest):
        if not self._groups:
            return False
        group = self._groups.get(source, 0)
        return not group or group != self._groups.get(dest, 0)

    def _damage(self, frame):
        damaged = bytearray(frame)
        if damaged:
            bit = self.random.below(8 * len(damaged))
            damaged[bit >> 3] ^= 1 << (bit & 7)
        return bytes(damaged)

    def _advance(self, now_ms):
        """Ticks wrap, so the order of arrival is kept in milliseconds since the first call."""
        if self._now_ms is not None:
            self._elapsed_ms += max(0, ticks_diff(now_ms, self._now_ms))
        self._now_ms = now_ms

    def deliver(self, now_ms):
        """The frames that have arrived by now_ms, in order of arrival: (dest, source, bytes)."""
        self._advance(now_ms)
        arrived = []
        while self._flight and self._flight[0][0] <= self._elapsed_ms:
            _, _, dest, source, frame = heapq.heappop(self._flight)
            if dest in self._stations:
                self.delivered += 1
                arrived.append((dest, source, frame))
            else:
                self.lost += 1
        return arrived

    def next_deadline_ms(self):
        """When the next frame arrives (ticks), or None."""
        if not self._flight:
            return None
        return ticks_add(self._now_ms, max(0, self._flight[0][0] - self._elapsed_ms))
