"""Updates that came before their turn, bounded. Portable; imports no I/O."""


class Ahead:
    """Decoded UPDATE messages by their first level.

    When full the new update is dropped: those nearest to their turn came first, and what is
    dropped comes again in the catch-up stream.
    """

    def __init__(self, updates, octets):
        self._updates = updates
        self._octets = octets
        self._kept = {}
        self._kept_octets = 0

    def __len__(self):
        return len(self._kept)

    def keep(self, message):
        """Keep one UPDATE; False when there is no room."""
        octets = len(message[5])
        if message[2] in self._kept:
            return True
        if len(self._kept) >= self._updates or self._kept_octets + octets > self._octets:
            return False
        self._kept[message[2]] = message
        self._kept_octets += octets
        return True

    def take(self, level):
        """An update that carries the level after `level`, or None; what is older goes."""
        for first in sorted(self._kept):
            if first > level + 1:
                return None
            message = self._kept.pop(first)
            self._kept_octets -= len(message[5])
            if first + message[3] - 1 > level:
                return message
        return None

    def forget(self):
        """Drop all."""
        self._kept = {}
        self._kept_octets = 0
