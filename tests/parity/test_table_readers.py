"""Readers in other processes beside the one writer of a mapped table (the sequence lock)."""

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from firmware import fastpath

ROOT = Path(__file__).resolve().parents[2]
READS = 20000  # at least, and on until WANTED values were met, MOST reads at most
WANTED = 30
MOST = 20000000

if fastpath.NAME == "pure":
    pytest.skip("SKIPPED: the C fast path is not built (make setup)", allow_module_level=True)

# Rewrites one record, its length following its octet, and moves its neighbours, until killed.
WRITER = """
import mmap, sys
from firmware import fastpath
file = open(sys.argv[1], "r+b")
table = fastpath.Table(mmap.mmap(file.fileno(), 0))
assert table.attach() == 0
turn = 0
while True:
    octet = turn % 250
    table.put(b"key", bytes((octet,)) * (1 + octet * 16))
    table.put(b"other%d" % (turn % 7), bytes(turn % 300))
    table.remove(b"other%d" % ((turn + 3) % 7))
    turn += 1
    if turn == 100:
        print("writing", flush=True)
"""


def test_no_reader_sees_half_a_write(tmp_path):
    path = tmp_path / "region"
    path.write_bytes(bytes(fastpath.table_size(16, 60000)))
    with open(path, "r+b") as file:
        table = fastpath.Table(mmap.mmap(file.fileno(), 0))
    assert table.init(16, bytes(16)) == fastpath.OK
    assert table.put(b"key", b"\0") == fastpath.OK
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "writing\n"
        seen = set()
        reads = busy = 0
        while reads < READS or (len(seen) < WANTED and reads < MOST):
            reads += 1
            try:
                value = table.get(b"key")
            except OSError:
                busy += 1
                continue
            assert value and value == value[:1] * (1 + value[0] * 16)
            seen.add(value[0])
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert len(seen) >= WANTED, "{} values, {} times busy".format(len(seen), busy)
