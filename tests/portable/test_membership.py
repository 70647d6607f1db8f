"""Lives, heartbeats, death by silence, and our own sleep that counts against nobody."""

from bus import membership
from bus.limits import BusLimits

T = (1 << 30) - 300  # the ticks wrap within each test


def after(span_ms):
    return (T + span_ms) % (1 << 30)


def test_lives_only_rise():
    members = membership.Membership(BusLimits())
    assert members.judge(4, 10) == membership.NEW
    members.begin(4, 10, T)
    assert members.judge(4, 10) == membership.CURRENT
    assert members.judge(4, 9) == membership.FENCED
    assert members.judge(4, 11) == membership.RESTARTED
    members.begin(4, 11, T)
    assert members.judge(4, 10) == membership.FENCED


def test_after_long_silence_another_board_may_count_from_one():
    members = membership.Membership(BusLimits())
    members.beat(members.begin(4, 10, T), [1], T)
    assert members.handle_timer(after(700)) == [4]
    assert members.next_deadline_ms() == after(10000)
    assert members.handle_timer(after(9999)) == []
    assert members.judge(4, 1) == membership.FENCED
    assert members.handle_timer(after(10000)) == []
    assert members.judge(4, 1) == membership.RESTARTED
    assert members.next_deadline_ms() is None


def test_up_by_heartbeat_and_known_only_then():
    members = membership.Membership(BusLimits())
    member = members.begin(4, 10, T)
    assert not member.up and members.members == {}
    assert members.beat(member, [1, 2], T)
    assert not members.beat(member, [1, 3], T)
    assert members.members[4] is member and member.beat == [1, 3]
    members.begin(4, 11, T)
    assert members.members == {}


def test_dead_after_silence():
    members = membership.Membership(BusLimits())
    for slot in (4, 5):
        members.beat(members.begin(slot, 1, T), [1], T)
    assert members.next_deadline_ms() == after(700)
    members.members[5].last_heard_ms = after(600)
    assert members.handle_timer(after(699)) == []
    assert members.handle_timer(after(700)) == [4]
    assert not members.members[4].up and members.members[5].up
    assert members.next_deadline_ms() == after(1300)
    assert members.handle_timer(after(1300)) == [5]
    assert members.next_deadline_ms() == after(10000)  # slot 4 is forgotten then
    assert members.beat(members.members[4], [1], after(1400))  # the same life may come back


def test_our_own_sleep_is_no_evidence():
    members = membership.Membership(BusLimits())
    members.beat(members.begin(4, 1, T), [1], T)
    members.excuse(5000)
    assert members.handle_timer(after(5100)) == []
    assert members.handle_timer(after(5699)) == []
    assert members.handle_timer(after(5700)) == [4]


def test_address_is_the_first_known():
    members = membership.Membership(BusLimits())
    members.attach(2)
    member = members.begin(4, 1, T)
    assert member.address is None
    member.addresses[1] = "plane b"
    assert member.address == "plane b"
    member.addresses[0] = "plane a"
    assert member.address == "plane a"
