"""Puts FRAGMENT messages of a stream together again. Portable; imports no I/O."""


class Fragments:
    """One unfinished message for each stream channel.

    octets: bound of one message; a longer one, or a fragment out of its turn, is dropped (the
    replica then sees a gap of levels and asks again).
    """

    def __init__(self, octets):
        self._octets = octets
        self._parts = {}  # channel -> [count, octets so far, list of parts]
        self.dropped = 0

    def add(self, channel, index, count, octets):
        """Take one fragment; the whole message as bytes when it was the last, else None."""
        if index == 0:
            self._parts[channel] = [count, 0, []]
        entry = self._parts.get(channel)
        if entry is None:
            self.dropped += 1
            return None
        entry[1] += len(octets)
        if index != len(entry[2]) or count != entry[0] or entry[1] > self._octets:
            self.dropped += 1
            del self._parts[channel]
            return None
        entry[2].append(octets)
        if index + 1 < count:
            return None
        del self._parts[channel]
        return b"".join(entry[2])

    def drop(self, channel):
        """Forget what came of an unfinished message on `channel`."""
        self._parts.pop(channel, None)
