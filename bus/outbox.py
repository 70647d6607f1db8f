"""Messages that wait to be framed: a bounded queue, cut into segments where they are long.

Imports no I/O. Runs on both interpreters.
"""

from bus.ringqueue import RingQueue
from bus.segmenter import Segmenter
from bus.wire import ALL, MAX_PAYLOAD, SEGMENT


class Outbox:
    """What is queued goes out in order; when full, new messages are refused and counted."""

    def __init__(self, limits):
        """limits: BusLimits, fields outgoing_messages, message_octets."""
        self.queue = RingQueue(limits.outgoing_messages)
        self._message_octets = limits.message_octets
        self._segmenter = Segmenter()
        self._segment_dest = ALL
        self._transfer = 0

    def next_transfer(self, size):
        """A number for the segments of a body of `size` octets; 0 when it fits a frame.

        Raises ValueError when it is longer than a message may be.
        """
        if size <= MAX_PAYLOAD:
            return 0
        if size > self._message_octets:
            raise ValueError("a bus message has at most {} octets, not {}".format(
                self._message_octets, size))
        self._transfer = (self._transfer + 1) & 0xFFFF
        return self._transfer

    def put(self, frame_type, dest, body, transfer):
        """Queue a body under a number from next_transfer; False when the queue is full."""
        return self.queue.put((frame_type, dest, body, transfer))

    def next_payload(self, out, start):
        """Write a payload at out[start:]; (n, frame type, dest, channel, flags) or None."""
        if not self._segmenter.busy:
            item = self.queue.get()
            if item is None:
                return None
            frame_type, dest, body, transfer = item
            n = len(body)
            if n <= MAX_PAYLOAD:
                out[start:start + n] = body
                return n, frame_type, dest, 0, 0
            self._segmenter.start(frame_type, transfer, body)
            self._segment_dest = dest
        n = self._segmenter.next_segment(out, start)
        return n, SEGMENT, self._segment_dest, 0, 0
