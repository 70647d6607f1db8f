"""Two processes on one UDP plane: this one on CPython, the other on each interpreter."""

import os
import subprocess
import sys

import pytest
from bus_card import Card, now_ms

from bus import messages, node
from bus.compat import ticks_diff
from bus.interfaces import local_pair, open_udp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MICROPYTHON = os.path.join(ROOT, "build", "micropython", "micropython")
GROUP = "239.192.77.1"
WAIT_MS = 15000


def interpreter(name):
    if name == "cpython":
        return sys.executable
    if not os.access(MICROPYTHON, os.X_OK):
        pytest.skip("SKIPPED: no MicroPython at build/micropython/micropython (make micropython)")
    return MICROPYTHON


def free_port():
    """A UDP port the system says is free."""
    sock = open_udp("127.0.0.1", 0)
    port = local_pair(sock)[1]
    sock.close()
    return port


class Watcher(Card):
    """Our card, which keeps what it sees."""

    def __init__(self, port):
        super().__init__(GROUP, port, 1, 2)
        self.messages = []
        self.asked = []

    def take(self, event, now):
        super().take(event, now)
        if event[0] == node.MESSAGE:
            self.messages.append(event[2])
        elif event[0] == node.REQUEST:
            self.asked.append(event[3])

    def until(self, condition):
        """Turn until `condition()`; the failure names what was seen."""
        begun = now_ms()
        while not condition():
            self.turn()
            assert ticks_diff(now_ms(), begun) < WAIT_MS, (
                self.node.counters, self.node.members, self.messages)


@pytest.mark.parametrize("name", ["cpython", "micropython"])
def test_heartbeats_requests_and_a_stream(name):
    port = free_port()
    command = [interpreter(name), os.path.join(ROOT, "tests", "parity", "bus_card.py"), GROUP,
               str(port), "2", "1"]
    ours = Watcher(port)
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        ours.until(lambda: 2 in ours.node.members and ours.answers and ours.asked)
        assert ours.node.members[2].beat[-1] == name.encode()
        # 5001 octets there and back: segments both ways
        assert ours.answers == [messages.encode(messages.ECHO, b"x" * 5000)] == ours.asked

        assert ours.node.open_stream(1, 0xFF, now_ms())
        ours.node.stream_roster(1, [2])
        packets = [b"packet %d " % number + b"p" * 1000 for number in range(500)]
        for packet in packets:
            ours.until(lambda: ours.node.stream_room(1))
            assert ours.node.stream_offer(1, packet)
        ours.until(lambda: ours.node.stream_acked(1, 2))

        ours.node.send(2, b"report")
        ours.until(lambda: ours.messages)
        assert ours.messages == [b"500 1"]
        ours.node.send(2, b"end")
        ours.turn()
        assert other.wait(10) == 0
        assert other.stdout.read() == b"up\n"
        assert ours.node.counters["dropped"] == 0
        ours.until(lambda: not ours.node.members[2].up)  # and its death is seen
    finally:
        other.kill()
        other.wait()
        ours.link.close()
