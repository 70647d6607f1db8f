"""The status document's form, merged health, readiness, and the hot-swap states of a slot."""

import io

import pytest
from rich.console import Console

from bus import states
from host_tools.credentials import ha1_of
from host_tools.description import Slot
from host_tools.hot_swap import SlotState
from host_tools.operations import has_drained
from host_tools.status import active_server, card_document, merge_health, unready
from host_tools.tables import plain_table, status_table

# INTERFACE: what each entry of `cards` has, and what we add
KEYS = {"slot", "role", "board", "interpreter", "firmware", "state", "incarnation", "pid",
        "console", "uptime_s", "redundancy", "database", "health", "connections", "sip", "bus",
        "hot_swap"}


def beat(service, redundancy=0, connections=0):
    return [1, 2, 4, redundancy, service, states.COHERENT, 100, 1, bytes(8), bytes(8), 0, 0, 0,
            bytes(4), 0, connections, b""]


def document(slot, told, service=states.IN_SERVICE, pid=77):
    heard = beat(service) if service is not None else None
    return card_document(slot, "cpython", (pid, "/dev/pts/9"), heard, SlotState(slot.number), told)


def test_a_card_has_the_keys_of_the_interface():
    told = {"firmware": "1", "incarnation": 3, "uptime_s": 5, "redundancy": None,
            "database": {"state": "coherent", "level": 1, "secret": "x"},
            "sip": {"received": 1}, "bus": {"sent": 1}, "connections": 2}
    card = document(Slot(4, "sip-cluster", "linux_sbc"), told)
    assert set(card) == KEYS
    assert list(card["database"]) == [
        "state", "level", "birthday", "digest", "records", "load_percent", "lag_levels"]
    assert list(card["sip"]) == ["received", "answered", "forwarded", "errors", "dropped"]
    assert list(card["bus"]) == ["sent", "received", "retransmitted", "dropped"]
    assert (card["state"], card["incarnation"], card["health"]) == ("in-service", 3, None)


def test_an_absent_card_has_nulls():
    card = document(Slot(4, "sip-cluster", "linux_sbc"), None, pid=None)
    assert set(card) == KEYS
    assert card["state"] == "absent"
    assert [card[k] for k in ("pid", "console", "database", "incarnation")] == [None] * 4


def test_a_card_that_is_not_heard_is_out_of_service():
    assert document(Slot(4, "sip-cluster", "b"), None, service=None)["state"] == "out-of-service"


def test_health_is_the_primary_switch_cards_view():
    cards = [document(Slot(1, "switch", "b"), {"redundancy": "secondary"}),
             document(Slot(2, "switch", "b"), {"redundancy": "primary"}),
             document(Slot(4, "sip-cluster", "b"), {})]
    view = {"alive": True, "ping_ms": 1, "check_ms": 2}
    merge_health(cards, {1: {"health": {"4": dict(view, alive=False)}},
                         2: {"health": {"4": dict(view, more=1)}}})
    assert cards[2]["health"] == view
    assert cards[0]["health"] is None


def test_unready_names_what_is_not():
    coherent = {"database": {"state": "coherent"}}
    cards = [document(Slot(1, "switch", "b"), {"redundancy": "primary"}),
             document(Slot(3, "location-server", "b"), coherent),
             document(Slot(4, "sip-cluster", "b"), coherent)]
    assert unready(cards) == []
    cards[2] = document(Slot(4, "sip-cluster", "b"), {"database": {"state": "loading"}})
    assert unready(cards) == ["slot 4 (sip-cluster): database is loading"]
    assert unready(cards, only=3) == []
    cards[0] = document(Slot(1, "switch", "b"), {"redundancy": "secondary"})
    assert "no switch card owns the VIP yet" in unready(cards)
    cards[2] = document(Slot(4, "sip-cluster", "b"), None, pid=None)
    assert unready(cards)[0] == "slot 4 (sip-cluster) is absent (not installed)"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_table_leaves_out_what_does_not_fit(width):
    coherent = {"database": {"state": "coherent", "level": 123456}}
    cards = [document(Slot(3, "location-server", "linux_sbc"), coherent)]
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(status_table({"chassis": "lab", "vip": "127.0.0.1:1", "cards": cards}, width))
    text = console.export_text()
    assert "…" not in text
    assert "in-service" in text and "location-server" in text
    assert ("linux_sbc" in text) == (width == 200)


def steps(slot):
    return [(change.previous, change.state) for change in slot.take_changes()]


def active():
    slot = SlotState(4)
    slot.inserted()
    slot.heard(False)
    slot.heard(True)
    return slot


def test_a_card_comes_into_service_step_by_step():
    slot = active()
    assert steps(slot) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert (slot.state, slot.previous, slot.cause) == (4, 3, "in service")


def test_a_killed_card_is_lost_then_gone():
    slot = active()
    steps(slot)
    slot.gone("process ended by SIGKILL")
    assert steps(slot) == [(4, 7), (7, 0)]
    slot.heard(True)
    assert slot.state == 0


def test_silence_and_its_end():
    slot = active()
    steps(slot)
    slot.lost("no heartbeat")
    slot.lost("no heartbeat")
    slot.heard(True)
    assert steps(slot) == [(4, 7), (7, 3), (3, 4)]


def test_an_extracted_card_drains_first():
    slot = active()
    steps(slot)
    slot.extraction()
    slot.heard(False)
    slot.lost("no heartbeat")
    slot.drained("drained")
    slot.gone("process ended with exit code 0")
    assert steps(slot) == [(4, 5), (5, 6), (6, 1), (1, 0)]
    assert slot.cause.startswith("taken out")


def test_a_card_that_never_came_up_is_gone_without_a_loss():
    slot = SlotState(4)
    slot.inserted()
    slot.gone("process ended with exit code 1")
    assert steps(slot) == [(0, 1), (1, 0)]
    assert slot.cause == "process ended with exit code 1"


def test_when_a_card_has_drained():
    assert has_drained("location-server", beat(states.IN_SERVICE))
    assert not has_drained("sip-cluster", beat(states.IN_SERVICE))
    assert has_drained("sip-cluster", beat(states.DRAINING))
    assert not has_drained("sip-cluster", beat(states.DRAINING, connections=1))
    assert not has_drained("switch", beat(states.DRAINING, states.PRIMARY))
    assert has_drained("switch", beat(states.DRAINING, states.SECONDARY))
    assert has_drained("switch", beat(states.OUT_OF_SERVICE, states.PRIMARY))
    # nobody is there to take the VIP: waiting would not help
    assert has_drained("switch", beat(states.DRAINING, states.PRIMARY), has_mate=False)
    assert not has_drained("switch", beat(states.IN_SERVICE, states.PRIMARY), has_mate=False)


def test_which_location_server_is_active():
    slots = [Slot(1, "location-server", "b"), Slot(2, "location-server", "b"),
             Slot(4, "sip-cluster", "b")]

    def server(redundancy, level):
        told = beat(states.IN_SERVICE, redundancy)
        told[7] = level
        return told

    assert active_server(slots, {4: beat(states.IN_SERVICE)}) is None
    heard = {1: server(states.STANDBY, 9), 2: server(states.ACTIVE, 8)}
    assert active_server(slots, heard) == 2
    assert active_server(slots, {1: heard[1]}) == 1
    assert active_server(slots, {1: server(states.ACTIVE, 7), 2: heard[2]}) == 2


def test_the_table_of_a_pipe_has_no_blanks_at_the_end_of_a_line():
    card = document(Slot(4, "sip-cluster", "b"), {})
    text = plain_table({"chassis": "lab", "vip": "127.0.0.1:5", "cards": [card]}, 200)
    lines = text.split("\n")
    assert lines == [line.rstrip() for line in lines] and lines[-1]
    assert "in-service" in text


def test_ha1_is_the_hash_of_user_realm_password():
    # the user of RFC 7616 3.9.1; the hashes by md5sum and sha256sum
    found = ha1_of("Mufasa@example.org", "http-auth@example.org", "Circle of Life")
    assert found == {
        "MD5": "3d78807defe7de2157e2b0b6573a855f",
        "SHA-256": "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"}
