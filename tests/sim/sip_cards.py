"""The simulator's cards that carry SIP: a cluster card with its SipServer, and the switch cards.

Wired in the order of firmware/cards/sip_cluster.py and switch.py; a socket is a door of the
world's network. Each datagram's fate is accounted for: sent on, or in a counter.
"""

from bus import messages, node, states
from bus.compat import earliest, ticks_diff
from bus.messages import TUPLE_CHANNEL
from firmware.proxy.config import SipConfig
from firmware.proxy.server import SipServer
from firmware.switching import encapsulation
from firmware.switching.dataplane_relay import MAX_DATAGRAM, PLANE
from firmware.switching.encapsulation import HEADER_BYTES
from firmware.switching.switch import Switch
from firmware.switching.tuples import UDP, flow_key
from tests.sim.cards import SERVER_SLOT, SimCard, SimCluster

SWITCH_SLOTS = (2, 3)
VIP = ("203.0.113.1", 5060)
PLANE_PORT = 7000
SECRET = b"sim secret of 16"
DOMAIN = b"example.com"
MIN_EXPIRES_S = 5
HELLO_MS = 50

# every way a datagram may end in a switch card or a SIP server without one that leaves it
SWITCH_LOSSES = ("no_card", "malformed", "too_long", "queue_full")
SIP_ENDS = ("answered", "forwarded", "dropped", "acks", "keepalives", "queue_full")


def plane_of(slot):
    """The plane address of the card in `slot`."""
    return "10.0.0.{}".format(slot), PLANE_PORT


class Vip:
    """Who holds the virtual address.

    exclusive: True where binding fails while another card holds it (one host, the emulated
    chassis); False where each may have it and the last one to announce it hears it (ARP).
    """

    def __init__(self, world, exclusive):
        self.exclusive = exclusive
        self.holders = []
        self._world = world

    def bind(self, slot, take):
        """True when `slot` has it now."""
        if self.exclusive and self.holders:
            return False
        self.holders.append(slot)
        self._world.open_door(VIP, slot, take)
        return True

    def release(self, slot):
        """Give it up, or lose it with the card's power."""
        if slot not in self.holders:
            return
        self.holders.remove(slot)
        self._world.close_door(VIP)
        for other in self.holders:
            self._world.open_door(VIP, other, self._world.cards[other].from_vip)


class SimSipCard(SimCluster):
    """A cluster card that routes SIP."""

    def __init__(self, world, slot, incarnation, region=None):
        super().__init__(world, slot, incarnation, region)
        self.plane = plane_of(slot)
        self.sip = SipServer(SipConfig({
            "vip": VIP, "domains": [{"name": "example.com"}], "min_expires_s": MIN_EXPIRES_S}),
            self.store, SECRET)
        self.draining = False
        self.unsent = 0
        self._switch_plane = None
        self._follow_state()

    def open(self):
        """Bind the plane address."""
        self.world.open_door(self.plane, self.slot, self._from_plane)

    def _from_plane(self, source, octets, now_ms):
        outside = encapsulation.decode(octets, len(octets))
        self.world.require(outside is not None, "a switch card sent no relay datagram")
        body = bytearray(octets[HEADER_BYTES:])
        self._switch_plane = source
        before = self._ends()
        self.sip.receive_message(
            body, len(body), (outside[0], outside[1]), now_ms, self.world.now_s)
        self._forward_registers(now_ms)
        self._send_sip(now_ms)
        self.world.require(self._ends() > before, "slot {} lost {!r} without a word".format(
            self.slot, bytes(body[:60])))
        self.world.require(not self.sip.counters["faults"], "slot {} failed over {!r}".format(
            self.slot, bytes(body)))

    def _ends(self):
        counters = self.sip.counters
        registrar = self.sip.registrar
        return sum(counters[name] for name in SIP_ENDS) + registrar.absorbed + len(registrar)

    def _forward_registers(self, now_ms):
        while True:
            event = self.sip.next_event()
            if event is None:
                return
            server = self._server_slot()
            if server is None or self.node.request(
                    server, event[2], now_ms, request_id=event[1]) is None:
                self.sip.register_timeout(event[1], now_ms)

    def _send_sip(self, now_ms):
        while True:
            found = self.sip.to_send()
            if found is None:
                return
            octets, peer = found
            if self._switch_plane is None:
                self.unsent += 1
                continue
            head = bytearray(HEADER_BYTES)
            encapsulation.encode_into(head, peer[0], peer[1], VIP[1])
            whole = bytes(head) + octets
            self.world.net.send(self.plane, self._switch_plane, whole, len(whole), now_ms)

    def _server_slot(self):
        member = self.node.members.get(SERVER_SLOT)
        return SERVER_SLOT if member is not None and member.up else None

    def take(self, event, now_ms):
        """As SipClusterCard.card_event."""
        kind = event[0]
        if kind == node.RESPONSE:
            message = messages.decode(event[3], 0, len(event[3]))
            self.sip.register_result(
                event[2], message[1], message[3], now_ms, self.world.now_s)
            self._send_sip(now_ms)
        elif kind == node.TIMEOUT:
            self.sip.register_timeout(event[2], now_ms)
            self._send_sip(now_ms)
        else:
            super().take(event, now_ms)
            member = self.node.members.get(event[1])
            if kind == node.CARD_BEAT and member is not None:
                beat = member.beat
                if beat[1] == states.SWITCH and beat[3] == states.PRIMARY:
                    self._switch_plane = (".".join(str(octet) for octet in beat[13]), beat[14])

    def role_step(self, now_ms):
        """Replica, then SIP, then the state that follows."""
        super().role_step(now_ms)
        deadline = self.sip.next_deadline_ms()
        if deadline is not None and ticks_diff(now_ms, deadline) >= 0:
            self.sip.handle_timer(now_ms)
        self._send_sip(now_ms)
        self._follow_state()
        return False

    def _follow_state(self):
        serves = self.replica.serves()
        self.sip.serving = serves
        if self.draining:
            self.service = states.DRAINING
        else:
            self.service = states.IN_SERVICE if serves else states.SERVICE_LOADING

    def role_deadline_ms(self, now_ms):
        return earliest(super().role_deadline_ms(now_ms), self.sip.next_deadline_ms())

    def drain(self, wanted):
        """Take no new calls, or take them again."""
        self.draining = wanted
        self._follow_state()


class SimSwitch(SimCard):
    """One of the two switch cards."""

    role = states.SWITCH

    def __init__(self, world, slot, incarnation, vip, tuples, relay_queue):
        self.redundancy = states.SECONDARY
        self.plane = plane_of(slot)
        super().__init__(world, slot, incarnation)
        self.node.heartbeat_ms = HELLO_MS
        self.mate = SWITCH_SLOTS[0] if slot == SWITCH_SLOTS[1] else SWITCH_SLOTS[1]
        self.switch = Switch(slot, self.mate, VIP, self.plane, SECRET, incarnation, world.now_ms,
                             tuples, relay_queue)
        self._vip = vip
        self._datagram = bytearray(MAX_DATAGRAM)
        self._tuples_waiting = None
        self._moved = False
        self._sent = 0  # datagrams the relay gave us to send
        self.node.open_stream(TUPLE_CHANNEL, node.ALL, world.now_ms)
        self._set_mate_roster(False)

    def open(self):
        """Bind the plane address."""
        self.world.open_door(self.plane, self.slot, self._from_plane)

    @property
    def holds_vip(self):
        """Has it the virtual address?"""
        return self.slot in self._vip.holders

    def _set_mate_roster(self, up):
        self.node.stream_roster(TUPLE_CHANNEL, (self.mate,) if up else ())

    def take(self, event, now_ms):
        """As SwitchCard.card_event."""
        kind, slot = event[0], event[1]
        switch = self.switch
        if kind == node.CARD_BEAT:
            member = self.node.members.get(slot)
            if member is not None:
                switch.card_beat(slot, member.beat, now_ms)
        elif kind == node.CARD_UP:
            switch.card_up(slot, now_ms)
            if slot == self.mate:
                self.node.join_stream(slot, TUPLE_CHANNEL)
                self._set_mate_roster(True)
        elif kind == node.CARD_DOWN:
            switch.card_down(slot, now_ms)
            if slot == self.mate:
                self._set_mate_roster(False)
        elif kind == node.RESPONSE:
            switch.ping_answered(slot, event[2], now_ms)
        elif kind == node.TIMEOUT:
            switch.ping_failed(slot, event[2])
        elif kind == node.STREAM and event[2] == TUPLE_CHANNEL:
            switch.receive_stream(slot, event[3], now_ms)
        elif kind == node.STREAM_LOST and event[2] == TUPLE_CHANNEL:
            switch.stream_lost(slot)
        elif kind == node.LAGGARD and event[1] == TUPLE_CHANNEL:
            self._set_mate_roster(True)

    # datagrams

    def from_vip(self, source, octets, now_ms):
        """A client's datagram; a flow stays with its card while that serves."""
        entry = self._entry(source)
        card = self.switch.cards.get(entry.slot) if entry is not None else None
        stays = entry.slot if card is not None and card.serves() else None
        before = self._ends()
        self.switch.from_vip(octets, len(octets), source, now_ms)
        self.world.require(self._ends() > before, "switch card {} lost a datagram of {}".format(
            self.slot, source))
        if stays is not None and self.switch.redundancy.is_primary:
            self.world.require(self._entry(source).slot == stays,
                               "the flow of {} left the healthy slot {}".format(source, stays))

    def _entry(self, source):
        return self.switch.table.find(flow_key(
            encapsulation.ip_bytes(VIP[0]), VIP[1], encapsulation.ip_bytes(source[0]), source[1],
            UDP))

    def _from_plane(self, source, octets, now_ms):
        before = self._ends()
        self.switch.from_plane(octets, len(octets), source, now_ms)
        self.world.require(self._ends() > before, "switch card {} lost {!r} of {}".format(
            self.slot, octets[:60], source))

    def _ends(self):
        switch = self.switch
        health = switch.health.counters
        return (switch.relay.waiting() + sum(switch.own_counters[name] for name in (
            "stranger", "not_primary", "malformed"))
            + sum(switch.relay.counters[name] for name in SWITCH_LOSSES)
            + health["passed"] + health["failed"] + health["late"])

    # the step

    def role_step(self, now_ms):
        """As SwitchCard.role_step."""
        switch = self.switch
        self._moved = False
        deadline = switch.next_deadline_ms()
        if deadline is not None and ticks_diff(now_ms, deadline) >= 0:
            switch.handle_timer(now_ms)
        while True:
            event = switch.next_event()
            if event is None:
                break
            self._switch_event(event, now_ms)
        self._send_tuples(now_ms)
        self._send_datagrams(now_ms)
        self._account()
        return self._moved

    def _account(self):
        """What was queued was sent, or is counted as given up with the VIP."""
        counters = self.switch.relay.counters
        given = self._sent + counters["vip_given_up"]
        queued = counters["to_clients"] + counters["to_cards"]
        passed_on = self.switch.own_counters["passed_on"]
        self.world.require(
            queued <= given <= queued + passed_on,
            "switch card {} queued {} and {}, sent {}".format(
                self.slot, queued, passed_on, given))

    def _switch_event(self, event, now_ms):
        kind = event[0]
        if kind == "ping":
            self.node.request(event[1], event[3], now_ms, event[4], event[2])
        elif kind == "take":
            if self.holds_vip or self._vip.bind(self.slot, self.from_vip):
                self.switch.vip_bound(now_ms)
            else:
                self.switch.vip_failed(now_ms)
        elif kind == "release":
            self._vip.release(self.slot)
        elif kind == "beat":
            self.refresh_beat(now_ms)
            self.node.beat_now()
        elif kind == "role":
            self.redundancy = event[2]
            self.world.note("switch card {} {} -> {}: {}".format(
                self.slot, states.REDUNDANCY[event[1]], states.REDUNDANCY[event[2]], event[3]))
            self.refresh_beat(now_ms)
        elif kind == "health":
            self.world.note("switch card {}: slot {} is {}: {}".format(
                self.slot, event[1], "alive" if event[2] else "dead", event[3]))

    def _send_tuples(self, now_ms):
        while True:
            if self._tuples_waiting is None:
                if not self.node.stream_room(TUPLE_CHANNEL):
                    return
                self._tuples_waiting = self.switch.next_tuples(now_ms)
                if self._tuples_waiting is None:
                    return
            if not self.node.stream_offer(TUPLE_CHANNEL, self._tuples_waiting):
                return
            self._tuples_waiting = None

    def _send_datagrams(self, now_ms):
        while True:
            found = self.switch.to_send(self._datagram)
            if found is None:
                return
            count, where, address = found
            self._moved = True
            self._sent += 1
            if where == PLANE:
                self.world.net.send(self.plane, address, self._datagram, count, now_ms)
            elif self.holds_vip:
                self.world.net.send(VIP, address, self._datagram, count, now_ms)
            else:
                self.world.require(False, "switch card {} sends from a VIP that it lost".format(
                    self.slot))

    def role_deadline_ms(self, now_ms):
        """The switch's own deadline."""
        return self.switch.next_deadline_ms()

    # what others see

    def beat_values(self, now_ms):
        load_percent, digest = self.switch.beat_values()
        return (states.NO_DATABASE, load_percent, 0, bytes(8), digest,
                self.switch.helpless_ms(now_ms))

    def epoch(self):
        return self.switch.redundancy.epoch

    def connections(self):
        return len(self.switch.table)

    def connections_by_key(self):
        """The whole connection table: key -> slot."""
        return {entry.key: entry.slot for entry in self.switch.table.oldest_first()}

    def drain(self, wanted):
        """Give the VIP to the mate, or be ready to take it again."""
        self.switch.drain(wanted, self.world.now_ms)
        self.service = states.DRAINING if wanted else states.IN_SERVICE

    def kill(self):
        """The address is free; what the table held is gone."""
        self._vip.release(self.slot)
