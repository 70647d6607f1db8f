"""RMTP over the virtual bus: N receivers, every fault, one seed each (printed on failure)."""

import sys

from bus.links.virtual import Faults
from bus.rmtp import LAGGARD, LOST, OPENED, RmtpParams, paper_params
from bus.rmtp_repair import RepairQueue
from bus.rmtp_sender import RmtpSender
from bus.wire import ACK_TXNOW

sys.path.insert(0, __file__.rsplit("/", 1)[0] if "/" in __file__ else ".")

from rmtp_group import Group  # noqa: E402 - pytest and run.py find it in this folder

SLOTS = 3


def bodies(count):
    return [b"%d:" % number + b"." * (number % 7) for number in range(count)]


def params(**changes):
    values = {"Wr": 64, "Ws": 32, "cache_size": 128}
    values.update(changes)
    return RmtpParams(**values)


def check_exactly_once(group, expected, seed):
    for slot in group.receivers:
        got = group.bodies[slot]
        assert got == expected, "seed {} slot {}: {} of {} bodies, first difference at {}".format(
            seed, slot, len(got), len(expected),
            [a == b for a, b in zip(got, expected)].count(True))


def run_faults(seed, faults, parameters, count=400, first_seq=0):
    group = Group(seed, SLOTS, parameters, faults, first_seq).rostered()
    group.offer_all(bodies(count))
    group.settle()
    check_exactly_once(group, bodies(count), seed)
    for slot in group.receivers:
        assert [event[0] for event in group.events[slot]] == [OPENED]
    return group


def test_no_loss_sends_each_packet_once():
    group = run_faults(1, Faults(delay_ms=1), params())
    assert group.sender.retransmitted == 0
    assert group.sender.sent == 400


def test_every_fault_delivers_exactly_once_in_order():
    for seed in range(1, 5):
        for loss in (0, 50, 200):
            for parameters in (params(), params(MCASTthresh=0), params(MCASTthresh=4)):
                run_faults(seed, Faults(loss=loss, delay_ms=1, jitter_ms=3, duplicate=50,
                                        reorder=50, corrupt=20), parameters, 150)


def test_paper_timing_delivers_exactly_once_in_order():
    for loss in (0, 50, 200):
        small = paper_params(Wr=64, Ws=32, cache_size=128)
        run_faults(7, Faults(loss=loss, jitter_ms=2, duplicate=20), small, 150)


def test_sequence_numbers_wrap():
    for first_seq in (0xFFFFFFFF - 100, 0x3FFFFFFF - 100, 0x7FFFFFFF - 100):
        run_faults(3, Faults(loss=50, jitter_ms=2, duplicate=20), params(), 300, first_seq)


def test_repairs_stay_close_to_the_losses_at_five_percent():
    """A packet lost by anybody goes again about once: 1 - 0.95**3 = 14 % of them, and their own
    losses. What a card gets twice stays below 1 % of the deliveries."""
    group = run_faults(11, Faults(loss=50, delay_ms=1), params(Wr=256, Ws=128, cache_size=256),
                       1000)
    assert 100 < group.sender.retransmitted < 220, group.sender.retransmitted
    duplicates = sum([group.receivers[slot].duplicates for slot in group.receivers])
    assert duplicates * 100 <= 1000 * SLOTS, duplicates


class _DeafQueue(RepairQueue):
    """Negative control: the hold-down is fixed and shorter than the round trip."""

    def hold_down_ms(self):
        return 1


class _DeafSender(RmtpSender):
    def __init__(self, parameters, dest, first_seq, now_ms):
        super().__init__(parameters, dest, first_seq, now_ms)
        self._repairs = _DeafQueue(parameters, dest, now_ms)
        self._sent_at = self._repairs.sent_at


def storm(sender):
    """Repairs sent for 200 packets at 5 % loss over a bus with a round trip of 40 ms."""
    faults = Faults(loss=50, delay_ms=20)
    group = Group(5, SLOTS, params(), faults, 0, sender)
    group.sender.set_roster([1, 2, 3], group.now_ms)
    group.run(100)
    group.offer_all(bodies(200))
    group.settle()
    check_exactly_once(group, bodies(200), 5)
    return group.sender.retransmitted


def test_fixed_hold_down_below_the_round_trip_is_a_repair_storm():
    measured = storm(RmtpSender)
    fixed = storm(_DeafSender)
    print("repairs: hold-down measured {}, fixed {}".format(measured, fixed))
    assert measured < 80
    assert fixed > 5 * measured


def test_partition_heals_without_loss_when_shorter_than_the_laggard_bound():
    group = Group(9, SLOTS, params(laggard_ms=1000), Faults(loss=20, jitter_ms=2)).rostered()
    group.bus.partition((0, 1, 2), (3,))
    for body in bodies(30):
        assert group.sender.offer(body, 0, len(body))
        group.run(10)
    group.run(50)
    assert group.bodies[1] == bodies(30) and group.bodies[3] == []
    group.bus.heal()
    group.settle(2000)
    check_exactly_once(group, bodies(30), 9)
    assert group.sender_events == []


def test_laggard_is_dropped_and_stalls_nobody_and_rejoins_live():
    group = Group(13, SLOTS, params(laggard_ms=300), Faults()).rostered()
    group.bus.partition((0, 1, 2), (3,))
    took_ms = group.offer_all(bodies(500))
    group.settle()
    assert group.sender_events == [(LAGGARD, 3)]
    assert took_ms < 400, took_ms
    assert group.bodies[1] == group.bodies[2] == bodies(500)
    group.bus.heal()
    group.run(300)
    assert [event[0] for event in group.events[3]] == [OPENED, LOST, OPENED]
    group.offer_all([b"live"])
    group.settle()
    group.run(10)
    assert group.bodies[3] == [b"live"]


def test_crawling_card_is_a_laggard_too():
    """One packet of twenty arrives: the card moves, but holds the others up."""
    group = Group(17, SLOTS, params(laggard_ms=200), Faults()).rostered()
    group.bus.set_faults(0, 3, Faults(loss=970, delay_ms=30))
    group.offer_all(bodies(1000))
    group.settle()
    assert group.sender_events == [(LAGGARD, 3)]
    assert group.bodies[1] == bodies(1000)


def test_late_joiner_starts_at_the_live_point():
    group = Group(19, 2, params(), Faults(loss=50, jitter_ms=1)).rostered()
    group.offer_all(bodies(100))
    group.settle()
    group.join(5)
    group.run(300)  # a NULL shows it the live point
    group.offer_all(bodies(50))
    group.settle()
    group.run(300)
    assert group.bodies[5] == bodies(50)


def test_late_joiner_from_the_base_gets_everything_that_is_kept():
    for count in (20, 100, 1000):
        group = Group(23, 2, params(), Faults(loss=50, jitter_ms=1)).rostered()
        group.offer_all(bodies(count))
        group.settle()
        group.join(5, True)
        group.run(100)
        group.offer_all([b"live"])
        group.settle()
        group.run(600)
        assert group.bodies[5] == bodies(count)[-128:] + [b"live"] or (
            group.bodies[5] == bodies(count)[-127:] + [b"live"]), len(group.bodies[5])
        assert group.frames[ACK_TXNOW] >= 1


def test_receiver_restarted_amid_traffic_rejoins():
    group = Group(29, SLOTS, params(), Faults(loss=50, jitter_ms=2)).rostered()
    group.offer_all(bodies(100))
    group.leave(2)
    group.sender.set_roster([1, 3], group.now_ms)
    group.offer_all(bodies(100))
    group.join(2)
    group.run(250)
    group.sender.set_roster([1, 2, 3], group.now_ms)
    group.offer_all(bodies(100))
    group.settle()
    assert group.bodies[1] == bodies(100) * 3
    assert group.bodies[2][-100:] == bodies(100)


def test_empty_roster_never_blocks():
    group = Group(31, 1, params(), Faults())
    group.run(5)
    assert group.offer_all(bodies(500)) < 50
    group.run(50)
    assert group.bodies[1] == bodies(500)


def test_burst_of_loss_halves_the_window_and_it_grows_again():
    group = Group(37, SLOTS, params(), Faults(delay_ms=1)).rostered()
    group.bus.faults.loss = 500
    group.offer_all(bodies(200))
    group.settle()
    congested = group.sender.congested
    assert congested > 0
    group.bus.faults.loss = 0
    group.offer_all(bodies(600))
    group.settle()
    assert group.sender.congested == congested
    check_exactly_once(group, bodies(200) + bodies(600), 37)


def test_last_packet_lost_is_mended_within_the_first_null():
    group = Group(41, 2, params(), Faults()).rostered()
    group.bus.partition((0,), (1, 2))
    group.offer_all([b"last"])
    group.step()
    group.bus.heal()
    assert group.settle() <= 50


def test_same_seed_same_run():
    counts = []
    for _ in range(2):
        group = run_faults(43, Faults(loss=100, jitter_ms=4, corrupt=30), params(), 100)
        counts.append((group.elapsed_ms, group.sender.retransmitted, group.bus.sent,
                       group.bus.corrupted, group.bus.lost))
    assert counts[0] == counts[1]
