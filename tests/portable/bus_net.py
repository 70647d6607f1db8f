"""A tiny network for bus tests: nodes, one fake clock, frames delivered at once or by a rule.

The clock starts 5 s before the ticks wrap, so that every longer test passes the wrap.
"""

from bus import messages, node
from bus.compat import TICKS_PERIOD, ticks_add
from bus.wire import ALL, AT_DEST, MAX_FRAME

START_MS = TICKS_PERIOD - 5000
KEPT_FRAMES = 100


def heartbeat(level=0):
    """A HEARTBEAT message of a cluster card in service."""
    return messages.encode(
        messages.HEARTBEAT, 2, 4, 0, 2, 3, 100, level, b"birthday", b"digest88", 0, 0, 1000,
        b"\x7f\x00\x00\x01", 5060, 0, b"0.1")


def make_node(slot, incarnation=1, key=None, limits=None, link_count=1):
    """A node with a heartbeat."""
    made = node.BusNode(slot, 2, incarnation, key, limits)
    made.attach(link_count)
    made.heartbeat = heartbeat()
    return made


class Net:
    """Delivers frames between nodes. `lose(frame, sender, receiver)` says which get lost."""

    def __init__(self, *nodes):
        self.nodes = list(nodes)
        self.now_ms = START_MS
        self.events = []  # (slot of the node, event)
        self.frames = []  # the first frames sent, as bytes
        self.lose = None
        self.answer = None  # message -> answer: how every node answers requests
        self.executed = []  # messages of the requests handed to a card
        self._out = bytearray(MAX_FRAME)

    def settle(self):
        """Deliver until all is quiet."""
        moved = True
        while moved:
            moved = False
            for one in list(self.nodes):
                moved = self._send_all(one) or moved
            for one in list(self.nodes):
                moved = self._take_events(one) or moved

    def _send_all(self, one):
        moved = False
        while True:
            found = one.to_send(self._out, self.now_ms)
            if found is None:
                return moved
            moved = True
            n, link, address = found
            if len(self.frames) < KEPT_FRAMES:
                self.frames.append(bytes(self._out[:n]))
            assert address is None or address == self._out[AT_DEST]
            for other in self.nodes:
                if address is not None and other.slot != address:
                    continue
                if self.lose is None or not self.lose(self._out, one, other):
                    other.receive_frame(max(link, 0), self._out, n, one.slot, self.now_ms)

    def _take_events(self, one):
        moved = False
        while True:
            event = one.next_event()
            if event is None:
                return moved
            moved = True
            self.events.append((one.slot, event))
            if event[0] == node.REQUEST:
                self.executed.append(event[3])
                if self.answer is not None:
                    one.respond(event[1], event[2], self.answer(event[3]))

    def start(self):
        """First timers: every node hears every other; their events are dropped."""
        for one in self.nodes:
            one.handle_timer(self.now_ms)
        self.settle()
        self.events = []
        self.frames = []

    def run(self, span_ms, step_ms=10):
        """Let time pass: timers, then delivery, each `step_ms`."""
        for _ in range(span_ms // step_ms):
            self.now_ms = ticks_add(self.now_ms, step_ms)
            for one in self.nodes:
                one.handle_timer(self.now_ms)
            self.settle()

    def of(self, slot, *kinds):
        """The events of these kinds that the node in `slot` had."""
        return [event for one, event in self.events if one == slot and event[0] in kinds]


def is_for_all(frame):
    """Whether a frame is addressed to all cards."""
    return frame[AT_DEST] == ALL
