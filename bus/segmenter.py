"""A message longer than a frame, cut into SEGMENT payloads (reassembler.py joins them again).

     0            1   2          4       6      8       10
    +------------+---+----------+-------+------+-------+------------------------+
    | inner type | 0 | transfer | total | step | index | body[index*step : ...]  |
    +------------+---+----------+-------+------+-------+------------------------+

inner type: the frame type the whole would have had. transfer: names the message within its
source; a retry repeats it, so that the receiver fills only its holes. total: octets of the whole
body. step: octets in each segment but the last. All big-endian.
Imports no I/O. Runs on both interpreters.
"""

import struct

from bus.compat import const
from bus.wire import MAX_PAYLOAD

SEGMENT_HEADER = ">BBHHHH"
SEGMENT_HEADER_BYTES = const(10)
SEGMENT_STEP = MAX_PAYLOAD - SEGMENT_HEADER_BYTES
MAX_MESSAGE = const(60000)  # the bound every card keeps, below what `total` could tell


class Segmenter:
    """Cuts one body at a time; `start` again only when `busy` is False."""

    def __init__(self, step=SEGMENT_STEP):
        """step: octets of the body in each segment, 1..SEGMENT_STEP (a link with short frames)."""
        if not 1 <= step <= SEGMENT_STEP:
            raise ValueError("segment step out of range: {}".format(step))
        self.busy = False
        self._step = step
        self._body = b""
        self._inner_type = 0
        self._transfer = 0
        self._index = 0

    def start(self, inner_type, transfer, body):
        """Begin a body of 1..MAX_MESSAGE octets. transfer: 0..65535."""
        if not 1 <= len(body) <= MAX_MESSAGE:
            raise ValueError("a message has 1..{} octets, not {}".format(MAX_MESSAGE, len(body)))
        self._body = body
        self._inner_type = inner_type
        self._transfer = transfer
        self._index = 0
        self.busy = True

    def next_segment(self, out, start):
        """Write the next segment at out[start:]; returns its octets, 0 when none is left."""
        if not self.busy:
            return 0
        body = self._body
        at = self._index * self._step
        n = min(self._step, len(body) - at)
        struct.pack_into(SEGMENT_HEADER, out, start, self._inner_type, 0, self._transfer,
                         len(body), self._step, self._index)
        start += SEGMENT_HEADER_BYTES
        out[start:start + n] = body[at:at + n]
        self._index += 1
        if at + n == len(body):
            self.busy = False
            self._body = b""
        return SEGMENT_HEADER_BYTES + n
