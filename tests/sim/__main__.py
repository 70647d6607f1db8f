"""`python -m tests.sim --seeds A-B [--part P] [--actions N] [--trace]`: report seeds that fail."""

import argparse
import os
import sys
import tempfile
import time
import traceback

from tests.sim.chassis import ChassisRun
from tests.sim.run import Run

# every commit syncs its file: in memory that costs nothing, and a simulated cut loses no more
MEMORY_FOLDER = "/dev/shm"
PARTS = {"database": Run, "chassis": ChassisRun}


def run_seed(seed, actions, part="database"):
    """Run one seed of a part; the Run. Raises what it raised, with `history` as an attribute."""
    parent = MEMORY_FOLDER if os.path.isdir(MEMORY_FOLDER) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        one = PARTS[part](seed, folder, actions)
        try:
            one.execute()
        except Exception as error:
            error.history = one.world.trace
            raise
        finally:
            one.close()
        return one


def seeds_of(text):
    """`A-B` or `A` as a range."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main(arguments=None):
    """The command; exit code 1 when a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-50"), metavar="A-B")
    parser.add_argument("--part", choices=("both", *PARTS), default="both")
    parser.add_argument("--actions", type=int, default=150, help="length of the chaos")
    parser.add_argument("--trace", action="store_true", help="print the history of a failing seed")
    options = parser.parse_args(arguments)
    parts = list(PARTS) if options.part == "both" else [options.part]
    failed = []
    begun = time.monotonic()
    for seed in options.seeds:
        failed += [(part, seed) for part in parts if not passes(part, seed, options)]
    print(f"{len(options.seeds)} seeds in {time.monotonic() - begun:.0f} s, "
          f"failed: {failed or 'none'}")
    if failed:
        part, seed = failed[0]
        print(f"repeat with: python -m tests.sim --part {part} --seeds {seed} --trace")
    return 1 if failed else 0


def passes(part, seed, options):
    """Run one seed and tell how it went."""
    try:
        one = run_seed(seed, options.actions, part)
    except Exception as error:
        print(f"seed {seed} of {part} FAILED: {type(error).__name__}: {error}", flush=True)
        if options.trace:
            print("\n".join(error.history))
            traceback.print_exc()
        return False
    print(f"seed {seed} of {part}: {one.world.elapsed_ms / 1000:.0f} s simulated, "
          f"{one.summary()}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
