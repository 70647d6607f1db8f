"""Batches on real sockets beside SipServer: answers, counters, order, and what is handed over."""

import socket
import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "portable"))

from firmware import fastpath  # noqa: E402  tests/portable must be on the path first

if fastpath.NAME != "cffi":
    pytest.skip("SKIPPED: the C fast path is not built (make setup)", allow_module_level=True)

from plain_rig import CONFIGS, fill  # noqa: E402  only where the library is there
from sip_bench import NOW_MS, NOW_S, SECRET, request  # noqa: E402

from firmware.cards.plain_linux import batch_handler  # noqa: E402
from firmware.location.store import LocationStore  # noqa: E402
from firmware.proxy.server import SipServer  # noqa: E402
from firmware.runtime.datagrams import PlainPort, PlanePort  # noqa: E402
from firmware.switching import encapsulation  # noqa: E402

BOB = "sip:bob@redirect.example"
VIA = "Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK"


class Clock:
    """Stands in for the card's clock."""

    def now_s(self):
        return NOW_S


class Bench:
    """A SipServer on one socket, and a client of that socket."""

    def __init__(self, relay):
        self.store = LocationStore(bytearray, 64)
        fill(self.store)
        self.sip = SipServer(CONFIGS[0], self.store, SECRET)
        self.port = (PlanePort("127.0.0.1", 0, 5060, encapsulation) if relay
                     else PlainPort("127.0.0.1", 0))
        self.taken = []
        self.sources = b""
        self.handler = batch_handler(
            self.port, 5060 if relay else 0, self.take, self.sip, self.store, SECRET, Clock(),
            lambda: self.sources)
        assert self.handler is not None
        self.head = b""
        if relay:
            self.head = struct.pack(">BBH4BHH", 0x5E, 0x10, 0, 192, 0, 2, 1, 5060, 777)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("127.0.0.1", 0))
        self.client.connect(self.port.address)
        host, port = self.client.getsockname()
        self.sources = socket.inet_aton(host) + struct.pack("!H", port)
        self.client.setblocking(False)

    def take(self, buf, n, peer, via, now_ms):
        self.taken.append((bytes(buf[:n]), peer, via))
        self.sip.receive_message(buf, n, peer, now_ms, NOW_S)
        while (item := self.sip.to_send()) is not None:
            self.port.send(item[0], item[1], via)

    def exchange(self, *messages):
        """Send all, serve once, and give the answers without their heads."""
        for message in messages:
            self.client.send(self.head + message)
        self.handler.readable(NOW_MS)
        return self.answers()

    def answers(self):
        found = []
        while True:
            try:
                octets = self.client.recv(65535)
            except BlockingIOError:
                return found
            # the VIP port in an answer is the card's, not the one that came
            if self.head:
                assert octets[:12] == self.head[:10] + b"\x13\xc4"
            found.append(octets[len(self.head):])

    def close(self):
        self.client.close()
        self.port.close()


@pytest.fixture(params=[False, True], ids=["plain", "relay"])
def bench(request):
    made = Bench(request.param)
    yield made
    made.close()


def statuses(answers):
    return [int(answer[8:11]) for answer in answers]


def test_plain_requests_never_reach_python(bench):
    answers = bench.exchange(
        request("INVITE", BOB, via=VIA + "1"), request("OPTIONS", "sip:192.0.2.10", via=VIA + "2"),
        request("OPTIONS", "sip:nobody@redirect.example", via=VIA + "3"))
    assert statuses(answers) == [302, 200, 404] and bench.taken == []
    moved = {name: count for name, count in bench.sip.counters.items() if count}
    assert moved == {"received": 3, "answered": 3, "redirected": 1, "options": 1, "errors": 1}
    tag = answers[0].split(b";tag=")[2][:16].decode()
    ack = request("ACK", BOB, via=VIA + "1", to="<{}>;tag={}".format(BOB, tag))
    assert bench.exchange(ack) == [] and bench.taken == []
    assert bench.sip.counters["acks"] == 1 and bench.sip.counters["received"] == 4


def test_an_invite_is_remembered_for_its_cancel_in_the_same_batch(bench):
    cancel = request("CANCEL", BOB, via=VIA + "1")
    answers = bench.exchange(cancel, request("INVITE", BOB, via=VIA + "1"), cancel)
    # what C answers leaves before what Python answers; the memory keeps the order of arrival
    assert statuses(answers) == [302, 481, 200]
    assert statuses(bench.exchange(request("CANCEL", BOB, via=VIA + "2"))) == [481]


def test_what_is_left_is_as_it_came(bench):
    messages = [b"", b"noise", request("FOO", BOB, via=VIA + "1", body=b"x" * 60000)]
    bench.exchange(*messages)
    assert [taken[0] for taken in bench.taken] == messages
    own = bench.client.getsockname()
    wanted = (("192.0.2.1", 5060), own) if bench.head else (own, None)
    assert {taken[1:] for taken in bench.taken} == {wanted}


def test_a_card_out_of_service_answers_in_python(bench):
    bench.sip.serving = False
    assert statuses(bench.exchange(request("INVITE", BOB, via=VIA + "1"))) == [503]
    bench.sip.serving = True
    bench.sip.drain = True
    assert statuses(bench.exchange(request("OPTIONS", "sip:192.0.2.10", via=VIA + "2"))) == [503]
    assert len(bench.taken) == 2 and bench.sip.counters["errors"] == 2


def test_the_table_may_grow_between_turns(bench):
    from firmware.location import record

    earlier = bench.store.memory
    for number in range(4000):
        name = b"n%d@redirect.example" % number
        binding = record.Binding(b"sip:n@192.0.2.77", 1000, 0)
        bench.store.put(record.aor_key(name), record.encode_aor([binding]))
    assert bench.store.memory is not earlier
    answers = bench.exchange(request("INVITE", "sip:n3999@redirect.example", via=VIA + "1"))
    assert statuses(answers) == [302] and b"<sip:n@192.0.2.77>" in answers[0]


def test_malformed_relay_headers_are_counted():
    bench = Bench(True)
    for octets in (b"", b"\x5e\x10", bytes(12) + request("INVITE", BOB)):
        bench.client.send(octets)
    bench.handler.readable(NOW_MS)
    assert bench.answers() == [] and bench.taken == []
    assert bench.port.malformed == 3 and bench.sip.counters["received"] == 0
    bench.close()



def test_relayed_datagrams_of_a_stranger_are_pythons(bench):
    bench.sources = b"\x7f\0\0\1\0\1" + b"\x7f\0\0\2" + bench.sources[4:]
    answers = bench.exchange(request("OPTIONS", "sip:192.0.2.10", via=VIA + "1"))
    assert statuses(answers) == [200]
    assert len(bench.taken) == (1 if bench.head else 0)
