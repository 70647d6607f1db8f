"""A short run of the C fuzzer with each test run; `make fuzz SECONDS=N` runs it for longer."""

import os

from fuzzers import fuzz_fastpath

SECONDS = 3


def test_fastpath_survives_hostile_input():
    seed = int.from_bytes(os.urandom(4), "big")
    assert fuzz_fastpath(SECONDS, seed) == 0
