"""A card that was away catches up: by increments when it missed little, else by a full copy."""

import pytest
from rig import CLUSTER, Chassis
from streams import door

THRESHOLD = 100
LITTLE, MUCH = THRESHOLD - 20, THRESHOLD + 20


@pytest.fixture(scope="module")
def chassis(tmp_path_factory):
    """The demo chassis with a low threshold, up and whole."""
    running = Chassis(tmp_path_factory.mktemp("catch-up"))
    running.edit("reload_threshold = 1000", "reload_threshold = {}".format(THRESHOLD))
    try:
        running.up()
        yield running
    finally:
        running.end()


def provision(chassis, first, count):
    """Commit `count` records in one batch; the level after it."""
    people = [{"kind": "aor", "aor": "a{}@proxy.example".format(first + n),
               "bindings": [{"contact": "sip:a@127.0.0.1:9"}]} for n in range(count)]
    with door(chassis) as client:
        return client.ask("batch", first_line=1, records=people)["level"]


# a card on MicroPython has no mapped files: it always starts empty
@pytest.mark.parametrize(("slot", "missed", "full"), [
    (5, LITTLE, 0), (5, MUCH, 1), (6, LITTLE, 1)])
def test_a_card_that_was_away_catches_up(chassis, slot, missed, full):
    provision(chassis, 0, 1)
    chassis.whole()
    before = chassis.counters(3)
    chassis.run("extract", slot)
    level = provision(chassis, chassis.cards()[3]["database"]["level"], missed)
    told = chassis.ask("level", "--at", level)
    assert [one["slot"] for one in told["exceptions"] if one["reason"] == "absent"] == [slot]
    chassis.run("insert", slot)
    chassis.whole()
    after = chassis.counters(3)
    assert after["distribution_full"] - before["distribution_full"] == full
    assert after["distribution_incremental"] - before["distribution_incremental"] == 1 - full
    assert chassis.counters(slot)["replica_reloads"] == full
    told = chassis.ask("level", "--percent", 100)
    assert told["level"] == level and told["exceptions"] == []
    assert chassis.ask("level", "--at", level)["percent"] == 100
    assert {chassis.cards()[one]["database"]["level"] for one in CLUSTER} == {level}
    chassis.equal_dump()
