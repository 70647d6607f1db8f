"""Random packets, cards and switch cards up and down: nothing raises, all stays bounded,
connections stick while their card is healthy, both tables end equal."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bus import messages, states
from bus.compat import TICKS_PERIOD, ticks_add
from firmware.switching import encapsulation
from firmware.switching.dialog import belongs_to_dialog
from firmware.switching.replication import TableReceiver
from firmware.switching.switch import Switch
from firmware.switching.tuples import UDP, TupleTable, flow_key

VIP = ("127.0.0.1", 5060)
PLANES = {slot: ("127.0.0.1", 20000 + slot) for slot in range(1, 9)}
CLUSTER = (3, 4, 5, 6)
TEXTS = (b"INVITE sip:a SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"\x00", b"ACK a\r\nt:;tag=1")


def beat(role, slot, service, database, staleness_ms=0, redundancy=0, load=100, epoch=0):
    plane = PLANES[slot]
    octets = messages.encode(
        messages.HEARTBEAT, role, states.M4, redundancy, service, database, load, 1, bytes(8),
        bytes(8), staleness_ms, epoch, 0, encapsulation.ip_bytes(plane[0]), plane[1], 0, b"")
    return messages.decode(octets, 0, len(octets))


class Storm:
    """One switch card under random events; checks what must hold after each."""

    LIMIT = 20

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now_ms = TICKS_PERIOD - 3000
        self.switch = Switch(1, 2, VIP, PLANES[1], b"s", 1, self.now_ms, self.LIMIT, 16)
        self.copy = TupleTable(self.LIMIT)
        self.receiver = TableReceiver(self.copy)
        self.out = bytearray(65507)

    def step(self):
        action = self.random.choice((
            self.beat, self.beat, self.client, self.client, self.client, self.card, self.down,
            self.mate, self.junk, self.answer, self.stream))
        action()
        self.now_ms = ticks_add(self.now_ms, self.random.choice((0, 1, 5, 20, 120, 700)))
        self.switch.handle_timer(self.now_ms)
        self.empty()
        self.check()

    def beat(self):
        slot = self.random.choice(CLUSTER)
        service = self.random.choice((2, 2, 2, 0, 1, 3))
        self.switch.card_beat(slot, beat(
            states.SIP_CLUSTER, slot, service, self.random.choice((3, 3, 1, 5)),
            self.random.choice((0, 9999))), self.now_ms)

    def down(self):
        self.switch.card_down(self.random.choice((2,) + CLUSTER), self.now_ms)

    def mate(self):
        self.switch.card_beat(2, beat(
            states.SWITCH, 2, self.random.choice((2, 3)), 0, 0,
            self.random.choice((0, 1, 2, 2)), self.random.choice((0, 100)),
            self.random.randrange(5)), self.now_ms)

    def client(self):
        table = self.switch.table
        port = self.random.randrange(1, 40)
        key = flow_key(b"\x7f\0\0\x01", 5060, b"\x0a\0\0\x01", port, UDP)
        before = table.find(key)
        sticks = before is not None and self.switch.cards.get(before.slot) is not None
        sticks = sticks and self.switch.cards[before.slot].serves()
        slot = before.slot if sticks else None
        text = self.random.choice(TEXTS)
        self.switch.from_vip(text, len(text), ("10.0.0.1", port), self.now_ms)
        if sticks:
            assert table.find(key).slot == slot
        elif self.switch.redundancy.is_primary and table.find(key) is not before:
            assert self.switch.cards[table.find(key).slot].serves()

    def card(self):
        header = bytearray(12)
        encapsulation.encode_into(header, "10.0.0.1", self.random.randrange(1, 40), 5060)
        datagram = bytes(header) + b"SIP/2.0 200 OK"
        slot = self.random.choice(CLUSTER + (2,))
        self.switch.from_plane(datagram, len(datagram), PLANES[slot], self.now_ms)

    def junk(self):
        octets = self.random.randbytes(self.random.randrange(60))
        if self.random.random() < 0.5:
            octets = b"\x5e\x10" + octets
        self.switch.from_plane(octets, len(octets), PLANES[self.random.choice((2, 3))],
                               self.now_ms)
        self.switch.from_vip(octets, len(octets), ("10.0.0.1", 5), self.now_ms)
        self.switch.receive_stream(2, octets, self.now_ms)

    def answer(self):
        self.switch.ping_answered(self.random.choice(CLUSTER), bytes(8), self.now_ms)
        self.switch.ping_failed(self.random.choice(CLUSTER), bytes(8))
        self.switch.send_failed(1, PLANES[self.random.choice(CLUSTER)])

    def stream(self):
        rows = self.random.randbytes(31 * self.random.randrange(3))
        self.switch.receive_stream(2, messages.encode(
            messages.TUPLES, len(rows) // 31, rows), self.now_ms)
        if self.random.random() < 0.2:
            self.switch.drain(self.random.random() < 0.5, self.now_ms)

    def empty(self):
        event = self.switch.next_event()
        while event is not None:
            if event[0] == "take":
                if self.random.random() < 0.7:
                    self.switch.vip_bound(self.now_ms)
                else:
                    self.switch.vip_failed(self.now_ms)
                    break
            elif event[0] == "ping" and self.random.random() < 0.8:
                self.switch.ping_answered(event[1], event[2], self.now_ms)
            event = self.switch.next_event()
        while self.switch.to_send(self.out) is not None:
            pass
        message = self.switch.next_tuples(self.now_ms)
        count = 0
        while message is not None:
            self.receiver.receive(message, self.now_ms)
            message = self.switch.next_tuples(self.now_ms)
            count += 1
            assert count < 10

    def check(self):
        table = self.switch.table
        entries = list(table.oldest_first())
        assert len(entries) == len(table) <= self.LIMIT
        for slot in range(31):
            assert table.active(slot) == sum(entry.slot == slot for entry in entries)
        assert self.switch.relay.waiting() <= 16
        assert self.switch.next_deadline_ms() is not None

    def settle(self):
        """With the mate alive and lacking, the tables end equal."""
        self.switch.drain(False, self.now_ms)
        for _ in range(200):
            self.now_ms = ticks_add(self.now_ms, 50)
            # the mate reaches no card either (staleness), so that it is not given the VIP
            load = 100 if self.receiver.whole else 0
            self.switch.card_beat(2, beat(states.SWITCH, 2, 2, 0, 9999, states.SECONDARY, load),
                                  self.now_ms)
            self.switch.handle_timer(self.now_ms)
            event = self.switch.next_event()
            while event is not None:
                if event[0] == "take":
                    self.switch.vip_bound(self.now_ms)
                event = self.switch.next_event()
            self.empty()
        assert self.switch.redundancy.is_primary
        assert self.receiver.whole and self.copy.digest == self.switch.table.digest
        rows = {entry.key: entry.slot for entry in self.switch.table.oldest_first()}
        assert rows == {entry.key: entry.slot for entry in self.copy.oldest_first()}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_storm(seed):
    print("seed", seed)
    storm = Storm(seed)
    for _ in range(300):
        storm.step()
    storm.settle()


@given(st.binary(max_size=200))
def test_any_octets_are_no_error(octets):
    belongs_to_dialog(octets, 0, len(octets))
    header = encapsulation.decode(octets, len(octets))
    if header is not None:
        out = bytearray(12)
        encapsulation.encode_into(out, *header)
        assert bytes(out[4:12]) == octets[4:12]


@given(st.tuples(*[st.integers(0, 255)] * 4), st.integers(1, 65535), st.integers(1, 65535))
def test_encapsulation_comes_back(ip, port, vip_port):
    out = bytearray(13)
    host = ".".join(str(octet) for octet in ip)
    encapsulation.encode_into(out, host, port, vip_port)
    assert encapsulation.decode(out, 13) == (host, port, vip_port)
