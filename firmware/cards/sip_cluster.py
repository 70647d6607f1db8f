"""Wiring of a sip-cluster card: replica, SIP server, plane and direct sockets.

Answers every request from its own copy; the location server is asked only to commit a REGISTER.
Runs on both interpreters.
"""

from bus import messages, node, states
from bus.compat import earliest, ticks_diff
from bus.interfaces import ip_octets
from bus.messages import BEAT_REDUNDANCY, BEAT_ROLE, LIVE_CHANNEL, plane_of
from firmware import fastpath
from firmware.cards.card import Card
from firmware.location.store import LocationStore
from firmware.proxy.config import SipConfig
from firmware.proxy.server import SipServer
from firmware.replica.replica import Replica
from firmware.runtime import clock
from firmware.runtime.datagrams import PlainPort, PlanePort, PortHandler
from firmware.runtime.management import as_json
from firmware.runtime.region import open_regions
from firmware.switching import encapsulation

DIRECT_REPLIES = 256
BENCH_MS = 200


def sip_settings(config):
    """What SipConfig wants, from card.json: its `settings` may override the bounds."""
    settings = dict(config.settings)
    settings["vip"] = config.vip
    settings["domains"] = config.domains
    settings["mode"] = config.modes[0]
    return settings


class SipClusterCard(Card):
    """A card that routes SIP."""

    def __init__(self, config, limits, reactor, incarnation):
        super().__init__(config, limits, reactor, incarnation)
        now_ms = clock.now_ms()
        self._regions = open_regions(config.flash, limits.STORE_BYTES)
        self.store = self._open_store(limits)
        self.replica = Replica(self.store, config.slot, now_ms=now_ms)
        self.sip = SipServer(SipConfig(sip_settings(config)), self.store, config.secret)
        self.plane = PlanePort(
            config.plane[0], config.plane[1], config.vip[1], encapsulation)
        self._switch_plane = None
        self._switch_planes = {}  # address -> slot of each switch card that is up
        self._plane_sources = b""  # the same addresses, 6 octets each
        self.strangers = 0
        self._serve_port(self.plane, config.vip[1], self._receive_sip)
        self.direct = None
        self._direct_replies = {}  # address -> answers due to REGISTERs by `direct`
        if config.direct is not None:
            self.direct = PlainPort(*config.direct)
            self._serve_port(self.direct, 0, self._receive_direct)
        self._draining = False
        self.unsent = 0
        self._follow_state()

    def _open_store(self, limits):
        """The store, warm where an earlier life left a whole table in the flash folder."""
        earlier = self._regions.earlier()
        store = LocationStore(self._regions.allocate, limits.STORE_RECORDS, self.config.secret)
        for region in earlier:
            if store.attach(region) == fastpath.OK:
                self.log.note("warm start: {} records at level {}".format(
                    len(store), store.level))
                break
        self._memory = store.memory
        self._regions.keep(self._memory)
        return store

    # ---- SIP

    def _serve_port(self, port, relay_port, take):
        """Read a SIP socket: by batches where the C data plane is there, else one by one."""
        handler = None
        if fastpath.NAME == "cffi":
            from firmware.cards.plain_linux import batch_handler

            handler = batch_handler(
                port, relay_port, take, self.sip, self.store, self.config.secret, self.clock,
                lambda: self._plane_sources)
        self.reactor.register(port.socket, handler or PortHandler(port, take))

    def _receive_sip(self, buf, n, peer, via, now_ms):
        if via not in self._switch_planes:
            # only a switch card may speak for the outside; its heartbeat comes before its probes
            self.strangers += 1
            return
        self._switch_plane = via
        self.sip.receive_message(buf, n, peer, now_ms, self.clock.now_s())
        self._forward_registers(now_ms, False)
        self._send_sip(False)

    def _receive_direct(self, buf, n, peer, via, now_ms):
        self.sip.receive_message(buf, n, peer, now_ms, self.clock.now_s())
        self._forward_registers(now_ms, True)
        self._send_sip(True)

    def _send_sip(self, direct):
        """Send what a datagram has triggered by the socket that it came from.

        Nothing else waits then: each step sends all answers that the step before had to defer.
        """
        to_send = self.sip.to_send
        while True:
            found = to_send()
            if found is None:
                return
            self._send_one(found[0], found[1], direct)

    def _send_deferred(self):
        """Send the answers to REGISTERs that are ready now, each where its REGISTER came from."""
        to_send = self.sip.to_send
        awaited = self._direct_replies
        while True:
            found = to_send()
            if found is None:
                return
            octets, peer = found
            direct = peer in awaited
            if direct:
                awaited[peer] -= 1
                if not awaited[peer]:
                    del awaited[peer]
            self._send_one(octets, peer, direct)

    def _send_one(self, octets, peer, direct):
        if not direct and self._switch_plane is not None:
            self.plane.send(octets, peer, self._switch_plane)
        elif self.direct is not None:
            self.direct.send(octets, peer, None)
        else:
            self.unsent += 1

    # ---- bus

    def card_event(self, event, now_ms):
        """Streams and heartbeats of the location server, answers to REGISTER, switch cards."""
        kind, slot = event[0], event[1]
        if kind == node.STREAM:
            self.replica.receive_stream(event[2], event[3], now_ms)
        elif kind == node.CARD_BEAT:
            self._observe(slot, now_ms)
        elif kind == node.RESPONSE:
            self._registered(event[2], event[3], now_ms)
        elif kind == node.TIMEOUT:
            self.sip.register_timeout(event[2], now_ms)
        elif kind == node.STREAM_LOST:
            self.replica.stream_lost(event[2], now_ms)
        elif kind == node.CARD_UP:
            self._card_up(slot)
        elif kind == node.CARD_DOWN:
            self._card_down(slot, now_ms)

    def _card_up(self, slot):
        member = self.node.members.get(slot)
        if member is not None and member.beat[BEAT_ROLE] == states.LOCATION_SERVER:
            self.node.join_stream(slot, LIVE_CHANNEL)

    def _know_switch(self, slot, plane):
        """The switch card in `slot` relays from the address `plane`; None: no longer from any."""
        planes = {one: owner for one, owner in self._switch_planes.items() if owner != slot}
        if plane is not None:
            planes[plane] = slot
        self._switch_planes = planes
        self._plane_sources = b"".join(
            ip_octets(host) + port.to_bytes(2, "big") for host, port in planes)

    def _card_down(self, slot, now_ms):
        self._know_switch(slot, None)
        self.node.leave_stream(slot, LIVE_CHANNEL)
        if self._server_slot() is None:
            self.replica.server_lost(now_ms)

    def _observe(self, slot, now_ms):
        member = self.node.members.get(slot)
        if member is None:
            return
        beat = member.beat
        if beat[BEAT_ROLE] == states.LOCATION_SERVER and beat[BEAT_REDUNDANCY] == states.ACTIVE:
            self.node.join_stream(slot, LIVE_CHANNEL)
            self.replica.observe_server(beat, now_ms)
        elif beat[BEAT_ROLE] == states.SWITCH:
            plane = plane_of(beat)
            if self._switch_planes.get(plane) != slot:
                self._know_switch(slot, plane)
            if beat[BEAT_REDUNDANCY] == states.PRIMARY:
                self._switch_plane = plane

    def _server_slot(self):
        """The slot of the active location server, or None."""
        members = self.node.members
        for slot in members:
            beat = members[slot].beat
            if members[slot].up and beat[BEAT_ROLE] == states.LOCATION_SERVER \
                    and beat[BEAT_REDUNDANCY] == states.ACTIVE:
                return slot
        return None

    def _registered(self, request_id, octets, now_ms):
        message = messages.decode(octets, 0, len(octets))
        if message is None or message[0] != messages.REGISTER_RESULT:
            return
        self.sip.register_result(
            request_id, message[1], message[3], now_ms, self.clock.now_s())

    def request(self, slot, request_id, message, now_ms):
        """DUMP and WHERETO requests."""
        if message[0] == messages.DUMP:
            cursor, rows, _ = self.store.rows(message[1], message[2])
            answer = messages.encode(
                messages.DUMP_RESULT, cursor, self.store.level, self.store.birthday,
                self.store.digest(), rows)
        elif message[0] == messages.WHERETO:
            answer = messages.encode(messages.WHERETO_RESULT, as_json(
                self.sip.whereto(message[1], message[2], self.clock.now_s())))
        else:
            return False
        self.node.respond(slot, request_id, answer)
        return True

    # ---- step

    def role_step(self, now_ms):
        """Timers of replica and SIP, what they want to send, and the state that follows."""
        for part in (self.replica, self.sip):
            deadline = part.next_deadline_ms()
            if deadline is not None and ticks_diff(now_ms, deadline) >= 0:
                part.handle_timer(now_ms)
        message = self.replica.next_message()
        if message is not None:
            server = self._server_slot()
            if server is not None:
                self.node.send(server, message)
        while True:
            event = self.replica.next_event()
            if event is None:
                break
            self.log.note("database {} -> {}: {}".format(
                states.DATABASE[event[1]], states.DATABASE[event[2]], event[3]))
        if self.store.memory is not self._memory:
            # grown or reloaded: the file of the table before is of no more use
            self._memory = self.store.memory
            self._regions.keep(self._memory)
        self._follow_state()
        self._send_deferred()

    def _forward_registers(self, now_ms, direct):
        """Ask the location server to commit what the datagram just read wants registered."""
        while True:
            event = self.sip.next_event()
            if event is None:
                return
            request_id = event[1]
            server = self._server_slot()
            # no server, or the table of pending requests is full: the phone tries again later
            if server is None or self.node.request(
                    server, event[2], now_ms, request_id=request_id) is None:
                self.sip.register_timeout(request_id, now_ms)
            elif direct:
                self._await_direct(self.sip.registrar.reply_to(request_id))

    def _await_direct(self, peer):
        awaited = self._direct_replies
        if peer not in awaited and len(awaited) >= DIRECT_REPLIES:
            awaited.clear()  # of the forgotten, a few answers take the other way
        awaited[peer] = awaited.get(peer, 0) + 1

    def _follow_state(self):
        serves = self.replica.serves()
        self.sip.serving = serves
        if self._draining:
            self.service = states.DRAINING
        elif serves:
            self.service = states.IN_SERVICE
        else:
            self.service = states.SERVICE_LOADING

    def role_deadline_ms(self):
        """The replica's and the SIP server's deadlines."""
        return earliest(self.replica.next_deadline_ms(), self.sip.next_deadline_ms())

    def drain(self, wanted):
        """Tell the switch cards by the heartbeat; requests under way go on."""
        self._draining = wanted
        self._follow_state()

    # ---- what others see

    def beat_values(self, now_ms):
        """State and position of this card's copy."""
        replica, store = self.replica, self.store
        return (replica.state, replica.load_percent, store.level, store.birthday, store.digest(),
                replica.staleness_ms(now_ms))

    def plane_address(self):
        """Where switch cards send what came in by the VIP."""
        return self.plane.address

    def role_status(self):
        """Database and SIP figures."""
        replica, store = self.replica, self.store
        counters = self.sip.counters
        return {
            "database": {
                "state": states.DATABASE[replica.state], "level": store.level,
                "birthday": store.birthday.hex(), "digest": store.digest().hex(),
                "records": len(store), "load_percent": replica.load_percent,
                "lag_levels": replica.lag_levels},
            "sip": {name: counters[name]
                    for name in ("received", "answered", "forwarded", "errors", "dropped")}}

    def all_counters(self):
        """The bus', the SIP server's and the replica's counters."""
        counters = super().all_counters()
        for part, counted in (("sip", self.sip.counters), ("replica", self.replica.counters)):
            for name in counted:
                counters[part + "_" + name] = counted[name]
        counters["sip_unsent"] = self.unsent
        counters["plane_strangers"] = self.strangers
        counters["plane_malformed"] = self.plane.malformed
        counters["plane_send_errors"] = self.plane.send_errors
        return counters

    def location_value(self, key):
        """From this card's own copy."""
        return self.store.get(key)

    def selftest_items(self):
        """Memory and bus, and the store's stored octets against their CRC."""
        return super().selftest_items() + [
            ("store", self.store.audit_step(256), "CRC of 256 records"),
            ("fast path", fastpath.NAME != "pure", fastpath.NAME)]

    def bench_items(self):
        """Lookups and SIP answers a second, measured here for BENCH_MS each."""
        probe = (b"OPTIONS sip:" + self.sip_probe_host() + b" SIP/2.0\r\n"
                 b"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKbench\r\nMax-Forwards: 70\r\n"
                 b"From: <sip:bench@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\n"
                 b"Call-ID: bench\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
        store = self.store

        def answer():
            self.sip.receive_message(probe, len(probe), ("127.0.0.1", 9), clock.now_ms(), 0)
            while self.sip.to_send() is not None:
                pass

        return super().bench_items() + [
            ("store_lookups", _rate(lambda: store.get(b"abench@example.com")), "per s"),
            ("sip_answers", _rate(answer), "per s")]

    def sip_probe_host(self):
        """The host part of a request addressed to this card itself."""
        return b"%s:%d" % (self.config.vip[0].encode(), self.config.vip[1])

    def close(self):
        """Close sockets; the mapped table stays for a warm start."""
        super().close()
        for port in (self.plane, self.direct):
            if port is not None:
                self.reactor.unregister(port.socket)
                port.close()


def _rate(function):
    """Calls of `function` a second, measured for BENCH_MS."""
    begun = clock.now_ms()
    count = 0
    while ticks_diff(clock.now_ms(), begun) < BENCH_MS:
        for _ in range(16):
            function()
        count += 16
    return count * 1000 // BENCH_MS
