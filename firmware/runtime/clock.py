"""The one place that reads time: ticks for protocols, Unix seconds for expiries.

Runs on both interpreters. Ticks are milliseconds modulo bus.compat.TICKS_PERIOD.
"""

import time

from bus.compat import MICROPYTHON, TICKS_MASK

if MICROPYTHON:

    def now_ms():
        """Monotonic milliseconds modulo TICKS_PERIOD."""
        return time.ticks_ms() & TICKS_MASK

else:

    def now_ms():
        """Monotonic milliseconds modulo TICKS_PERIOD."""
        return time.monotonic_ns() // 1_000_000 & TICKS_MASK


class ChassisClock:
    """Unix seconds as the location server tells them, so that every card expires alike.

    A card with a bad clock of its own follows the chassis; a chassis without a location server
    goes on from the last offset it heard.
    """

    def __init__(self):
        self._offset_s = 0

    def now_s(self):
        """Unix time of the chassis, seconds."""
        return int(time.time()) + self._offset_s

    def follow(self, server_s):
        """Adopt the location server's time when it is more than a second away from ours."""
        ahead = server_s - self.now_s()
        if server_s and not -1 <= ahead <= 1:
            self._offset_s += ahead
