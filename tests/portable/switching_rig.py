"""What the tests of the switch cards share: SIP text, heartbeats, and a pair of switch cards.

Not a test file. Runs on both interpreters. The clock starts five seconds before ticks wrap.
"""

from bus import messages, states
from bus.compat import TICKS_PERIOD, ticks_add, ticks_diff
from firmware.switching import encapsulation
from firmware.switching.dataplane_relay import PLANE, VIP
from firmware.switching.switch import Switch

START_MS = TICKS_PERIOD - 5000
VIP_ADDRESS = ("127.0.0.1", 5060)
SEED = b"seed"

NEW = (b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
       b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n\r\n")
ACK = b"ACK sip:bob@example.com SIP/2.0\r\nTo: <sip:bob@example.com>;tag=2\r\n\r\n"
IN_DIALOG = (b"BYE sip:bob@example.com SIP/2.0\r\nFrom: <sip:alice@example.com>;tag=1\r\n"
             b"t : \"Tom\" <sip:bob@example.com>;x=1;tag=2\r\n\r\n")
RESPONSE = b"SIP/2.0 200 OK\r\nTo: <sip:bob@example.com>;tag=2\r\n\r\n"
TEXTS = {"new": NEW, "ack": ACK, "in-dialog": IN_DIALOG, "response": RESPONSE}


def plane_of(slot):
    """The plane address of the card in `slot` in these tests."""
    return ("127.0.0.1", 20000 + slot)


def beat(role, slot, redundancy=states.NO_REDUNDANCY, service=states.IN_SERVICE,
         database=states.COHERENT, load=100, staleness_ms=0, epoch=0):
    """A decoded HEARTBEAT of the card in `slot`."""
    plane = plane_of(slot)
    octets = messages.encode(
        messages.HEARTBEAT, role, states.M4, redundancy, service, database, load, 1, bytes(8),
        bytes(8), staleness_ms, epoch, 0, encapsulation.ip_bytes(plane[0]), plane[1], 0, b"")
    return messages.decode(octets, 0, len(octets))


def wrapped(peer, octets, vip_port=5060):
    """A relay datagram."""
    header = bytearray(encapsulation.HEADER_BYTES)
    encapsulation.encode_into(header, peer[0], peer[1], vip_port)
    return bytes(header) + octets


class Rig:
    """Switch cards in slots 1 and 2, cluster cards in 3 to 5 that echo, and one clock.

    `sent`: (switch slot, where, address, octets) of what left. `hold`: slot that holds the VIP.
    """

    def __init__(self, tuple_limit=100, slots=(1, 2)):
        self.now_ms = START_MS
        self.switches = {}
        for slot in slots:
            self.switches[slot] = Switch(
                slot, 3 - slot, VIP_ADDRESS, plane_of(slot), SEED, slot, self.now_ms, tuple_limit)
        self.cluster = {3: {}, 4: {}, 5: {}}
        self.deaf = set()  # cluster slots that answer no probe
        self.mute = set()  # switch slots whose heartbeats are lost
        self.hold = None
        self.sent = []
        self.events = []
        self._out = bytearray(65507)
        self._beat_ms = self.now_ms

    def add(self, slot):
        """Insert a switch card."""
        self.switches[slot] = Switch(
            slot, 3 - slot, VIP_ADDRESS, plane_of(slot), SEED, slot + 10, self.now_ms, 100)

    def kill(self, slot):
        """Pull a switch card; the VIP is free at once."""
        del self.switches[slot]
        if self.hold == slot:
            self.hold = None

    def primary(self):
        """The slots that say they are primary."""
        return [slot for slot in sorted(self.switches)
                if self.switches[slot].redundancy.is_primary]

    def run(self, span_ms, step_ms=10):
        """Let time pass."""
        end_ms = ticks_add(self.now_ms, span_ms)
        while ticks_diff(end_ms, self.now_ms) > 0:
            self.now_ms = ticks_add(self.now_ms, step_ms)
            if ticks_diff(self.now_ms, self._beat_ms) >= 0:
                self._beat_ms = ticks_add(self.now_ms, 50)
                self.beats()
            for slot in sorted(self.switches):
                self.step(slot)

    def beats(self):
        """Everybody's heartbeat to everybody."""
        for slot in sorted(self.switches):
            switch = self.switches[slot]
            for card in self.cluster:
                switch.card_beat(card, beat(states.SIP_CLUSTER, card, **self.cluster[card]),
                                 self.now_ms)
            mate = self.switches.get(3 - slot)
            if mate is not None and 3 - slot not in self.mute:
                red = mate.redundancy
                service = states.DRAINING if red.draining else states.IN_SERVICE
                switch.card_beat(3 - slot, beat(
                    states.SWITCH, 3 - slot, red.role, service, states.NO_DATABASE,
                    mate.beat_values()[0], mate.helpless_ms(self.now_ms), red.epoch), self.now_ms)

    def step(self, slot):
        """Timer, events, datagrams and table rows of one switch card."""
        switch = self.switches[slot]
        switch.handle_timer(self.now_ms)
        event = switch.next_event()
        while event is not None:
            self.events.append((slot,) + event)
            if event[0] == "take":
                self._take(slot)
            elif event[0] == "release" and self.hold == slot:
                self.hold = None
            elif event[0] == "ping" and event[1] not in self.deaf:
                switch.ping_answered(event[1], event[2], self.now_ms)
            event = switch.next_event()
        found = switch.to_send(self._out)
        while found is not None:
            self._carry(slot, found[1], found[2], bytes(self._out[:found[0]]))
            found = switch.to_send(self._out)
        message = switch.next_tuples(self.now_ms)
        while message is not None:
            mate = self.switches.get(3 - slot)
            if mate is not None and slot not in self.mute:
                mate.receive_stream(slot, message, self.now_ms)
            message = switch.next_tuples(self.now_ms)

    def client(self, slot, octets, peer=("10.0.0.1", 5060)):
        """A datagram to the VIP at switch `slot`; returns the cluster slot it went to, or None."""
        self.sent = []
        self.switches[slot].from_vip(octets, len(octets), peer, self.now_ms)
        self.step(slot)
        return self.went_to()

    def went_to(self):
        """The cluster slot of the last datagram that left for a plane, or None."""
        slots = [item[2][1] - 20000 for item in self.sent if item[1] == PLANE]
        return slots[-1] if slots else None

    def card(self, slot, switch, octets, peer):
        """The cluster card in `slot` sends `octets` to `peer` through `switch`."""
        self.sent = []
        datagram = wrapped(peer, octets)
        self.switches[switch].from_plane(datagram, len(datagram), plane_of(slot), self.now_ms)
        self.step(switch)

    def outside(self):
        """(address, octets) of what left for the outside since the last client or card call."""
        return [(item[2], item[3]) for item in self.sent if item[1] == VIP]

    def _take(self, slot):
        if self.hold is None:
            self.hold = slot
            self.switches[slot].vip_bound(self.now_ms)
        else:
            self.switches[slot].vip_failed(self.now_ms)

    def _carry(self, slot, where, address, octets):
        card = address[1] - 20000
        if where == PLANE and b"OPTIONS" == octets[12:19]:
            if card not in self.deaf:
                self._answer_check(card, slot, octets)
            return
        self.sent.append((slot, where, address, octets))

    def _answer_check(self, card, slot, octets):
        answer = octets[:12] + octets[12:].replace(b"OPTIONS sip:127.0.0.1:5060 SIP/2.0",
                                                   b"SIP/2.0 200 OK", 1)
        self.switches[slot].from_plane(answer, len(answer), plane_of(card), self.now_ms)
