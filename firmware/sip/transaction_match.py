"""One transaction, its peer, and the keys that messages find it by (RFC 3261 17.1.3, 17.2.3).

Both interpreters; imports no I/O.
"""

import hashlib

from bus.compat import const
from firmware.sip import transaction_tables as tables
from firmware.sip.headers import parse_cseq, tag_of

MAGIC = b"z9hG4bK"
DEFAULT_PORT = const(5060)
_LONGEST_KEY = const(128)


class Peer:
    """Where a message came from or goes to.

    host: bytes.  port: int.  reliable: True for TCP, TLS, WebSocket.  flow: the runtime's own
    mark of the connection, None for UDP.
    """

    __slots__ = ("host", "port", "reliable", "flow")

    def __init__(self, host, port, reliable=False, flow=None):
        self.host = host
        self.port = port
        self.reliable = reliable
        self.flow = flow

    def reply_to(self, via):
        """Where the answer to a request from here goes (RFC 3261 18.2.2, RFC 3581 4)."""
        if self.reliable or via.rport is not None:
            return self
        return Peer(self.host, via.port or DEFAULT_PORT)


class Transaction:
    """One transaction; only Transactions changes it.

    machine, state: of transaction_tables.  peer: Peer it sends to.  data: bytes that are repeated:
    the request, or the last response (b"": none yet).  hop: Hop of an INVITE client.  user: the
    transaction user's own value; a server loses it when it ends, so that no ring of references
    stays behind.
    """

    __slots__ = ("machine", "state", "key", "peer", "data", "hop", "user", "branch", "trying",
                 "created_ms", "repeat", "repeat_span_ms", "repeat_ms", "end_ms", "armed_ms")

    def __init__(self, machine, key, peer, data, now_ms):
        self.machine = machine
        self.state = tables.TERMINATED
        self.key = key
        self.peer = peer
        self.data = data
        self.hop = self.user = self.branch = self.trying = None
        self.created_ms = now_ms
        self.repeat = self.repeat_span_ms = self.repeat_ms = self.end_ms = None
        self.armed_ms = None

    def is_invite(self):
        """True for the two INVITE machines."""
        return self.machine in (tables.INVITE_CLIENT, tables.INVITE_SERVER)

    def is_client(self):
        """True for the two client machines."""
        return self.machine in (tables.INVITE_CLIENT, tables.CLIENT)


def _bounded(key):
    return key if len(key) <= _LONGEST_KEY else hashlib.sha256(key).digest()


def client_key(branch, method):
    return _bounded(branch + b" " + method)


def server_key(message, via, method):
    """Where a request's transaction is kept (17.2.3); no value in it can hold a line end."""
    kind = b"INVITE" if method == b"ACK" else method
    if via.branch is not None and len(via.branch) > len(MAGIC) and via.branch.startswith(MAGIC):
        return _bounded(b"%s %s:%d %s" % (via.branch, via.host, via.port or DEFAULT_PORT, kind))
    return _bounded(b"\n".join((
        via.text, message.request_uri, tag_of(message.from_value) or b"", message.call_id,
        b"%d" % parse_cseq(message.cseq_value)[0], kind)))
