"""The virtual bus: its numbers are the same on both interpreters, its faults are what they say."""

from bus.compat import TICKS_PERIOD
from bus.links.virtual import Faults, SeededRandom, VirtualBus

NOW_MS = TICKS_PERIOD - 3
EXPECTED = [3416422068, 2149679590, 2379134260]


def carry(faults, count, seed=1, now_ms=NOW_MS):
    """Send `count` frames from slot 1 to slot 2; the bus and what has arrived 100 ms later."""
    bus = VirtualBus(seed, faults)
    bus.attach(1)
    bus.attach(2)
    for number in range(count):
        bus.send(1, 2, number.to_bytes(2, "big"), 2, now_ms)
    return bus, bus.deliver((now_ms + 100) % TICKS_PERIOD)


def test_numbers_are_knuths_generator():
    """x' = 6364136223846793005 x + 1442695040888963407 mod 2**64, from 1, the first four unused;
    the high halves, worked out with a calculator."""
    random = SeededRandom(1)
    assert [random.getrandbits(32) for _ in range(3)] == EXPECTED
    random = SeededRandom(1)
    assert random.getrandbits(48) == (EXPECTED[0] << 16) | (EXPECTED[1] >> 16)
    random = SeededRandom(1)
    assert random.below(1000) == EXPECTED[0] * 1000 // 2 ** 32


def test_clean_bus_keeps_order_and_knows_its_deadline():
    bus = VirtualBus(1, Faults(delay_ms=7))
    for slot in (1, 2, 3):
        bus.attach(slot)
    assert bus.next_deadline_ms() is None
    bus.send(1, None, b"all--", 3, NOW_MS)
    bus.send(2, 3, b"one", 3, NOW_MS)
    assert bus.next_deadline_ms() == 4
    assert bus.deliver(3) == []
    assert bus.deliver(4) == [(2, 1, b"all"), (3, 1, b"all"), (3, 2, b"one")]


def test_shares_of_faults_are_kept():
    for name in ("loss", "duplicate", "corrupt", "reorder"):
        bus, arrived = carry(Faults(**{name: 200}), 1000)
        steps = [arrived[at][2] > arrived[at + 1][2] for at in range(len(arrived) - 1)]
        count = {"loss": bus.lost, "duplicate": bus.duplicated, "corrupt": bus.corrupted,
                 "reorder": steps.count(True)}
        low = 1 if name == "reorder" else 150
        assert low <= count[name] <= 250, (name, count[name])
        assert len(arrived) == 1000 - bus.lost + bus.duplicated


def test_corruption_turns_one_bit_and_leaves_the_original():
    bus = VirtualBus(1, Faults(corrupt=1000))
    for slot in (1, 2, 3):
        bus.attach(slot)
    original = bytearray(8)
    bus.send(1, None, original, 8, 0)
    for _, _, frame in bus.deliver(0):
        assert sum([bin(octet).count("1") for octet in frame]) == 1
    assert original == bytes(8)


def test_jitter_reorders_but_loses_nothing():
    _, arrived = carry(Faults(jitter_ms=20), 200)
    frames = [frame for _, _, frame in arrived]
    assert frames != sorted(frames)
    assert sorted(frames) == [number.to_bytes(2, "big") for number in range(200)]


def test_partition_cuts_between_groups_and_who_is_in_none():
    bus = VirtualBus(1)
    for slot in (1, 2, 3, 4):
        bus.attach(slot)
    bus.partition((1, 2), (3,))
    for slot in (1, 2, 3, 4):
        bus.send(slot, None, bytes((slot,)), 1, 0)
    assert bus.deliver(0) == [(2, 1, b"\x01"), (1, 2, b"\x02")]
    bus.heal()
    bus.send(4, None, b"x", 1, 0)
    assert len(bus.deliver(0)) == 3


def test_pair_has_its_own_faults_in_its_own_direction():
    bus = VirtualBus(1)
    bus.attach(1)
    bus.attach(2)
    bus.set_faults(1, 2, Faults(loss=1000))
    bus.send(1, 2, b"a", 1, 0)
    bus.send(2, 1, b"b", 1, 0)
    assert bus.deliver(0) == [(1, 2, b"b")]


def test_pulled_station_hears_nothing_and_the_bus_is_bounded():
    bus = VirtualBus(1, None, 2)
    bus.attach(1)
    bus.attach(2)
    for _ in range(3):
        bus.send(1, 2, b"a", 1, 0)
    assert bus.overflow == 1
    bus.detach(2)
    assert bus.deliver(0) == []


def test_same_seed_same_faults():
    faults = Faults(loss=100, jitter_ms=9, duplicate=100, corrupt=100, reorder=100)
    assert carry(faults, 300, 5)[1] == carry(faults, 300, 5)[1]
    assert carry(faults, 300, 5)[1] != carry(faults, 300, 6)[1]
