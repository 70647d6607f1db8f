"""`make fuzz SECONDS=N`: every fuzzer for its share of N seconds. `--seed` repeats a run."""

import argparse
import importlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def fuzzers():
    """Functions `fuzz_*(seconds, seed) -> exit code` of the modules `fuzz*.py` in this folder."""
    found = {}
    for path in sorted(HERE.glob("fuzz*.py")):
        module = importlib.import_module(path.stem)
        for name in dir(module):
            if name.startswith("fuzz_") and callable(getattr(module, name)):
                found[name] = getattr(module, name)
    return found


def main():
    """Parse the words, run all, return 1 when one failed."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    words = parser.parse_args()
    sys.path.insert(0, str(HERE))
    found = fuzzers()
    share = max(1, words.seconds // max(1, len(found)))
    failed = [name for name, fuzz in found.items() if fuzz(share, words.seed)]
    for name in failed:
        print(f"FAILED {name}, seed {words.seed}")
    return 1 if failed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
