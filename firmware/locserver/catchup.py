"""One catch-up stream: what a card lacks, from the log or from a snapshot. Portable, no I/O.

    RELOAD_BEGIN, RELOAD_ROWS..., RELOAD_END   when the card needs everything (one snapshot)
    UPDATE...                                  from the card's level, or the snapshot's, until
                                               the stream meets the level of the live stream
"""

from bus import messages
from bus.compat import const
from firmware.locserver.packing import packets, reload_rows, update

# phases
BEGIN = const(0)
ROWS = const(1)
UPDATES = const(2)
DRAINING = const(3)  # all is offered, the card has not acknowledged all

PAGE = const(256)  # records read from the snapshot at once


class CatchUp:
    """The source of one stream's packets, in order.

    slot: the card.  level: what the card has.  snapshot: None for increments, else an open
    snapshot that this object closes.
    """

    def __init__(self, slot, level, snapshot, now_ms):
        self.slot = slot
        self.level = level
        self.full = snapshot is not None
        self.phase = BEGIN if self.full else UPDATES
        self.progress_ms = now_ms
        self._snapshot = snapshot
        self._waiting = []
        self._page = []
        self._after_key = b""

    def next_packet(self, log, birthday, live_level):
        """The packet to offer now (offer it, then call `offered`), or None when all is offered.

        Raises LookupError when the log lost the rows that this stream still needs, and
        StorageError.
        """
        if not self._waiting:
            message = self._next_message(log, birthday, live_level)
            if message is None:
                return None
            self._waiting = packets(message)
        return self._waiting[0]

    def offered(self, now_ms):
        """The packet of `next_packet` is in the stream's window."""
        self._waiting = self._waiting[1:]
        self.progress_ms = now_ms

    def close(self):
        """Let the snapshot go."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def _next_message(self, log, birthday, live_level):
        if self.phase == BEGIN:
            self.phase = ROWS
            snapshot = self._snapshot
            return messages.encode(messages.RELOAD_BEGIN, snapshot.birthday, snapshot.level,
                                   snapshot.digest, snapshot.records)
        if self.phase == ROWS:
            return self._rows_or_end()
        if self.level >= live_level:
            self.phase = DRAINING
            return None
        self.phase = UPDATES
        rows = log.rows(self.level)
        if not rows:
            raise LookupError("the log no longer holds level {}".format(self.level + 1))
        message, count = update(birthday, rows)
        self.level += count
        return message

    def _rows_or_end(self):
        if not self._page:
            self._page = self._snapshot.rows(self._after_key, PAGE)
        if self._page:
            message, count = reload_rows(self._page)
            self._after_key = self._page[count - 1][0]
            self._page = self._page[count:]
            return message
        self.phase = UPDATES
        self.level = self._snapshot.level
        message = messages.encode(messages.RELOAD_END, self.level, self._snapshot.digest)
        self.close()
        return message
