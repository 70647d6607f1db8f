"""A few seeds of the whole chassis, and proof that the simulator sees what it is there to see.

A failing seed is repeated by `python -m tests.sim --part chassis --seeds N --trace`.
"""

import pytest

from bus import messages
from firmware.location import record
from firmware.switching import dataplane_relay, redundancy, replication
from tests.sim.__main__ import run_seed
from tests.sim.cards import SimServer
from tests.sim.chassis import ChassisRun
from tests.sim.run import CLUSTER_SLOTS
from tests.sim.sip_cards import SWITCH_SLOTS
from tests.sim.world import Broken


@pytest.mark.parametrize("seed", (1, 2))
def test_seed(seed):
    run_seed(seed, 60, "chassis")


def test_same_seed_same_history():
    first = run_seed(8, 15, "chassis")
    second = run_seed(8, 15, "chassis")
    assert first.world.trace == second.world.trace
    assert first.world.net.sent == second.world.net.sent


def broken_in(seed, actions=15):
    """The message of the invariant that breaks; fails when none does."""
    with pytest.raises(Broken) as broken:
        run_seed(seed, actions, "chassis")
    return str(broken.value)


def test_a_200_to_what_was_not_committed_is_seen(monkeypatch):
    """Negative control: a location server answers with the record that it never writes."""
    def promise(self, slot, request_id, octets):
        bindings = messages.decode(octets, 0, len(octets))[6]
        wanted = record.decode_aor(bindings, 0, len(bindings))
        for binding in wanted:
            binding.expires_s += self.world.now_s
        self.node.respond(slot, request_id, messages.encode(
            messages.REGISTER_RESULT, 200, self.storage.level, record.encode_aor(wanted)))

    monkeypatch.setattr(SimServer, "_register", promise)
    assert "and is lost" in broken_in(1)


def test_a_row_the_mate_files_wrong_is_seen(monkeypatch):
    """Negative control: the secondary files rows under other cards."""
    put = replication.TableReceiver._put

    def wrong(self, key, slot, mac, now_ms):
        entry = put(self, key, slot, mac, now_ms)
        entry.slot = 4 + (slot - 3) % 3
        return entry

    monkeypatch.setattr(replication.TableReceiver, "_put", wrong)
    assert "table" in broken_in(1)


def test_a_flow_that_wanders_is_seen(monkeypatch):
    """Negative control: the relay moves each flow at each datagram."""
    from_client = dataplane_relay.RelayForwarder.from_client

    def wander(self, buf, n, source, now_ms):
        from_client(self, buf, n, source, now_ms)
        entry = self._table.find(self._key(source))
        if entry is not None:
            self._table.move(entry, 4 + (entry.slot - 3) % 3)

    monkeypatch.setattr(dataplane_relay.RelayForwarder, "from_client", wander)
    assert "left the healthy slot" in broken_in(1)


def test_a_datagram_dropped_without_a_count_is_seen(monkeypatch):
    """Negative control: where no card is fit, nothing is counted."""
    monkeypatch.setattr(dataplane_relay.RelayForwarder, "_choose", lambda *rest: None)
    assert "lost a datagram" in broken_in(1)


@pytest.mark.parametrize("stubborn", (False, True))
def test_two_primaries_become_one(monkeypatch, tmp_path, stubborn):
    """Cut apart, both take an address that both can have; negative control: neither gives in."""
    if stubborn:
        monkeypatch.setattr(redundancy.Redundancy, "_mate_is_better", lambda self: False)
    run = ChassisRun(1, tmp_path)
    run.vip.exclusive = False
    try:
        run.boot()
        run.cut(*SWITCH_SLOTS, True, False)
        run.let_pass(1000)
        assert sorted(run.vip.holders) == list(SWITCH_SLOTS)
        run.heal()
        if stubborn:
            with pytest.raises(Broken, match="not ready"):
                run.wait_ready(3000)
        else:
            run.wait_ready(3000)
    finally:
        run.close()


def test_a_primary_that_reaches_no_card_is_replaced(tmp_path):
    """Its plane is cut, its bus is whole: the mate, whose plane is whole, has the VIP soon."""
    run = ChassisRun(1, tmp_path)
    try:
        run.boot()
        cut_off = run.vip.holders[0]
        for slot in CLUSTER_SLOTS:
            run.cut(cut_off, slot, False, True)
        run.let_pass(5000)
        assert run.vip.holders == [slot for slot in SWITCH_SLOTS if slot != cut_off]
        run.phones[0].register(600, run.world.now_ms)
        run.let_pass(1000)
        assert run.phones[0].registration.count == 1
    finally:
        run.close()
