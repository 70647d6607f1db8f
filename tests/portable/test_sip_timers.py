"""The timer table (RFC 3261 Appendix A) and the queue of deadlines."""

from bus.compat import ticks_add, ticks_diff
from firmware.sip import timers
from firmware.sip.timer_queue import TimerQueue
from transaction_rig import START_MS

# RFC 3261 Appendix A table 4 and RFC 6026: letter, UDP, TCP; None: not started
EXPECTED = (
    ("A", 500, None), ("B", 32000, 32000), ("C", 181000, 181000), ("D", 32000, 0),
    ("E", 500, None), ("F", 32000, 32000), ("G", 500, None), ("H", 32000, 32000),
    ("I", 5000, 0), ("J", 32000, 0), ("K", 5000, 0), ("L", 32000, 32000), ("M", 32000, 32000))


class Thing:
    def __init__(self, name):
        self.name = name
        self.armed_ms = None
        self.due_ms = None


def test_appendix_a_table_4():
    table = timers.Timers()
    assert len(timers.TABLE) == len(EXPECTED) + 3
    for number, row in enumerate(timers.TABLE):
        assert row[0] == number
    for number, (letter, unreliable_ms, reliable_ms) in enumerate(EXPECTED):
        assert timers.TABLE[number][1] == letter
        assert table.span_ms(number, False) == unreliable_ms, letter
        assert table.span_ms(number, True) == reliable_ms, letter
    assert table.span_ms(timers.TIMER_C, False) > 3 * 60 * 1000
    for reliable in (False, True):
        assert table.span_ms(timers.TIMER_TRYING, reliable) == 200
        # Timer E fires after 500, 1000 and 2000 ms and is then reset to T2
        assert table.span_ms(timers.TIMER_LATE_TRYING, reliable) == 3500
        assert table.span_ms(timers.TIMER_NO_ANSWER, reliable) == 32000


def test_how_spans_grow():
    table = timers.Timers()
    for timer, spans in (
            (timers.TIMER_A, (1000, 2000, 4000, 8000, 16000)),
            (timers.TIMER_E, (1000, 2000, 4000, 4000)),
            (timers.TIMER_G, (1000, 2000, 4000, 4000))):
        span_ms = 500
        for expected_ms in spans:
            span_ms = table.again_ms(timer, span_ms)
            assert span_ms == expected_ms, timer
    for timer in (timers.TIMER_B, timers.TIMER_C, timers.TIMER_D, timers.TIMER_TRYING):
        assert table.again_ms(timer, 500) is None


def test_other_base_values():
    table = timers.Timers(100, 300, 700)
    assert table.span_ms(timers.TIMER_B, False) == 6400
    assert table.span_ms(timers.TIMER_K, False) == 700
    assert table.span_ms(timers.TIMER_LATE_TRYING, False) == 300  # 100, 200, then T2
    assert table.again_ms(timers.TIMER_E, 200) == 300
    for t1_ms, t2_ms in ((0, 4000), (500, 400)):
        try:
            timers.Timers(t1_ms, t2_ms)
        except ValueError:
            continue
        raise AssertionError((t1_ms, t2_ms))


def pop_all(queue, now_ms):
    names = []
    thing = queue.pop_due(now_ms)
    while thing is not None:
        assert thing.armed_ms is None
        names.append(thing.name)
        thing = queue.pop_due(now_ms)
    return names


def test_queue_pops_in_order_across_the_wrap():
    queue = TimerQueue(8)
    assert queue.next_deadline_ms() is None and queue.pop_due(START_MS) is None
    for name in (7000, 1000, 5001, 4999):
        queue.arm(Thing(name), ticks_add(START_MS, name))
    assert queue.next_deadline_ms() == ticks_add(START_MS, 1000)
    assert pop_all(queue, ticks_add(START_MS, 999)) == []
    assert pop_all(queue, ticks_add(START_MS, 5001)) == [1000, 4999, 5001]
    assert queue.next_deadline_ms() == 2000
    assert pop_all(queue, 2000) == [7000]
    assert queue.next_deadline_ms() is None


def test_queue_keeps_one_live_entry_a_thing():
    queue = TimerQueue(8)
    one = Thing("one")
    queue.arm(one, None)
    assert len(queue) == 0
    queue.arm(one, 100)
    queue.arm(one, 300)  # later: the entry stays, the thing is popped early
    queue.arm(one, 100)
    assert len(queue) == 1 and one.armed_ms == 100
    queue.arm(one, 50)  # earlier: the entry at 100 is dead
    assert len(queue) == 2 and queue.next_deadline_ms() == 50
    assert pop_all(queue, 60) == ["one"]
    assert queue.next_deadline_ms() is None and len(queue) == 0
    queue.arm(one, 70)
    one.armed_ms = None  # ended
    assert pop_all(queue, 1000) == []


def test_queue_is_bounded_by_dropping_dead_entries():
    queue = TimerQueue(4)
    lives = [Thing(number) for number in range(4)]
    for thing in lives:
        queue.arm(thing, ticks_add(START_MS, 30000 + thing.name))
    for number in range(100):
        dead = Thing("dead")
        queue.arm(dead, ticks_add(START_MS, 10000 + number))
        dead.armed_ms = None
        assert len(queue) <= 8
    assert pop_all(queue, ticks_add(START_MS, 30003)) == [0, 1, 2, 3]


def test_queue_stays_ordered_when_dead_entries_go():
    queue = TimerQueue(40)
    state = 7
    things = []
    for _ in range(80):  # each second one dies; the 81st entry clears the heap
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        thing = Thing((state >> 8) % 9000)
        queue.arm(thing, ticks_add(START_MS, thing.name))
        things.append(thing)
    for number, thing in enumerate(things):
        if number & 1:
            thing.armed_ms = None
    queue.arm(Thing(9001), ticks_add(START_MS, 9001))
    assert len(queue) == 41
    names = pop_all(queue, ticks_add(START_MS, 9001))
    assert len(names) == 41 and names == sorted(names)


def test_queue_counts_on_for_years():
    day_ms = 86400000
    queue = TimerQueue(4)
    now_ms = START_MS
    queue.arm(Thing(0), ticks_add(now_ms, 3 * day_ms))
    for number in range(1, 200):  # the heap is never empty, and the ticks wrap 32 times
        now_ms = ticks_add(now_ms, 2 * day_ms)
        queue.arm(Thing(number), ticks_add(now_ms, 3 * day_ms))
        queue.arm(Thing("soon"), ticks_add(now_ms, 10))
        assert pop_all(queue, ticks_add(now_ms, 9)) == []
        assert pop_all(queue, ticks_add(now_ms, day_ms - 1)) == ["soon"]
        assert pop_all(queue, ticks_add(now_ms, day_ms)) == [number - 1]


def test_queue_against_a_list():
    seed = 20260722
    state = seed
    queue = TimerQueue(50)
    things = [Thing(number) for number in range(50)]
    now_ms = START_MS
    for _ in range(3000):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        thing = things[(state >> 8) % 50]
        if state & 0x40000:
            thing.due_ms = ticks_add(now_ms, (state >> 12) % 9000)
            queue.arm(thing, thing.due_ms)
        elif state & 0x80000:
            thing.due_ms = thing.armed_ms = None
        else:
            now_ms = ticks_add(now_ms, (state >> 16) % 700)
            popped = queue.pop_due(now_ms)
            while popped is not None:
                if ticks_diff(now_ms, popped.due_ms) >= 0:
                    popped.due_ms = None
                else:
                    queue.arm(popped, popped.due_ms)
                popped = queue.pop_due(now_ms)
            for other in things:
                assert other.due_ms is None or ticks_diff(other.due_ms, now_ms) > 0, seed
        assert len(queue) <= 100
        for other in things:
            assert (other.due_ms is None) == (other.armed_ms is None), seed
