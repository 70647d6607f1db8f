"""Every interpreter and fast path does the same work with the same octets (same_work.py)."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORK = "tests/parity/same_work.py"
MICROPYTHON = ROOT / "build" / "micropython" / "micropython"
WASM = ROOT / "build" / "micropython-wasm" / "micropython.mjs"
SEEDS = (1, random.SystemRandom().randrange(1 << 31))

# name -> (command, SIPFAST_LIBRARY); without a library named, the C one serves where it is built
OTHERS = {
    "cpython-pure": ([sys.executable, WORK], "pure"),
    "micropython-c": ([MICROPYTHON, WORK], ""),
    "micropython-pure": ([MICROPYTHON, WORK], "pure"),
}
if shutil.which("node") and WASM.exists():  # as the suite portable-wasm, not every desk has it
    OTHERS["wasm-pure"] = (["node", "tests/tools/portable_wasm.mjs", "--script", WORK], "")


def lines_of(command, library, seed):
    """What the work prints, by lines; it must end well."""
    done = subprocess.run(
        [*command, str(seed)], cwd=ROOT, env={**os.environ, "SIPFAST_LIBRARY": library},
        capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout.splitlines()


def differences(expected, found):
    """Lines that differ, but for the first, which names the fast path."""
    pairs = list(zip(expected[1:], found[1:], strict=True))
    return [pair for pair in pairs if pair[0] != pair[1]]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", OTHERS)
def test_the_same_octets(name, seed):
    print("seed", seed)
    command, library = OTHERS[name]
    if command[0] == MICROPYTHON and not MICROPYTHON.exists():
        pytest.skip("SKIPPED: MicroPython could not be fetched; `make micropython` says why")
    expected = lines_of([sys.executable, WORK], "", seed)
    found = lines_of(command, library, seed)
    assert len(expected) > 1000
    assert found[0] == "fast path " + ("ffi" if name == "micropython-c" else "pure")
    assert not differences(expected, found)[:5]


def test_other_work_gives_other_octets():
    one, other = (lines_of([sys.executable, WORK], "", seed) for seed in (1, 2))
    assert len(differences(one, other)) > 1000
