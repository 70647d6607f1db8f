"""A card for test_bus_interpreters.py: one node on one UDP plane, on either interpreter.

Arguments: group, port, own slot, peer slot. Prints "up", asks the peer an ECHO, answers every
request with its own octets, joins stream 1 of the peer and tells how many packets it took when a
MESSAGE asks. Ends after the MESSAGE "end" or 20 s.
"""

import select
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 3)[0])

from bus import messages, node  # noqa: E402
from bus.compat import MICROPYTHON, TICKS_MASK  # noqa: E402
from bus.links.udp_multicast import UdpMulticastLink  # noqa: E402
from bus.wire import MAX_FRAME  # noqa: E402

LIFE_MS = 20000
KEY = b"key of the test chassis"


def now_ms():
    """Ticks of either interpreter."""
    if MICROPYTHON:
        return time.ticks_ms() & TICKS_MASK
    return time.monotonic_ns() // 1000000 & TICKS_MASK


class Card:
    """Node, link and the answers."""

    def __init__(self, group, port, slot, peer):
        self.peer = peer
        self.node = node.BusNode(slot, 2, 1, KEY)
        self.node.attach(1)
        self.node.heartbeat = messages.encode(
            messages.HEARTBEAT, 2, 4, 0, 2, 3, 100, slot, bytes(8), bytes(8), 0, 0, 0, bytes(4),
            0, 0, b"micropython" if MICROPYTHON else b"cpython")
        self.node.join_stream(peer, 1)
        self.link = UdpMulticastLink(group, port)
        self.taken = []
        self.answers = []
        self.ended = False
        self._buffer = bytearray(MAX_FRAME)
        self._poll = select.poll()
        for sock in self.link.sockets():
            self._poll.register(sock, select.POLLIN)

    def turn(self):
        """One round of the loop, at most 20 ms."""
        self._poll.poll(20)
        now = now_ms()
        while True:
            found = self.link.receive_into(self._buffer)
            if found is None:
                break
            self.node.receive_frame(0, self._buffer, found[0], found[1], now)
        self.node.handle_timer(now)
        while True:
            event = self.node.next_event()
            if event is None:
                break
            self.take(event, now)
        while True:
            found = self.node.to_send(self._buffer, now)
            if found is None:
                break
            self.link.send(self._buffer, found[0], found[2])

    def take(self, event, now):
        """What the card does with an event."""
        if event[0] == node.CARD_UP and event[1] == self.peer:
            print("up")
            self.node.request(self.peer, messages.encode(messages.ECHO, b"x" * 5000), now)
        elif event[0] == node.REQUEST:
            self.node.respond(event[1], event[2], event[3])
        elif event[0] == node.RESPONSE:
            self.answers.append(event[3])
        elif event[0] == node.STREAM:
            self.taken.append(event[3])
        elif event[0] == node.MESSAGE and event[2] == b"end":
            self.ended = True
        elif event[0] == node.MESSAGE and event[2] == b"report":
            self.node.send(event[1], b"%d %d" % (len(self.taken), len(self.answers)))


def main(group, port, slot, peer):
    """Run until told to end."""
    card = Card(group, int(port), int(slot), int(peer))
    begun = now_ms()
    while not card.ended and (now_ms() - begun) & TICKS_MASK < LIFE_MS:
        card.turn()
    card.link.close()
    return 0 if card.ended else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
