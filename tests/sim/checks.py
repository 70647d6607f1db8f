"""What must hold of a whole chassis while it runs: see README.md."""

from bus import states
from firmware.location import record

STALE_SLACK_MS = 150  # a heartbeat's age when it is read: refresh, delay, reordering
WOKE_MS = 2000  # a card that slept reads old heartbeats first
DUAL_MOST_MS = 2000
REGISTRATIONS_EVERY_MS = 500


class Checks:
    """run: the ChassisRun that is looked at."""

    def __init__(self, run):
        self.takeovers = 0
        self._run = run
        self._world = run.world
        self._holders = []
        self._dual_ms = None
        self._next_ms = 0
        self._calm_ms = None

    def look(self):
        """Everything that holds at any moment."""
        self._vip()
        for slot in sorted(self._world.cards):
            card = self._world.cards[slot]
            if card.role == states.SIP_CLUSTER:
                self._copy(card)
            self._pools(card)
        if self._world.elapsed_ms >= self._next_ms:
            self._next_ms = self._world.elapsed_ms + REGISTRATIONS_EVERY_MS
            for phone in self._run.phones:
                self.registration(phone)

    def _vip(self):
        """Who says primary has the VIP; two of them only until they hear each other."""
        world, vip = self._world, self._run.vip
        for switch in self._run.switches():
            if not world.stalled(switch.slot):
                world.require(switch.switch.redundancy.is_primary == switch.holds_vip,
                              "switch card {} is {}, and the VIP is held by {}".format(
                                  switch.slot, switch.redundancy, vip.holders))
        world.require(len(vip.holders) < 2 or not vip.exclusive, "two hold the VIP")
        if vip.holders != self._holders:
            self._holders = list(vip.holders)
            self.takeovers += bool(vip.holders)
        if len(vip.holders) < 2:
            self._dual_ms = None
        elif self._dual_ms is None:
            self._dual_ms = world.elapsed_ms
        elif self._calm_ms is not None:
            world.require(world.elapsed_ms - max(self._dual_ms, self._calm_ms) < DUAL_MOST_MS,
                          "two primaries, though they hear each other")

    def healed(self):
        """Cables are whole again: a dual primary state has to end from now on."""
        if self._dual_ms is not None:
            self._dual_ms = self._world.elapsed_ms

    def _copy(self, card):
        """A coherent copy is no older than it says."""
        world, replica = self._world, card.replica
        if replica.state != states.COHERENT or world.stalled(card.slot):
            return
        if world.elapsed_ms - world.woke_ms.get(card.slot, -WOKE_MS) < WOKE_MS:
            return
        age_ms = replica.staleness_ms(world.now_ms) + STALE_SLACK_MS
        needed = world.level_at(world.elapsed_ms - age_ms)
        world.require(card.store.level >= needed, "slot {} says it is {} ms old at level {}, which"
                      " was {} then".format(card.slot, age_ms, card.store.level, needed))

    def _pools(self, card):
        rows = card.node.pools()
        if card.role == states.SWITCH:
            rows = rows + card.switch.pools()
        for name, used, limit, high, _ in rows:
            most = max(used, high)
            self._world.require(most <= limit, "slot {}: {} holds {} of {}".format(
                card.slot, name, most, limit))

    def registration(self, phone):
        """What a 200 promised stands in the database until its time, or another request's."""
        server = self._world.cards.get(1)
        mine = phone.registration
        if server is None or mine.acked is None:
            return
        value = server.storage.get(record.aor_key(phone.aor[4:].encode()))
        found = [binding for binding in record.decode_aor(value, 0, len(value))
                 if binding.contact == phone.contact.encode()] if value else []
        cseq, until_s = mine.acked
        now_s = self._world.now_s
        if found:
            cseqs = [cseq] if until_s else []
            self._world.require(
                found[0].cseq in cseqs or found[0].cseq in mine.maybe,
                "{} is there by CSeq {}, acknowledged was {} until {}".format(
                    phone.contact, found[0].cseq, cseq, until_s))
        elif now_s < until_s:
            removals = [asked for asked, asked_s in mine.maybe.values()
                        if asked_s + asked <= now_s]
            self._world.require(removals, "{} was acknowledged until {} and is lost".format(
                phone.contact, until_s))

    def calm_since(self, elapsed_ms):
        """From here on all faults are off and everything has found together again."""
        self._calm_ms = elapsed_ms
        for phone in self._run.phones:
            phone.calm_ms = self._world.now_ms

    def tables_equal(self):
        """Both switch cards hold the same connections, and know it; key -> slot of them all."""
        tables = []
        for switch in self._run.switches():
            tables.append(switch.connections_by_key())
            self._world.require(switch.switch.beat_values()[0] == 100,
                                "switch card {} says its table is not whole".format(switch.slot))
        self._world.require(tables[0] == tables[1], "the connection tables differ: {}".format(
            set(tables[0].items()) ^ set(tables[1].items())))
        return tables[0]
