"""One RMTP sender and its receivers on a virtual bus with a fake clock; used by test_rmtp_*.py.

The sender is slot 0, receivers are slots 1..N. The clock starts 5 s before the ticks wrap. Frames
carry the bus's CRC, so a corrupted one is dropped at the door.
"""

from bus.compat import TICKS_PERIOD, ticks_add, ticks_diff
from bus.links.virtual import VirtualBus
from bus.rmtp_receiver import RmtpReceiver
from bus.rmtp_sender import RmtpSender
from bus.wire import (
    ACK, ACK_TXNOW, ALL, AT_TYPE, HEADER_BYTES, MAX_FRAME, RTT_MEASURE, FrameCodec)

CHANNEL = 1
START_MS = TICKS_PERIOD - 5000


class Group:
    """params: RmtpParams.  slots: number of receivers.  faults: Faults of the bus."""

    def __init__(self, seed, slots, params, faults=None, first_seq=0, sender=RmtpSender):
        self.params = params
        self.now_ms = START_MS
        self.elapsed_ms = 0
        self.bus = VirtualBus(seed, faults)
        self.sender = sender(params, ALL, first_seq, self.now_ms)
        self.receivers = {}
        self.bodies = {}
        self.events = {}
        self.sender_events = []
        self.frames = {}
        self._codec = FrameCodec()
        self._out = bytearray(MAX_FRAME)
        self._payload = bytearray(MAX_FRAME)
        self._frame_no = 0
        self.bus.attach(0)
        for slot in range(1, slots + 1):
            self.join(slot)

    def join(self, slot, base=False):
        """Plug a receiver in; it is not on the roster by that."""
        self.bus.attach(slot)
        self.receivers[slot] = RmtpReceiver(self.params, base)
        self.bodies[slot] = []
        self.events[slot] = []

    def leave(self, slot):
        """Pull a receiver."""
        self.bus.detach(slot)
        del self.receivers[slot]

    def rostered(self):
        """All receivers on the roster, and everybody joined; returns self."""
        while not all([self.events[slot] for slot in self.receivers]):
            assert self.elapsed_ms < 5000, "nobody joined"
            self.step()
        self.sender.set_roster(sorted(self.receivers), self.now_ms)
        return self

    def offer_all(self, bodies, most_ms=60000):
        """Offer bodies as the window allows; the time it took in ms."""
        begun = self.elapsed_ms
        for body in bodies:
            while not self.sender.offer(body, 0, len(body)):
                assert self.elapsed_ms - begun < most_ms, "the window never opened"
                self.step()
        return self.elapsed_ms - begun

    def settle(self, most_ms=60000):
        """Run until the whole roster has confirmed everything; the time it took in ms."""
        begun = self.elapsed_ms
        while not self.sender.idle():
            assert self.elapsed_ms - begun < most_ms, "not settled after {} ms".format(most_ms)
            self.step()
        return self.elapsed_ms - begun

    def run(self, span_ms):
        """Let span_ms pass."""
        for _ in range(span_ms):
            self.step()

    def step(self):
        """One millisecond: what is due arrives, timers run, everybody sends."""
        self._drain()
        self.now_ms = ticks_add(self.now_ms, 1)
        self.elapsed_ms += 1
        self._tick(self.sender)
        for slot in sorted(self.receivers):
            self._tick(self.receivers[slot])
        self._drain()
        for end in [self.sender] + list(self.receivers.values()):
            if self._tick(end):
                self._drain()
                assert not self._due(end), "a deadline stays in the past: a busy loop"

    def _due(self, end):
        deadline = end.next_deadline_ms()
        return deadline is not None and ticks_diff(self.now_ms, deadline) >= 0

    def _tick(self, end):
        due = self._due(end)
        if due:
            end.handle_timer(self.now_ms)
        return due

    def _drain(self):
        """Frames without delay may be answered within the same millisecond, hence the rounds."""
        for _ in range(20):
            arrived = self.bus.deliver(self.now_ms)
            for dest, source, frame in arrived:
                self._arrive(dest, source, frame)
            if not self._send_all() and not arrived:
                return

    def _arrive(self, dest, source, frame):
        if self._codec.check(frame, len(frame)) < 0:
            return
        frame_type = frame[AT_TYPE]
        end = len(frame) - self._codec.trailer_bytes
        if dest == 0:
            self.sender.receive_ack(source, frame_type, frame, HEADER_BYTES, end, self.now_ms)
        elif frame_type not in (ACK, ACK_TXNOW, RTT_MEASURE) and dest in self.receivers:
            receiver = self.receivers[dest]
            receiver.receive(frame_type, frame, HEADER_BYTES, end, self.now_ms)
            self._take(dest, receiver)

    def _take(self, slot, receiver):
        for _ in range(2):
            event = receiver.next_event()
            while event is not None:
                self.events[slot].append((event[0], len(self.bodies[slot])))
                event = receiver.next_event()
            body = receiver.next_body()
            while body is not None:
                self.bodies[slot].append(body)
                body = receiver.next_body()

    def _send_all(self):
        sent = 0
        frame = self.sender.to_send(self._payload, 0, self.now_ms)
        while frame is not None:
            sent += self._put(0, frame[0], frame[1], frame[2])
            frame = self.sender.to_send(self._payload, 0, self.now_ms)
        event = self.sender.next_event()
        while event is not None:
            self.sender_events.append(event)
            event = self.sender.next_event()
        for slot in sorted(self.receivers):
            receiver = self.receivers[slot]
            frame = receiver.to_send(self._payload, 0, self.now_ms)
            while frame is not None:
                sent += self._put(slot, frame[0], frame[1], 0)
                frame = receiver.to_send(self._payload, 0, self.now_ms)
        return sent

    def _put(self, source, n, frame_type, dest):
        self._frame_no += 1
        self.frames[frame_type] = self.frames.get(frame_type, 0) + 1
        total = self._codec.encode(self._out, frame_type, 0, source, dest, CHANNEL, 1,
                                   self._frame_no, self._payload, 0, n)
        self.bus.send(source, None if dest == ALL else dest, self._out, total, self.now_ms)
        return 1
