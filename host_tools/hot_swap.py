"""The hot-swap state of one slot, M0..M7 (PICMG 3.0 3.2.4), with previous state and cause.

    M0 -> M1          a card is inserted (its process starts)
    M1 -> M2 -> M3    its first heartbeat asks for activation; the shelf manager grants it
    M3 -> M4          it says in-service
    M4 -> M5 -> M6    extraction is ordered; the card drains
    M6 -> M1 -> M0    drained and switched off; taken out
    any -> M7         heartbeats stop or the process dies; back on the next heartbeat, or M0
                      when the process is gone
"""

from collections import deque
from dataclasses import dataclass

UNTOLD_LIMIT = 64

M0, M1, M2, M3, M4, M5, M6, M7 = range(8)


@dataclass(frozen=True)
class Change:
    """One step: state numbers before and after, and why."""

    slot: int
    previous: int
    state: int
    cause: str


class SlotState:
    """The hot-swap state machine of one slot; `take_changes` gives the steps not yet told."""

    def __init__(self, slot):
        self.slot = slot
        self.state = M0
        self.previous = M0
        self.cause = "not installed"
        self._untold = deque(maxlen=UNTOLD_LIMIT)

    def inserted(self):
        """The card was put in and its power is on."""
        self._to(M1, "inserted")

    def heard(self, in_service):
        """A heartbeat came; in_service: what it says of the card's service."""
        if self.state == M1:
            self._to(M2, "first heartbeat")
            self._to(M3, "activation granted")
        elif self.state == M7:
            self._to(M3, "communication restored")
        if self.state == M3 and in_service:
            self._to(M4, "in service")
        elif self.state == M4 and not in_service:
            self._to(M3, "service left")

    def lost(self, cause):
        """Heartbeats stopped; a card not yet heard or being switched off is no loss."""
        if self.state in (M2, M3, M4, M5):
            self._to(M7, cause)

    def extraction(self, cause="extraction ordered"):
        """The card shall go: extraction, or the whole chassis goes down."""
        if self.state in (M2, M3, M4):
            self._to(M5, cause)
            self._to(M6, "draining")

    def drained(self, cause):
        """The drain is over; the card's power goes."""
        if self.state == M6:
            self._to(M1, cause)

    def gone(self, cause):
        """The process is no more."""
        if self.state in (M2, M3, M4, M5, M6):
            self._to(M7, cause)
        self._to(M0, "taken out: " + cause if self.previous == M6 else cause)

    def take_changes(self):
        """The changes since the last call, oldest first."""
        changes = list(self._untold)
        self._untold.clear()
        return changes

    def _to(self, state, cause):
        if state == self.state:
            return
        change = Change(self.slot, self.state, state, cause)
        self.previous, self.state, self.cause = self.state, state, cause
        self._untold.append(change)
