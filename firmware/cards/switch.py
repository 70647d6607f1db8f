"""Wiring of a switch card: VIP and plane sockets, bus events, the tuple stream to the mate.

Runs on both interpreters.
"""

from bus import node, states
from bus.compat import ticks_diff
from bus.messages import TUPLE_CHANNEL
from firmware.cards.card import Card
from firmware.runtime import clock
from firmware.runtime.datagrams import DATAGRAM_BYTES, PlainPort, PortHandler
from firmware.switching.dataplane_relay import PLANE
from firmware.switching.switch import Switch

HELLO_MS = 50


class SwitchCard(Card):
    """One of the two switch cards."""

    def __init__(self, config, limits, reactor, incarnation):
        super().__init__(config, limits, reactor, incarnation)
        now_ms = clock.now_ms()
        self.node.heartbeat_ms = HELLO_MS
        self.plane = PlainPort(*config.plane)
        self.vip = None
        self._vip_error = None
        self._out = bytearray(DATAGRAM_BYTES)
        self.switch = Switch(
            config.slot, config.mate, config.vip, self.plane.address, config.secret, incarnation,
            now_ms, limits.TUPLES, limits.RELAY_QUEUE)
        self._tuples_waiting = None
        reactor.register(self.plane.socket, PortHandler(self.plane, self._from_plane))
        self.node.open_stream(TUPLE_CHANNEL, node.ALL, now_ms)
        self._set_mate_roster(False)
        self.service = states.IN_SERVICE
        self.redundancy = states.SECONDARY

    def _set_mate_roster(self, up):
        self.node.stream_roster(TUPLE_CHANNEL, (self.config.mate,) if up else ())

    # ---- bus

    def card_event(self, event, now_ms):
        """Membership, probe answers and the mate's stream go to the switch."""
        kind, slot = event[0], event[1]
        switch = self.switch
        if kind == node.CARD_BEAT:
            member = self.node.members.get(slot)
            if member is not None:
                switch.card_beat(slot, member.beat, now_ms)
        elif kind == node.CARD_UP:
            switch.card_up(slot, now_ms)
            if slot == self.config.mate:
                self.node.join_stream(slot, TUPLE_CHANNEL)
                self._set_mate_roster(True)
        elif kind == node.CARD_DOWN:
            switch.card_down(slot, now_ms)
            if slot == self.config.mate:
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
            # the mate fell behind: it hears of a gap and is given the table anew
            self._set_mate_roster(True)

    def _from_vip(self, buf, n, peer, via, now_ms):
        self.switch.from_vip(buf, n, peer, now_ms)

    def _from_plane(self, buf, n, peer, via, now_ms):
        self.switch.from_plane(buf, n, peer, now_ms)

    # ---- step

    def role_step(self, now_ms):
        """Timers, role changes, the tuple stream, and what the relay has to send."""
        switch = self.switch
        deadline = switch.next_deadline_ms()
        if deadline is not None and ticks_diff(now_ms, deadline) >= 0:
            switch.handle_timer(now_ms)
        while True:
            event = switch.next_event()
            if event is None:
                break
            self._switch_event(event, now_ms)
        self._send_tuples(now_ms)
        self._send_datagrams()

    def _switch_event(self, event, now_ms):
        kind = event[0]
        if kind == "ping":
            self.node.request(event[1], event[3], now_ms, event[4], event[2])
        elif kind == "take":
            self._take_vip(now_ms)
        elif kind == "release":
            self._release_vip()
        elif kind == "beat":
            self._refresh_beat(now_ms, True)
            self.node.beat_now()
        elif kind == "role":
            self.redundancy = event[2]
            self.log.note("redundancy {} -> {}: {}".format(
                states.REDUNDANCY[event[1]], states.REDUNDANCY[event[2]], event[3]))
            self._refresh_beat(now_ms, True)
        elif kind == "health":
            self.log.note("card in slot {} is {}: {}".format(
                event[1], "alive" if event[2] else "dead", event[3]))

    def _take_vip(self, now_ms):
        if self.vip is None:
            try:
                self.vip = PlainPort(*self.config.vip)
            except OSError as error:
                if error.args[0] != self._vip_error:
                    self._vip_error = error.args[0]
                    self.log.note("VIP {}:{} cannot be bound yet (error {})".format(
                        self.config.vip[0], self.config.vip[1], self._vip_error))
                self.switch.vip_failed(now_ms)
                return
            self._vip_error = None
            self.reactor.register(self.vip.socket, PortHandler(self.vip, self._from_vip))
        self.switch.vip_bound(now_ms)

    def _release_vip(self):
        if self.vip is not None:
            self.reactor.unregister(self.vip.socket)
            self.vip.close()
            self.vip = None

    def _send_tuples(self, now_ms):
        stream = self.node
        while True:
            if self._tuples_waiting is None:
                if not stream.stream_room(TUPLE_CHANNEL):
                    return
                self._tuples_waiting = self.switch.next_tuples(now_ms)
                if self._tuples_waiting is None:
                    return
            if not stream.stream_offer(TUPLE_CHANNEL, self._tuples_waiting):
                return
            self._tuples_waiting = None

    def _send_datagrams(self):
        out = self._out
        view = memoryview(out)
        while True:
            found = self.switch.to_send(out)
            if found is None:
                return
            count, where, pair = found
            port = self.plane if where == PLANE else self.vip
            if port is not None and not port.send(view[:count], pair, None):
                self.switch.send_failed(where, pair)

    def role_deadline_ms(self):
        """The switch's own deadline."""
        return self.switch.next_deadline_ms()

    # ---- what others see

    def beat_values(self, now_ms):
        """A switch card holds no location database; its table's state travels in its place."""
        load_percent, digest = self.switch.beat_values()
        return (states.NO_DATABASE, load_percent, 0, bytes(8), digest,
                self.switch.helpless_ms(now_ms))

    def epoch(self):
        """The redundancy epoch."""
        return self.switch.redundancy.epoch

    def plane_address(self):
        """Where cluster cards send what leaves by the VIP."""
        return self.plane.address

    def connections(self):
        """Rows of the connection tuple table."""
        return len(self.switch.table)

    def role_status(self):
        """Health of the cluster cards and the size of the table."""
        return self.switch.status()

    def all_counters(self):
        """The bus' and the switch's counters."""
        counters = super().all_counters()
        counters.update(self.switch.all_counters())
        counters["plane_send_errors"] = self.plane.send_errors
        return counters

    def pools(self):
        """The bus' and the switch's bounded things."""
        return super().pools() + self.switch.pools()

    def drain(self, wanted):
        """Give the VIP to the mate, or be ready to take it again."""
        self.switch.drain(wanted, clock.now_ms())
        self.service = states.DRAINING if wanted else states.IN_SERVICE

    def close(self):
        """Give the VIP up first: the mate may have it at once."""
        self._release_vip()
        super().close()
        self.reactor.unregister(self.plane.socket)
        self.plane.close()

