"""A primary switch card that reaches no cluster card any more; both interpreters."""

from switching_rig import NEW, Rig, plane_of


class SeveredRig(Rig):
    """`severed`: switch slots whose plane is cut off all cluster cards; the bus is whole."""

    def __init__(self):
        Rig.__init__(self)
        self.severed = []

    def _answer_check(self, card, slot, octets):
        if slot not in self.severed:
            Rig._answer_check(self, card, slot, octets)


def primary_rig():
    rig = SeveredRig()
    rig.run(2000)
    assert rig.primary() == [1] and rig.hold == 1
    return rig


def test_a_primary_without_a_path_leaves_the_vip_to_its_mate():
    rig = primary_rig()
    rig.severed = [1]
    # found dead at the third failed check (1,400 to 1,900 ms), handed over 2,000 ms later
    rig.run(3300)
    assert rig.primary() == [1]
    rig.run(1100)
    assert rig.primary() == [2] and rig.hold == 2
    assert rig.client(2, NEW) in (3, 4, 5)
    rig.severed = []
    rig.run(10000)
    assert rig.primary() == [2]


def test_with_both_cut_off_the_vip_stays():
    rig = primary_rig()
    rig.severed = [1, 2]
    rig.run(20000)
    assert rig.primary() == [1]
    assert [event[1] for event in rig.events if event[1] == "release"] == []
    assert rig.switches[1].helpless_ms(rig.now_ms) > 15000


def test_cluster_cards_that_die_leave_the_vip_where_it_is():
    rig = primary_rig()
    for slot in rig.cluster:
        rig.deaf.add(slot)
    rig.run(20000)
    assert rig.primary() == [1] and rig.client(1, NEW) is None
    rig.deaf.clear()
    rig.run(3000)
    assert rig.primary() == [1] and rig.client(1, NEW) in (3, 4, 5)
    assert rig.switches[1].helpless_ms(rig.now_ms) == 0


def test_a_mate_that_drains_is_left_alone():
    rig = primary_rig()
    rig.switches[2].drain(True, rig.now_ms)
    rig.severed = [1]
    rig.run(8000)
    assert rig.primary() == [1]
    assert plane_of(2) not in [item[2] for item in rig.sent]
