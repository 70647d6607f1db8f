"""Free UDP and TCP ports of this machine, and whether the VIP's port is still free."""

import errno
import secrets
import socket

from host_tools.errors import NOT_PERMITTED, ToolError


class PortChooser:
    """Hands out free ports of one host, none of them twice.

    The sockets stay bound until `close`, so that one choice does not repeat another.
    """

    def __init__(self):
        self._held = []

    def free(self, host="127.0.0.1"):
        """A port number free for both UDP and TCP on `host`."""
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._held += [udp, tcp]
            udp.bind((host, 0))
            port = udp.getsockname()[1]
            try:
                tcp.bind((host, port))
            except OSError:
                continue
            return port

    def close(self):
        """Give the ports to those they were chosen for."""
        for held in self._held:
            held.close()
        self._held = []


def multicast_group():
    """A random group of the organisation-local scope 239.255/16 (RFC 2365)."""
    number = secrets.randbelow(254 * 254)
    return "239.255.{}.{}".format(1 + number // 254, 1 + number % 254)


def check_free(host, port, what, chassis_file):
    """ToolError when UDP `host`:`port` cannot be bound; `what` names it ("the VIP")."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.bind((host, port))
    except OSError as error:
        place = "{} {}:{}".format(what, host, port)
        if error.errno == errno.EADDRINUSE:
            raise ToolError("{} is in use by another program; end that program or change the "
                            "address in {}".format(place, chassis_file)) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise ToolError("{} is no address of this machine; change it in {}".format(
                place, chassis_file)) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ToolError("{} is not permitted to this user; use a port above 1023 in {}".format(
                place, chassis_file), NOT_PERMITTED) from None
        raise ToolError("{} cannot be used: {}".format(place, error.strerror)) from None
    finally:
        probe.close()
