"""The world of the simulator: a fake clock, faulty networks, cards that are stepped, invariants.

Time jumps from deadline to deadline. The clock starts 5 s before the ticks wrap. Nothing here
or in the cards reads a clock or a random source other than the seed's. `bus` is the backplane
between slots, `net` carries datagrams between (host, port) addresses: the planes and outside.
"""

import bisect

from bus.compat import TICKS_PERIOD, ticks_add, ticks_diff
from bus.links.virtual import VirtualBus

START_MS = TICKS_PERIOD - 5000
START_S = 1_800_000_000
ROUNDS_MOST = 2000
NET_SEED = 1 << 40
INBOX_LIMIT = 400  # what the socket buffers of a card that does not run hold


class Crash(Exception):
    """Raised inside a card at the step where the simulator cuts its power."""


class Broken(AssertionError):
    """An invariant does not hold."""


class World:
    """seed: int.  cards: slot -> card with step(), next_deadline_ms(), receive() and kill().

    doors: (host, port) -> (slot or person, take(source, octets, now_ms)): who hears an address.
    people: what else has step() and next_deadline_ms(): the phones.
    """

    def __init__(self, seed):
        self.bus = VirtualBus(seed)
        self.net = VirtualBus(seed + NET_SEED)
        self.random = self.bus.random
        self.doors = {}
        self.people = []
        self.inbox_drops = 0
        self._touched = set()  # slots and people to be stepped at this instant
        self._due_ms = {}  # slot or person -> elapsed ms of its next deadline
        self.slow_ms = {}  # slot -> how long it is away after each of its turns
        self.woke_ms = {}  # slot -> elapsed ms at which its last stall ended
        self.levels = [(0, 0)]  # (elapsed ms, level the server had from then on)
        self._stalls = {}  # slot -> elapsed ms at which it runs again
        self._inboxes = {}
        self.now_ms = START_MS
        self.elapsed_ms = 0
        self.cards = {}
        self.digests = {}  # (birthday, level) -> digest: whoever tells it first binds the others
        self.trace = []  # what the workload did, for the report of a failing seed
        self.notes = 0

    @property
    def now_s(self):
        """Unix seconds of the fake clock."""
        return START_S + self.elapsed_ms // 1000

    def note(self, text):
        """One line of the run's history."""
        self.notes += 1
        self.trace.append("{:>7} ms  {}".format(self.elapsed_ms, text))

    def require(self, holds, text):
        """An invariant."""
        if not holds:
            raise Broken("after {} ms: {}".format(self.elapsed_ms, text))

    def witness(self, who, birthday, level, digest):
        """Equal level of one database: equal digest, whoever looks."""
        known = self.digests.setdefault((birthday, level), digest)
        self.require(known == digest, "{} has digest {} at level {}, others {}".format(
            who, digest.hex(), level, known.hex()))

    def committed(self, level):
        """The server is at `level` now."""
        if level != self.levels[-1][1]:
            self.levels.append((self.elapsed_ms, level))

    def level_at(self, elapsed_ms):
        """The level that the server had at a moment of the past."""
        at = bisect.bisect_right(self.levels, (elapsed_ms, 1 << 40)) - 1
        return self.levels[at][1] if at >= 0 else 0

    def plug(self, card):
        """Power a card on."""
        self.cards[card.slot] = card
        self.bus.attach(card.slot)

    def pull(self, slot):
        """Cut a card's power at this very moment."""
        card = self.cards.pop(slot)
        self.bus.detach(slot)
        for address in [address for address in self.doors if self.doors[address][0] == slot]:
            self.close_door(address)
        self.slow_ms.pop(slot, None)
        self._stalls.pop(slot, None)
        self._due_ms.pop(slot, None)
        self._touched.discard(slot)
        self._inboxes.pop(slot, None)
        card.kill()
        return card

    def open_door(self, address, slot, take):
        """`take` hears what is sent to `address` from now on, on behalf of a slot or a person."""
        self.close_door(address)
        self.doors[address] = (slot, take)
        self.net.attach(address)

    def close_door(self, address):
        """Nobody hears `address` any more."""
        if self.doors.pop(address, None) is not None:
            self.net.detach(address)

    def stall(self, slot, span_ms):
        """The card in `slot` does not run for span_ms: what comes in waits in its sockets."""
        self._stalls[slot] = self.elapsed_ms + span_ms
        self._inboxes.setdefault(slot, [])

    def stalled(self, slot):
        """Is the card held up?"""
        return slot in self._stalls

    def advance(self, span_ms):
        """Let span_ms pass."""
        end_ms = self.elapsed_ms + span_ms
        self._touched.update(self.cards)  # somebody may have spoken to them meanwhile
        self._touched.update(self.people)
        while True:
            self._settle()
            wait_ms = max(1, self._wait_ms())
            if self.elapsed_ms + wait_ms > end_ms:
                self._move(end_ms - self.elapsed_ms)
                return
            self._move(wait_ms)

    def _move(self, span_ms):
        self.elapsed_ms += span_ms
        self.now_ms = ticks_add(self.now_ms, span_ms)

    def _wait_ms(self):
        waits = [1000] + [end_ms - self.elapsed_ms for end_ms in self._stalls.values()]
        waits += [self._due_ms[who] - self.elapsed_ms for who in self._due_ms
                  if who not in self._stalls]
        for deadline in (self.bus.next_deadline_ms(), self.net.next_deadline_ms()):
            if deadline is not None:
                waits.append(ticks_diff(deadline, self.now_ms))
        return min(waits)

    def _settle(self):
        """Deliver and step who is due or was given something, until nothing more happens now."""
        self._touched.update([who for who in self._due_ms
                              if self._due_ms[who] <= self.elapsed_ms])
        for _ in range(ROUNDS_MOST):
            self._wake()
            self._deliver()
            turn = [slot for slot in sorted(self.cards)
                    if slot in self._touched and slot not in self._stalls]
            turn += [person for person in self.people if person in self._touched]
            self._touched.clear()
            for who in turn:
                if who not in self._stalls and self._step(who):
                    self._touched.add(who)
            if not self._touched and not self._arriving(self.bus) \
                    and not self._arriving(self.net):
                return
        raise Broken("the cards never come to rest at {} ms".format(self.elapsed_ms))

    def _arriving(self, network):
        deadline = network.next_deadline_ms()
        return deadline is not None and ticks_diff(deadline, self.now_ms) <= 0

    def _deliver(self):
        """Hand over what has arrived on both networks."""
        for dest, source, frame in self.bus.deliver(self.now_ms):
            if dest in self.cards:
                self._give(dest, self.cards[dest].receive, source, frame)
        for dest, source, octets in self.net.deliver(self.now_ms):
            if dest in self.doors:
                who, take = self.doors[dest]
                self._give(who, take, source, octets)

    def _give(self, slot, take, source, octets):
        if slot not in self._stalls:
            self._touched.add(slot)
            take(source, octets, self.now_ms)
        elif len(self._inboxes[slot]) < INBOX_LIMIT:
            self._inboxes[slot].append((take, source, octets))
        else:
            self.inbox_drops += 1

    def _wake(self):
        """Cards whose stall is over: their timers first, then their sockets (the reactor)."""
        for slot in [slot for slot in self._stalls if self._stalls[slot] <= self.elapsed_ms]:
            del self._stalls[slot]
            self.woke_ms[slot] = self.elapsed_ms
            inbox = self._inboxes.pop(slot, ())
            self._step(slot)
            if slot in self.cards:
                for take, source, octets in inbox:
                    take(source, octets, self.now_ms)
                self._touched.add(slot)

    def _step(self, who):
        """Step a card (by its slot) or a person; True when it sent something."""
        someone = self.cards.get(who, who)
        busy = False
        try:
            busy = someone.step(self.now_ms)
        except Crash as crash:
            self.note("slot {} loses power {}".format(who, crash))
            self.pull(who)
            return False
        if self.slow_ms.get(who):
            self.stall(who, self.slow_ms[who])
        deadline = someone.next_deadline_ms(self.now_ms)
        self._due_ms[who] = self.elapsed_ms + (
            1000 if deadline is None else ticks_diff(deadline, self.now_ms))
        return busy
