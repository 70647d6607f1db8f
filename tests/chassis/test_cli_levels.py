"""`chassis level` and `--wait`: what share of the cards has reached which level."""

import pytest

from bus import states
from host_tools.description import Slot
from host_tools.errors import ToolError
from host_tools.levels import (
    CardLevel, level_of_percent, parse_wait, percent_at_level, reached)
from host_tools.status import card_levels

FOUR = [CardLevel(4, 100, "coherent"), CardLevel(5, 90, "resync"),
        CardLevel(6, 100, "coherent"), CardLevel(7, 50, "loading")]


@pytest.mark.parametrize(("percent", "level"), [
    (1, 100), (25, 100), (50, 100), (51, 90), (75, 90), (76, 50), (100, 50)])
def test_level_that_a_percent_has_reached(percent, level):
    assert level_of_percent(FOUR, percent)[0] == level


@pytest.mark.parametrize(("level", "percent"), [
    (0, 100), (50, 100), (51, 75), (100, 50), (101, 0)])
def test_percent_at_a_level(level, percent):
    assert percent_at_level(FOUR, level)[0] == percent


def test_exceptions_are_named():
    cards = FOUR + [CardLevel(8, None, "absent"), CardLevel(9, None, "loading")]
    _, exceptions = percent_at_level(cards, 100)
    assert [(e["slot"], e["reason"]) for e in exceptions] == [
        (5, "behind by 10"), (7, "behind by 50"), (8, "absent"),
        (9, "holds no copy of this database")]
    level, exceptions = level_of_percent(FOUR, 100)
    assert (level, [e["slot"] for e in exceptions]) == (50, [5, 7])


def test_absent_cards_are_not_counted_and_cards_without_a_copy_are():
    cards = [CardLevel(4, 10, "coherent"), CardLevel(5, None, "absent")]
    assert level_of_percent(cards, 100)[0] == 10
    cards = [CardLevel(4, 10, "coherent"), CardLevel(5, None, "loading")]
    assert level_of_percent(cards, 100)[0] is None
    assert percent_at_level(cards, 10)[0] == 50
    assert level_of_percent([], 100)[0] is None
    assert percent_at_level([], 1)[0] == 0


def test_wait_is_over_when_the_share_is_there():
    assert not reached(FOUR, 100, "coherent")
    assert not reached(FOUR, 100, 51)
    assert reached(FOUR, 100, 50)
    whole = [CardLevel(4, 100, "coherent"), CardLevel(5, 101, "coherent")]
    assert reached(whole, 100, "coherent")
    assert not reached(whole, 101, "coherent")
    assert not reached([CardLevel(4, 100, "inconsistent")], 100, "coherent")
    assert not reached([CardLevel(4, None, "absent")], 0, "coherent")


@pytest.mark.parametrize(("text", "wanted"), [("coherent", "coherent"), ("100", 100), ("5%", 5)])
def test_wait_is_understood(text, wanted):
    assert parse_wait(text) == wanted


@pytest.mark.parametrize("text", ["0", "101", "all", "-3", "1.5"])
def test_wait_is_refused(text):
    with pytest.raises(ToolError) as refused:
        parse_wait(text)
    assert refused.value.exit_code == 2


def beat(level, birthday=b"B" * 8, redundancy=0, state=states.COHERENT):
    """A decoded HEARTBEAT with the fields that matter here; [0] is the message's number."""
    return [1, 0, 4, redundancy, states.IN_SERVICE, state, 100, level, birthday, bytes(8), 0, 0, 0,
            bytes(4), 0, 0, b""]


def test_levels_come_from_heartbeats():
    slots = (Slot(1, "location-server", "b"), Slot(2, "location-server", "b"),
             Slot(3, "sip-cluster", "b"), Slot(4, "sip-cluster", "b"), Slot(5, "sip-cluster", "b"))
    beats = {1: beat(20, redundancy=states.ACTIVE), 2: beat(25, redundancy=states.STANDBY),
             3: beat(20), 4: beat(90, birthday=b"X" * 8), 5: beat(20)}
    committed, birthday, cards = card_levels(slots, {1, 2, 3, 4}, beats)
    assert (committed, birthday) == (20, "42" * 8)
    assert cards == [CardLevel(3, 20, "coherent"), CardLevel(4, None, "coherent"),
                     CardLevel(5, None, "absent")]
