"""A card's log: the newest lines in memory for the console, all of them on standard error.

Whatever came from outside is escaped first (`clean`), so no attacker text goes raw into a log.
Runs on both interpreters.
"""

import sys
from collections import deque


def clean(text, most=120):
    """`text` (str or bytes) with everything but printable ASCII escaped, at most `most` long."""
    parts = []
    for code in (text if isinstance(text, (bytes, bytearray)) else text.encode()):
        parts.append(chr(code) if 32 <= code < 127 and code != 92 else "\\x{:02x}".format(code))
        if len(parts) >= most:
            parts.append("...")
            break
    return "".join(parts)


class Log:
    """Bounded: the oldest line goes when `lines` are held (they are on standard error too)."""

    def __init__(self, name, clock_s, lines=200, stream=None):
        self._name = name
        self._clock_s = clock_s
        self._recent = deque((), lines)
        self._stream = stream if stream is not None else sys.stderr

    def note(self, text):
        """Record one line; it is the caller's duty to `clean` what came from outside."""
        line = "{} {} {}".format(self._clock_s(), self._name, text)
        self._recent.append(line)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, AttributeError, ValueError):
            # a full disk or a closed stream must not stop a card; the line is still in memory
            return

    def recent(self):
        """The newest lines, oldest first."""
        return [line for line in self._recent]
