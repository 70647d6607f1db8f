"""One switch card: health, tuples, balance, redundancy and relay tied together, sans-I/O.

In: datagrams from the VIP and from the plane socket, what the bus tells of cluster cards and of
the mate, TUPLES messages, the time. Out: datagrams, events, TUPLES messages, the next deadline.
README.md has the table of what the card's wiring does with each. Runs on both interpreters.
"""

from collections import deque

from bus import messages, states
from bus.compat import const, earliest, ticks_add, ticks_diff
from bus.messages import (
    BEAT_DATABASE, BEAT_EPOCH, BEAT_LOAD, BEAT_REDUNDANCY, BEAT_ROLE, BEAT_SERVICE, BEAT_STALENESS,
    plane_of,
)
from firmware.switching import check
from firmware.switching.balance import Card, ResponseTime
from firmware.switching.dataplane_relay import PLANE, RelayForwarder
from firmware.switching.encapsulation import HEADER_BYTES, decode
from firmware.switching.health import CHECK, PING, HealthMonitor, slot_of
from firmware.switching.redundancy import Redundancy
from firmware.switching.replication import TableReceiver, TableSender
from firmware.switching.tuples import TupleTable

WHOLE = const(100)
PING_LIMIT = const(64)
EXPIRE_COUNT = const(256)
# without a fit cluster card for so long, the VIP goes to a mate that has one; longer than the two
# switch cards' probes differ when a cluster card dies
HELPLESS_MS = const(2000)
HELPLESS_MOST_MS = const(3600000)


class Switch:
    """One switch card.

    own_slot, mate_slot: 1..30; mate_slot None: alone.  vip, plane: (host, port) of the VIP and of
    this card's relay socket.  seed: octets, the same on both switch cards (chassis-wide secret).
    tuple_limit, queue_limit: bounds from the board's limits.
    """

    def __init__(self, own_slot, mate_slot, vip, plane, seed, incarnation, now_ms,
                 tuple_limit=4096, queue_limit=256):
        self.cards = {}
        self.table = TupleTable(tuple_limit)
        self.sender = TableSender(self.table)
        self.receiver = TableReceiver(self.table)
        self.health = HealthMonitor(own_slot, incarnation)
        self.redundancy = Redundancy(own_slot, mate_slot, now_ms)
        self.relay = RelayForwarder(vip, seed, self.cards, self.table, self.sender, queue_limit)
        self.own_counters = {"stranger": 0, "not_primary": 0, "passed_on": 0, "malformed": 0}
        self._mate_slot = mate_slot
        self._mate_plane = None
        self._mate_lacks = False
        self._mate_serves = False
        self._helpless_since_ms = now_ms  # since when no cluster card is fit; None while one is
        self._vip = vip
        self._plane = plane
        self._slots = {}  # (host, port) of a plane socket -> slot
        self._pings = deque((), PING_LIMIT)
        self._was_primary = False

    # what the bus tells

    def card_beat(self, slot, beat, now_ms):
        """A heartbeat: `beat` is the decoded HEARTBEAT of the card in `slot`."""
        plane = plane_of(beat)
        if slot == self._mate_slot:
            self._mate_beat(beat, plane, now_ms)
        elif beat[BEAT_ROLE] == states.SIP_CLUSTER:
            self._cluster_beat(slot, beat, plane, now_ms)

    def card_up(self, slot, now_ms):
        """The bus hears `slot` again or in a new life: what was known of the old one is void."""
        self.card_down(slot, now_ms)

    def card_down(self, slot, now_ms, cause="the mate is down"):
        """The bus no longer hears `slot`, or it began a new life."""
        if slot == self._mate_slot:
            self._mate_plane = None
            self._mate_lacks = False
            self._mate_serves = False
            self.sender.stop()
            self.receiver.lost()
            self.redundancy.mate_down(now_ms, cause)
            return
        card = self.cards.get(slot)
        if card is not None:
            card.up = False
            self._set_plane(card, None)
            self.health.remove(slot)

    def receive_stream(self, slot, payload, now_ms):
        """A TUPLES message of the mate's stream; a primary ignores it."""
        if slot == self._mate_slot and not self.redundancy.is_primary:
            self.receiver.receive(payload, now_ms)

    def stream_lost(self, slot):
        """The mate's stream broke or begins anew: the table may have a gap."""
        if slot == self._mate_slot:
            self.receiver.lost()

    def ping_answered(self, slot, request_id, now_ms):
        """The response to an ECHO request came."""
        self._sample(PING, slot, request_id, True, now_ms)

    def ping_failed(self, slot, request_id):
        """The bus gave an ECHO request up."""
        self.health.failed(PING, slot, request_id)

    # what the sockets tell

    def from_vip(self, buf, n, source, now_ms):
        """A datagram of n octets from a client; `source` is (host, port)."""
        if not self.redundancy.is_primary:
            self.own_counters["not_primary"] += 1
            return
        self.relay.from_client(buf, n, source, now_ms)

    def from_plane(self, buf, n, source, now_ms):
        """A relay datagram of n octets; `source` is the (host, port) it came from."""
        slot = self._slots.get(source)
        if slot is None:
            self._from_mate(buf, n, source, now_ms)
            return
        header = decode(buf, n)
        if header is None or header[2] != self._vip[1]:
            self.own_counters["malformed"] += 1
            return
        peer = (header[0], header[1])
        if peer == self._plane:
            self._check_answered(buf, n, now_ms)
        elif peer == self._mate_plane:
            self._pass_on(buf, n)  # the answer to the mate's check
        elif self.redundancy.is_primary:
            self.relay.from_card(slot, buf, n, now_ms)
        elif self.redundancy.mate_is_primary and self._mate_plane is not None:
            # the card has not heard of the take-over yet, or its path to the primary failed
            self._pass_on(buf, n)
        else:
            self.own_counters["not_primary"] += 1

    def send_failed(self, where, address):
        """A datagram could not be sent; a card's plane address: its running check has failed."""
        slot = self._slots.get(address) if where == PLANE else None
        if slot is not None:
            self.health.failed(CHECK, slot, None)

    # what goes out

    def to_send(self, out):
        """The next datagram: (n, where, address), where VIP or PLANE; None when nothing waits."""
        return self.relay.to_send(out)

    def next_event(self):
        """The next event for the wiring, or None.

        ("ping", slot, request_id, message, timeout_ms)  send as a bus request
        ("take",)     bind the VIP, report by vip_bound / vip_failed
        ("release",)  close the VIP
        ("beat",)     send a heartbeat at once
        ("role", old, new, cause)    numbers of bus/states.py, for the log
        ("health", slot, alive, cause)    for the log
        """
        event = self.redundancy.next_event()
        if event is not None:
            return event
        if self._pings:
            return self._pings.popleft()
        found = self.health.next_event()
        return None if found is None else ("health", found[0], found[1], found[2])

    def next_tuples(self, now_ms):
        """The next TUPLES message for stream channel 2, or None. Ask while the stream has room."""
        if not self.redundancy.is_primary:
            return None
        if self._mate_lacks:
            self.sender.start(now_ms)
        return self.sender.next_message(now_ms)

    def vip_bound(self, now_ms):
        """The wiring has bound the VIP."""
        self.redundancy.vip_bound(now_ms)
        self._follow_role()

    def vip_failed(self, now_ms):
        """The VIP could not be bound; ("take",) comes again."""
        self.redundancy.vip_failed(now_ms)

    def drain(self, wanted, now_ms):
        """Hand the VIP to the mate and do not take it while the mate lives; or be ready again."""
        if wanted:
            self.redundancy.release(now_ms, True)
        else:
            self.redundancy.undrain()
        self._follow_role()

    def next_deadline_ms(self):
        """When handle_timer wants to run next."""
        deadline = earliest(self.redundancy.next_deadline_ms(), self.health.next_deadline_ms())
        if self.redundancy.is_primary:
            deadline = earliest(deadline, self.sender.next_deadline_ms())
            deadline = earliest(deadline, self.table.next_deadline_ms())
        return deadline

    def handle_timer(self, now_ms):
        """Everything that is due: hellos, probes, idle connections."""
        self.redundancy.handle_timer(now_ms)
        self._follow_role()
        self.health.handle_timer(now_ms)
        self._refresh_verdicts()
        self._start_probes()
        self._leave_if_helpless(now_ms)
        # only the primary expires: the secondary's times are those it was told, up to 30 s old
        if self.redundancy.is_primary:
            self.table.expire(now_ms, EXPIRE_COUNT)

    # what others show of it

    def beat_values(self):
        """(load_percent, digest) of the heartbeat: is this card's table whole, and its digest."""
        whole = self.redundancy.is_primary or self.receiver.whole
        return WHOLE if whole else 0, self.table.digest.to_bytes(8, "big")

    def helpless_ms(self, now_ms):
        """Milliseconds since no cluster card is fit for connections, 1..; 0 while one is."""
        if self._helpless_since_ms is None:
            return 0
        return max(1, ticks_diff(now_ms, self._helpless_since_ms))

    def status(self):
        """The switch card's keys of the STATUS json: health by slot, connections."""
        health = {}
        for slot in sorted(self.cards):
            card = self.cards[slot]
            health[str(slot)] = {
                "alive": card.up and card.alive,
                "ping_ms": self.health.elapsed_ms(slot, PING),
                "check_ms": self.health.elapsed_ms(slot, CHECK)}
        return {"health": health, "connections": len(self.table)}

    def all_counters(self):
        """Every counter by name: part, underscore, what is counted."""
        counters = {}
        parts = (("switch", self.own_counters), ("tuples", self.table.counters),
                 ("relay", self.relay.counters), ("health", self.health.counters),
                 ("replication", self.sender.counters), ("replica", self.receiver.counters))
        for part, counted in parts:
            for name in counted:
                counters[part + "_" + name] = counted[name]
        counters["redundancy_epoch"] = self.redundancy.epoch
        counters["redundancy_attempts"] = self.redundancy.attempts
        counters["redundancy_detection_ms"] = self.redundancy.detection_ms()
        return counters

    def pools(self):
        """Rows (name, used, limit, high-water mark, dropped) of the bounded things."""
        table = self.table
        relay = self.relay
        return [("tuples", len(table), table.limit, table.counters["high_water"],
                 table.counters["evicted"]),
                ("relay queue", relay.waiting(), relay.queue_limit,
                 relay.counters["queue_high"], relay.counters["queue_full"])]

    # inside

    def _mate_beat(self, beat, plane, now_ms):
        self._mate_plane = plane
        # what a sender that was stopped did not tell, the mate cannot know to lack
        self._mate_lacks = beat[BEAT_REDUNDANCY] == states.SECONDARY and (
            beat[BEAT_LOAD] < WHOLE or not self.sender.running)
        available = beat[BEAT_SERVICE] != states.DRAINING
        self._mate_serves = available and beat[BEAT_STALENESS] == 0
        self.redundancy.mate_beat(beat[BEAT_REDUNDANCY], beat[BEAT_EPOCH], available, now_ms)
        self._follow_role()

    def _leave_if_helpless(self, now_ms):
        """Hand the VIP over when our links to all cards have failed and the mate's have not."""
        for slot in self.cards:
            if self.cards[slot].serves():
                self._helpless_since_ms = None
                return
        if self._helpless_since_ms is None:
            self._helpless_since_ms = now_ms
        helpless_ms = self.helpless_ms(now_ms)
        if helpless_ms > HELPLESS_MOST_MS:  # ticks wrap
            self._helpless_since_ms = ticks_add(now_ms, -HELPLESS_MOST_MS)
        if helpless_ms >= HELPLESS_MS and self._mate_serves and self.redundancy.is_primary:
            self.redundancy.release(now_ms, self.redundancy.draining)
            self._follow_role()

    def _cluster_beat(self, slot, beat, plane, now_ms):
        card = self.cards.get(slot)
        if card is None:
            card = self.cards[slot] = Card(slot)
        starts_serving = beat[BEAT_SERVICE] == states.IN_SERVICE != card.service
        if not card.up or starts_serving:
            # its own word counts until the probes prove it wrong
            card.response = ResponseTime()
            card.alive = True
            self.health.add(slot, now_ms)
        card.up = True
        self._set_plane(card, plane)
        card.service = beat[BEAT_SERVICE]
        card.database = beat[BEAT_DATABASE]
        card.staleness_ms = beat[BEAT_STALENESS]

    def _set_plane(self, card, plane):
        if card.plane == plane:
            return
        if card.plane is not None and self._slots.get(card.plane) == card.slot:
            del self._slots[card.plane]
        card.plane = plane
        if plane is not None:
            self._slots[plane] = card.slot

    def _from_mate(self, buf, n, source, now_ms):
        header = decode(buf, n)
        if source != self._mate_plane or header is None:
            self.own_counters["stranger"] += 1
        elif (header[0], header[1]) == self._plane:
            self._check_answered(buf, n, now_ms)
        elif self.redundancy.is_primary:
            self.relay.to_client((header[0], header[1]), buf, n)
        else:
            self.own_counters["not_primary"] += 1

    def _pass_on(self, buf, n):
        self.own_counters["passed_on"] += 1
        self.relay.pass_on(self._mate_plane, buf, n)

    def _check_answered(self, buf, n, now_ms):
        answer = check.read_answer(buf, HEADER_BYTES, n)
        if answer is not None:
            self._sample(CHECK, slot_of(answer[0]), answer[0], answer[1], now_ms)

    def _sample(self, kind, slot, probe_id, passed, now_ms):
        card = self.cards.get(slot)
        # a card that announces that it serves nothing (new) may refuse the check: it is alive
        passed = passed or (card is not None and card.service != states.IN_SERVICE)
        elapsed_ms = self.health.answered(kind, slot, probe_id, passed, now_ms)
        if elapsed_ms is not None and kind == CHECK and card is not None:
            card.response.sample(elapsed_ms)
        self._refresh_verdicts()

    def _refresh_verdicts(self):
        for slot in self.health.slots():
            self.cards[slot].alive = self.health.alive(slot)

    def _start_probes(self):
        while True:
            found = self.health.next_probe()
            if found is None:
                return
            kind, slot, probe_id = found
            if kind == PING:
                self._pings.append((
                    "ping", slot, probe_id, messages.encode(messages.ECHO, probe_id),
                    self.health.timeout_ms))
                continue
            options = check.build_options(probe_id, self._plane, self._vip)
            plane = self.cards[slot].plane
            if plane is None or not self.relay.to_card(plane, self._plane, options, len(options)):
                self.health.failed(CHECK, slot, probe_id)

    def _follow_role(self):
        """After a change of role: who tells the table, and what waits for the VIP."""
        primary = self.redundancy.is_primary
        if primary == self._was_primary:
            return
        self._was_primary = primary
        self.sender.stop()
        self.receiver.lost()
        if not primary:
            self.relay.drop_outside()
