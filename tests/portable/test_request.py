"""Requests: retry times, once-only execution, bounds of the answer cache."""

from bus import request
from bus.limits import BusLimits

A = b"request1"
B = b"request2"


def requester(**limits):
    return request.Requester(3, 0x01020304, BusLimits(**limits))


def times(list_pair):
    """(identifiers to send again, identifiers that timed out)."""
    again, over = list_pair
    return [one.request_id for one in again], [one.request_id for one in over]


def test_identifiers_name_slot_and_life_and_never_repeat():
    asker = requester()
    assert asker.new_id() == b"\x03\x02\x03\x04\0\0\0\x01"
    assert asker.new_id() == b"\x03\x02\x03\x04\0\0\0\x02"


def test_retries_double_until_the_timeout():
    asker = requester()
    pending = asker.begin(A, 5, b"message", 0, 1000, 3000)
    assert pending.body == A + b"message"
    sent_again = []
    over = []
    for now_ms in range(1000, 5000, 10):
        again, timed_out = times(asker.handle_timer(now_ms))
        sent_again.extend([now_ms - 1000] * len(again))
        over.extend([now_ms - 1000] * len(timed_out))
    assert sent_again == [250, 750, 1750]
    assert over == [3000]
    assert len(asker) == 0 and asker.next_deadline_ms() is None
    assert (asker.retried, asker.timed_out) == (3, 1)


def test_deadline_is_never_late():
    asker = requester()
    asker.begin(A, 5, b"", 0, 0, 3000)
    asker.begin(B, 5, b"", 0, 100, 120)
    assert asker.next_deadline_ms() == 220
    assert times(asker.handle_timer(220)) == ([], [B])
    assert asker.next_deadline_ms() == 250


def test_only_the_card_asked_may_answer():
    asker = requester()
    asker.begin(A, 5, b"", 0, 0, 3000)
    assert not asker.receive(6, A)
    assert not asker.receive(5, B)
    assert asker.receive(5, A)
    assert not asker.receive(5, A)
    assert asker.stray == 3
    assert times(asker.handle_timer(10000)) == ([], [])


def test_requests_are_bounded():
    asker = requester(requests_pending=2)
    assert asker.begin(b"1" * 8, 5, b"", 0, 0, 100) is not None
    assert asker.begin(b"2" * 8, 5, b"", 0, 0, 100) is not None
    assert asker.begin(b"3" * 8, 5, b"", 0, 0, 100) is None
    assert (asker.refused, asker.high_water) == (1, 2)


def test_a_request_is_executed_once():
    responder = request.Responder(BusLimits())
    assert responder.receive(1, A, 0) == request.EXECUTE
    assert responder.receive(1, A, 10) == request.PENDING
    askers, body = responder.complete(1, A, b"done", 4)
    assert (askers, body) == ([1], A + b"done")
    assert responder.receive(1, A, 20) == request.ANSWERED
    assert responder.answer(A) == (A + b"done", 4)
    assert responder.repeated == 2 and len(responder) == 0


def test_everybody_who_asked_the_same_is_answered():
    responder = request.Responder(BusLimits())
    assert responder.receive(1, A, 0) == request.EXECUTE
    assert responder.receive(2, A, 0) == request.PENDING
    assert responder.receive(2, A, 0) == request.PENDING
    assert responder.complete(1, A, b"", 0)[0] == [1, 2]


def test_executions_are_bounded_and_expire():
    responder = request.Responder(BusLimits(requests_executing=1, executing_timeout_ms=100))
    assert responder.receive(1, A, 0) == request.EXECUTE
    assert responder.receive(1, B, 0) == request.REFUSED
    assert responder.next_deadline_ms() == 100
    responder.handle_timer(99)
    assert responder.receive(1, A, 99) == request.PENDING
    responder.handle_timer(100)
    assert responder.receive(1, A, 100) == request.EXECUTE
    assert (responder.refused, responder.abandoned) == (1, 1)


def test_answers_are_bounded_by_count():
    responder = request.Responder(BusLimits(answers=3))
    for number in range(5):
        responder.complete(1, bytes((number,)) * 8, b"12", 0)
    kept = [responder.receive(1, bytes((number,)) * 8, 0) == request.ANSWERED
            for number in range(5)]
    assert kept == [False, False, True, True, True]
    assert responder.octets == 30


def test_answers_are_bounded_by_octets():
    responder = request.Responder(BusLimits(answer_octets=100))
    for number in range(5):
        responder.complete(1, bytes((number,)) * 8, bytes(22), 0)
    assert responder.octets == 90
    responder.complete(1, A, bytes(101), 0)  # larger than the cache: not kept, nothing pushed out
    assert responder.octets == 90 and responder.receive(1, A, 0) == request.EXECUTE
    responder.complete(1, B, bytes(92), 0)
    assert responder.octets == 100 and responder.receive(1, B, 0) == request.ANSWERED


def test_an_answer_given_twice_is_counted_once():
    responder = request.Responder(BusLimits())
    responder.complete(1, A, b"first", 0)
    responder.complete(1, A, b"second!", 0)
    assert responder.octets == 15 and responder.answer(A)[0] == A + b"second!"
