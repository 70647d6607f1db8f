"""One run of the whole chassis: switch cards, cluster cards, location server, phones, faults.

What must hold is listed in README.md; it is looked at every LOOK_MS and in the cards' own steps
(sip_cards.py), and once more at the end, when the faults have ceased.
"""

import hashlib

from bus import states
from bus.links.virtual import Faults
from firmware.location import record
from firmware.locserver.changes import PutRecord
from firmware.sip.digest import SHA256
from tests.sim.cards import SERVER_SLOT
from tests.sim.checks import Checks
from tests.sim.phones import DONE, REALM, Phone
from tests.sim.run import CLUSTER_SLOTS, Run
from tests.sim.sip_cards import SWITCH_SLOTS, SimSipCard, SimSwitch, Vip, plane_of

USERS = ("phone0", "phone1", "phone2", "phone3", "phone4")
PHONES = 7
LOOK_MS = 50
IDLE_MS = 300000
READY_MOST_MS = 30000
DRAIN_MS = 80000  # longer than a call rings and is answered in vain
ANSWER_MOST_MS = 12000
CALL_MOST_MS = 15000
QUIET_MS = 4000  # no connection that is going to expire is still there
TAKE_OVER_MOST_MS = 400  # three hellos and a bind, measured at every LOOK_MS
CUT = Faults(loss=1000)
CALM = Faults(delay_ms=1)

ACTIONS = (("phone_register", 30), ("phone_call", 30), ("unregister", 4), ("add", 6),
           ("batch", 2), ("remove", 2), ("faults", 5), ("net_faults", 6), ("isolate", 5),
           ("split_switches", 4), ("heal", 12), ("kill_card", 3), ("insert_card", 6),
           ("kill_switch", 4), ("insert_switch", 9), ("kill_server", 2), ("insert_server", 8),
           ("cut_commit", 1), ("stall", 4), ("slow", 2), ("drain", 2))


class ChassisRun(Run):
    """seed: int.  folder: where the database file goes.  actions: length of the chaos."""

    table = ACTIONS

    def __init__(self, seed, folder, actions=150):
        super().__init__(seed, folder, actions)
        self._log_levels = 5000
        self.vip = Vip(self.world, self.random.chance(700))
        # roomy, or so small that connections are evicted and bursts dropped
        self._tuples = self.random.pick((4096, 4096, PHONES - 2))
        self._relay_queue = self.random.pick((256, 256, 2 * PHONES))
        self._idle_ms = self.random.pick((IDLE_MS, IDLE_MS, 3000))
        # quick blows, or faults that last longer than cards remember each other
        self._pace_ms = self.random.pick((100, 400, 400, 2000))
        self.phones = []
        self.checks = Checks(self)
        self._draining = []

    def execute(self):
        """Boot, chaos, calm, verdict. Raises Broken (or whatever the firmware raised)."""
        self.boot()
        for _ in range(self.actions):
            getattr(self, "_" + self.random.pick(self._bag))()
            self.let_pass(1 + self.random.below(self._pace_ms))
            self._collect()
        self._calm()
        self._verdict()

    def boot(self):
        """Power all on and wait until it serves."""
        world = self.world
        world.net.faults = CALM
        self._insert_server()
        for slot in CLUSTER_SLOTS:
            self._insert(slot)
        for slot in SWITCH_SLOTS:
            self._insert_switch_card(slot)
        for user in USERS:
            ha1 = hashlib.sha256("{}:{}:secret of {}".format(
                user, REALM, user).encode()).hexdigest().encode()
            self._submit(PutRecord(
                record.subscriber_key("{}@{}".format(user, REALM).encode()),
                record.encode_subscriber(REALM.encode(), [(SHA256, ha1)])), [], None)
        self.phones = [Phone(world, 10 + number, USERS[number % len(USERS)])
                       for number in range(PHONES)]
        self.wait_ready()

    def let_pass(self, span_ms):
        """Let time pass, looking at the invariants now and then."""
        end_ms = self.world.elapsed_ms + span_ms
        while self.world.elapsed_ms < end_ms:
            self.world.advance(min(LOOK_MS, end_ms - self.world.elapsed_ms))
            self.checks.look()

    # cards

    def _new_card(self, slot, warm):
        card = SimSipCard(self.world, slot, self._incarnation(slot), warm)
        card.open()
        return card

    def _insert_switch_card(self, slot):
        self.world.note("insert switch card {}".format(slot))
        card = SimSwitch(self.world, slot, self._incarnation(slot), self.vip,
                         self._tuples, self._relay_queue)
        card.switch.table.idle_ms = self._idle_ms
        self.world.plug(card)
        card.open()

    def _insert_switch(self):
        absent = [slot for slot in SWITCH_SLOTS if slot not in self.world.cards]
        if absent:
            self._insert_switch_card(self.random.pick(absent))

    def switches(self):
        """The switch cards that are there."""
        return [self.world.cards[slot] for slot in SWITCH_SLOTS if slot in self.world.cards]

    def _kill_switch(self):
        present = self.switches()
        if present:
            slot = self.random.pick(present).slot
            self.world.note("kill switch card {}".format(slot))
            self.world.pull(slot)

    def _stall(self):
        slot = self.random.pick(sorted(self.world.cards) or [0])
        if slot and not self.world.stalled(slot):
            span_ms = self.random.pick((60, 200, 600, 2000))
            self.world.note("slot {} does not run for {} ms".format(slot, span_ms))
            self.world.stall(slot, span_ms)

    def _slow(self):
        """A card that is away after each of its turns, or quick again."""
        slot = self.random.pick(sorted(self.world.cards) or [0])
        span_ms = self.random.pick((0, 3, 15, 40))
        self.world.note("slot {} is away {} ms after each turn".format(slot, span_ms))
        self.world.slow_ms[slot] = span_ms

    def _drain(self):
        slot = self.random.pick(SWITCH_SLOTS + CLUSTER_SLOTS)
        card = self.world.cards.get(slot)
        if card is not None:
            wanted = self.random.chance(500)
            self.world.note("slot {} drains: {}".format(slot, wanted))
            card.drain(wanted)

    # the networks

    def _net_faults(self):
        pick = self.random.pick
        self.world.net.faults = Faults(
            loss=pick((0, 0, 20, 150, 400)), delay_ms=pick((1, 1, 20)), jitter_ms=pick((0, 3, 30)),
            duplicate=pick((0, 20)), reorder=pick((0, 50)))
        self.world.note("the planes' faults change")

    def cut(self, slot, other, bus, plane):
        """Cut two cards apart on the bus, on the plane, or on both."""
        if bus:
            self.world.bus.set_faults(slot, other, CUT)
            self.world.bus.set_faults(other, slot, CUT)
        if plane:
            self.world.net.set_faults(plane_of(slot), plane_of(other), CUT)
            self.world.net.set_faults(plane_of(other), plane_of(slot), CUT)

    def _isolate(self):
        """One card is cut off all others."""
        slots = (SERVER_SLOT,) + SWITCH_SLOTS + CLUSTER_SLOTS
        slot = self.random.pick(slots)
        bus, plane = self.random.pick(((True, False), (False, True), (True, True)))
        self.world.note("cut slot {} off: bus {}, plane {}".format(slot, bus, plane))
        for other in slots:
            if other != slot:
                self.cut(slot, other, bus, plane)

    def _split_switches(self):
        bus, plane = self.random.pick(((True, False), (False, True), (True, True)))
        self.world.note("cut the switch cards apart: bus {}, plane {}".format(bus, plane))
        self.cut(SWITCH_SLOTS[0], SWITCH_SLOTS[1], bus, plane)

    def _heal(self):
        self.heal()

    def heal(self):
        """Plug every cable in again."""
        slots = (SERVER_SLOT,) + SWITCH_SLOTS + CLUSTER_SLOTS
        self.world.note("all cables are whole")
        for one in slots:
            for other in slots:
                self.world.bus.set_faults(one, other, None)
                self.world.net.set_faults(plane_of(one), plane_of(other), None)
        self.checks.healed()

    # the phones

    def _phone_register(self):
        phone = self.random.pick(self.phones)
        if not phone.registering:
            phone.register(self.random.pick((5, 20, 600)), self.world.now_ms)

    def _unregister(self):
        phone = self.random.pick(self.phones)
        if not phone.registering:
            phone.register(0, self.world.now_ms)

    def _phone_call(self):
        caller, callee = self.random.pick(self.phones), self.random.pick(self.phones)
        caller.call(callee.aor, self.world.now_ms, self.random.pick((10, 500, 3000)))

    # the end

    def _calm(self):
        world = self.world
        world.note("calm")
        world.bus.faults = world.net.faults = CALM
        self.heal()
        if self._server is not None:
            self._server.storage.fault = None
        self._insert_server()
        while len(self._present()) < len(CLUSTER_SLOTS):
            self._insert_card()
        while len(self.switches()) < len(SWITCH_SLOTS):
            self._insert_switch()
        world.slow_ms.clear()
        for slot in SWITCH_SLOTS + CLUSTER_SLOTS:
            world.cards[slot].drain(False)
        self.wait_ready()
        self.checks.calm_since(world.elapsed_ms)
        self._until(DRAIN_MS, lambda: not any(phone.busy() for phone in self.phones),
                    "calls and registrations of before do not end")
        self._last_round()
        self.let_pass(QUIET_MS)
        self._collect()

    def _last_round(self):
        """With all whole every phone registers and calls, without fail."""
        phones = self.phones
        counts = [phone.registration.count + 1 for phone in phones]
        for phone in phones:
            phone.register(600, self.world.now_ms)
        self._until(ANSWER_MOST_MS, lambda: counts == [
            phone.registration.count for phone in phones], "not all can register")
        self.let_pass(200)
        calls = [phone.call(self.random.pick(phones).aor, self.world.now_ms, 1000)
                 for phone in phones]
        self._until(CALL_MOST_MS, lambda: all(
            call.state == DONE and call.status == 200 for call in calls), "not all calls complete")

    def _until(self, most_ms, holds, otherwise):
        """Let time pass until `holds`; `otherwise` is what is wrong when it takes most_ms."""
        begun = self.world.elapsed_ms
        while not holds():
            self.world.require(self.world.elapsed_ms - begun < most_ms, otherwise)
            self.let_pass(LOOK_MS)

    def wait_ready(self, most_ms=READY_MOST_MS):
        """All by itself: every copy coherent, one primary and one secondary, all cards alive."""
        begun = self.world.elapsed_ms
        while not self._ready():
            self.world.require(self.world.elapsed_ms - begun < most_ms,
                               "not ready: {}".format(self._readiness()))
            self.let_pass(LOOK_MS)

    def _readiness(self):
        server = self._server
        cards = [self.world.cards[slot] for slot in CLUSTER_SLOTS]
        return {
            "coherent": server.provisioning.pending() == 0 and all(
                card.coherent() and card.store.level == server.storage.level for card in cards),
            "roles": sorted(switch.redundancy for switch in self.switches()) == [
                states.PRIMARY, states.SECONDARY],
            "holders": len(self.vip.holders) == 1,
            "alive": all(len(switch.switch.cards) == len(CLUSTER_SLOTS) and all(
                card.rank() == 0 for card in switch.switch.cards.values())
                for switch in self.switches())}

    def _ready(self):
        return all(self._readiness().values())

    def _verdict(self):
        super()._verdict()
        self._lose_a_card()
        self._take_over()
        for phone in self.phones:
            self.checks.registration(phone)

    def _lose_a_card(self):
        """A cluster card is pulled while phones register and call: all still succeed."""
        slot = self.random.pick(CLUSTER_SLOTS)
        for phone in self.phones:
            phone.register(600, self.world.now_ms)
        calls = [phone.call(self.random.pick(self.phones).aor, self.world.now_ms, 1000)
                 for phone in self.phones]
        self.let_pass(self.random.below(30))
        self.world.note("pull slot {}".format(slot))
        self.world.pull(slot)
        self._until(CALL_MOST_MS, lambda: not any(phone.busy() for phone in self.phones) and all(
            call.state == DONE and call.status == 200 for call in calls),
            "not all is done without slot {}".format(slot))

    def _take_over(self):
        """The mate of a pulled primary goes on with the same connections, within a bound."""
        self.let_pass(QUIET_MS)
        table = self.checks.tables_equal()
        primary = next(switch for switch in self.switches() if switch.holds_vip)
        self.world.note("pull the primary switch card {}".format(primary.slot))
        self.world.pull(primary.slot)
        self._until(TAKE_OVER_MOST_MS, lambda: self.vip.holders == [primary.mate],
                    "the mate does not take over")
        for phone in self.phones:
            phone.register(600, self.world.now_ms)
        self._until(ANSWER_MOST_MS, lambda: not any(phone.busy() for phone in self.phones),
                    "not all can register after the take-over")
        mate = self.world.cards[primary.mate]
        moved = set(mate.connections_by_key().items()) ^ set(table.items())
        self.world.require(not moved or self._forgetful(),
                           "connections moved: {}".format(moved))

    def _forgetful(self):
        """Do switch cards forget connections in this run?"""
        return self._tuples < PHONES or self._idle_ms < IDLE_MS

    def enough(self):
        """Was anything tried? Faults may leave little standing, but not nothing."""
        return sum(phone.registration.count for phone in self.phones) > PHONES

    def summary(self):
        """What happened, in a few words."""
        calls = [call for phone in self.phones for call in phone.calls]
        return "{} registrations, {} of {} calls complete, {} take-overs".format(
            sum(phone.registration.count for phone in self.phones),
            sum(call.state == DONE for call in calls), len(calls), self.checks.takeovers)
