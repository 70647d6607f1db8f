"""One run of the simulator: a chassis, a random life from one seed, and what must hold at its end.

A location server (slot 1) and three cluster cards. Levels dense and in order, and equal level =>
equal digest, are held at every step (cards.py, world.py); acknowledged changes, coherence and
equal content at the end, when the faults have ceased.
"""

from bus import messages
from bus.links.virtual import Faults
from firmware.location import record
from firmware.locserver.changes import AddBinding, Batch, RemoveBinding
from tests.sim.cards import SERVER_SLOT, SimCluster, SimServer
from tests.sim.ledger import ADDED, EXPIRING, REFUSED, REMOVED, Ledger
from tests.sim.world import World

CLUSTER_SLOTS = (4, 5, 6)
AORS = 40
SHORT_EXPIRY_S = 3
LONG_EXPIRY_S = 100000
CALM_MOST_MS = 60000
EXPIRY_PASSES_MS = 15000
LOG_REMEMBERS = 5000

# action and its weight among all
ACTIONS = (("add", 30), ("batch", 8), ("remove", 10), ("register", 25), ("faults", 6),
           ("partition", 3), ("heal", 6), ("kill_card", 4), ("insert_card", 8),
           ("kill_server", 2), ("insert_server", 8), ("cut_commit", 2), ("full_disk", 2),
           ("rot", 1))


class Run:
    """seed: int.  folder: where the database file goes.  actions: length of the chaos."""

    table = ACTIONS

    def __init__(self, seed, folder, actions=150):
        self.seed = seed
        self.actions = actions
        self.world = World(seed)
        self.random = self.world.random
        self.ledger = Ledger()
        self._path = str(folder) + "/location.sqlite"
        self._threshold = self.random.pick((5, 50, 1000))
        self._log_levels = self.random.pick((20, 200, 5000))
        self._incarnations = {}
        self._regions = {}
        self._tickets = {}
        self._requests = {}
        self._serial = 0
        self._bag = [name for name, weight in self.table for _ in range(weight)]

    def execute(self):
        """Boot, chaos, calm, verdict. Raises Broken (or whatever the firmware raised)."""
        self._insert_server()
        for slot in CLUSTER_SLOTS:
            self._insert(slot)
        self.world.advance(1000)
        for _ in range(self.actions):
            getattr(self, "_" + self.random.pick(self._bag))()
            self.world.advance(1 + self.random.below(150))
            self._collect()
        self._calm()
        self._verdict()

    # cards

    @property
    def _server(self):
        return self.world.cards.get(SERVER_SLOT)

    def _incarnation(self, slot):
        self._incarnations[slot] = self._incarnations.get(slot, 0) + 1
        return self._incarnations[slot]

    def _insert_server(self):
        if self._server is None:
            server = SimServer(self.world, self._incarnation(SERVER_SLOT), self._path,
                               self._threshold, self._log_levels)
            self.world.require(
                server.storage.level >= self.ledger.level,
                "the server came back at level {}, {} was acknowledged".format(
                    server.storage.level, self.ledger.level))
            self.world.plug(server)
            self._tickets = {}

    def _kill_server(self):
        if self._server is not None:
            self.world.note("kill the server")
            self.world.pull(SERVER_SLOT)

    def _insert(self, slot):
        warm = self._regions.pop(slot, None) if self.random.chance(500) else None
        self.world.note("insert slot {} {}".format(slot, "warm" if warm else "cold"))
        self.world.plug(self._new_card(slot, warm))

    def _new_card(self, slot, warm):
        return SimCluster(self.world, slot, self._incarnation(slot), warm)

    def _insert_card(self):
        absent = [slot for slot in CLUSTER_SLOTS if slot not in self.world.cards]
        if absent:
            self._insert(self.random.pick(absent))

    def _present(self):
        return [slot for slot in CLUSTER_SLOTS if slot in self.world.cards]

    def _kill_card(self):
        present = self._present()
        if present:
            slot = self.random.pick(present)
            self.world.note("kill slot {}".format(slot))
            self._regions[slot] = self.world.pull(slot).region

    def _rot(self):
        """One bit of a card's table turns over, somewhere in its octets in use."""
        present = self._present()
        if present:
            card = self.world.cards[self.random.pick(present)]
            key, _ = self.random.pick(card.pairs() or [(b"", b"")])
            if key and card.store.find(key) >= 0:
                table = card.store.table
                at = table.offset + self.random.below(table.length)
                card.store.memory[at] ^= 1 << self.random.below(8)
                self.world.note("slot {} rots at {}".format(card.slot, key))

    # the bus

    def _faults(self):
        pick = self.random.pick
        self.world.bus.faults = Faults(
            loss=pick((0, 10, 50, 200)), delay_ms=1, jitter_ms=pick((0, 2, 10)),
            duplicate=pick((0, 20)), corrupt=pick((0, 20)), reorder=pick((0, 50)))
        self.world.note("faults change")

    def _partition(self):
        everybody = (SERVER_SLOT,) + CLUSTER_SLOTS
        side = [slot for slot in everybody if self.random.chance(500)]
        self.world.note("partition {}".format(side))
        self.world.bus.partition(side, [slot for slot in everybody if slot not in side])

    def _heal(self):
        self.world.bus.heal()

    # the storage

    def _cut_commit(self):
        """Power goes at the next commit: just before it, or after it and before the answers."""
        if self._server is not None:
            self._server.storage.fault = self.random.pick(("before", "after"))

    def _full_disk(self):
        if self._server is not None:
            self._server.storage.fault = "full"

    # changes

    def _new_contact(self):
        self._serial += 1
        aor = b"user%d@example.com" % self.random.below(AORS)
        contact = b"sip:c%d@192.0.2.%d" % (self._serial, self._serial % 250)
        self.ledger.begin(aor, contact)
        return aor, contact

    def _submit(self, change, contacts, fate):
        ticket = self._server.provisioning.submit(change)
        self._tickets[ticket] = (contacts, fate)

    def _add(self):
        if self._server is not None:
            aor, contact = self._new_contact()
            self._submit(AddBinding(aor, record.Binding(contact, 1000, 0)), [contact], ADDED)

    def _batch(self):
        if self._server is None:
            return
        contacts = []
        changes = []
        for _ in range(1 + self.random.below(60)):
            aor, contact = self._new_contact()
            contacts.append(contact)
            changes.append(AddBinding(aor, record.Binding(contact, 500, 0)))
        self._submit(Batch(1, changes), contacts, ADDED)

    def _remove(self):
        there = self.ledger.removable()
        if self._server is not None and there:
            contact, aor = self.random.pick(there)
            self.ledger.removing(contact)
            self._submit(RemoveBinding(aor, contact), [contact], REMOVED)

    def _register(self):
        """A phone registers through a cluster card; sometimes the same request comes twice."""
        present = self._present()
        if not present:
            return
        aor, contact = self._new_contact()
        expires_s = self.random.pick((SHORT_EXPIRY_S, LONG_EXPIRY_S))
        bindings = record.encode_aor([record.Binding(contact, 1000, expires_s)])
        message = messages.encode(messages.REGISTER, aor, b"call-" + contact, 1,
                                  self.world.now_s, 0, bindings)
        request_id = self._serial.to_bytes(8, "big")
        copies = 1 + self.random.chance(200)
        self._requests[request_id] = (
            contact, EXPIRING if expires_s == SHORT_EXPIRY_S else ADDED, copies)
        for _ in range(copies):
            card = self.world.cards[self.random.pick(present)]
            card.node.request(SERVER_SLOT, message, self.world.now_ms, 3000, request_id)

    def _collect(self):
        """Take the answers."""
        if self._server is not None:
            for ticket, result in self._server.answers:
                contacts, fate = self._tickets.pop(ticket)
                for contact in contacts:
                    self._settle(contact, fate, result.error is None, result.level)
            self._server.answers = []
        for slot in self._present():
            card = self.world.cards[slot]
            for request_id, status, level in card.answers:
                if request_id not in self._requests:
                    continue  # the answer to a second copy
                contact, fate, copies = self._requests[request_id]
                # a refusal is not the last word while another copy is under way, nor where the
                # log is so short that it forgot the first answer before the retry came (500)
                final = copies == 1 and self._log_levels >= LOG_REMEMBERS
                if status == 200 or status is not None and final:
                    del self._requests[request_id]
                    self._settle(contact, fate, status == 200, level)
            card.answers = []

    def _settle(self, contact, fate, done, level):
        if done:
            self.ledger.settle(contact, fate, level)
        elif fate == REMOVED:
            self.ledger.settle(contact, ADDED, 0)
        else:
            self.ledger.settle(contact, REFUSED, 0)

    # the end

    def _calm(self):
        """Everything is plugged in and the bus is whole: all must become coherent by itself."""
        self.world.note("calm")
        self.world.bus.faults = Faults(delay_ms=1)
        self.world.bus.heal()
        if self._server is not None:
            self._server.storage.fault = None
        self._insert_server()
        while len(self._present()) < len(CLUSTER_SLOTS):
            self._insert_card()
        self.world.advance(EXPIRY_PASSES_MS)
        begun = self.world.elapsed_ms
        while not self._all_coherent():
            self.world.require(self.world.elapsed_ms - begun < CALM_MOST_MS,
                               "not all cards become coherent")
            self.world.advance(50)
        self._collect()

    def _all_coherent(self):
        level = self._server.storage.level
        return all(self.world.cards[slot].coherent()
                   and self.world.cards[slot].store.level == level for slot in CLUSTER_SLOTS)

    def _verdict(self):
        snapshot = self._server.storage.open_snapshot()
        truth = snapshot.rows(b"", 1000000)
        snapshot.close()
        world = self.world
        for slot in CLUSTER_SLOTS:
            world.require(world.cards[slot].pairs() == truth,
                          "slot {} does not hold what the server holds".format(slot))
        wrong = self.ledger.check([pair for pair in truth if pair[0].startswith(b"auser")])
        world.require(not wrong, "; ".join(wrong[:5]))
        world.require(self._server.storage.level >= self.ledger.level, "an answered level is lost")
        world.require(self.enough(), "hardly anything was tried")

    def enough(self):
        """Was anything tried?"""
        return self.ledger.acknowledged > self.actions // 10

    def summary(self):
        """What happened, in a few words."""
        return "{} changes acknowledged".format(self.ledger.acknowledged)

    def close(self):
        """Let files go, whatever happened."""
        for slot in sorted(self.world.cards):
            self.world.pull(slot)
