"""What a registrar front does between the commit and the answer (RFC 3261 10.3)."""

from bus.compat import ticks_add
from firmware.location import record
from sip_bench import (
    NOW_MS, NOW_S, binding, drain, exchange, only, server, status, values)
from test_proxy_registrar import event, open_register, store


def held(card, *numbers):
    """Register contacts one after the other; each result is in, and no answer is out."""
    committed = []
    for number in numbers:
        text = open_register("Contact: <sip:a{}@192.0.2.1>".format(number), cseq=number,
                             via="Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{}".format(number))
        assert exchange(card, text) == []
        committed.append(record.encode_aor(
            [binding(b"sip:a%d@192.0.2.1" % number, 1000, NOW_S + 3600)]))
        card.register_result(event(card)[0], 200, committed[-1], NOW_MS, NOW_S)
        assert drain(card) == []
    return text, committed


def test_10_3_a_200_waits_for_the_card_s_own_copy():
    found = store()
    card = server(found)
    text, committed = held(card, 1)
    assert exchange(card, text) == [] and card.registrar.absorbed == 1
    found.records[record.aor_key(b"alice@open.example")] = committed[0]
    assert status(only(drain(card))[0]) == 200
    assert card.next_deadline_ms() is None and drain(card) == []
    assert len(exchange(card, text)) == 1


def test_10_3_a_later_commit_of_the_aor_frees_the_200s_before_it():
    found = store()
    card = server(found)
    _, committed = held(card, 1, 2, 3)
    found.records[record.aor_key(b"alice@open.example")] = committed[1]
    sent = drain(card)
    assert [values(datagram, b"CSeq") for datagram, _ in sent] == [
        [b"1 REGISTER"], [b"2 REGISTER"]]


def test_10_3_a_200_is_held_no_longer_than_200_ms():
    card = server(store())
    held(card, 1)
    assert card.next_deadline_ms() == ticks_add(NOW_MS, 200)
    card.handle_timer(ticks_add(NOW_MS, 199))
    assert drain(card) == []
    card.handle_timer(ticks_add(NOW_MS, 200))
    assert status(only(drain(card))[0]) == 200
    assert len(card.registrar) == 0


def test_timeout_and_refusals():
    for result, expected in ((400, 400), (403, 403), (500, 500), (603, 500), (200000, 500),
                             (0, 500), (199, 500), (503, 503)):
        card = server(store())
        exchange(card, open_register("Contact: <sip:a@192.0.2.1>"))
        card.register_result(event(card)[0], result, b"", NOW_MS, NOW_S)
        assert status(only(drain(card))[0]) == expected
    card = server(store())
    exchange(card, open_register("Contact: <sip:a@192.0.2.1>"))
    identity = event(card)[0]
    card.register_timeout(identity, NOW_MS)
    datagram, _ = only(drain(card))
    assert status(datagram) == 503 and values(datagram, b"Retry-After") == [b"5"]
    card.register_timeout(identity, NOW_MS)
    card.register_result(identity, 200, b"", NOW_MS, NOW_S)
    assert drain(card) == []


def test_lost_result_is_given_up_by_the_timer_across_the_tick_wrap():
    card = server(store())
    assert card.next_deadline_ms() is None
    exchange(card, open_register("Contact: <sip:a@192.0.2.1>"))
    deadline_ms = card.next_deadline_ms()
    assert deadline_ms == 5000  # NOW_MS is five seconds before the wrap, the wait ten
    card.handle_timer(ticks_add(deadline_ms, -1))
    assert drain(card) == []
    card.handle_timer(deadline_ms)
    assert status(only(drain(card))[0]) == 503 and card.next_deadline_ms() is None


def test_pending_is_bounded():
    card = server(store(), pending_limit=2)
    for number in range(3):
        sent = exchange(card, open_register("Contact: <sip:a@192.0.2.1>", call_id=str(number)))
        assert (sent == []) == (number < 2)
    assert status(sent[0][0]) == 503 and values(sent[0][0], b"Retry-After") == [b"5"]
    # a refused one was not remembered as seen: its retry by the same way is taken
    card.register_timeout(card.next_event()[1], NOW_MS)
    drain(card)
    assert exchange(card, open_register("Contact: <sip:a@192.0.2.1>", call_id="2")) == []
