"""Ping and check of cluster cards: rise, fall, identifiers, bounds in time; both interpreters."""

from bus.compat import TICKS_PERIOD, ticks_add
from firmware.switching import check
from firmware.switching.balance import ResponseTime
from firmware.switching.health import CHECK, PING, HealthMonitor, slot_of

START_MS = TICKS_PERIOD - 700


class Desk:
    """A monitor of slot 4 with a hand on the clock."""

    def __init__(self):
        self.now_ms = START_MS
        self.monitor = HealthMonitor(1, 7)
        self.monitor.add(4, self.now_ms)

    def probes(self, after_ms=0):
        """The probes due after a while, by kind."""
        self.now_ms = ticks_add(self.now_ms, after_ms)
        self.monitor.handle_timer(self.now_ms)
        found = {}
        probe = self.monitor.next_probe()
        while probe is not None:
            assert probe[1] == 4 and slot_of(probe[2]) == 4
            found[probe[0]] = probe[2]
            probe = self.monitor.next_probe()
        return found

    def answer(self, kind, probe_id, passed=True):
        return self.monitor.answered(kind, 4, probe_id, passed, self.now_ms)


def test_time_out_must_be_shorter_than_the_interval():
    for timeout_ms in (0, 500, 600):
        try:
            HealthMonitor(1, 0, 500, timeout_ms)
        except ValueError:
            continue
        raise AssertionError(timeout_ms)


def test_new_card_is_alive_until_proven_otherwise():
    desk = Desk()
    assert desk.monitor.alive(4)
    assert not desk.monitor.alive(5)


def test_both_probes_at_once_then_each_interval():
    desk = Desk()
    first = desk.probes()
    assert sorted(first) == [PING, CHECK] and first[PING] != first[CHECK]
    for kind in first:
        desk.answer(kind, first[kind])
    assert desk.monitor.next_deadline_ms() == ticks_add(START_MS, 500)
    assert desk.probes(499) == {}
    assert sorted(desk.probes(1)) == [PING, CHECK]


def test_three_failures_take_it_down_within_the_stated_time():
    desk = Desk()
    down_after = None
    for elapsed in range(0, 2000, 10):
        desk.probes(10)
        if not desk.monitor.alive(4):
            down_after = elapsed + 10
            break
    assert down_after is not None and down_after <= 3 * 500 + 400
    assert desk.monitor.next_event() == (4, False, "ping: no answer")
    assert desk.monitor.next_event() is None


def test_two_failures_do_not():
    desk = Desk()
    desk.probes()
    for _ in range(10):
        desk.probes(400)
        found = desk.probes(100)
        desk.answer(PING, found[PING])
        desk.answer(CHECK, found[CHECK])
        desk.probes(100)
        desk.probes(400)  # this one gets no answer
        desk.probes(400)
        desk.probes(100)
    assert desk.monitor.alive(4)


def test_check_alone_takes_it_down_and_two_successes_up():
    desk = Desk()
    found = desk.probes()
    for round_ in range(3):
        desk.answer(PING, found[PING])
        assert desk.answer(CHECK, found[CHECK], False) == 0
        assert desk.monitor.alive(4) == (round_ < 2)
        found = desk.probes(500)
    assert desk.monitor.next_event() == (4, False, "check: refused")
    desk.answer(CHECK, found[CHECK])
    assert not desk.monitor.alive(4)
    desk.answer(CHECK, desk.probes(500)[CHECK])
    assert desk.monitor.alive(4)
    assert desk.monitor.next_event() == (4, True, "check: answered")


def test_late_and_repeated_answers_are_ignored():
    desk = Desk()
    first = desk.probes()[CHECK]
    desk.probes(400)
    assert desk.answer(CHECK, first) is None
    second = desk.probes(100)[CHECK]
    assert second != first
    assert desk.answer(CHECK, first) is None
    assert desk.answer(CHECK, second) == 0
    assert desk.answer(CHECK, second) is None
    assert desk.monitor.counters["late"] == 3


def test_transport_error_counts_at_once():
    desk = Desk()
    for _ in range(3):
        found = desk.probes()
        desk.monitor.failed(PING, 4, found[PING])
        desk.now_ms = ticks_add(desk.now_ms, 500)
    assert not desk.monitor.alive(4)
    assert desk.monitor.next_event() == (4, False, "ping: transport error")
    desk.monitor.failed(PING, 4, bytes(8))
    desk.monitor.failed(PING, 9, None)
    assert desk.monitor.counters["failed"] == 3 + 2  # the checks of the first two rounds timed out


def test_elapsed_time_of_each_kind():
    desk = Desk()
    found = desk.probes()
    assert desk.monitor.elapsed_ms(4, PING) is None
    desk.now_ms = ticks_add(desk.now_ms, 7)
    assert desk.answer(PING, found[PING]) == 7
    desk.now_ms = ticks_add(desk.now_ms, 5)
    desk.answer(CHECK, found[CHECK])
    assert desk.monitor.elapsed_ms(4, PING) == 7
    assert desk.monitor.elapsed_ms(4, CHECK) == 12


def test_removed_card_is_probed_no_more():
    desk = Desk()
    found = desk.probes()
    desk.monitor.remove(4)
    assert desk.answer(PING, found[PING]) is None
    assert desk.probes(1000) == {} and desk.monitor.next_deadline_ms() is None


def test_a_sleep_makes_no_burst():
    desk = Desk()
    desk.probes()
    assert len(desk.probes(60000)) == 2
    assert desk.probes(0) == {}


def test_smoothing():
    response = ResponseTime()
    assert response.milliseconds() is None
    response.sample(10)
    assert response.sixteenths == 160
    response.sample(0)
    assert response.sixteenths == 140  # 160 - 160 / 8
    response.sample(1000)
    assert response.sixteenths == 140 + (16000 - 140) // 8


def test_options_text():
    text = check.build_options(b"\x01\x09\0\x07\0\0\0\x2a", ("127.0.0.1", 7001),
                               ("127.0.0.1", 5060))
    assert text == (
        b"OPTIONS sip:127.0.0.1:5060 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 127.0.0.1:7001;branch=z9hG4bKcheck010900070000002a;rport\r\n"
        b"Max-Forwards: 70\r\n"
        b"From: <sip:switch@127.0.0.1:5060>;tag=010900070000002a\r\n"
        b"To: <sip:127.0.0.1:5060>\r\n"
        b"Call-ID: check-010900070000002a\r\n"
        b"CSeq: 1 OPTIONS\r\n"
        b"Content-Length: 0\r\n\r\n")


def test_answers_to_the_check():
    probe_id = b"\x01\x09\0\x07\0\0\0\x2a"
    ok = b"SIP/2.0 200 OK\r\nCall-ID: check-010900070000002a\r\n\r\n"
    assert check.read_answer(b"xx" + ok, 2, 2 + len(ok)) == (probe_id, True)
    busy = b"SIP/2.0 503 Busy\r\nCall-ID: check-010900070000002a\r\n\r\n"
    assert check.read_answer(bytearray(busy), 0, len(busy)) == (probe_id, False)
    for text in (b"", b"SIP/2.0 200 OK\r\n\r\n", b"OPTIONS check-010900070000002a",
                 b"SIP/2.0 200 OK\r\nCall-ID: check-0109", ok[:-7],
                 b"SIP/2.0 200 OK\r\nCall-ID: check-zz0900070000002a\r\n",
                 b"SIP/2.0 200 OK\r\nCall-ID: check-\xff\xfe0900070000002a\r\n"):
        assert check.read_answer(text, 0, len(text)) is None, text
