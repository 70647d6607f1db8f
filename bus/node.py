"""One card on the IMT bus, sans-I/O: frames and the time in, frames, events and a deadline out.

Ties together frame checking and the replay windows (wire.py), membership, requests, segmented
messages and RMTP streams. Malformed, unauthenticated, replayed and fenced frames are dropped and
counted, never raised. Order of use, once a turn: receive_frame() for each frame, handle_timer(),
next_event() until None, to_send() until None. handle_timer() may be called at any time; the first
call of it, or the first frame, starts the heartbeats.
Imports no I/O. Runs on both interpreters.
"""

import struct

from bus import messages, wire
from bus.compat import earliest, ticks_add, ticks_diff
from bus.events import (
    CARD_BEAT, CARD_DOWN, CARD_UP, LAGGARD, MESSAGE, REQUEST, RESPONSE, STREAM, STREAM_LOST,
    STREAM_OPENED, TIMEOUT)
from bus.limits import BusLimits
from bus.membership import CAUSE_RESTARTED, CAUSE_SILENT, CURRENT, FENCED, Membership
from bus.outbox import Outbox
from bus.reassembler import Reassembler
from bus.request import ANSWERED, EXECUTE, REQUEST_ID_BYTES, Requester, Responder
from bus.ringqueue import RingQueue
from bus.streams import Streams
from bus.wire import ALL, AT_DEST, AT_INCARNATION, AT_SOURCE, HEADER_BYTES, MAX_SLOT

__all__ = (
    "BusNode", "CARD_BEAT", "CARD_DOWN", "CARD_UP", "LAGGARD", "MESSAGE", "REQUEST", "RESPONSE",
    "STREAM", "STREAM_LOST", "STREAM_OPENED", "TIMEOUT")

_REASONS = {
    wire.BAD_HEADER: "bad_header", wire.BAD_CRC: "bad_crc", wire.BAD_TAG: "bad_tag",
    wire.BAD_KEYING: "bad_keying",
}
_DROPS = ("bad_header", "bad_crc", "bad_tag", "bad_keying", "replayed", "fenced", "conflict",
          "malformed")


class BusNode:
    """The bus of one card; the module's head tells the order of use."""

    def __init__(self, slot, role, incarnation, key=None, limits=None, name=b""):
        """slot: 0..31.  role: number of states.py.  incarnation: 0..2**32 - 1, above that of
        every earlier life of the slot.  key: bytes of the chassis, or None.  limits: BusLimits.
        name: bytes, for people.
        """
        if not 0 <= slot <= MAX_SLOT:
            raise ValueError("bus slot out of range: {}".format(slot))
        self.slot = slot
        self.role = role
        self.incarnation = incarnation
        self.name = name
        self.limits = limits or BusLimits()
        self.heartbeat = b""  # a HEARTBEAT message; while empty none is sent
        self.heartbeat_ms = self.limits.heartbeat_ms
        self._codec = wire.FrameCodec(key)
        self._membership = Membership(self.limits)
        self.members = self._membership.members
        self._requester = Requester(slot, incarnation, self.limits)
        self._responder = Responder(self.limits)
        self._reassembler = Reassembler(self.limits)
        self._streams = Streams(slot, self.limits, None, incarnation)
        self._outbox = Outbox(self.limits)
        self._events = RingQueue(self.limits.events)
        self._frame_no = 0
        self._now_ms = 0
        self._beat_due_ms = None
        self._beat_wanted = True
        self._copy = b""  # a unicast frame that has still to go out on other links
        self._copy_bytes = 0
        self._copy_routes = []
        self._counts = {"sent": 0, "received": 0, "duplicate": 0, "foreign": 0, "own": 0}
        for name in _DROPS:
            self._counts[name] = 0

    def attach(self, link_count):
        """How many links (planes) the card has; frames for all go out on each of them."""
        self._membership.attach(link_count)
        self._copy = bytearray(wire.MAX_FRAME if link_count > 1 else 0)

    # ---- in

    def receive_frame(self, link, buf, n, source, now_ms):
        """One frame buf[:n] that came over `link` from the link address `source`."""
        self._now_ms = now_ms
        if self._beat_due_ms is None:
            self._beat_due_ms = now_ms
        counts = self._counts
        if n > AT_DEST:
            dest = buf[AT_DEST]
            if dest != ALL and dest != self.slot:
                counts["foreign"] += 1
                return
        reason = self._codec.check(buf, n)
        if reason:
            counts[_REASONS[reason]] += 1
            return
        slot = buf[AT_SOURCE]
        incarnation, frame_no = struct.unpack_from(">II", buf, AT_INCARNATION)
        if slot == self.slot:
            counts["own" if incarnation == self.incarnation else "conflict"] += 1
            return
        member = self._membership.lives.get(slot)
        if member is None or member.incarnation != incarnation:
            member = self._admit(slot, incarnation, now_ms)
            if member is None:
                counts["fenced"] += 1
                return
        window = member.window_all if dest == ALL else member.window_own
        verdict = window.accept(frame_no)
        if verdict != wire.FRESH:
            counts["duplicate" if verdict == wire.DUPLICATE else "replayed"] += 1
            # The second copy of a frame, from another plane, tells the address on that plane. It
            # may fill a blank but never change what a fresh frame has told.
            if verdict == wire.DUPLICATE and member.addresses[link] is None:
                member.addresses[link] = source
            return
        counts["received"] += 1
        member.addresses[link] = source
        member.last_heard_ms = now_ms
        self._dispatch(member, buf, n - self._codec.trailer_bytes, now_ms)

    def _admit(self, slot, incarnation, now_ms):
        """The Member for the first frame of a life, or None for one that is over."""
        verdict = self._membership.judge(slot, incarnation)
        if verdict == FENCED:
            return None
        if verdict != CURRENT and slot in self._membership.lives:
            was_up = self._membership.lives[slot].up
            self._reassembler.forget(slot)
            self._streams.forget(slot)
            if was_up:
                self._events.put((CARD_DOWN, slot, CAUSE_RESTARTED))
        return self._membership.begin(slot, incarnation, now_ms)

    def _dispatch(self, member, buf, end, now_ms):
        """The payload buf[16:end] of a fresh frame."""
        frame_type = buf[wire.AT_TYPE]
        slot = member.slot
        if frame_type >= wire.DATA:
            if not self._streams.receive(frame_type, slot, buf[wire.AT_CHANNEL],
                                         buf[wire.AT_FLAGS], buf, HEADER_BYTES, end, now_ms):
                self._counts["malformed"] += 1
        elif frame_type == wire.HEARTBEAT:
            beat = messages.decode(buf, HEADER_BYTES, end)
            if beat is None or beat[0] != messages.HEARTBEAT:
                self._counts["malformed"] += 1
                return
            if self._membership.beat(member, beat, now_ms):
                self._events.put((CARD_UP, slot))
            self._events.put((CARD_BEAT, slot))
        elif frame_type == wire.SEGMENT:
            whole = self._reassembler.receive(slot, buf, HEADER_BYTES, end, now_ms)
            if whole is not None:
                self._take(whole[0], slot, whole[1], 0, len(whole[1]), now_ms)
        else:
            self._take(frame_type, slot, buf, HEADER_BYTES, end, now_ms)

    def _take(self, frame_type, slot, buf, start, end, now_ms):
        """A whole MESSAGE, REQUEST or RESPONSE, from one frame or from segments."""
        if frame_type == wire.MESSAGE:
            self._events.put((MESSAGE, slot, bytes(buf[start:end])))
            return
        if (end - start < REQUEST_ID_BYTES
                or frame_type != wire.REQUEST and frame_type != wire.RESPONSE):
            self._counts["malformed"] += 1
            return
        request_id = bytes(buf[start:start + REQUEST_ID_BYTES])
        start += REQUEST_ID_BYTES
        if frame_type == wire.RESPONSE:
            if self._requester.receive(slot, request_id):
                self._events.put((RESPONSE, slot, request_id, bytes(buf[start:end])))
            return
        if not self._events.room():
            self._events.dropped += 1  # not noted as executing: the asker's retry finds room
            return
        verdict = self._responder.receive(slot, request_id, now_ms)
        if verdict == EXECUTE:
            self._events.put((REQUEST, slot, request_id, bytes(buf[start:end])))
        elif verdict == ANSWERED:
            body, transfer = self._responder.answer(request_id)
            self._outbox.put(wire.RESPONSE, slot, body, transfer)

    def next_event(self):
        """The next event as a tuple (bus/events.py), or None."""
        return (self._streams.next_retired_event() or self._events.get()
                or self._streams.next_event())

    # ---- out

    def send(self, dest, message):
        """A best-effort MESSAGE of at most `message_octets` to a slot or ALL.

        Returns False when the queue is full.  Raises ValueError when it is too long.
        """
        transfer = self._outbox.next_transfer(len(message))
        return self._outbox.put(wire.MESSAGE, dest, message, transfer)

    def request(self, dest, message, now_ms, timeout_ms=3000, request_id=None):
        """Ask `dest`; RESPONSE or TIMEOUT follows as an event.

        request_id: 8 bytes, the same for the same thing asked again; None makes a new one. An
        identifier that is pending already is not sent twice. Returns the identifier, or None when
        the table of requests is full.
        """
        if not 0 <= dest <= MAX_SLOT or dest == self.slot:
            raise ValueError("a request goes to one other slot, not {}".format(dest))
        if request_id is None:
            request_id = self._requester.new_id()
        elif len(request_id) != REQUEST_ID_BYTES:
            raise ValueError("a request identifier has 8 octets")
        elif self._requester.find(request_id) is not None:
            return request_id
        transfer = self._outbox.next_transfer(REQUEST_ID_BYTES + len(message))
        pending = self._requester.begin(request_id, dest, message, transfer, now_ms, timeout_ms)
        if pending is None:
            return None
        self._outbox.put(wire.REQUEST, dest, pending.body, transfer)
        return request_id

    def respond(self, slot, request_id, message):
        """Answer a REQUEST event; all who asked under this identifier get the answer."""
        transfer = self._outbox.next_transfer(REQUEST_ID_BYTES + len(message))
        askers, body = self._responder.complete(slot, request_id, message, transfer)
        for asker in askers:
            self._outbox.put(wire.RESPONSE, asker, body, transfer)

    def beat_now(self):
        """Send the heartbeat at the next to_send, beside the regular ones."""
        self._beat_wanted = True

    def to_send(self, out, now_ms=None):
        """Write the next frame into `out` (MAX_FRAME octets).

        now_ms: the time, if it is newer than that of the last receive_frame or handle_timer.
        Returns (octets, link, address), or None when nothing is left. link -1: every link.
        address None: all cards, else a link address as receive_frame got it.
        """
        if now_ms is not None:
            self._now_ms = now_ms
        if self._copy_routes:
            link, address = self._copy_routes.pop()
            n = self._copy_bytes
            out[:n] = self._copy[:n]
            return n, link, address
        found = self._next_payload(out)
        if found is None:
            return None
        n, frame_type, dest, channel, flags = found
        total = self._codec.seal(out, frame_type, flags, self.slot, dest, channel,
                                 self.incarnation, self._frame_no, n)
        self._frame_no = (self._frame_no + 1) & 0xFFFFFFFF
        self._counts["sent"] += 1
        member = None if dest == ALL else self._membership.lives.get(dest)
        if member is None or member.address is None:
            return total, -1, None
        return self._route(member, out, total)

    def _route(self, member, out, total):
        """A unicast frame goes to every plane on which the card was heard."""
        routes = self._copy_routes
        for link, address in enumerate(member.addresses):
            if address is not None:
                routes.append((link, address))
        link, address = routes.pop()
        if routes:
            self._copy[:total] = out[:total]
            self._copy_bytes = total
        return total, link, address

    def _next_payload(self, out):
        """Write a payload at out[16:]; (n, frame type, dest, channel, flags) or None."""
        if self._beat_wanted and self.heartbeat:
            self._beat_wanted = False
            n = len(self.heartbeat)
            out[HEADER_BYTES:HEADER_BYTES + n] = self.heartbeat
            return n, wire.HEARTBEAT, ALL, 0, 0
        return (self._outbox.next_payload(out, HEADER_BYTES)
                or self._streams.to_send(out, HEADER_BYTES, self._now_ms))

    # ---- streams

    def open_stream(self, channel, dest, now_ms, base=False):
        """Open a reliable stream to a slot or ALL; an open one on this channel is replaced.

        base: receivers take it from its first packet wherever they join (always so from channel
        32 on).  Returns False when there are too many streams.
        """
        return self._streams.open(channel, dest, now_ms, base)

    def close_stream(self, channel):
        """End a stream; receivers that lack part of it get STREAM_LOST."""
        self._streams.close(channel, self._now_ms)

    def stream_room(self, channel):
        """How many payloads can be offered now; 0 for a stream that is not open."""
        sender = self._streams.sender(channel)
        return 0 if sender is None else sender.room()

    def stream_offer(self, channel, payload):
        """Queue a payload of 1..packet_size octets; False when there is no room."""
        sender = self._streams.sender(channel)
        return sender is not None and sender.offer(payload, 0, len(payload))

    def stream_roster(self, channel, slots):
        """The cards that must have a packet before the window moves past it."""
        sender = self._streams.sender(channel)
        if sender is not None:
            sender.set_roster(slots, self._now_ms)

    def stream_acked(self, channel, slot):
        """Whether `slot`, on the roster, has all that was offered."""
        sender = self._streams.sender(channel)
        return sender is not None and sender.delivered(slot)

    def join_stream(self, slot, channel):
        """Take the stream `channel` of `slot`; 32 + own slot is joined by itself."""
        self._streams.join(slot, channel)

    def leave_stream(self, slot, channel):
        """Take it no more."""
        self._streams.leave(slot, channel)

    # ---- time

    def next_deadline_ms(self):
        """When to call handle_timer; None before its first call and the first frame."""
        deadline = earliest(self._beat_due_ms, self._membership.next_deadline_ms())
        deadline = earliest(deadline, self._requester.next_deadline_ms())
        deadline = earliest(deadline, self._responder.next_deadline_ms())
        deadline = earliest(deadline, self._reassembler.next_deadline_ms())
        return earliest(deadline, self._streams.next_deadline_ms())

    def handle_timer(self, now_ms):
        """Do what is due."""
        self._now_ms = now_ms
        self._beat_timer(now_ms)
        for slot in self._membership.handle_timer(now_ms):
            self._events.put((CARD_DOWN, slot, CAUSE_SILENT))
        again, over = self._requester.handle_timer(now_ms)
        for pending in again:
            self._outbox.put(wire.REQUEST, pending.slot, pending.body, pending.transfer)
        for pending in over:
            self._events.put((TIMEOUT, pending.slot, pending.request_id))
        self._responder.handle_timer(now_ms)
        self._reassembler.handle_timer(now_ms)
        self._streams.handle_timer(now_ms)

    def _beat_timer(self, now_ms):
        """Heartbeats keep their rhythm; a late timer means that this card itself slept."""
        if self._beat_due_ms is None:
            self._beat_due_ms = now_ms
        late_ms = ticks_diff(now_ms, self._beat_due_ms)
        if late_ms < 0:
            return
        self._beat_wanted = True
        if late_ms < self.heartbeat_ms:
            self._beat_due_ms = ticks_add(self._beat_due_ms, self.heartbeat_ms)
            return
        # Frames of the others may still lie unread: their silence is ours.
        self._membership.excuse(late_ms)
        self._beat_due_ms = ticks_add(now_ms, self.heartbeat_ms)

    # ---- looking

    @property
    def counters(self):
        """Name -> count, made anew at each look."""
        counts = dict(self._counts)
        counts["dropped"] = sum(counts[name] for name in _DROPS)
        counts["overflow"] = self._events.dropped + self._outbox.queue.dropped
        counts["retransmitted"] = self._streams.retransmitted()
        counts["request_retried"] = self._requester.retried
        counts["request_timeout"] = self._requester.timed_out
        counts["request_repeated"] = self._responder.repeated
        counts["response_stray"] = self._requester.stray
        counts["segment_malformed"] = self._reassembler.malformed
        counts["segment_timeout"] = self._reassembler.timed_out
        counts["stream_stale"] = self._streams.stale
        counts["stream_unjoined"] = self._streams.unjoined
        return counts

    def pools(self):
        """Rows (name, used, limit, high-water mark, dropped) of everything bounded."""
        limits = self.limits
        requester = self._requester
        responder = self._responder
        joiner = self._reassembler
        queues = (("bus outgoing", self._outbox.queue), ("bus events", self._events))
        rows = [(name, len(queue), queue.capacity, queue.high_water, queue.dropped)
                for name, queue in queues]
        rows.append(("bus requests", len(requester), limits.requests_pending,
                     requester.high_water, requester.refused))
        rows.append(("bus executing", len(responder), limits.requests_executing,
                     len(responder), responder.refused + responder.abandoned))
        rows.append(("bus answers octets", responder.octets, limits.answer_octets,
                     responder.octets, 0))
        rows.append(("bus reassembly octets", joiner.octets, limits.reassembly_octets,
                     joiner.high_water, joiner.refused + joiner.evicted))
        return rows + self._streams.pools()
