"""The reliable streams of one card: RMTP senders by channel, receivers by (slot, channel).

RMTP (rmtp.py) knows one connection. Here connections are named, opened again and given up. The
low four bits of the frame's flags are the generation: the incarnation and how often this life has
opened the channel before, added. Another generation is another stream: its numbers begin again,
and an ACK from a card that has not noticed the sender's restart confirms nothing of the new life.
Imports no I/O. Runs on both interpreters.
"""

from bus import rmtp
from bus.compat import const, earliest, ticks_add, ticks_diff
from bus.events import LAGGARD, STREAM, STREAM_LOST, STREAM_OPENED
from bus.messages import CATCH_UP_CHANNEL
from bus.rmtp_receiver import RmtpReceiver
from bus.rmtp_sender import RmtpSender
from bus.wire import FLAG_FROM_BASE, FLAG_GENERATION

_TO_SENDER = (rmtp.ACK, rmtp.ACK_TXNOW, rmtp.RTT_MEASURE)
_TO_RECEIVER = (rmtp.DATA, rmtp.DATA_EOF, rmtp.NULL, rmtp.RESET, rmtp.RTT_ACK)
_STARTS_RECEIVER = (rmtp.DATA, rmtp.DATA_EOF, rmtp.NULL)
# The replay window lets through frames at most 64 late: a stale generation is one of the last.
_STALE_GENERATIONS = const(3)


class _Outgoing:
    """A stream of ours."""

    def __init__(self, sender, channel, flags):
        self.sender = sender
        self.channel = channel
        self.flags = flags
        self.closed = False
        self.closed_ms = 0
        self.drained = False  # closed, and its last frame has been fetched


class _Incoming:
    """A stream of another card."""

    def __init__(self, receiver, slot, channel, generation, now_ms):
        self.receiver = receiver
        self.slot = slot
        self.channel = channel
        self.generation = generation
        self.heard_ms = now_ms
        self.opened = False
        self.ended = False
        self.superseded = False  # by a newer stream that needs nothing of this one
        self.dirty = False  # may have events or bodies
        self.talks = False  # may have frames to send


class Streams:
    """All streams of one card."""

    def __init__(self, slot, limits, params=None, incarnation=0):
        """limits: BusLimits, fields stream*.  params: RmtpParams, default: made of the limits.
        incarnation: of this life, 0..2**32 - 1.
        """
        self._slot = slot
        self._limits = limits
        self._params = params or rmtp.RmtpParams(
            Wr=limits.stream_window, Ws=min(128, limits.stream_window),
            cache_size=limits.stream_cache)
        self._outgoing = []  # by channel: live streams before bulk ones
        self._turn = 0
        self._first_generation = incarnation & FLAG_GENERATION
        self._opened = {}  # channel -> generation of its newest stream
        self._incoming = {}
        self._joined = set()
        self._dirty = []
        self._retired = []  # given up, with bodies or a LOST event still to be taken
        self._idle_check_ms = None
        self._retransmitted = 0  # by senders that are gone
        self.unjoined = 0
        self.stale = 0
        self.refused = 0

    # ---- our streams

    def open(self, channel, dest, now_ms, base=False):
        """Open a stream; one that is open on this channel is replaced. False: no room for more.

        base: receivers start at its first packet, wherever they join; else where it stands.
        """
        self._remove(self._find(channel))
        if len(self._outgoing) >= self._limits.streams_out:
            for one in self._outgoing:
                if one.closed:
                    self._remove(one)
                    break
            else:
                self.refused += 1
                return False
        flags = self._first_generation
        if channel in self._opened:
            flags = (self._opened[channel] + 1) & FLAG_GENERATION
        self._opened[channel] = flags
        if base or channel >= CATCH_UP_CHANNEL:
            flags |= FLAG_FROM_BASE
        sender = RmtpSender(self._params, dest, 0, now_ms)
        at = 0
        while at < len(self._outgoing) and self._outgoing[at].channel < channel:
            at += 1
        self._outgoing.insert(at, _Outgoing(sender, channel, flags))
        return True

    def sender(self, channel):
        """The RmtpSender of an open stream, or None."""
        one = self._find(channel)
        return None if one is None or one.closed else one.sender

    def close(self, channel, now_ms):
        """End a stream: with an end mark when all have all of it, else by RESET."""
        one = self._find(channel)
        if one is None or one.closed:
            return
        one.closed = True
        one.closed_ms = now_ms
        if not (one.sender.idle() and one.sender.offer(b"", 0, 0, True)):
            one.sender.reset()

    def _find(self, channel):
        for one in self._outgoing:
            if one.channel == channel:
                return one
        return None

    def _remove(self, one):
        if one is not None:
            self._retransmitted += one.sender.retransmitted
            self._outgoing.remove(one)

    # ---- streams of others

    def join(self, slot, channel):
        """Take the stream `channel` of `slot` whenever it is heard."""
        self._joined.add((slot, channel))

    def leave(self, slot, channel):
        """Take it no more; what was not yet fetched is dropped."""
        self._joined.discard((slot, channel))
        entry = self._incoming.pop((slot, channel), None)
        if entry is not None:
            entry.receiver = None

    def forget(self, slot):
        """The life of `slot` we knew is over, and its streams with it."""
        for key in sorted(self._incoming):
            if key[0] == slot:
                self._retire(self._incoming[key])

    def _retire(self, entry):
        """Give a stream up; bodies in order and the loss are still told."""
        del self._incoming[entry.slot, entry.channel]
        if len(self._retired) >= self._limits.streams_in:
            self._retired.pop(0)
        self._retired.append(entry)

    def receive(self, frame_type, slot, channel, flags, buf, start, end, now_ms):
        """One RMTP payload buf[start:end] of a frame from `slot`; False for an unknown type."""
        if frame_type in _TO_RECEIVER:
            entry = self._entry(frame_type, slot, channel, flags, now_ms)
            if entry is not None:
                entry.heard_ms = now_ms
                entry.receiver.receive(frame_type, buf, start, end, now_ms)
                self._touch(entry)
            return True
        if frame_type in _TO_SENDER:
            one = self._find(channel)
            if one is None or (one.flags ^ flags) & FLAG_GENERATION:
                self.stale += 1
            else:
                one.sender.receive_ack(slot, frame_type, buf, start, end, now_ms)
            return True
        return False

    def _entry(self, frame_type, slot, channel, flags, now_ms):
        """The receiving end a frame belongs to, opened if need be; None: not for us."""
        key = (slot, channel)
        generation = flags & FLAG_GENERATION
        entry = self._incoming.get(key)
        if entry is not None:
            newer = (generation - entry.generation) & FLAG_GENERATION
            if not newer:
                return entry
            if newer > FLAG_GENERATION - _STALE_GENERATIONS:
                self.stale += 1
                return None
            # A stream that begins anew from its base makes up for what the old one lacked: a card
            # told of a loss would ask for yet another, which replaces this one, without end.
            entry.superseded = bool(flags & FLAG_FROM_BASE)
            self._retire(entry)
        if frame_type not in _STARTS_RECEIVER:
            return None
        if key not in self._joined and channel != CATCH_UP_CHANNEL + self._slot:
            self.unjoined += 1
            return None
        if len(self._incoming) >= self._limits.streams_in:
            self.refused += 1
            return None
        receiver = RmtpReceiver(self._params, bool(flags & FLAG_FROM_BASE))
        entry = _Incoming(receiver, slot, channel, generation, now_ms)
        self._incoming[key] = entry
        if self._idle_check_ms is None:
            self._idle_check_ms = ticks_add(now_ms, self._limits.stream_idle_ms)
        return entry

    def _touch(self, entry):
        entry.talks = True
        if not entry.dirty:
            entry.dirty = True
            self._dirty.append(entry)

    # ---- out

    def to_send(self, out, start, now_ms):
        """Write a payload at out[start:]; (n, frame type, dest, channel, flags) or None.

        Acknowledgements first, then live streams, then catch-up streams in turn.
        """
        for key in self._incoming:
            entry = self._incoming[key]
            if entry.talks:
                found = entry.receiver.to_send(out, start, now_ms)
                if found is not None:
                    return found[0], found[1], entry.slot, entry.channel, entry.generation
                entry.talks = False
        count = len(self._outgoing)
        live = 0
        while live < count and self._outgoing[live].channel < CATCH_UP_CHANNEL:
            found = self._from_sender(self._outgoing[live], out, start, now_ms)
            if found is not None:
                return found
            live += 1
        for step in range(count - live):
            at = live + (self._turn + step) % (count - live)
            found = self._from_sender(self._outgoing[at], out, start, now_ms)
            if found is not None:
                self._turn = at - live + 1
                return found
        return None

    def _from_sender(self, one, out, start, now_ms):
        found = one.sender.to_send(out, start, now_ms)
        if found is None:
            one.drained = one.closed
            return None
        return found[0], found[1], found[2], one.channel, one.flags

    def next_retired_event(self):
        """What is left of streams given up; to be taken before any other event of the card."""
        while self._retired:
            entry = self._retired[0]
            event = self._take(entry)
            if event is not None:
                return event
            self._retired.pop(0)
            if entry.opened and not entry.ended and not entry.superseded:
                return STREAM_LOST, entry.slot, entry.channel
        return None

    def next_event(self):
        """The next STREAM, STREAM_OPENED, STREAM_LOST or LAGGARD event, or None."""
        while self._dirty:
            entry = self._dirty[0]
            event = None if entry.receiver is None else self._take(entry)
            if event is not None:
                return event
            entry.dirty = False
            self._dirty.pop(0)
        for one in self._outgoing:
            found = one.sender.next_event()
            if found is not None and not one.closed:
                return LAGGARD, one.channel, found[1]
        return None

    def _take(self, entry):
        """The next event of one receiving end, or None when it is dry."""
        receiver = entry.receiver
        while True:
            found = receiver.next_event()
            if found is None:
                body = receiver.next_body()
                if body is None:
                    found = receiver.next_event()  # a loss shows after the last body before it
                    if found is None:
                        return None
                elif body:
                    return STREAM, entry.slot, entry.channel, body
                else:
                    continue  # the empty body of an end mark
            if found[0] == rmtp.OPENED:
                entry.opened = True
                return STREAM_OPENED, entry.slot, entry.channel
            if found[0] == rmtp.LOST:
                return STREAM_LOST, entry.slot, entry.channel
            entry.ended = True

    # ---- time

    def next_deadline_ms(self):
        """When to call handle_timer, or None."""
        deadline = self._idle_check_ms
        for one in self._outgoing:
            deadline = earliest(deadline, one.sender.next_deadline_ms())
        for key in self._incoming:
            deadline = earliest(deadline, self._incoming[key].receiver.next_deadline_ms())
        return deadline

    def handle_timer(self, now_ms):
        """Run the timers of every end; drop streams that are over."""
        for one in list(self._outgoing):
            one.sender.handle_timer(now_ms)
            if one.drained and self._is_over(one, now_ms):
                self._remove(one)
        for key in self._incoming:
            entry = self._incoming[key]
            deadline = entry.receiver.next_deadline_ms()
            if deadline is not None and ticks_diff(now_ms, deadline) >= 0:
                entry.receiver.handle_timer(now_ms)
                self._touch(entry)
        if self._idle_check_ms is not None and ticks_diff(now_ms, self._idle_check_ms) >= 0:
            self._check_idle(now_ms)

    def _is_over(self, one, now_ms):
        """Whether a closed stream can go: reset, or its end mark known to all and old enough for
        the last acknowledgement to have been lost and repeated (Tdally of the papers).
        """
        sender = one.sender
        age_ms = ticks_diff(now_ms, one.closed_ms)
        return sender.done() or (sender.idle() and age_ms >= self._params.Tdally)

    def _check_idle(self, now_ms):
        """Give up streams whose sender has fallen silent."""
        self._idle_check_ms = None
        for key in sorted(self._incoming):
            entry = self._incoming[key]
            expiry = ticks_add(entry.heard_ms, self._limits.stream_idle_ms)
            if ticks_diff(now_ms, expiry) >= 0:
                self._retire(entry)
            else:
                self._idle_check_ms = earliest(self._idle_check_ms, expiry)

    def retransmitted(self):
        """Packets sent more than once by all streams of this life."""
        return self._retransmitted + sum(one.sender.retransmitted for one in self._outgoing)

    def pools(self):
        """Rows (name, used, limit, high-water mark or used, dropped)."""
        out = len(self._outgoing)
        inward = len(self._incoming)
        return [("bus streams out", out, self._limits.streams_out, out, self.refused),
                ("bus streams in", inward, self._limits.streams_in, inward, self.refused)]
