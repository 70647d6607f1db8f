"""Primary and secondary switch card: who holds the VIP.

| phase     | means                           | announced | leaves it when                   |
|-----------|---------------------------------|-----------|----------------------------------|
| LISTENING | just started, looks for primary | none      | primary heard, start time over   |
| STANDBY   | the mate is primary             | secondary | mate dead, silent or releasing   |
| ELECT     | takes over, VIP not bound yet   | secondary | bound, or mate primary after all |
| HOLDER    | has the VIP                     | primary   | released, or a better primary    |

Hellos are the mate's bus heartbeats. The lower slot is preferred at the first start; a card that
returns to a living primary stays secondary (no pre-emption). The epoch rises with each take-over;
of two primaries the higher epoch stays, of equal epochs the lower slot. An ELECT still announces
secondary, so a mate heard again in time keeps the VIP. Binding the VIP may fail while the address
is still held: it is tried again every 20 ms.

The detection time is `multiplier` times the longest of the configured hello interval, the
interval seen from the mate and this card's own scheduling delay; a card that was itself held up
gives waiting hellos one interval to be read.  Imports no I/O. Runs on both interpreters.
"""

from collections import deque

from bus import states
from bus.compat import const, ticks_add, ticks_diff

HELLO_MS = const(50)
MULTIPLIER = const(3)
START_MS = const(600)
RETRY_MS = const(20)
PATIENCE_MS = const(1000)
YIELD_MS = const(2000)
LONGEST_INTERVAL_MS = const(1000)

LISTENING = const(0)
STANDBY = const(1)
ELECT = const(2)
HOLDER = const(3)

ANNOUNCED = (states.NO_REDUNDANCY, states.SECONDARY, states.SECONDARY, states.PRIMARY)


class Redundancy:
    """One switch card's view. Events: ("take",) bind the VIP and report by vip_bound/vip_failed;
    ("release",) close it; ("beat",) send a heartbeat at once; ("role", old, new, cause) with
    numbers of bus/states.py.

    own_slot, mate_slot: 1..30, mate_slot None for a chassis with one switch card.
    """

    def __init__(self, own_slot, mate_slot, now_ms):
        self.epoch = 0
        self.attempts = 0
        self.draining = False
        self._own_slot = own_slot
        self._mate_slot = mate_slot
        self._phase = LISTENING
        self._events = deque((), 32)
        self._mate_alive = False
        self._mate_role = states.NO_REDUNDANCY
        self._mate_epoch = 0
        self._mate_available = False
        self._heard_ms = now_ms
        self._interval_ms = HELLO_MS
        self._delay_ms = 0
        self._grace_ms = None
        self._phase_ms = now_ms
        self._tick_ms = ticks_add(now_ms, HELLO_MS)
        self._retry_ms = now_ms
        self._yield_ms = None
        self._cause = ""
        if mate_slot is None:
            self._elect("no mate configured", now_ms)

    @property
    def role(self):
        """The announced role: a number of bus/states.py."""
        return ANNOUNCED[self._phase]

    @property
    def is_primary(self):
        """Does this card hold the VIP?"""
        return self._phase == HOLDER

    @property
    def mate_is_primary(self):
        """Is the mate alive and primary?"""
        return self._mate_alive and self._mate_role == states.PRIMARY

    def detection_ms(self):
        """After how many ms without a hello the mate counts as dead."""
        return MULTIPLIER * max(HELLO_MS, self._interval_ms, self._delay_ms)

    def mate_beat(self, role, epoch, available, now_ms):
        """A hello. role, epoch: as announced.  available: False while the mate drains."""
        gap_ms = ticks_diff(now_ms, self._heard_ms)
        if 0 <= gap_ms <= LONGEST_INTERVAL_MS:  # longer: a new life or a lost path, no interval
            step_ms = gap_ms - self._interval_ms
            self._interval_ms += step_ms // (2 if step_ms > 0 else 8)
        self._mate_alive = True
        self._mate_role = role
        self._mate_epoch = epoch
        self._mate_available = available
        self._heard_ms = now_ms
        self._decide(now_ms, "the mate gave up the VIP")

    def mate_down(self, now_ms, cause="the mate is down"):
        """The bus declared the mate down (silence, or a new life)."""
        if self._mate_alive:
            self._mate_alive = False
            self._decide(now_ms, cause)

    def vip_bound(self, now_ms):
        """The wiring has the VIP."""
        if self._phase != ELECT:
            self._events.append(("release",))
            return
        self.epoch = max(self.epoch, self._mate_epoch) + 1
        self._enter(HOLDER, self._cause, now_ms)

    def vip_failed(self, now_ms):
        """The VIP is held by somebody else: try again soon."""
        if self._phase == ELECT:
            self._retry_ms = ticks_add(now_ms, RETRY_MS)

    def release(self, now_ms, draining=False):
        """Hand the VIP to the mate; with no mate alive it is kept.

        draining: do not take it back while the mate lives; else not for two seconds.
        """
        self.draining = draining
        if not self._mate_alive:
            return
        self._yield_ms = ticks_add(now_ms, YIELD_MS)
        if self._phase in (ELECT, HOLDER):
            self._events.append(("release",))
            self._enter(STANDBY, "released", now_ms)

    def undrain(self):
        """Ready to be primary again."""
        self.draining = False

    def next_event(self):
        """The next event, or None."""
        return self._events.popleft() if self._events else None

    def next_deadline_ms(self):
        """When handle_timer wants to run next."""
        deadline = self._tick_ms
        if self._phase == ELECT and ticks_diff(self._retry_ms, deadline) < 0:
            deadline = self._retry_ms
        return deadline

    def handle_timer(self, now_ms):
        """Look at the clock: measure the own delay, miss hellos, retry the VIP."""
        late_ms = max(0, ticks_diff(now_ms, self._tick_ms))
        if ticks_diff(now_ms, self._tick_ms) >= 0:
            self._tick_ms = ticks_add(now_ms, HELLO_MS)
            self._delay_ms = max(min(late_ms, LONGEST_INTERVAL_MS),
                                 self._delay_ms - self._delay_ms // 8 - 1, 0)
            if late_ms >= HELLO_MS:
                self._grace_ms = ticks_add(now_ms, HELLO_MS)
        if self._grace_ms is not None and ticks_diff(now_ms, self._grace_ms) >= 0:
            self._grace_ms = None
        if self._yield_ms is not None and ticks_diff(now_ms, self._yield_ms) >= 0:
            self._yield_ms = None
        silent_ms = ticks_diff(now_ms, self._heard_ms)
        if self._mate_alive and silent_ms >= self.detection_ms() and self._grace_ms is None:
            self.mate_down(now_ms, "no hello from the mate for {} ms".format(silent_ms))
        else:
            self._decide(now_ms, "the mate does not take the VIP")
        if self._phase == ELECT and ticks_diff(now_ms, self._retry_ms) >= 0:
            self._try(now_ms)

    def _decide(self, now_ms, cause):
        if self._phase == HOLDER:
            if self.mate_is_primary and self._mate_is_better():
                self._events.append(("release",))
                self._enter(STANDBY, "the mate is primary of a higher claim", now_ms)
        elif self.mate_is_primary:
            if self._phase == ELECT:
                self._events.append(("release",))
            self.epoch = max(self.epoch, self._mate_epoch)
            if self._phase != STANDBY:
                self._enter(STANDBY, "the mate is primary", now_ms)
        elif self._phase != ELECT and self._may_take(now_ms):
            self._elect(cause if self._phase == STANDBY else "no primary heard", now_ms)

    def _mate_is_better(self):
        if self._mate_epoch != self.epoch:
            return self._mate_epoch > self.epoch
        return self._mate_slot < self._own_slot

    def _may_take(self, now_ms):
        waited_ms = ticks_diff(now_ms, self._phase_ms)
        if not self._mate_alive:
            return self._phase == STANDBY or waited_ms >= START_MS
        if self.draining:
            return False
        if not self._mate_available:
            return True
        if self._phase == STANDBY:
            return self._yield_ms is None
        if self._own_slot > self._mate_slot:
            return waited_ms >= START_MS + PATIENCE_MS
        return self._mate_role == states.NO_REDUNDANCY or waited_ms >= START_MS

    def _elect(self, cause, now_ms):
        self._cause = cause
        self.attempts = 0
        self._enter(ELECT, cause, now_ms)
        self._try(now_ms)

    def _try(self, now_ms):
        self.attempts += 1
        self._retry_ms = ticks_add(now_ms, RETRY_MS)
        self._events.append(("take",))

    def _enter(self, phase, cause, now_ms):
        before = self.role
        self._phase = phase
        self._phase_ms = now_ms
        if phase == HOLDER:
            self._yield_ms = None
        if self.role != before:
            self._events.append(("role", before, self.role, cause))
            self._events.append(("beat",))
