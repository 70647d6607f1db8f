"""A bus plane of UDP datagrams: one multicast group for frames to all, unicast for the rest.

One frame is one datagram. Two sockets: one bound to the group, which hears frames for all; one
with a port of its own from which everything is sent, so that the source address of whatever a
card sends is the address at which it takes unicast. Owns the module `socket`, through
bus/interfaces.py. Runs on both interpreters (Linux option numbers: MicroPython names none).
"""

from bus.compat import MICROPYTHON, const
from bus.interfaces import address, ip_octets, local_pair, open_udp

_SOL_SOCKET = const(1)
_SO_RCVBUF = const(8)
_SO_RCVBUFFORCE = const(33)
_IPPROTO_IP = const(0)
_IP_MULTICAST_IF = const(32)
_IP_MULTICAST_TTL = const(33)
_IP_MULTICAST_LOOP = const(34)
_IP_ADD_MEMBERSHIP = const(35)
_IP_MULTICAST_ALL = const(49)

RECEIVE_BUFFER_BYTES = const(4 << 20)  # a burst of some 2000 frames
RUN = const(16)  # datagrams from one socket before the other gets its turn


def _enlarge(sock):
    """A large receive buffer: beyond the system's bound where this process may, else up to it."""
    for option in (_SO_RCVBUFFORCE, _SO_RCVBUF):
        try:
            sock.setsockopt(_SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)
            return
        except OSError:
            continue


class UdpMulticastLink:
    """One plane. Never blocks: what the kernel does not take is lost and counted, as on a wire."""

    def __init__(self, group, port, interface="127.0.0.1"):
        """group: multicast address.  port: 1..65535.  interface: own address on the plane.

        Raises OSError when the port is taken or the interface does not exist.
        """
        group_octets = ip_octets(group)
        own_octets = ip_octets(interface)
        self._group = address(group, port)
        self._multicast = open_udp(group, port, reuse=True)
        try:
            self._unicast = open_udp(interface, 0)
        except OSError:
            self._multicast.close()
            raise
        try:
            # only groups this very socket joined, not those any process of the host joined
            self._multicast.setsockopt(_IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            self._multicast.setsockopt(_IPPROTO_IP, _IP_ADD_MEMBERSHIP, group_octets + own_octets)
            self._unicast.setsockopt(_IPPROTO_IP, _IP_MULTICAST_IF, own_octets)
            self._unicast.setsockopt(_IPPROTO_IP, _IP_MULTICAST_LOOP, 1)
            self._unicast.setsockopt(_IPPROTO_IP, _IP_MULTICAST_TTL, 1)  # never past the LAN
        except OSError:
            self.close()
            raise
        _enlarge(self._multicast)
        _enlarge(self._unicast)
        self.address = local_pair(self._unicast)
        self.send_errors = 0
        self._current = self._multicast
        self._other = self._unicast
        self._left = RUN

    def sockets(self):
        """Both sockets, for poll."""
        return self._multicast, self._unicast

    def send(self, buf, n, destination=None):
        """Send buf[:n] to a link address as receive_into gave it, or to all; False when lost."""
        try:
            self._unicast.sendto(memoryview(buf)[:n], destination or self._group)
            return True
        except OSError:
            self.send_errors += 1
            return False

    def receive_into(self, buf):
        """The next datagram into `buf`: (octets, source), or None when none waits.

        A datagram longer than `buf` is cut, and the frame check refuses it. The sockets take
        turns, so that a flood on one does not starve the other.
        """
        if not self._left:
            self._swap()
        found = self._receive(self._current, buf)
        if found is None:
            self._swap()
            found = self._receive(self._current, buf)
        self._left -= 1
        return found

    def _swap(self):
        self._current, self._other = self._other, self._current
        self._left = RUN

    if MICROPYTHON:

        def _receive(self, sock, buf):
            try:
                octets, source = sock.recvfrom(len(buf))
            except OSError:
                return None
            buf[:len(octets)] = octets
            return len(octets), source

    else:

        def _receive(self, sock, buf):
            try:
                return sock.recvfrom_into(buf)
            except OSError:
                return None

    def close(self):
        """Leave the plane."""
        self._multicast.close()
        self._unicast.close()
