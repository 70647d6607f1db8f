"""The world of the simulator: a fake clock, a faulty bus, cards that are stepped, invariants.

Time jumps from deadline to deadline. The clock starts 5 s before the ticks wrap. Nothing here
or in the cards reads a clock or a random source other than the seed's.
"""

from bus.compat import TICKS_PERIOD, ticks_add, ticks_diff
from bus.links.virtual import VirtualBus

START_MS = TICKS_PERIOD - 5000
START_S = 1_800_000_000
ROUNDS_MOST = 2000


class Crash(Exception):
    """Raised inside a card at the step where the simulator cuts its power."""


class Broken(AssertionError):
    """An invariant does not hold."""


class World:
    """seed: int.  cards: slot -> card with step(), next_deadline_ms(), receive() and kill()."""

    def __init__(self, seed):
        self.bus = VirtualBus(seed)
        self.random = self.bus.random
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

    def plug(self, card):
        """Power a card on."""
        self.cards[card.slot] = card
        self.bus.attach(card.slot)

    def pull(self, slot):
        """Cut a card's power at this very moment."""
        card = self.cards.pop(slot)
        self.bus.detach(slot)
        card.kill()
        return card

    def advance(self, span_ms):
        """Let span_ms pass."""
        end_ms = self.elapsed_ms + span_ms
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
        waits = [1000]
        deadlines = [card.next_deadline_ms(self.now_ms) for card in self.cards.values()]
        for deadline in deadlines + [self.bus.next_deadline_ms()]:
            if deadline is not None:
                waits.append(ticks_diff(deadline, self.now_ms))
        return min(waits)

    def _settle(self):
        """Deliver and step until nothing more happens at this instant."""
        for _ in range(ROUNDS_MOST):
            for dest, source, frame in self.bus.deliver(self.now_ms):
                if dest in self.cards:
                    self.cards[dest].receive(source, frame, self.now_ms)
            busy = False
            for slot in sorted(self.cards):
                busy = self._step(slot) or busy
            deadline = self.bus.next_deadline_ms()
            if not busy and (deadline is None or ticks_diff(deadline, self.now_ms) > 0):
                return
        raise Broken("the cards never come to rest at {} ms".format(self.elapsed_ms))

    def _step(self, slot):
        try:
            return self.cards[slot].step(self.now_ms)
        except Crash as crash:
            self.note("slot {} loses power {}".format(slot, crash))
            self.pull(slot)
            return False
