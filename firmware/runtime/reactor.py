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

    A handler has `readable(now_ms)` and, when registered with `writing`, `writable(now_ms)`.
    """

    def __init__(self):
        self._poll = select.poll()
        self._handlers = {}
        self.stopped = None

    def register(self, stream, handler):
        """Call handler.readable(now_ms) whenever `stream` has something to read."""
        self._handlers[_key(stream)] = (stream, handler)
        self._poll.register(stream, select.POLLIN)

    def want_write(self, stream, wanted):
        """Also call handler.writable(now_ms) while `wanted` and the stream takes octets."""
        self._poll.modify(stream, select.POLLIN | (select.POLLOUT if wanted else 0))

    def unregister(self, stream):
        """Forget `stream`; to be called before it is closed."""
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
            found = self._handlers.get(id(stream) if MICROPYTHON else stream)
            if found is None:
                continue
            now_ms = clock.now_ms()
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                found[1].readable(now_ms)
            if event & select.POLLOUT:
                found[1].writable(now_ms)
