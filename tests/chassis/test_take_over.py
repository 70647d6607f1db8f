"""The primary switch card dies or drains under calls: the secondary takes over, calls go on."""

import time

import pytest
from rig import wait_for
from streams import Calls

TUPLES_S = 5


@pytest.fixture
def calls(chassis, callee):
    """Four callers that call all the time; a failed call fails the test at its end."""
    streams = [Calls(chassis, "callee") for _ in range(4)]
    for stream in streams:
        stream.start()
    wait_for(lambda: all(stream.count > 5 for stream in streams), "calls flow")
    yield streams
    for stream in streams:
        stream.end()
    assert [stream.failed for stream in streams] == [[]] * 4


def flow_on(calls):
    had = [stream.count for stream in calls]
    wait_for(lambda: all(stream.count > 5 + count for stream, count in zip(calls, had)),
             "calls go on")


def test_table_is_on_both_switch_cards(chassis, calls):
    wait_for(lambda: chassis.cards()[1]["connections"] == chassis.cards()[2]["connections"] >= 5,
             "both tables hold four callers and the callee", TUPLES_S)


def test_killed_primary(chassis, calls):
    primary = chassis.primary()
    chassis.kill(primary)
    begun = time.monotonic()
    wait_for(lambda: chassis.primary() == 3 - primary, "the secondary takes over", 5)
    print("take-over seen after {:.2f} s".format(time.monotonic() - begun))
    flow_on(calls)
    assert sum(stream.retransmitted for stream in calls) <= 2 * len(calls)
    counters = chassis.counters(3 - primary)
    assert counters["tuples_moved"] == 0 and counters["relay_no_card"] == 0
    chassis.insert(primary)
    cards = chassis.cards()
    assert cards[3 - primary]["redundancy"] == "primary"  # no pre-emption
    assert cards[primary]["redundancy"] == "secondary"
    wait_for(lambda: chassis.cards()[primary]["connections"] >= 5, "the table is copied", TUPLES_S)
    flow_on(calls)


def test_extracted_primary_hands_over(chassis, calls):
    primary = chassis.primary()
    chassis.run("extract", primary)
    assert chassis.primary() == 3 - primary
    flow_on(calls)
    chassis.insert(primary)
    flow_on(calls)


def test_killed_secondary_is_not_noticed(chassis, calls):
    primary = chassis.primary()
    before = chassis.counters(primary)
    chassis.kill(3 - primary)
    flow_on(calls)
    assert chassis.primary() == primary
    chassis.insert(3 - primary)
    assert chassis.primary() == primary
    after = chassis.counters(primary)
    for name in ("redundancy_epoch", "tuples_moved", "relay_no_card"):
        assert after[name] == before[name], name
