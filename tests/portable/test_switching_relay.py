"""Encapsulation, dialog peek, the verdict table and the relay data plane; both interpreters."""

import json

from bus import states
from firmware.switching import dialog, encapsulation
from firmware.switching.balance import Card
from firmware.switching.dataplane_relay import PLANE, VIP, RelayForwarder
from firmware.switching.replication import TableSender
from firmware.switching.tuples import UDP, TupleTable, flow_key
from switching_rig import ACK, IN_DIALOG, NEW, RESPONSE, SEED, TEXTS, VIP_ADDRESS, plane_of

FOLDER = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
GOLDEN = b"\x5e\x10\x00\x00\xc0\x00\x02\x07\x13\xc5\x13\xc4hello"


def raises(function, *values):
    try:
        function(*values)
    except ValueError:
        return True
    return False


def test_encode_gives_the_drawn_octets():
    out = bytearray(b"\xff" * 17)
    assert encapsulation.encode_into(out, "192.0.2.7", 5061, 5060) == 12
    out[12:17] = b"hello"
    assert bytes(out) == GOLDEN


def test_decode_reads_the_drawn_octets():
    assert encapsulation.decode(bytearray(GOLDEN), 17) == ("192.0.2.7", 5061, 5060)


def test_decode_refuses_what_is_no_relay_datagram():
    assert encapsulation.decode(GOLDEN, 12) == ("192.0.2.7", 5061, 5060)
    assert encapsulation.decode(GOLDEN, 11) is None
    for at, octet in ((0, 0x5D), (1, 0x20), (1, 0x11)):
        broken = bytearray(GOLDEN)
        broken[at] = octet
        assert encapsulation.decode(broken, 17) is None
    for at in (8, 10):
        broken = bytearray(GOLDEN)
        broken[at:at + 2] = b"\0\0"
        assert encapsulation.decode(broken, 17) is None


def test_encode_refuses_what_does_not_fit():
    out = bytearray(12)
    for host, port in (("1.2.3", 1), ("1.2.3.256", 1), ("1.2.3.-4", 1), ("a.b.c.d", 1),
                       ("1.2.3.4", 0), ("1.2.3.4", 65536)):
        assert raises(encapsulation.encode_into, out, host, port, 5060), (host, port)


def test_dialog_peek():
    assert not dialog.belongs_to_dialog(NEW, 0, len(NEW))
    for text in (ACK, IN_DIALOG, RESPONSE):
        assert dialog.belongs_to_dialog(text, 0, len(text)), text
    trap = b"INVITE sip:a SIP/2.0\r\nTimestamp: tag=1\r\nTo: \"tag=5\" <sip:b;tag=1>\r\n\r\n"
    assert not dialog.belongs_to_dialog(trap, 0, len(trap))
    bare = b"BYE sip:a SIP/2.0\nTO:sip:b@c;tag=9"
    assert dialog.belongs_to_dialog(bytearray(bare), 0, len(bare))
    assert not dialog.belongs_to_dialog(bare, 0, len(bare) - 6)
    assert dialog.wants_answer(NEW, 0) and not dialog.wants_answer(ACK, 0)
    assert not dialog.wants_answer(RESPONSE, 0)


def make_card(spec, table):
    card = Card(spec["slot"])
    card.up = spec.get("up", True)
    card.alive = spec.get("alive", True)
    card.plane = plane_of(card.slot) if spec.get("plane", True) else None
    card.service = states.SERVICE.index(spec.get("service", "in-service"))
    card.database = states.DATABASE.index(spec.get("database", "coherent"))
    card.staleness_ms = spec.get("staleness_ms", 0)
    if "response_ms" in spec:
        card.response.sample(spec["response_ms"])
    for number in range(spec.get("connections", 0)):
        table.add(b"%012d" % number + bytes((card.slot,)), card.slot, 0)
    return card


def test_verdicts():
    with open(FOLDER + "/../vectors/switching/verdicts.json") as file:
        cases = json.load(file)
    assert len(cases) > 30
    for case in cases:
        table = TupleTable(1000)
        cards = {}
        for spec in case["cards"]:
            cards[spec["slot"]] = make_card(spec, table)
        relay = RelayForwarder(VIP_ADDRESS, SEED, cards, table, TableSender(table))
        if case.get("entry") is not None:
            key = flow_key(b"\x7f\0\0\x01", 5060, b"\x0a\0\0\x01", case["port"], UDP)
            table.add(key, case["entry"], 0)
        text = TEXTS[case.get("message", "new")]
        relay.from_client(text, len(text), ("10.0.0.1", case["port"]), 0)
        out = bytearray(2000)
        sent = relay.to_send(out)
        went = None if sent is None else sent[2][1] - 20000
        assert went == case["to"], (case["name"], went)
        assert relay.counters["rechosen"] == case.get("rechosen", 0), case["name"]
        assert relay.counters["no_card"] == (1 if went is None else 0), case["name"]


class Desk:
    """A relay with cards 3 and 4."""

    def __init__(self, queue_limit=8):
        self.table = TupleTable(10)
        self.cards = {slot: make_card({"slot": slot}, self.table) for slot in (3, 4)}
        self.relay = RelayForwarder(VIP_ADDRESS, SEED, self.cards, self.table,
                                    TableSender(self.table), queue_limit)
        self.out = bytearray(2000)

    def send(self):
        found = self.relay.to_send(self.out)
        return None if found is None else (found[1], found[2], bytes(self.out[:found[0]]))


def test_relay_way_in_and_out():
    desk = Desk()
    desk.relay.from_client(b"hello", 5, ("192.0.2.7", 5061), 0)
    where, address, octets = desk.send()
    assert (where, octets) == (PLANE, GOLDEN)
    slot = address[1] - 20000
    desk.relay.from_card(slot, GOLDEN, 17, 3)
    assert desk.send() == (VIP, ("192.0.2.7", 5061), b"hello")
    assert desk.send() is None
    assert len(desk.table) == 1
    entry = next(desk.table.oldest_first())
    assert (entry.slot, entry.octets) == (slot, 10)
    assert entry.mac == bytes((2, 0, 0, 0, 0, slot))
    assert entry.key == bytes((127, 0, 0, 1, 192, 0, 2, 7, 0x13, 0xC4, 0x13, 0xC5, 17))


def test_answers_of_a_new_peer_come_back_to_the_card_that_sent():
    for slot in (3, 4):
        desk = Desk()
        desk.relay.from_card(slot, GOLDEN, 17, 0)
        desk.send()
        desk.relay.from_client(RESPONSE, len(RESPONSE), ("192.0.2.7", 5061), 5)
        assert desk.send()[1] == plane_of(slot)


def test_two_cards_to_one_peer_the_first_keeps_it_while_it_serves():
    desk = Desk()
    desk.relay.from_card(3, GOLDEN, 17, 0)
    desk.relay.from_card(4, GOLDEN, 17, 1)
    assert (desk.table.active(3), desk.table.active(4)) == (1, 0)
    desk.cards[3].alive = False
    desk.relay.from_card(4, GOLDEN, 17, 2)
    assert (desk.table.active(3), desk.table.active(4)) == (0, 1)


def test_response_time_from_request_to_first_answer():
    desk = Desk()
    peer = ("192.0.2.7", 5061)
    desk.relay.from_client(NEW, len(NEW), peer, 0)
    slot = desk.send()[1][1] - 20000
    desk.relay.from_card(slot, GOLDEN, 17, 8)
    desk.relay.from_card(slot, GOLDEN, 17, 80)  # a second answer measures nothing
    response = desk.cards[slot].response
    assert (response.samples, response.milliseconds()) == (1, 8)
    desk.relay.from_client(NEW, len(NEW), peer, 100)
    desk.relay.from_card(slot, GOLDEN, 17, 116)
    assert response.milliseconds() == 9  # 8 + (16 - 8) / 8
    for request, answer_ms in ((ACK, 210), (RESPONSE, 210), (NEW, 701)):
        desk.relay.from_client(request, len(request), peer, 200)
        desk.relay.from_card(slot, GOLDEN, 17, answer_ms)
    assert response.samples == 2


def test_full_queue_drops_the_new_one():
    desk = Desk(2)
    for number in range(3):
        desk.relay.from_card(3, b"\x5e\x10\0\0\x0a\0\0\x01\x13\xc4\x13\xc4%d" % number, 13, 0)
    assert desk.relay.counters["queue_full"] == 1
    assert desk.relay.counters["queue_high"] == 2
    assert [desk.send()[2], desk.send()[2]] == [b"0", b"1"]


def test_what_waits_for_a_lost_vip_is_dropped_and_counted():
    desk = Desk()
    desk.relay.from_card(3, GOLDEN, 17, 0)
    desk.relay.from_client(NEW, len(NEW), ("10.0.0.2", 5060), 0)
    desk.relay.drop_outside()
    assert desk.relay.counters["vip_given_up"] == 1
    assert desk.send()[2].endswith(NEW) and desk.send() is None


def test_malformed_is_counted():
    desk = Desk()
    desk.relay.from_card(3, b"SIP/2.0 200 OK", 14, 0)
    desk.relay.from_card(3, GOLDEN, 12, 0)
    desk.relay.from_client(b"", 0, ("10.0.0.1", 5060), 0)
    assert desk.relay.counters["malformed"] == 3
    assert desk.send() is None and len(desk.table) == 0
