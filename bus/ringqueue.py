"""A bounded first-in first-out queue that states what it does when full and counts what it lost.

Imports no I/O. Runs on both interpreters; put and get allocate nothing.
"""


class RingQueue:
    """Fixed capacity; when full either the new item is refused or the oldest gives way."""

    def __init__(self, capacity, drop_oldest=False):
        """capacity: items, at least 1.  drop_oldest: overflow policy; False refuses the new."""
        if capacity < 1:
            raise ValueError("a ring queue needs room for at least one item")
        self.capacity = capacity
        self.drop_oldest = drop_oldest
        self.dropped = 0
        self.high_water = 0
        self._items = [None] * capacity
        self._head = 0
        self._count = 0

    def __len__(self):
        return self._count

    def room(self):
        """How many items can be put before the overflow policy acts."""
        return self.capacity - self._count

    def put(self, item):
        """Append `item`; False when it was refused. Either way a lost item is counted once."""
        if self._count == self.capacity:
            self.dropped += 1
            if not self.drop_oldest:
                return False
            self.get()
        tail = self._head + self._count
        if tail >= self.capacity:
            tail -= self.capacity
        self._items[tail] = item
        self._count += 1
        if self._count > self.high_water:
            self.high_water = self._count
        return True

    def peek(self):
        """The oldest item, left in place, or None."""
        return self._items[self._head] if self._count else None

    def get(self):
        """Take the oldest item, or None when empty."""
        if not self._count:
            return None
        item = self._items[self._head]
        self._items[self._head] = None  # the queue must not keep taken items alive
        self._head += 1
        if self._head == self.capacity:
            self._head = 0
        self._count -= 1
        return item
