"""The location store: levels, growth, reloads, warm start. Memory comes from a counting fake."""

import struct

from firmware import fastpath
from firmware.location.number import domain_route, longest_prefix
from firmware.location.record import encode_route
from firmware.location.store import LocationStore, StoreFull, skip_rows

SEED = b"0123456789abcdef"
BIRTHDAY = b"birthday"


class Memory:
    """Allocates bytearrays, at most `allowed` octets each."""

    def __init__(self, allowed=1 << 30):
        self.allowed = allowed
        self.sizes = []

    def __call__(self, size):
        self.sizes.append(size)
        return bytearray(size) if size <= self.allowed else None


def rows_of(pairs):
    """Rows in the bus form; a value of None removes."""
    out = b""
    for key, value in pairs:
        length = 0xFFFF if value is None else len(value)
        out += struct.pack(">HH", len(key), length) + key + (value or b"")
    return out


def raises(kind, call, *arguments):
    try:
        call(*arguments)
    except kind:
        return True
    return False


def test_levels_are_dense():
    store = LocationStore(Memory(), 16, SEED)
    assert (store.level, store.birthday, len(store)) == (0, bytes(8), 0)
    rows = rows_of(((b"a", b"1"), (b"b", b"2"), (b"a", b"3")))
    assert store.apply(1, rows, 0, len(rows), 3) == 3
    assert (store.level, store.get(b"a"), store.get(b"b"), len(store)) == (3, b"3", b"2", 2)
    assert store.apply(5, rows, 0, len(rows), 3) == fastpath.BAD_ARGUMENT  # level 4 is missing
    assert store.level == 3 and not store.table.is_dirty()


def test_old_rows_are_passed_over():
    store = LocationStore(Memory(), 16, SEED)
    rows = rows_of(((b"a", b"1"), (b"a", b"2"), (b"b", b"3"), (b"a", None)))
    assert store.apply(1, rows, 0, len(rows), 4) == 4
    digest = store.digest()
    assert store.apply(1, rows, 0, len(rows), 4) == 0
    assert store.apply(2, rows_of(((b"a", b"2"),)), 0, 6, 1) == 0
    assert store.digest() == digest and store.level == 4 and store.get(b"a") is None
    more = rows_of(((b"a", None), (b"c", b"5")))
    assert store.apply(4, more, 0, len(more), 2) == 1
    assert store.level == 5 and store.get(b"c") == b"5"


def test_malformed_rows_change_nothing():
    store = LocationStore(Memory(), 16, SEED)
    rows = rows_of(((b"a", b"1"), (b"b", b"2")))
    before = bytes(store.memory)
    for start, end, count in ((0, len(rows), 1), (0, len(rows), 3), (0, len(rows) - 1, 2),
                              (1, len(rows), 2), (0, len(rows) + 1, 2)):
        assert store.apply(1, rows, start, end, count) == fastpath.BAD_ARGUMENT
    assert bytes(store.memory) == before


def test_growth_keeps_everything():
    memory = Memory()
    store = LocationStore(memory, 16, SEED)
    store.set_identity(BIRTHDAY, 0)
    pairs = [(b"key%d" % number, b"v" * (number % 200)) for number in range(400)]
    rows = rows_of(pairs)
    assert store.apply(1, rows, 0, len(rows), 400) == 400
    assert len(memory.sizes) > 3 and memory.sizes == sorted(memory.sizes)
    for key, value in pairs:
        assert store.get(key) == value
    assert (store.level, store.birthday, len(store)) == (400, BIRTHDAY, 400)
    assert not store.table.is_dirty() and store.audit_step(1 << 20)
    other = LocationStore(Memory(), 4096, b"another seed...!")
    for key, value in reversed(pairs):
        assert other.put(key, value) == fastpath.OK
    assert other.digest() == store.digest()


def test_a_value_larger_than_the_table():
    store = LocationStore(Memory(), 16, SEED)
    assert store.put(b"k", bytes(60000)) == fastpath.OK
    assert store.get(b"k") == bytes(60000)


def test_lost_space_is_won_back_in_the_same_size():
    memory = Memory()
    store = LocationStore(memory, 64, SEED)
    for size in (100, 200, 300, 400):
        for number in range(8):
            assert store.put(b"k%d" % number, bytes(size)) == fastpath.OK
    assert memory.sizes[1:] == [memory.sizes[0]]


def test_refused_memory_is_store_full():
    assert raises(StoreFull, LocationStore, Memory(100), 16, SEED)
    store = LocationStore(Memory(8000), 16, SEED)
    rows = rows_of([(b"key%d" % number, bytes(100)) for number in range(100)])
    assert raises(StoreFull, store.apply, 1, rows, 0, len(rows), 100)
    assert store.level == 0 and store.table.is_dirty()


def test_rows_walk_everything():
    store = LocationStore(Memory(), 256, SEED)
    wanted = {}
    for number in range(100):
        wanted[b"key%d" % number] = b"v" * number
        store.put(b"key%d" % number, b"v" * number)
    again = LocationStore(Memory(), 16, b"another seed...!")
    cursor = total = pages = 0
    while True:
        cursor, rows, count = store.rows(cursor, 300)
        assert len(rows) <= 300
        assert again.replace_begin(BIRTHDAY, 7, 10) is None if not pages else True
        assert again.replace_rows(rows, count) == count
        total += count
        pages += 1
        if cursor == 0:
            break
    assert total == 100 and pages > 10
    assert again.replace_commit(store.digest())
    assert (again.level, again.birthday, len(again)) == (7, BIRTHDAY, 100)
    for key in wanted:
        assert again.get(key) == wanted[key]
    cursor, rows, count = store.rows(0, 1)
    assert count == 1  # one row at least


def test_reload_serves_the_old_until_the_new_is_whole():
    store = LocationStore(Memory(), 16, SEED)
    store.put(b"old", b"1")
    store.replace_begin(BIRTHDAY, 9, 2)
    rows = rows_of(((b"new", b"2"),))
    assert store.replace_rows(rows, 1) == 1
    assert store.get(b"old") == b"1" and store.get(b"new") is None
    assert not store.replace_commit(b"8 octets")
    assert store.get(b"old") == b"1" and store.level == 0
    assert store.replace_rows(rows, 1) == fastpath.BAD_ARGUMENT
    store.replace_begin(BIRTHDAY, 9, 0)
    store.replace_rows(rows, 1)
    store.replace_abort()
    assert not store.replace_commit(store.digest())


def test_warm_start():
    store = LocationStore(Memory(), 16, SEED)
    store.set_identity(BIRTHDAY, 41)
    store.put(b"k", b"v")
    rows = rows_of(((b"l", b"w"),))
    assert store.apply(42, rows, 0, len(rows), 1) == 1
    image = bytearray(store.memory)
    again = LocationStore(Memory(), 16, SEED)
    assert again.attach(image) == fastpath.OK
    assert (again.level, again.birthday, again.get(b"k")) == (42, BIRTHDAY, b"v")
    for number in range(100):
        assert again.put(b"more%d" % number, bytes(50)) == fastpath.OK
    store.table.begin()
    fresh = LocationStore(Memory(), 16, SEED)
    assert fresh.attach(bytearray(store.memory)) == fastpath.CORRUPT
    assert fresh.attach(bytearray(100)) == fastpath.BAD_ARGUMENT
    assert fresh.level == 0 and fresh.get(b"k") is None


def test_audit_step_sees_corruption():
    store = LocationStore(Memory(), 16, SEED)
    store.put(b"key", b"value")
    for _ in range(10):
        assert store.audit_step(5)
    assert store.audits >= 1
    store.find(b"key")
    store.memory[store.table.offset] ^= 1
    assert not all([store.audit_step(5) for _ in range(10)])


def test_skip_rows():
    rows = rows_of(((b"a", b"1"), (b"b", None)))
    assert [skip_rows(rows, 0, len(rows), count) for count in (0, 1, 2, 3)] == [0, 6, 11, -1]
    assert skip_rows(rows, 0, 5, 1) == -1


def test_routes():
    store = LocationStore(Memory(), 16, SEED)
    store.put(b"n49", encode_route(b"sip:de.example"))
    store.put(b"n4930", encode_route(b"sip:berlin.example"))
    store.put(b"dexample.org", encode_route(b"sip:gw.example"))
    assert longest_prefix(store, b"493012345") == (b"4930", b"sip:berlin.example")
    assert longest_prefix(store, b"49402") == (b"49", b"sip:de.example")
    assert longest_prefix(store, b"4930") == (b"4930", b"sip:berlin.example")
    assert longest_prefix(store, b"1") is None and longest_prefix(store, b"") is None
    assert longest_prefix(store, b"49" + b"1" * 1000) == (b"49", b"sip:de.example")
    assert domain_route(store, b"example.org") == b"sip:gw.example"
    assert domain_route(store, b"example.com") is None
