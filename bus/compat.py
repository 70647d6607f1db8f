"""Interpreter shims: every portable file starts `from bus.compat import const, ...`.

One place for what CPython 3.11+ and MicroPython 1.25+ spell differently. Imports no I/O.
The MicroPython compiler recognises `const(...)` by its spelling; on CPython it is the identity.

Time: `now_ms` is a counter modulo TICKS_PERIOD (12.4 days). Compare and add only with
`ticks_diff` and `ticks_add`; spans stay below TICKS_PERIOD / 2.
"""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

if MICROPYTHON:
    import micropython
    from micropython import const
else:

    class _Emitters:
        """Stands in for the `micropython` module: decorators that change nothing."""

        @staticmethod
        def native(function):
            return function

        @staticmethod
        def viper(function):
            return function

    micropython = _Emitters()

    def const(value):
        return value


TICKS_PERIOD = const(1 << 30)
TICKS_MASK = const((1 << 30) - 1)
TICKS_HALF = const(1 << 29)


def ticks_add(now_ms, span_ms):
    """The tick `span_ms` (may be negative, |span| < 6.2 days) after `now_ms`."""
    return (now_ms + span_ms) & TICKS_MASK


def ticks_diff(later_ms, earlier_ms):
    """Milliseconds from `earlier_ms` to `later_ms`; negative when `later_ms` comes first."""
    return ((later_ms - earlier_ms + TICKS_HALF) & TICKS_MASK) - TICKS_HALF


def earliest(first_ms, second_ms):
    """The earlier of two deadlines; None means no deadline."""
    if first_ms is None:
        return second_ms
    if second_ms is None:
        return first_ms
    return first_ms if ticks_diff(first_ms, second_ms) <= 0 else second_ms
