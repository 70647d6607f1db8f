"""Ping and health check of each cluster card.

Two probes for each card, each with an identifier of its own: PING is an ECHO request on the bus,
CHECK a SIP OPTIONS through the relay plane that the card's real SIP path answers. A probe not
answered within `timeout_ms` (< interval) has failed; a late answer carries an old identifier and
is ignored; a transport error counts as a failure at once. `fall` failures in a row make the probe
bad, `rise` successes good again; a card is alive while both are good.

A new card is alive until proven otherwise: its heartbeats are evidence, and a switch card that
just started must not see all cards down. Detection of a silent card takes at most
fall x interval + timeout.  Imports no I/O. Runs on both interpreters.
"""

import struct
from collections import deque

from bus.compat import const, earliest, ticks_add, ticks_diff

PING = const(0)
CHECK = const(1)
KINDS = ("ping", "check")
EVENT_LIMIT = const(128)


def slot_of(probe_id):
    """The slot that a probe identifier of this module was made for."""
    return probe_id[1] >> 1


class Probe:
    """One kind of probe of one card."""

    def __init__(self, now_ms):
        self.next_ms = now_ms
        self.probe_id = None
        self.sent_ms = now_ms
        self.good = True
        self.elapsed_ms = None
        self.streak = 0  # > 0: successes in a row while bad; < 0: failures in a row while good

    def record(self, passed, rise, fall):
        """Count one outcome; returns True when the verdict changed."""
        self.probe_id = None
        if passed == self.good:
            self.streak = 0
            return False
        self.streak += 1 if passed else -1
        if -fall < self.streak < rise:
            return False
        self.good = passed
        self.streak = 0
        return True


class HealthMonitor:
    """Probes every card that was added.

    own_slot: 0..30.  incarnation: the switch card's, makes probe identifiers of one life unlike
    those of another.  interval_ms, timeout_ms: timeout < interval, else ValueError.
    """

    def __init__(self, own_slot, incarnation=0, interval_ms=500, timeout_ms=400, rise=2, fall=3):
        if not 0 < timeout_ms < interval_ms:
            raise ValueError("the probe time-out must be shorter than the interval")
        self.timeout_ms = timeout_ms
        self.counters = {"probes": 0, "passed": 0, "failed": 0, "late": 0}
        self._own_slot = own_slot
        self._incarnation = incarnation & 0xFFFF
        self._interval_ms = interval_ms
        self._rise = rise
        self._fall = fall
        self._number = 0
        self._cards = {}
        self._due = deque((), EVENT_LIMIT)
        self._events = deque((), EVENT_LIMIT)

    def add(self, slot, now_ms):
        """Probe `slot` from now on, forgetting what was known of an earlier life."""
        self._cards[slot] = (Probe(now_ms), Probe(now_ms))

    def remove(self, slot):
        """Probe `slot` no longer."""
        if slot in self._cards:
            del self._cards[slot]

    def alive(self, slot):
        """The verdict; False for a slot that is not probed."""
        probes = self._cards.get(slot)
        return probes is not None and probes[PING].good and probes[CHECK].good

    def elapsed_ms(self, slot, kind):
        """Time of the last answered probe of this kind in ms; None before the first."""
        probes = self._cards.get(slot)
        return None if probes is None else probes[kind].elapsed_ms

    def slots(self):
        """The probed slots in rising order."""
        return sorted(self._cards)

    def next_probe(self):
        """A probe to send now as (kind, slot, probe_id), or None."""
        while self._due:
            kind, slot, probe_id = self._due.popleft()
            probes = self._cards.get(slot)
            if probes is not None and probes[kind].probe_id == probe_id:
                return kind, slot, probe_id
        return None

    def answered(self, kind, slot, probe_id, passed, now_ms):
        """An answer to a probe came; `passed` is its content's verdict.

        Returns the elapsed ms, or None for an answer to no outstanding probe (late, repeated).
        """
        probes = self._cards.get(slot)
        if probes is None or probes[kind].probe_id != probe_id:
            self.counters["late"] += 1
            return None
        probe = probes[kind]
        elapsed_ms = max(0, ticks_diff(now_ms, probe.sent_ms))
        if elapsed_ms >= self.timeout_ms:
            passed = False
        else:
            probe.elapsed_ms = elapsed_ms
        self._record(slot, kind, passed, "refused" if not passed else "answered")
        return elapsed_ms

    def failed(self, kind, slot, probe_id):
        """The transport could not deliver the probe; probe_id None: whichever is outstanding."""
        probes = self._cards.get(slot)
        if probes is None or probes[kind].probe_id is None:
            return
        if probe_id is None or probes[kind].probe_id == probe_id:
            self._record(slot, kind, False, "transport error")

    def next_event(self):
        """(slot, alive, cause text) for a change of verdict, or None."""
        return self._events.popleft() if self._events else None

    def next_deadline_ms(self):
        """When handle_timer wants to run next; None when nothing is probed."""
        deadline = None
        for slot in self._cards:
            for probe in self._cards[slot]:
                deadline = earliest(deadline, probe.next_ms)
                if probe.probe_id is not None:
                    deadline = earliest(deadline, ticks_add(probe.sent_ms, self.timeout_ms))
        return deadline

    def handle_timer(self, now_ms):
        """Time probes out and start those that are due."""
        for slot in self.slots():
            probes = self._cards[slot]
            for kind in (PING, CHECK):
                probe = probes[kind]
                if (probe.probe_id is not None
                        and ticks_diff(now_ms, probe.sent_ms) >= self.timeout_ms):
                    self._record(slot, kind, False, "no answer")
                if probe.probe_id is None and ticks_diff(now_ms, probe.next_ms) >= 0:
                    self._start(slot, kind, probe, now_ms)

    def _start(self, slot, kind, probe, now_ms):
        self._number = (self._number + 1) & 0xFFFFFFFF
        probe.probe_id = struct.pack(">BBHI", self._own_slot, slot << 1 | kind,
                                     self._incarnation, self._number)
        probe.sent_ms = now_ms
        probe.next_ms = ticks_add(probe.next_ms, self._interval_ms)
        if ticks_diff(now_ms, probe.next_ms) >= 0:  # we slept: start a new rhythm, no burst
            probe.next_ms = ticks_add(now_ms, self._interval_ms)
        self.counters["probes"] += 1
        self._due.append((kind, slot, probe.probe_id))

    def _record(self, slot, kind, passed, cause):
        self.counters["passed" if passed else "failed"] += 1
        before = self.alive(slot)
        if self._cards[slot][kind].record(passed, self._rise, self._fall):
            after = self.alive(slot)
            if before != after:
                self._events.append((slot, after, "{}: {}".format(KINDS[kind], cause)))
