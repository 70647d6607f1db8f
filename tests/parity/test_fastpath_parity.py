"""The C fast path and its pure twin: equal results and equal region octets for every input."""

import random
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import fastpath
from firmware.fastpath import layout, pure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "portable"))

if fastpath.NAME == "pure":
    pytest.skip("SKIPPED: the C fast path is not built (make setup)", allow_module_level=True)

from firmware.fastpath import cffi_loader  # noqa: E402  only where the library is there
from scanner_vectors import vectors  # noqa: E402

SEED = bytes(range(16))
MESSAGES = [message for _, message, _ in vectors()]

keys = st.sampled_from([b"k%d" % number for number in range(24)])
values = st.one_of(st.binary(max_size=40),
                   st.integers(0, 5000).map(lambda n: bytes([n & 255]) * n))
operations = st.lists(st.one_of(
    st.tuples(st.just("put"), keys, values),
    st.tuples(st.just("remove"), keys, st.just(None)),
    st.tuples(st.just("get"), keys, st.just(None))), max_size=60)


def pair(records, heap):
    """A C table and a pure one, alike."""
    size = pure.table_size(records, heap)
    assert cffi_loader.table_size(records, heap) == size
    tables = cffi_loader.Table(bytearray(size)), pure.Table(bytearray(size))
    assert [table.init(records, SEED) for table in tables] == [layout.OK, layout.OK]
    return tables


def same(tables, call, *arguments):
    """The result of a call, which must be the same on both tables."""
    results = [getattr(table, call)(*arguments) for table in tables]
    assert results[0] == results[1], (call, arguments, results)
    return results[0]


@settings(max_examples=150, deadline=None, print_blob=True)
@given(operations, st.sampled_from((0, 100, 800, 20000)))
def test_same_operations_same_octets(steps, heap):
    tables = pair(12, heap)
    for call, key, value in steps:
        same(tables, call, *((key, value) if call == "put" else (key,)))
    assert tables[0].mem == tables[1].mem
    same(tables, "audit", 0, 1000)
    assert same(tables, "digest") == tables[1].digest()


@settings(max_examples=100, deadline=None, print_blob=True)
@given(operations, st.integers(0, 30), st.binary(max_size=8))
def test_same_rows_same_octets(steps, claimed, noise):
    rows = b""
    for call, key, value in steps:
        length = len(value) if call == "put" else 0xFFFF
        rows += struct.pack(">HH", len(key), length) + key + (value or b"")
    tables = pair(16, 60000)
    same(tables, "apply", rows, 0, len(rows), len(steps))
    same(tables, "apply", rows + noise, 0, len(rows + noise), claimed)
    assert tables[0].mem == tables[1].mem
    cursor = 0
    while cursor >= 0:
        cursor = same(tables, "next", cursor)
        spans = [(t.key_offset, t.key_length, t.offset, t.length) for t in tables]
        assert spans[0] == spans[1]


@settings(max_examples=100, deadline=None, print_blob=True)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_same_answers_of_a_corrupted_region(seed, changes):
    dice = random.Random(seed)
    tables = pair(16, 800)
    for number in range(12):
        same(tables, "put", b"k%d" % number, bytes(number * 3))
    for _ in range(changes):
        at = dice.choice((dice.randrange(16, 544), dice.randrange(4096, tables[0].size)))
        octet = dice.randrange(256)
        for table in tables:
            table.mem[at] = octet
    for step in range(60):
        key = b"k%d" % dice.randrange(14)
        call = dice.choice(("find", "put", "remove", "next", "audit"))
        arguments = {"find": (key,), "put": (key, bytes(step)), "remove": (key,),
                     "next": (step % 16,), "audit": (step % 16, 4)}[call]
        same(tables, call, *arguments)
    assert tables[0].mem == tables[1].mem


@settings(max_examples=50, deadline=None, print_blob=True)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_same_copies(seed, step):
    dice = random.Random(seed)
    tables = pair(16, 20000)
    others = pair(64, 40000)
    for _ in range(30):
        same(tables, "put", b"k%d" % dice.randrange(12), bytes(dice.randrange(900)))
    cursor = 0
    while True:
        results = [t.copy_to(o, cursor, step) for t, o in zip(tables, others)]
        assert results[0] == results[1] >= 0
        cursor = results[0]
        if cursor == 0:
            break
    assert others[0].mem == others[1].mem
    assert others[0].digest() == tables[0].digest()


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=16, max_size=16), st.binary(max_size=100), st.integers(0, 100))
def test_same_hashes(key, data, start):
    start = min(start, len(data))
    found = cffi_loader.siphash(key, data, start, len(data))
    assert found == pure.siphash(key, data, start, len(data))
    assert found == cffi_loader.siphash(bytearray(key), memoryview(data), start, len(data))
    assert cffi_loader.bucket(data) == pure.bucket(data)


def scan_both(message, max_headers=6):
    """Both scanners' results for one message, which must be equal."""
    scanners = cffi_loader.Scanner(max_headers), pure.Scanner(max_headers)
    results = [scanner.scan(message, len(message)) for scanner in scanners]
    assert results[0] == results[1], (message, results)
    if results[0] >= 0:
        used = layout.HEAD_ITEMS + results[0] * layout.HEADER_ITEMS
        assert scanners[0].spans[:used] == scanners[1].spans[:used], message
    return results[0]


PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b"\\\0", b":", b"INVITE", b"SIP/2.0", b"sip:a",
    b"200", b"Via", b"f: x", b"\xff", b"\x7f", b"SIP/2.0 200 OK\r\n", b"\r\n\r\n",
    b"Max-Forwards", b"BYE sip:a SIP/2.0\r\n", b"t:\r\n a\r\n",
]  # fmt: skip


@settings(max_examples=500, deadline=None, print_blob=True)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=20))
def test_same_spans_of_pieces(pieces):
    scan_both(b"".join(pieces))


@settings(max_examples=500, deadline=None, print_blob=True)
@given(st.sampled_from(MESSAGES), st.integers(0, 2**32))
def test_same_spans_of_mutated_vectors(message, seed):
    dice = random.Random(seed)
    data = bytearray(message)
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(data) + 1)
        data[at:at + dice.randrange(3)] = dice.choice(PIECES)
    scan_both(bytes(data), dice.choice((1, 6, 64)))
