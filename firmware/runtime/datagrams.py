"""The card's SIP sockets: the relay plane to the switch cards, and plain UDP.

Both ports have the same three verbs, so that the card's wiring does not care which it serves:
`receive()` -> (octets, peer, via) or None; `body` holds the SIP octets; `send(octets, peer, via)`.
`peer` is the outside (host, port); `via` is where to answer inside (the switch card's plane
address) or None. Never waits. Runs on both interpreters.
"""

from bus import interfaces
from bus.compat import MICROPYTHON, const

DATAGRAM_BYTES = const(65535)
HEAD_BYTES = const(12)

DATAGRAMS_A_TURN = const(64)


class PortHandler:
    """Feeds what a port receives to take(buf, n, peer, via, now_ms)."""

    def __init__(self, port, take):
        self._port = port
        self._take = take

    def readable(self, now_ms):
        """Take at most DATAGRAMS_A_TURN datagrams, so that no other stream starves."""
        port = self._port
        for _ in range(DATAGRAMS_A_TURN):
            found = port.receive()
            if found is None:
                return
            self._take(port.body, found[0], found[1], found[2], now_ms)


class BatchHandler:
    """Lets a data plane serve the socket of a port; what it leaves goes to take, as above.

    answers: turn() -> items left; item(index, body, now_ms) -> (octets in `body`, peer, via), or
    None where nothing is left to do.  One turn takes a bounded number of datagrams.
    """

    def __init__(self, port, answers, take):
        self._port = port
        self._answers = answers
        self._take = take

    def readable(self, now_ms):
        """Take one turn's datagrams, in the order they came."""
        body = self._port.body
        answers = self._answers
        for index in range(answers.turn()):
            found = answers.item(index, body, now_ms)
            if found is not None:
                self._take(body, found[0], found[1], found[2], now_ms)


class PlainPort:
    """A UDP socket that carries SIP as it is."""

    def __init__(self, host, port):
        self.socket = interfaces.open_udp(host, port)
        self.body = bytearray(DATAGRAM_BYTES)
        self.address = interfaces.local_pair(self.socket)
        self.send_errors = 0

    def receive(self):
        """(octets in `body`, peer, None), or None when nothing waits."""
        try:
            if MICROPYTHON:
                octets, name = self.socket.recvfrom(DATAGRAM_BYTES)
                count = len(octets)
                self.body[:count] = octets
                return count, interfaces.pair(name), None
            count, name = self.socket.recvfrom_into(self.body)
            return count, name, None
        except OSError:
            return None

    def send(self, octets, peer, via):
        """Send to `peer`; False when the kernel refused it: counted and lost, as on a wire."""
        try:
            self.socket.sendto(octets, interfaces.address(peer[0], peer[1]))
        except OSError:
            self.send_errors += 1
            return False
        return True

    def close(self):
        """Give the address back."""
        self.socket.close()


class PlanePort:
    """A UDP socket that carries SIP behind the relay header.

    codec: the header's encode_into and decode (firmware/switching/encapsulation.py).
    """

    def __init__(self, host, port, vip_port, codec):
        self.socket = interfaces.open_udp(host, port)
        self.body = bytearray(DATAGRAM_BYTES)
        self.address = interfaces.local_pair(self.socket)
        self.send_errors = 0
        self.malformed = 0
        self._head = bytearray(HEAD_BYTES)
        self._vip_port = vip_port
        self._codec = codec

    def receive(self):
        """(octets in `body`, outside peer, switch card's address), or None when nothing waits."""
        while True:
            try:
                count, name = self._receive_split()
            except OSError:
                return None
            outside = self._codec.decode(self._head, HEAD_BYTES) if count >= 0 else None
            if outside is not None:
                return count, (outside[0], outside[1]), name
            self.malformed += 1

    def send(self, octets, peer, via):
        """Send to `peer` by way of the switch card at `via`; False when it was refused."""
        try:
            self._codec.encode_into(self._head, peer[0], peer[1], self._vip_port)
            name = interfaces.address(via[0], via[1])
            if MICROPYTHON:
                self.socket.sendto(self._head + octets, name)
            else:
                self.socket.sendmsg((self._head, octets), (), 0, name)
        except (OSError, ValueError):
            self.send_errors += 1
            return False
        return True

    def close(self):
        """Give the address back."""
        self.socket.close()

    if MICROPYTHON:

        def _receive_split(self):
            octets, name = self.socket.recvfrom(DATAGRAM_BYTES)
            count = len(octets) - HEAD_BYTES
            if count >= 0:
                self._head[:] = octets[:HEAD_BYTES]
                self.body[:count] = octets[HEAD_BYTES:]
            return count, interfaces.pair(name)

    else:

        def _receive_split(self):
            count, _, _, name = self.socket.recvmsg_into((self._head, self.body))
            return count - HEAD_BYTES, name
