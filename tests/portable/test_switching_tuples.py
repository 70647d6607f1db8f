"""The connection tuple table and its replication; both interpreters."""

from bus import messages
from bus.compat import TICKS_PERIOD, ticks_add
from firmware.switching import replication
from firmware.switching.replication import TableReceiver, TableSender
from firmware.switching.tuples import UDP, TupleTable, flow_key

KEY = flow_key(b"\x7f\0\0\x01", 5060, b"\x0a\0\0\x01", 5060, UDP)
OTHER = flow_key(b"\x7f\0\0\x01", 5060, b"\x0a\0\0\x01", 5062, UDP)


def key(number):
    return flow_key(b"\x7f\0\0\x01", 5060, b"\x0a\0\0\x01", number, UDP)


def keys(table):
    return [entry.key for entry in table.oldest_first()]


def test_key_is_the_drawn_octets():
    assert KEY == b"\x7f\0\0\x01\x0a\0\0\x01\x13\xc4\x13\xc4\x11"


def test_digest_is_the_sum_of_sha256_shares():
    # printf KEY SLOT | sha256sum, first eight octets
    table = TupleTable(4)
    table.add(KEY, 3, 0)
    assert table.digest == 0xF089E46B967B7B2D
    table.add(OTHER, 3, 0)
    assert table.digest == (0xF089E46B967B7B2D + 0xDBB76E5BDB964CDC) % (1 << 64)
    table.remove(table.find(KEY))
    assert table.digest == 0xDBB76E5BDB964CDC
    table.move(table.find(OTHER), 4)
    table.move(table.find(OTHER), 3)
    assert table.digest == 0xDBB76E5BDB964CDC
    table.remove(table.find(OTHER))
    assert table.digest == 0 and len(table) == 0


def test_least_recently_used_makes_room():
    table = TupleTable(3)
    for number in (1, 2, 3):
        table.add(key(number), 3, number)
    table.touch(table.find(key(1)), 100, 4)
    table.add(key(4), 4, 5)
    assert keys(table) == [key(3), key(1), key(4)]
    assert table.find(key(2)) is None
    assert (table.active(3), table.active(4)) == (2, 1)
    assert table.counters["evicted"] == 1 and table.counters["high_water"] == 3


def test_idle_time_out_across_the_wrap():
    start = TICKS_PERIOD - 1000
    table = TupleTable(10, 2000)
    for number in range(5):
        table.add(key(number), 3, ticks_add(start, number * 100))
    table.touch(table.find(key(0)), 1, ticks_add(start, 900))
    assert table.next_deadline_ms() == ticks_add(start, 2100)
    assert table.expire(ticks_add(start, 2099)) == 0
    assert table.expire(ticks_add(start, 2200)) == 2
    assert table.expire(ticks_add(start, 3000), 1) == 1
    assert table.expire(ticks_add(start, 3000)) == 2
    assert table.next_deadline_ms() is None
    assert table.counters["expired"] == 5


def test_age_outlives_the_ticks():
    table = TupleTable(2)
    now_ms = 0
    entry = table.add(KEY, 3, now_ms)
    for _ in range(20000):  # 20000 x 100 s = 23 days; ticks wrap after 12.4
        now_ms = ticks_add(now_ms, 100000)
        entry.use(1, now_ms)
    assert entry.age_s(ticks_add(now_ms, 5000)) == 2000005
    assert entry.idle_s(ticks_add(now_ms, 5000)) == 5


def pair(limit=1000):
    table, copy = TupleTable(limit), TupleTable(limit)
    return table, TableSender(table), copy, TableReceiver(copy)


def carry(sender, receiver, now_ms, lose=()):
    """Carry every message that is due, except the numbers in `lose`; returns how many."""
    number = 0
    message = sender.next_message(now_ms)
    while message is not None:
        if number not in lose:
            receiver.receive(message, now_ms)
        number += 1
        message = sender.next_message(now_ms)
    return number


def same(table, copy):
    first = sorted((entry.key, entry.slot) for entry in table.oldest_first())
    return first == sorted((entry.key, entry.slot) for entry in copy.oldest_first())


def test_row_is_the_drawn_octets():
    table, sender, _, _ = pair()
    entry = table.add(KEY, 3, 0)
    entry.restore(65538, 2, 258, 2000)
    sender.start(2000)
    message = sender.next_message(2000)
    put = (b"\x01" + KEY + b"\x03\x02\0\0\0\0\x03" + b"\0\x01\0\x02" + b"\0\x02"
           + b"\0\0\x01\x02")
    end = b"\x04\xf0\x89\xe4\x6b\x96\x7b\x7b\x2d" + bytes(22)
    assert message == bytes((messages.TUPLES, 0, 3)) + b"\x03" + bytes(30) + put + end


def test_whole_table_then_changes():
    table, sender, copy, receiver = pair()
    copy.add(key(9999), 5, 0)  # of an earlier life: must go
    for number in range(100):
        table.add(key(number), 3 + number % 3, number)
    assert sender.next_message(100) is None
    sender.start(100)
    assert carry(sender, receiver, 100) == 3
    assert receiver.whole and same(table, copy)
    assert keys(copy) == keys(table)
    table.add(key(200), 4, 110)
    table.remove(table.find(key(0)))
    table.move(table.find(key(1)), 5)
    assert carry(sender, receiver, 110) == 0
    assert sender.next_deadline_ms() == 130
    assert carry(sender, receiver, 130) == 1
    assert receiver.whole and same(table, copy) and copy.digest == table.digest


def test_forty_changes_do_not_wait():
    table, sender, copy, receiver = pair()
    sender.start(0)
    carry(sender, receiver, 0)
    for number in range(40):
        table.add(key(number), 3, 1)
    assert carry(sender, receiver, 1) == 1
    assert same(table, copy)


def test_a_lost_message_is_noticed_and_mended():
    table, sender, copy, receiver = pair()
    sender.start(0)
    carry(sender, receiver, 0)
    table.add(KEY, 3, 1)
    carry(sender, receiver, 1)
    assert carry(sender, receiver, 25, (0,)) == 1
    assert receiver.whole and not same(table, copy)
    carry(sender, receiver, 1100)
    assert not receiver.whole and receiver.counters["differs"] == 1
    sender.start(1100)
    carry(sender, receiver, 1100)
    assert receiver.whole and same(table, copy)


def test_whole_table_with_a_gap_is_not_whole():
    table, sender, copy, receiver = pair()
    for number in range(100):
        table.add(key(number), 3, 0)
    sender.start(0)
    carry(sender, receiver, 0, (1,))
    assert not receiver.whole
    sender.start(100)
    assert carry(sender, receiver, 100) == 0  # not more often than each 500 ms
    sender.start(600)
    carry(sender, receiver, 600)
    assert receiver.whole and same(table, copy)


def test_times_are_told_now_and_then():
    table, sender, copy, receiver = pair()
    entry = table.add(KEY, 3, 0)
    sender.start(0)
    carry(sender, receiver, 0)
    table.touch(entry, 70, 29000)
    sender.used(entry, 29000)
    carry(sender, receiver, 29000)
    assert copy.find(KEY).octets == 0
    table.touch(entry, 70, 30000)
    sender.used(entry, 30000)
    carry(sender, receiver, 30000)
    carry(sender, receiver, 30020)
    assert copy.find(KEY).octets == 140
    assert copy.find(KEY).idle_s(30020) == 0 and copy.find(KEY).age_s(30020) == 30


def test_too_many_changes_become_a_whole_table():
    table, sender, copy, receiver = pair(10)
    sender.start(0)
    carry(sender, receiver, 0)
    for number in range(50):
        table.add(key(number), 3, 1)
    assert sender.counters["overflow"] >= 1
    carry(sender, receiver, 2)
    assert receiver.whole and same(table, copy) and len(copy) == 10


def test_stopped_sender_remembers_nothing():
    table, sender, copy, receiver = pair()
    sender.start(0)
    carry(sender, receiver, 0)
    sender.stop()
    table.add(KEY, 3, 1)
    assert table.journal is None
    assert sender.next_message(5000) is None and sender.next_deadline_ms() is None


def test_malformed_rows_change_nothing():
    _, _, copy, receiver = pair()
    row = replication.encode_row(replication.PUT, KEY, 3)
    for payload in (b"", b"\x30", messages.encode(messages.TUPLES, 2, row),
                    messages.encode(messages.TUPLES, 1, row[:-1]),
                    messages.encode(messages.ECHO, row),
                    messages.encode(messages.TUPLES, 1, b"\x09" + row[1:]),
                    messages.encode(messages.TUPLES, 1,
                                    replication.encode_row(replication.PUT, KEY, 31))):
        receiver.receive(payload, 0)
    assert len(copy) == 0 and receiver.counters["malformed"] == 7
