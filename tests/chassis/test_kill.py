"""kill -9 of one card under provisioning, registrations, calls: nothing acknowledged is lost."""

import pytest
from rig import CLUSTER, wait_for
from streams import Calls, Provisioning, Registrations

VICTIMS = ("primary switch", "secondary switch", "location server", "cluster card",
           "micropython card")


def slot_of(chassis, victim):
    primary = chassis.primary()
    return {"primary switch": primary, "secondary switch": 3 - primary, "location server": 3,
            "cluster card": 4, "micropython card": 6}[victim]


@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_9_loses_nothing(chassis, callee, victim):
    slot = slot_of(chassis, victim)
    before = chassis.cards()[slot]["incarnation"]
    provisioning, registrations = Provisioning(chassis), Registrations(chassis)
    calls = [Calls(chassis, "callee") for _ in range(3)]
    streams = [provisioning, registrations, *calls]
    for stream in streams:
        stream.start()
    wait_for(lambda: all(stream.count > 5 for stream in streams), "the streams flow")
    chassis.kill(slot)
    flowed = [stream.count for stream in streams]
    wait_for(lambda: all(call.count > 5 + had for call, had in zip(calls, flowed[2:])),
             "calls go on without slot {}".format(slot))
    chassis.run("insert", slot)
    flowed = [stream.count for stream in streams]
    wait_for(lambda: all(stream.count > 5 + had for stream, had in zip(streams, flowed)),
             "everything flows again")
    for stream in streams:
        stream.end()
    chassis.whole()

    found = chassis.equal_dump()
    for aor in provisioning.acknowledged:
        assert aor in found, (aor, len(provisioning.acknowledged))
    for aor, contacts in registrations.acknowledged.items():
        held = [one["contact"] for one in found[aor]["bindings"]]
        assert set(contacts) <= set(held), (aor, contacts, held)
    assert [call.failed for call in calls] == [[], [], []]
    cards = chassis.cards()
    assert cards[slot]["incarnation"] > before
    assert all(cards[other]["database"]["state"] == "coherent" for other in CLUSTER)
