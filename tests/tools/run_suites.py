"""Run every test suite in order and sum up: `run_suites.py [--all | SUITE...]`.

The last lines name each suite with its figures, SKIPPED and the reason where it could not run
(a failure when CI=true), and end with `N passed, N failed`. Exit code 0 only when all passed.
What an optional suite lacks is no failure even then, unless --all or its name asks for it.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "test"
MICROPYTHON = ROOT / "build" / "micropython" / "micropython"
MICROPYTHON_WASM = ROOT / "build" / "micropython-wasm" / "micropython.mjs"
SUITE_TIMEOUT_S = 600
CC = os.environ.get("CC", "cc")
C_FLAGS = (
    "-std=c99 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pedantic -Wconversion "
    "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
).split()


class Outcome:
    """What one suite gave: counts, and the reasons of what it had to leave out."""

    def __init__(self, passed=0, failed=0, skips=()):
        self.passed = passed
        self.failed = failed
        self.skips = list(skips)
        self.seconds = 0.0


def run(command, **options):
    """Run `command` in the checkout; return the exit code, 124 when it takes too long."""
    sys.stdout.flush()
    try:
        return subprocess.run(command, cwd=ROOT, timeout=SUITE_TIMEOUT_S, **options).returncode
    except subprocess.TimeoutExpired:
        print(f"gave no end in {SUITE_TIMEOUT_S} s: {' '.join(map(str, command))}")
        return 124


def lint():
    """ruff over the whole checkout."""
    code = run([sys.executable, "-m", "ruff", "check"])
    return Outcome(passed=not code, failed=bool(code))


def c_tests():
    """Each tests/c/test_*.c, built with the fast path under ASan and UBSan, and run."""
    programs = sorted((ROOT / "tests" / "c").glob("test_*.c"))
    if not programs:
        return Outcome(skips=["there are no C tests"])
    sources = sorted((ROOT / "firmware" / "fastpath").glob("*.c"))
    outcome = Outcome()
    for program in programs:
        binary = RESULTS / program.stem
        included = program.read_text()
        linked = [source for source in sources if f'{source.name}"' not in included]
        include = ["-I", ROOT / "firmware" / "fastpath"]
        code = run([CC, *C_FLAGS, *include, "-o", binary, program, *linked]) or run([binary])
        print(f"{program.relative_to(ROOT)}: {'FAILED' if code else 'passed'}")
        outcome.passed += not code
        outcome.failed += bool(code)
    return outcome


def pytest_suite(*paths, test_timeout_s=120):
    """A suite of pytest over `paths` (folders or patterns, relative to the checkout).

    test_timeout_s: what one test may take before it counts as hung.
    """
    limit = f"--timeout={test_timeout_s}"

    def suite():
        found = [p for path in paths for p in sorted(ROOT.glob(path)) if p.name != "__pycache__"]
        if not any(list(p.rglob("test_*.py")) if p.is_dir() else True for p in found):
            return Outcome(skips=["there are no tests"])
        report = RESULTS / (re.sub(r"\W", "_", paths[0]) + ".xml")
        report.unlink(missing_ok=True)
        code = run([sys.executable, "-m", "pytest", "-q", limit, f"--junitxml={report}", *found])
        return read_report(report, code)

    suite.__doc__ = f"pytest {' '.join(paths)}"
    return suite


def read_report(report, code):
    """The outcome that pytest wrote to `report`; a run that broke off is a failure."""
    outcome = Outcome()
    if report.exists():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            skipped = case.find("skipped")
            if skipped is not None:
                outcome.skips.append(f"{case.get('name')}: {skipped.get('message')}")
            elif case.find("failure") is not None or case.find("error") is not None:
                outcome.failed += 1
            else:
                outcome.passed += 1
    if code and not outcome.failed:
        outcome.failed += 1
    return outcome


def portable_micropython():
    """tests/portable on MicroPython, each file in an interpreter of its own."""
    if not MICROPYTHON.exists():
        return Outcome(skips=["MicroPython could not be fetched; `make micropython` says why"])
    files = sorted((ROOT / "tests" / "portable").glob("test_*.py"))
    outcome = Outcome(skips=[] if files else ["there are no tests"])
    for path in files:
        command = [MICROPYTHON, "-X", "heapsize=64M", "tests/portable/run.py"]
        done = subprocess.run(
            [*command, path.relative_to(ROOT)], cwd=ROOT, capture_output=True, text=True,
            timeout=SUITE_TIMEOUT_S)  # fmt: skip
        counts = re.search(r"^(\d+) passed, (\d+) failed\n\Z", done.stdout, re.MULTILINE)
        passed, failed = map(int, counts.groups()) if counts else (0, 1)
        outcome.passed += passed
        outcome.failed += failed
        if failed or done.returncode:
            print(done.stdout + done.stderr)
            outcome.failed += not failed
        else:
            print(f"{path.relative_to(ROOT)}: {passed} passed")
    return outcome


def wasm_lacks():
    """What the suite portable-wasm lacks on this computer; None when it can run."""
    if not shutil.which("node"):
        return "node is not installed"
    if not MICROPYTHON_WASM.exists():
        return "32-bit MicroPython could not be fetched; `make micropython-wasm` says why"
    return None


def portable_wasm():
    """tests/portable on a 32-bit MicroPython under Node: no sockets, the pure fast path."""
    lacks = wasm_lacks()
    if lacks:
        return Outcome(skips=[lacks])
    report = RESULTS / "portable_wasm.txt"
    with report.open("w") as out:
        code = run(["node", "tests/tools/portable_wasm.mjs"], stdout=out, stderr=out)
    text = report.read_text()
    print(text)
    counts = re.search(r"^(\d+) passed, (\d+) failed\n\Z", text, re.MULTILINE)
    passed, failed = map(int, counts.groups()) if counts else (0, 1)
    return Outcome(passed=passed, failed=failed or int(code != 0))


SUITES = {
    "lint": lint,
    "c": c_tests,
    "layers": pytest_suite("tests/test_*.py"),
    "portable": pytest_suite("tests/portable", test_timeout_s=30),
    "portable-micropython": portable_micropython,
    "portable-wasm": portable_wasm,
    "property": pytest_suite("tests/property"),
    "parity": pytest_suite("tests/parity"),
    "fuzz": pytest_suite("tests/fuzz"),
    "sim": pytest_suite("tests/sim"),
    "chassis": pytest_suite("tests/chassis"),
    "conformance": pytest_suite("tests/conformance", test_timeout_s=30),
    "peers": pytest_suite("tests/peers"),
    "bench": pytest_suite("tests/bench"),
}
# suites whose tools a contributor need not have -> what says what is lacking
OPTIONAL = {"portable-wasm": wasm_lacks}


def run_suite(name):
    """Run one suite under its heading; return its outcome."""
    print(f"== {name}: {SUITES[name].__doc__.splitlines()[0]}", flush=True)
    start = time.monotonic()
    outcome = SUITES[name]()
    outcome.seconds = time.monotonic() - start
    return outcome


def sum_up(outcomes, left_out=()):
    """Print one line for each suite and the closing line; return the exit code.

    left_out: pairs of an optional suite that did not run and what it lacks.
    """
    skips_fail = os.environ.get("CI") == "true"
    print("== summary")
    for name, outcome in outcomes.items():
        counts = f"{outcome.passed:5d} passed {outcome.failed:3d} failed"
        print(f"{name:22s}{counts} {outcome.seconds:6.1f} s")
    skips = [(name, reason) for name, outcome in outcomes.items() for reason in outcome.skips]
    for name, reason in left_out:
        print(f"SKIPPED {name}: {reason} (only `make test-all` must have it)")
    for name, reason in skips:
        print(f"SKIPPED {name}: {reason}")
    passed = sum(outcome.passed for outcome in outcomes.values())
    failed = sum(outcome.failed for outcome in outcomes.values())
    if skips and skips_fail:
        print("a suite or test was SKIPPED, and with CI=true that is a failure")
        failed += len(skips)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main(names):
    wanted = [name for name in names if name != "--all"]
    unknown = set(wanted) - set(SUITES)
    if unknown:
        sys.exit(f"no suite {', '.join(sorted(unknown))}; there are: {' '.join(SUITES)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    left_out = {}
    if not names:
        left_out = {name: lacks() for name, lacks in OPTIONAL.items() if lacks()}
    wanted = [name for name in wanted or SUITES if name not in left_out]
    return sum_up({name: run_suite(name) for name in wanted}, left_out.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
