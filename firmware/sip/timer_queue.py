"""The deadlines of tens of thousands of things in one heap, with lazy deletion.

A thing has at most one live entry, whose tick it keeps itself in `armed_ms`; any other entry of
it is dead and falls out when it comes to the top or when the heap is full. A deadline that moves
later leaves its entry alone: the thing is popped early, does nothing and is armed again, which
is cheaper than a push for every message. Both interpreters; imports no I/O.
"""

import heapq

from bus.compat import const, ticks_diff

_REBASE_MS = const(1 << 28)  # 3.1 days: far from where ticks_diff would turn over


class TimerQueue:
    """Things with an attribute armed_ms (tick or None, owned by this class) by their deadlines.

    limit: how many things are armed at once at most; the heap never holds more than twice that.
    """

    def __init__(self, limit):
        self._limit = limit
        self._heap = []  # (milliseconds from the origin, number of the entry, thing)
        self._origin_ms = 0
        self._number = 0

    def __len__(self):
        """Entries in the heap, dead ones among them."""
        return len(self._heap)

    def arm(self, thing, due_ms):
        """Have `thing` popped at tick `due_ms` or before; None leaves it as it is. O(log n)."""
        if due_ms is None:
            return
        armed_ms = thing.armed_ms
        if armed_ms is not None and ticks_diff(due_ms, armed_ms) >= 0:
            return
        if not self._heap:
            self._origin_ms = due_ms
        offset = ticks_diff(due_ms, self._origin_ms)
        if offset > _REBASE_MS or len(self._heap) >= 2 * self._limit:
            self._rebuild(offset)
            self._origin_ms = due_ms
            offset = 0
        thing.armed_ms = due_ms
        # the number keeps heapq from ever comparing two things
        self._number = (self._number + 1) & 0x3FFFFFFF
        heapq.heappush(self._heap, (offset, self._number, thing))

    def _rebuild(self, moved_ms):
        """Drop the dead entries and count from an origin `moved_ms` later; the order stays."""
        self._heap = [(entry[0] - moved_ms, entry[1], entry[2]) for entry in self._heap
                      if self._is_live(entry)]
        heapq.heapify(self._heap)

    def _is_live(self, entry):
        armed_ms = entry[2].armed_ms
        return armed_ms is not None and ticks_diff(armed_ms, self._origin_ms) == entry[0]

    def _first_live(self):
        """The first live entry, left in place, or None; dead ones before it are gone."""
        heap = self._heap
        while heap and not self._is_live(heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None

    def pop_due(self, now_ms):
        """A thing whose entry is due, disarmed, or None. Its own deadline may be later."""
        entry = self._first_live()
        if entry is None or ticks_diff(now_ms, entry[2].armed_ms) < 0:
            return None
        heapq.heappop(self._heap)
        entry[2].armed_ms = None
        return entry[2]

    def next_deadline_ms(self):
        """Tick at which pop_due may give something, or None."""
        entry = self._first_live()
        return None if entry is None else entry[2].armed_ms
