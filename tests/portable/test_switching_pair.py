"""Redundancy and two whole switch cards with echoing cluster cards; both interpreters."""

from bus import messages, states
from bus.compat import TICKS_PERIOD, ticks_add
from firmware.switching.dataplane_relay import PLANE
from firmware.switching.redundancy import Redundancy
from switching_rig import (
    IN_DIALOG, NEW, RESPONSE, SEED, VIP_ADDRESS, Rig, beat, plane_of, wrapped)

PRIMARY, SECONDARY, NONE = states.PRIMARY, states.SECONDARY, states.NO_REDUNDANCY


def role_events(rig):
    return [(event[0], event[3]) for event in rig.events if event[1] == "role"]


def drain(redundancy):
    found = []
    event = redundancy.next_event()
    while event is not None:
        found.append(event[0])
        event = redundancy.next_event()
    return found


class Solo:
    """One Redundancy with a hand on the clock; ("take",) always succeeds unless told."""

    def __init__(self, own, mate):
        self.now_ms = TICKS_PERIOD - 300
        self.red = Redundancy(own, mate, self.now_ms)
        self.bindable = True

    def run(self, span_ms, role=None, epoch=0, available=True, every_ms=50):
        """Let time pass by 10 ms; with a role the mate is heard `every_ms`."""
        for elapsed in range(10, span_ms + 10, 10):
            self.now_ms = ticks_add(self.now_ms, 10)
            if role is not None and elapsed % every_ms == 0:
                self.red.mate_beat(role, epoch, available, self.now_ms)
            self.red.handle_timer(self.now_ms)
            while "take" in drain(self.red):
                if self.bindable:
                    self.red.vip_bound(self.now_ms)
                else:
                    self.red.vip_failed(self.now_ms)
                    break
        return self.red.role


def test_alone_by_configuration_takes_at_once():
    solo = Solo(1, None)
    assert solo.run(10) == PRIMARY and solo.red.epoch == 1


def test_nobody_heard_takes_after_the_start_time():
    solo = Solo(2, 1)
    assert solo.run(590) == NONE
    assert solo.run(20) == PRIMARY


def test_a_living_primary_is_not_pre_empted():
    solo = Solo(1, 2)
    assert solo.run(5000, PRIMARY, 7) == SECONDARY
    assert solo.red.epoch == 7


def test_lower_slot_is_preferred_at_the_start():
    assert Solo(1, 2).run(100, NONE) == PRIMARY
    assert Solo(2, 1).run(1000, NONE) == NONE


def test_higher_slot_does_not_wait_for_ever():
    assert Solo(2, 1).run(1700, NONE) == PRIMARY


def test_dead_mate_is_noticed_within_three_hellos():
    solo = Solo(2, 1)
    solo.run(1000, PRIMARY, 3)
    assert solo.run(140) == SECONDARY
    assert solo.run(60) == PRIMARY
    assert solo.red.epoch == 4


def test_slow_hellos_widen_the_detection():
    solo = Solo(2, 1)
    solo.run(6000, PRIMARY, 3, True, 200)
    assert 500 <= solo.red.detection_ms() <= 600
    assert solo.run(480) == SECONDARY
    assert solo.run(200) == PRIMARY


def test_own_delay_is_no_proof_of_the_mates_death():
    solo = Solo(2, 1)
    solo.run(1000, PRIMARY, 3)
    solo.now_ms = ticks_add(solo.now_ms, 400)  # held up; the mate's hellos wait in the socket
    solo.red.handle_timer(solo.now_ms)
    assert solo.red.role == SECONDARY and drain(solo.red) == []
    assert solo.red.detection_ms() >= 3 * 350
    solo.run(500, PRIMARY, 3)
    assert solo.red.role == SECONDARY
    solo.run(4000, PRIMARY, 3)
    assert solo.red.detection_ms() <= 180  # the memory of it fades


def test_held_up_card_reads_waiting_hellos_before_it_judges():
    solo = Solo(2, 1)
    solo.run(1000, PRIMARY, 3)
    assert solo.run(140) == SECONDARY
    solo.now_ms = ticks_add(solo.now_ms, 60)
    solo.red.handle_timer(solo.now_ms)  # silent for 200 ms, of which it was held up for 50
    assert drain(solo.red) == [] and solo.red.role == SECONDARY
    solo.now_ms = ticks_add(solo.now_ms, 10)
    solo.red.handle_timer(solo.now_ms)
    assert drain(solo.red) == []
    solo.red.mate_beat(PRIMARY, 3, True, solo.now_ms)
    assert solo.run(300, PRIMARY, 3) == SECONDARY


def test_epoch_rises_above_any_heard():
    solo = Solo(1, 2)
    assert solo.run(700, SECONDARY, 9) == PRIMARY
    assert solo.red.epoch == 10


def test_vip_still_held_is_tried_again_every_20_ms():
    solo = Solo(2, 1)
    solo.run(1000, PRIMARY, 3)
    solo.bindable = False
    assert solo.run(400) == SECONDARY
    assert 9 <= solo.red.attempts <= 14
    solo.bindable = True
    assert solo.run(30) == PRIMARY


def test_mate_heard_again_before_the_vip_is_bound_keeps_it():
    solo = Solo(2, 1)
    solo.run(1000, PRIMARY, 3)
    solo.bindable = False
    solo.run(300)
    solo.red.mate_beat(PRIMARY, 3, True, solo.now_ms)
    assert drain(solo.red) == ["release"]
    solo.bindable = True
    assert solo.run(500, PRIMARY, 3) == SECONDARY
    solo.red.vip_bound(solo.now_ms)  # too late
    assert drain(solo.red) == ["release"] and solo.red.role == SECONDARY


def test_two_primaries_higher_epoch_then_lower_slot():
    for own, mate, epoch, stays in ((1, 2, 1, True), (2, 1, 1, False), (1, 2, 2, False),
                                    (2, 1, 0, True)):
        solo = Solo(own, mate)
        assert solo.run(700) == PRIMARY and solo.red.epoch == 1
        solo.red.mate_beat(PRIMARY, epoch, True, solo.now_ms)
        assert (solo.red.role == PRIMARY) == stays, (own, epoch)
        assert ("release" in drain(solo.red)) != stays


def test_release_hands_over_and_does_not_take_back():
    solo = Solo(1, 2)
    solo.run(700, NONE)
    assert solo.red.role == PRIMARY
    solo.run(100, SECONDARY)
    solo.red.release(solo.now_ms)
    assert "release" in drain(solo.red) and solo.red.role == SECONDARY
    assert solo.run(1500, SECONDARY) == SECONDARY
    assert solo.run(1000, SECONDARY) == PRIMARY  # the mate never took it


def test_draining_stays_away_while_the_mate_lives():
    solo = Solo(1, 2)
    solo.run(700, NONE)
    solo.run(100, SECONDARY)
    solo.red.release(solo.now_ms, True)
    assert solo.run(4000, SECONDARY) == SECONDARY
    assert solo.run(400) == PRIMARY  # nobody else is left


def test_no_mate_no_release():
    solo = Solo(1, 2)
    solo.run(700)
    solo.red.release(solo.now_ms, True)
    assert solo.red.role == PRIMARY and "release" not in drain(solo.red)


def test_draining_mate_gives_way_at_once():
    solo = Solo(2, 1)
    solo.run(1000, PRIMARY, 3)
    assert solo.run(50, SECONDARY, 3, False) == PRIMARY


def test_pair_elects_the_lower_slot_and_copies_the_table():
    rig = Rig()
    rig.run(1500)
    assert rig.primary() == [1] and rig.hold == 1
    for number in range(20):
        assert rig.client(1, NEW, ("10.0.0.1", 6000 + number)) in (3, 4, 5)
    rig.run(100)
    first, second = rig.switches[1], rig.switches[2]
    assert second.receiver.whole and second.beat_values() == first.beat_values()
    assert second.beat_values()[0] == 100 and len(second.table) == 20


def test_take_over_keeps_every_connection():
    rig = Rig()
    rig.run(1500)
    went = {}
    for number in range(30):
        peer = ("10.0.0.1", 6000 + number)
        went[peer] = rig.client(1, NEW, peer)
    assert len(set(went.values())) == 3
    rig.run(30)
    rig.kill(1)
    rig.run(260)
    assert rig.primary() == [2] and rig.hold == 2
    for peer in went:
        assert rig.client(2, NEW, peer) == went[peer]
    rig.add(1)
    rig.run(3000)
    assert rig.primary() == [2]  # no pre-emption
    assert rig.switches[1].receiver.whole and len(rig.switches[1].table) == 30
    rig.kill(2)
    rig.run(260)
    for peer in went:
        assert rig.client(1, IN_DIALOG, peer) == went[peer]


def test_without_the_table_most_dialogs_still_find_their_card():
    rig = Rig()
    rig.run(1500)
    went = {}
    for number in range(60):
        peer = ("10.0.0.1", 6000 + number)
        went[peer] = rig.client(1, NEW, peer)
    bare = Rig(100, (2,))
    bare.run(1500)
    right = [peer for peer in went if bare.client(2, IN_DIALOG, peer) == went[peer]]
    assert len(right) > 30


def test_only_the_primary_relays():
    rig = Rig()
    rig.run(1500)
    assert rig.client(2, NEW) is None
    assert rig.switches[2].own_counters["not_primary"] == 1


def test_secondary_passes_a_cards_datagram_on_and_the_primary_sends_it():
    rig = Rig()
    rig.run(1500)
    peer = ("192.0.2.7", 5061)
    rig.card(3, 2, RESPONSE, peer)
    assert rig.sent == [(2, PLANE, plane_of(1), wrapped(peer, RESPONSE))]
    datagram = rig.sent[0][3]
    rig.sent = []
    rig.switches[1].from_plane(datagram, len(datagram), plane_of(2), rig.now_ms)
    rig.step(1)
    assert rig.outside() == [(peer, RESPONSE)]


def test_strangers_and_malformed_are_dropped():
    rig = Rig()
    rig.run(1500)
    rig.sent = []
    switch = rig.switches[1]
    good = wrapped(("192.0.2.7", 5061), RESPONSE)
    switch.from_plane(good, len(good), ("127.0.0.1", 9), rig.now_ms)
    switch.from_plane(good, 11, plane_of(3), rig.now_ms)
    other = wrapped(("192.0.2.7", 5061), RESPONSE, 5070)
    switch.from_plane(other, len(other), plane_of(3), rig.now_ms)
    rig.step(1)
    assert rig.sent == []
    assert switch.own_counters["stranger"] == 1 and switch.own_counters["malformed"] == 2


def test_answer_to_the_mates_check_finds_its_way():
    rig = Rig(100, (1, 2))
    rig.run(1500)
    answer = wrapped(plane_of(2), b"SIP/2.0 200 OK\r\nCall-ID: check-00\r\n\r\n")
    rig.sent = []
    rig.switches[1].from_plane(answer, len(answer), plane_of(3), rig.now_ms)
    rig.step(1)
    assert rig.sent == [(1, PLANE, plane_of(2), answer)]
    late = rig.switches[2].health.counters["late"]
    answer = wrapped(plane_of(2), b"SIP/2.0 200 OK\r\nCall-ID: check-0207000000000001\r\n\r\n")
    rig.switches[2].from_plane(answer, len(answer), plane_of(1), rig.now_ms)
    assert rig.switches[2].health.counters["late"] == late + 1


def test_card_that_answers_no_probe_loses_its_connections():
    rig = Rig()
    rig.run(1500)
    slot = rig.client(1, NEW)
    rig.deaf.add(slot)
    rig.run(1300)
    assert rig.client(1, NEW) == slot
    rig.run(700)
    other = rig.client(1, NEW)
    assert other not in (None, slot)
    assert (1, "health", slot, False) in [event[:4] for event in rig.events]
    assert rig.switches[1].status()["health"][str(slot)]["alive"] is False
    assert rig.switches[2].status()["health"][str(slot)]["alive"] is False
    rig.deaf.remove(slot)
    rig.run(1100)
    assert rig.switches[1].status()["health"][str(slot)] == {
        "alive": True, "ping_ms": 0, "check_ms": 0}
    assert rig.client(1, NEW) == other


def test_card_down_on_the_bus_moves_at_once():
    rig = Rig()
    rig.run(1500)
    slot = rig.client(1, NEW)
    del rig.cluster[slot]
    rig.switches[1].card_down(slot, rig.now_ms)
    assert rig.client(1, NEW) not in (None, slot)
    assert rig.switches[1].status()["health"][str(slot)]["alive"] is False


def test_check_refused_counts_only_while_the_card_says_it_serves():
    rig = Rig()
    rig.cluster[3] = {"service": states.SERVICE_LOADING}
    rig.deaf.add(3)
    rig.run(1500)
    switch = rig.switches[1]
    rig.deaf.remove(3)
    card = switch.cards[3]
    switch.health.add(3, rig.now_ms)
    for _ in range(4):
        switch.health.handle_timer(rig.now_ms)
        probe = switch.health.next_probe()
        while probe is not None:
            if probe[0] == 1 and probe[1] == 3:
                switch._sample(1, 3, probe[2], False, rig.now_ms)
            elif probe[1] == 3:
                switch.ping_answered(3, probe[2], rig.now_ms)
            probe = switch.health.next_probe()
        rig.now_ms = ticks_add(rig.now_ms, 500)
    assert card.alive and not card.serves()


def test_send_failure_counts_against_the_card():
    rig = Rig()
    rig.run(1500)
    rig.deaf.add(3)
    switch = rig.switches[1]
    for _ in range(4):
        rig.run(500)
        switch.send_failed(PLANE, plane_of(3))
    assert not switch.cards[3].alive
    switch.send_failed(PLANE, ("127.0.0.1", 9))


def test_table_follows_again_after_a_gap_that_only_the_primary_saw():
    rig = Rig()
    rig.run(1500)
    rig.switches[1].card_down(2, rig.now_ms)
    rig.client(1, NEW)
    assert len(rig.switches[2].table) == 0
    rig.run(200)
    assert len(rig.switches[2].table) == 1 and rig.switches[2].receiver.whole


def test_split_and_heal_leaves_one_primary():
    rig = Rig()
    rig.run(1500)
    rig.mute = {1, 2}
    rig.run(500)
    assert rig.primary() == [1]  # the address is still held, so the other only tries
    assert rig.switches[2].redundancy.attempts > 10
    rig.mute = set()
    rig.run(500)
    assert rig.primary() == [1] and rig.hold == 1
    assert rig.switches[2].receiver.whole


def test_drain_hands_over():
    rig = Rig()
    rig.run(1500)
    slot = rig.client(1, NEW)
    rig.run(50)
    rig.switches[1].drain(True, rig.now_ms)
    rig.run(150)
    assert rig.primary() == [2] and rig.hold == 2
    assert rig.client(2, NEW) == slot
    rig.switches[1].drain(False, rig.now_ms)
    rig.run(1000)
    assert rig.primary() == [2] and rig.switches[1].receiver.whole
    assert role_events(rig)[-2:] == [(1, SECONDARY), (2, PRIMARY)]


def test_status_counters_and_pools_are_plain():
    rig = Rig()
    rig.run(1500)
    rig.client(1, NEW)
    switch = rig.switches[1]
    assert switch.status()["connections"] == 1
    assert sorted(switch.status()["health"]) == ["3", "4", "5"]
    counters = switch.all_counters()
    assert counters["relay_from_clients"] == 1 and counters["redundancy_epoch"] == 1
    assert switch.pools()[0] == ("tuples", 1, 100, 1, 0)
    assert all(isinstance(value, int) for value in counters.values())


def test_beats_of_other_roles_are_ignored():
    rig = Rig()
    switch = rig.switches[1]
    switch.card_beat(9, beat(states.LOCATION_SERVER, 9), rig.now_ms)
    assert 9 not in switch.cards
    assert switch.redundancy.role == NONE
    message = messages.encode(messages.TUPLES, 0, b"")
    switch.receive_stream(9, message, rig.now_ms)
    switch.stream_lost(9)
    assert VIP_ADDRESS[1] == 5060 and SEED
