"""TCP connections and their sessions, and the hang-up of a line, over real sockets."""

import select
import socket

from bus import interfaces
from firmware.runtime.reactor import Reactor
from firmware.runtime.stream_server import StreamServer


class Session:
    """Answers each piece with itself twice, and counts how often it was closed."""

    def __init__(self):
        self.closed = False
        self.closes = 0
        self._out = b""

    def receive(self, octets, now_ms):
        self._out += octets + octets

    def to_send(self):
        out, self._out = self._out, b""
        return out

    def close(self):
        self.closes += 1


class Turns:
    """A card that stops the reactor once `done()` is true, or after 500 turns."""

    def __init__(self, reactor, done):
        self._reactor = reactor
        self._done = done
        self._left = 500

    def step(self, now_ms):
        self._left -= 1
        if self._done() or not self._left:
            self._reactor.stop("done" if self._left else "given up")

    def next_deadline_ms(self):
        return None


def run(reactor, done):
    reactor.stopped = None
    return reactor.run(Turns(reactor, done))


class Rig:
    """A server, the sessions it made, and a way to connect to it."""

    def __init__(self, most=16):
        self.reactor = Reactor()
        self.sessions = []
        self.server = StreamServer("127.0.0.1", 0, self._make, self.reactor, most)
        self.port = interfaces.local_pair(self.server._listener)[1]

    def _make(self):
        self.sessions.append(Session())
        return self.sessions[-1]

    def connect(self):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(interfaces.address("127.0.0.1", self.port))
        return client


def test_a_session_whose_client_goes_is_closed_once():
    rig = Rig()
    client = rig.connect()
    client.send(b"ab")
    assert run(rig.reactor, lambda: len(rig.sessions) == 1) == "done"
    client.setblocking(False)
    poll = select.poll()
    poll.register(client, select.POLLIN)
    assert run(rig.reactor, lambda: poll.poll(0)) == "done"
    assert client.recv(100) == b"abab"
    assert rig.sessions[0].closes == 0
    client.close()
    assert run(rig.reactor, lambda: not rig.server.connections) == "done"
    assert rig.sessions[0].closes == 1
    rig.server.close()
    assert rig.sessions[0].closes == 1


def test_a_server_that_closes_lets_every_session_go():
    rig = Rig()
    clients = [rig.connect() for _ in range(3)]
    assert run(rig.reactor, lambda: len(rig.server.connections) == 3) == "done"
    rig.server.close()
    assert [session.closes for session in rig.sessions] == [1, 1, 1]
    for client in clients:
        client.close()


def test_connections_are_bounded():
    rig = Rig(most=1)
    clients = [rig.connect() for _ in range(3)]
    assert run(rig.reactor, lambda: rig.server.refused == 2) == "done"
    assert len(rig.sessions) == 1
    for client in clients:
        client.close()
    rig.server.close()


def test_a_session_that_wants_its_end_gets_it_after_its_last_octets():
    rig = Rig()
    client = rig.connect()
    assert run(rig.reactor, lambda: len(rig.sessions) == 1) == "done"
    client.send(b"x")
    rig.sessions[0].closed = True
    assert run(rig.reactor, lambda: not rig.server.connections) == "done"
    assert client.recv(100) == b"xx" and client.recv(100) == b""
    assert rig.sessions[0].closes == 1
    client.close()
    rig.server.close()
