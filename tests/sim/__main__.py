"""`python -m tests.sim --seeds A-B [--actions N] [--trace]`: run seeds, report those that fail."""

import argparse
import os
import sys
import tempfile
import time
import traceback

from tests.sim.run import Run

# every commit syncs its file: in memory that costs nothing, and a simulated cut loses no more
MEMORY_FOLDER = "/dev/shm"


def run_seed(seed, actions):
    """Run one seed; the Run. Raises what the run raised, the history as its `history`."""
    parent = MEMORY_FOLDER if os.path.isdir(MEMORY_FOLDER) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        one = Run(seed, folder, actions)
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
    parser.add_argument("--actions", type=int, default=150, help="length of the chaos")
    parser.add_argument("--trace", action="store_true", help="print the history of a failing seed")
    options = parser.parse_args(arguments)
    failed = []
    begun = time.monotonic()
    for seed in options.seeds:
        try:
            one = run_seed(seed, options.actions)
        except Exception as error:
            failed.append(seed)
            print(f"seed {seed} FAILED: {type(error).__name__}: {error}", flush=True)
            if options.trace:
                print("\n".join(error.history))
                traceback.print_exc()
            continue
        print(f"seed {seed}: {one.world.elapsed_ms / 1000:.0f} s simulated, "
              f"{one.ledger.acknowledged} changes acknowledged", flush=True)
    print(f"{len(options.seeds)} seeds in {time.monotonic() - begun:.0f} s, "
          f"failed: {failed or 'none'}")
    if failed:
        print(f"repeat with: python -m tests.sim --seeds {failed[0]} --trace")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
