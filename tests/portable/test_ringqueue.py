"""The bounded queue: order, both overflow policies, counters."""

from bus.ringqueue import RingQueue


def test_first_in_first_out_across_the_end():
    queue = RingQueue(3)
    got = []
    for number in range(10):
        assert queue.put(number)
        assert queue.put(number + 100)
        got.append(queue.get())
        got.append(queue.get())
    assert got == [n + h for n in range(10) for h in (0, 100)]
    assert queue.get() is None and queue.peek() is None and len(queue) == 0
    assert queue.dropped == 0 and queue.high_water == 2


def test_full_refuses_the_new_and_counts():
    queue = RingQueue(2)
    assert queue.put("a") and queue.put("b")
    assert not queue.put("c")
    assert (queue.dropped, queue.high_water, queue.room()) == (1, 2, 0)
    assert (queue.get(), queue.get(), queue.get()) == ("a", "b", None)


def test_full_lets_the_oldest_go_when_asked_to():
    queue = RingQueue(2, drop_oldest=True)
    for item in "abcd":
        assert queue.put(item)
    assert queue.dropped == 2
    assert queue.peek() == "c"
    assert (queue.get(), queue.get()) == ("c", "d")


def test_no_room_at_all_is_an_error():
    try:
        RingQueue(0)
    except ValueError:
        return
    raise AssertionError("a queue without room was made")
