"""RMTP, the receiving end of one connection (bus/rmtp.py has the layouts). Sans-I/O, both interpreters."""


class RmtpReceiver:
    """Takes one sender's packets and gives their bodies in order, each once.

    params: RmtpParams, the sender's.  base: True starts at the lowest packet the sender still keeps (asking for
    it by ACK_TXNOW), False at the first packet heard.
    Order of use: next_event() until None, next_body() until None, next_event() until None. LOST comes only after all
    bodies before the gap were taken, and nothing after the gap is accepted until it was; then the receiver
    rejoins by itself. Counters (plain ints): received, duplicates, overflow, bad.
    """

    def __init__(self, params, base=False):
        self.params = params
        raise NotImplementedError

    def receive(self, frame_type, buf, start, end, now_ms):
        """Take a DATA, DATA_EOF, NULL, RESET or RTT_ACK payload buf[start:end]. Bad ones are counted."""

    def next_body(self):
        """The next body in order as bytes, or None."""

    def to_send(self, out, start, now_ms):
        """Write the next payload for the sender at out[start:]; (n, frame_type), or None: nothing now."""

    def next_deadline_ms(self):
        """When handle_timer wants to run, or None."""

    def handle_timer(self, now_ms):
        """Let the acknowledgement and RTT cycles run; then call to_send until None."""

    def next_event(self):
        """(OPENED,), (LOST,): a gap that can never be mended or a RESET, (ENDED,): all delivered; or None."""
