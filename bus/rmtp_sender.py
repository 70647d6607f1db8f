"""RMTP, the sending end of one connection (bus/rmtp.py has the layouts). Sans-I/O, both interpreters."""

from bus.rmtp import ALL


class RmtpSender:
    """Multicasts a stream of packets to a known roster and mends what they miss.

    params: RmtpParams.  dest: slot, or ALL.  first_seq: 0..2**32-1, the first packet's number. A stream that
    follows another on the same channel must not start inside its numbers: give successor_seq() of the old one,
    and after a restart a number made from the incarnation, so that no stale ACK can confirm anything.
    Counters (plain ints): sent, retransmitted, acks, bad, congested.
    """

    def __init__(self, params, dest=ALL, first_seq=0, now_ms=0):
        self.params = params
        raise NotImplementedError

    def offer(self, body, start, n, last=False):
        """Queue body[start:start+n] as the next packet; last=True makes it DATA_EOF.

        Returns False, and keeps nothing, when room() is 0. Raises ValueError above packet_size or after the last.
        """

    def room(self):
        """Packets that can be offered now: 0..Wr."""

    def set_roster(self, slots, now_ms):
        """The cards whose acknowledgement moves the window. A new one counts from the present window;
        a base stream therefore sets its roster before it offers."""

    def receive_ack(self, slot, frame_type, buf, start, end, now_ms):
        """Take an ACK, ACK_TXNOW or RTT_MEASURE payload buf[start:end] of `slot`."""

    def to_send(self, out, start, now_ms):
        """Write the next payload at out[start:]; (n, frame_type, dest slot or ALL), or None: nothing now."""

    def next_deadline_ms(self):
        """When handle_timer wants to run, or None."""

    def handle_timer(self, now_ms):
        """Let cycles, heartbeats and the laggard watch run; then call to_send until None."""

    def next_event(self):
        """(LAGGARD, slot): taken off the roster because it blocked the window; or None."""

    def delivered(self, slot):
        """True when `slot` is on the roster and has acknowledged all that was offered."""

    def idle(self):
        """True when the whole roster has acknowledged all that was offered."""

    def reset(self):
        """Kill the connection: RESET goes out by to_send; then done() is True."""

    def done(self):
        """True after DATA_EOF and Tdally of silence, or after reset(): the object can be dropped."""

    def successor_seq(self):
        """first_seq for the next stream on the same channel of the same incarnation."""
