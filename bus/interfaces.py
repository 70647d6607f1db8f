"""Socket addresses and UDP sockets on both interpreters.

An address is (host, port) at the Python level, host an IPv4 dotted text. MicroPython's unix port
wants and gives packed sockaddr buffers, and has no getsockname: there libc is called by `ffi`.
Owns the module `socket` for the bus, with links/udp_multicast.py.
"""

import socket

from bus.compat import MICROPYTHON, const

EAGAIN = const(11)
_SO_REUSEPORT = const(15)  # Linux; MicroPython names neither this nor the multicast options
_SOL_SOCKET = const(1)
_SO_REUSEADDR = const(2)
_SOCKADDR_IN_BYTES = const(16)


def address(host, port):
    """What bind() and sendto() want for an IPv4 address. port: 0..65535."""
    if MICROPYTHON:
        return socket.getaddrinfo(host, port)[0][-1]
    return host, port


def pair(sockaddr):
    """(host, port) of what recvfrom() gave."""
    if isinstance(sockaddr, tuple):
        return sockaddr[0], sockaddr[1]
    _, ip, port = socket.sockaddr(sockaddr)[:3]
    return "{}.{}.{}.{}".format(ip[0], ip[1], ip[2], ip[3]), port


def local_pair(sock):
    """(host, port) to which a socket is bound."""
    if not MICROPYTHON:
        return sock.getsockname()[:2]
    import ffi

    getsockname = ffi.open(None).func("i", "getsockname", "ipp")
    name = bytearray(_SOCKADDR_IN_BYTES)
    size = bytearray(4)
    size[0] = _SOCKADDR_IN_BYTES  # socklen_t, little-endian hosts
    if getsockname(sock.fileno(), name, size):
        raise OSError("getsockname failed")
    return pair(name)


def ip_octets(host):
    """The four octets of a dotted IPv4 address.  Raises ValueError for anything else."""
    parts = host.split(".")
    if len(parts) != 4:
        raise ValueError("not an IPv4 address: {}".format(host))
    octets = [int(part) for part in parts]
    if min(octets) < 0 or max(octets) > 255:
        raise ValueError("not an IPv4 address: {}".format(host))
    return bytes(octets)


def open_udp(host, port, reuse=False):
    """A non-blocking UDP socket bound to (host, port); port 0 takes a free one.

    reuse: other sockets may bind the same port (multicast; several workers of one service).
    Raises OSError, its first argument the error number.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if reuse:
            sock.setsockopt(_SOL_SOCKET, _SO_REUSEADDR, 1)
            sock.setsockopt(_SOL_SOCKET, _SO_REUSEPORT, 1)
        sock.bind(address(host, port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
