"""Lookups in the location table, from C and through the Python binding, beside a dict."""

import hashlib
import random
import subprocess
import tempfile
import time
from pathlib import Path

from firmware import fastpath
from tests.bench.measure import ROOT, TARGET_CPU, Samples, compile_c

RECORDS = 1000000
LOOKUPS = 200000
C_LOOKUPS = 2000000
VALUE = b"\x01" + bytes(range(60, 120))  # as long as one binding's record
RECORD_OVERHEAD = 28  # head of a record and its rounding up (sipfast.h)
ROWS_A_CALL = 10000
SEED = 20
TABLE_C, TABLE_PYTHON, DICT = "C table from C", "C table from Python", "Python dict"


def make_keys(count):
    """Keys of 27 octets: a canonical AoR with its kind octet."""
    return [b"au" + hashlib.sha256(b"%d" % i).hexdigest()[:13].encode() + b"@example.com"
            for i in range(count)]


def fill_table(keys):
    """A Table in a bytearray that maps every key to VALUE."""
    heap = len(keys) * (len(keys[0]) + len(VALUE) + RECORD_OVERHEAD)
    region = bytearray(fastpath.table_size(len(keys), heap))
    table = fastpath.Table(region)
    if table.init(len(keys), bytes(16)) < 0:
        raise RuntimeError("the table does not take the records")
    head = len(keys[0]).to_bytes(2, "big") + len(VALUE).to_bytes(2, "big")
    for first in range(0, len(keys), ROWS_A_CALL):
        chosen = keys[first:first + ROWS_A_CALL]
        rows = b"".join(head + key + VALUE for key in chosen)
        if table.apply(rows, 0, len(rows), len(chosen)) < 0:
            raise RuntimeError("the table is full before its time")
    return table, region


def time_each(function, asked):
    """Nanoseconds of one call of `function` with each key, the loop included in all subjects."""
    # copies: a bytes object keeps its hash once made, and a request from the wire has none yet
    fresh = [bytes(bytearray(key)) for key in asked]
    start = time.perf_counter_ns()
    for key in fresh:
        function(key)
    return (time.perf_counter_ns() - start) / len(fresh)


def run(rounds):
    """Measure all three in turns; return Samples."""
    samples = Samples([TABLE_C, TABLE_PYTHON])
    if fastpath.NAME == "pure":
        samples.skip(TABLE_PYTHON, "the C library is not built; run `make setup`")
        return samples
    random.seed(SEED)
    keys = make_keys(RECORDS)
    table, region = fill_table(keys)
    records = {bytes(bytearray(key)): VALUE for key in keys}
    include = ROOT / "firmware" / "fastpath"
    program = compile_c("lookup", *sorted(include.glob("sipfast*.c")), include=include)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "region"
        image.write_bytes(region)
        asked_file = Path(folder) / "keys"
        asked = random.sample(keys, LOOKUPS)
        asked_file.write_bytes(bytes([len(keys[0])]) + b"".join(asked))
        for _ in range(rounds):
            command = ["taskset", "-c", TARGET_CPU, program, image, asked_file, C_LOOKUPS]
            done = subprocess.run(list(map(str, command)), capture_output=True, check=True)
            samples.add(TABLE_C, ns=float(done.stdout))
            samples.add(TABLE_PYTHON, ns=time_each(table.find, asked))
            samples.add(DICT, ns=time_each(records.get, asked))
    return samples
