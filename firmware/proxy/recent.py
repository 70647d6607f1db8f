"""A bounded memory of the last seconds: two generations of a dict. Pure; both interpreters."""

from bus.compat import ticks_diff


class Recent:
    """Remembers values for at least lifetime_ms and at most twice as long.

    limit: entries of one generation.  A generation that is full or old enough becomes the
    earlier one, and what was there is forgotten at one stroke, so no entry is walked.
    overflow counts the generations that ended early because they were full.
    """

    def __init__(self, limit, lifetime_ms, now_ms=0):
        self._limit = limit
        self._lifetime_ms = lifetime_ms
        self._since_ms = now_ms
        self._new = {}
        self._old = {}
        self.overflow = 0
        self.high_water = 0

    def __len__(self):
        return len(self._new) + len(self._old)

    def _turn(self, now_ms):
        age_ms = ticks_diff(now_ms, self._since_ms)
        if age_ms >= self._lifetime_ms or age_ms < 0:
            self._old = {} if age_ms >= 2 * self._lifetime_ms else self._new
            self._new = {}
            self._since_ms = now_ms
        elif len(self._new) >= self._limit:
            self.overflow += 1
            self._old = self._new
            self._new = {}
            self._since_ms = now_ms

    def put(self, key, value, now_ms):
        """Remember `value` (not None) under `key`."""
        self._turn(now_ms)
        self._new[key] = value
        if len(self) > self.high_water:
            self.high_water = len(self)

    def get(self, key, now_ms):
        """The value remembered under `key`, or None."""
        self._turn(now_ms)
        value = self._new.get(key)
        return self._old.get(key) if value is None else value
