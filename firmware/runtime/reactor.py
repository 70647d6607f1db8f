"""The one loop that waits. It polls streams and steps the card; everything else is sans-I/O.

Runs on both interpreters: MicroPython's poll gives back the object, CPython's the descriptor.
"""

import select

from bus.compat import MICROPYTHON, ticks_diff
from firmware.runtime import clock

IDLE_MS = 1000


def _key(stream):
    return id(stream) if MICROPYTHON else stream.fileno()


class Reactor:
    """Streams and their handlers.

    A handler has `readable(now_ms)`; `writable(now_ms)` when `want_write` is used on it; and
    `hung_up()` when registered as a line.
    """

    def __init__(self):
        self._poll = select.poll()
        self._handlers = {}
        self._lines = set()  # keys of the streams whose hang-up is told
        self.stopped = None

    def register(self, stream, handler, line=False):
        """Call handler.readable(now_ms) whenever `stream` has something to read.

        line: a serial line; handler.hung_up() is called when its other end is gone for good and
        nothing is left to read.
        """
        self._handlers[_key(stream)] = (stream, handler)
        if line:
            self._lines.add(_key(stream))
        self._poll.register(stream, select.POLLIN)

    def want_write(self, stream, wanted):
        """Also call handler.writable(now_ms) while `wanted` and the stream takes octets."""
        self._poll.modify(stream, select.POLLIN | (select.POLLOUT if wanted else 0))

    def unregister(self, stream):
        """Forget `stream`; to be called before it is closed."""
        self._lines.discard(_key(stream))
        if self._handlers.pop(_key(stream), None) is not None:
            self._poll.unregister(stream)

    def stop(self, reason):
        """End `run` after the present step; `reason` is what `run` returns."""
        self.stopped = reason

    def run(self, card):
        """Step `card` until stopped.

        card: step(now_ms) does all work that is due; next_deadline_ms() is the tick by which it
        wants to be stepped again, or None.
        """
        while self.stopped is None:
            now_ms = clock.now_ms()
            card.step(now_ms)
            if self.stopped is not None:
                break
            deadline_ms = card.next_deadline_ms()
            wait_ms = IDLE_MS
            if deadline_ms is not None:
                wait_ms = max(0, min(IDLE_MS, ticks_diff(deadline_ms, clock.now_ms())))
            self._serve(wait_ms)
        return self.stopped

    def _serve(self, wait_ms):
        for row in self._poll.poll(wait_ms):
            stream, event = row[0], row[1]
            key = id(stream) if MICROPYTHON else stream
            found = self._handlers.get(key)
            if found is None:
                continue
            now_ms = clock.now_ms()
            if key in self._lines and event & select.POLLHUP:
                self._hang_up(key, found[1], event, now_ms)
                continue
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                found[1].readable(now_ms)
            if event & select.POLLOUT:
                found[1].writable(now_ms)

    def _hang_up(self, key, handler, event, now_ms):
        """A line without another end: first what it still holds, then its hang-up."""
        if event & select.POLLIN:
            handler.readable(now_ms)
        if not event & select.POLLIN or key not in self._handlers:
            handler.hung_up()
