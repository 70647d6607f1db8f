"""A TCP listener whose sessions are sans-I/O objects: octets in by `receive`, out by `to_send`.

A session has `receive(octets, now_ms)`, `to_send() -> bytes` (b"" for nothing), `closed` (true
when it wants the connection ended after its last octets) and `close()`, called once when the
connection is gone, whoever ended it. Bounded: above `most` sessions
a new connection is closed at once. Runs on both interpreters.
"""

import socket

from bus import interfaces
from bus.compat import const

READ_BYTES = const(65536)
# a session whose client does not read is not served further until it does
OUTPUT_HIGH = const(1 << 20)


class StreamServer:
    """Accepts on (host, port) and gives each connection a session of its own."""

    def __init__(self, host, port, make_session, reactor, most=16):
        self._make_session = make_session
        self._reactor = reactor
        self._most = most
        self.connections = []
        self.refused = 0
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(interfaces.address(host, port))
        listener.listen(8)
        listener.setblocking(False)
        self._listener = listener
        reactor.register(listener, self)

    def readable(self, now_ms):
        """Take the connections that wait."""
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            if len(self.connections) >= self._most:
                self.refused += 1
                stream.close()
                continue
            stream.setblocking(False)
            self.connections.append(_Connection(stream, self._make_session(), self))

    def flush(self):
        """Send what the sessions have ready; to be called in every step of the card."""
        for connection in self.connections[:]:
            connection.flush()

    def close(self):
        """End all connections and stop listening."""
        for connection in self.connections[:]:
            connection.end()
        self._reactor.unregister(self._listener)
        self._listener.close()


class _Connection:
    """One accepted connection: octets between its socket and its session."""

    def __init__(self, stream, session, server):
        self._stream = stream
        self._server = server
        self.session = session
        self._out = b""
        self._writing = False
        self._open = True
        server._reactor.register(stream, self)

    def readable(self, now_ms):
        """Give the session what came; an ended or broken connection goes."""
        if len(self._out) > OUTPUT_HIGH:
            self.flush()
            return
        try:
            octets = self._stream.recv(READ_BYTES)
        except OSError as error:
            if error.args[0] != interfaces.EAGAIN:
                self.end()
            return
        if not octets:
            self.end()
            return
        self.session.receive(octets, now_ms)
        self.flush()

    def writable(self, now_ms):
        """The socket takes octets again."""
        self.flush()

    def flush(self):
        """Send what is queued as far as the socket takes it."""
        if not self._open:
            return
        try:
            while True:
                if not self._out:
                    self._out = self.session.to_send()
                    if not self._out:
                        break
                taken = self._stream.send(self._out)
                self._out = self._out[taken:]
        except OSError as error:
            if error.args[0] != interfaces.EAGAIN:
                self.end()
                return
        if self._writing != bool(self._out):
            self._writing = bool(self._out)
            self._server._reactor.want_write(self._stream, self._writing)
        if self.session.closed and not self._out:
            self.end()

    def end(self):
        """Close the connection; the session lets go what it holds and is forgotten."""
        if self._open:
            self._open = False
            self._server._reactor.unregister(self._stream)
            self._stream.close()
            self._server.connections.remove(self)
            self.session.close()
