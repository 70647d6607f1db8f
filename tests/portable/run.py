"""Run portable tests on MicroPython or CPython: `micropython tests/portable/run.py FILE...`.

Imports each file, calls its functions named `test_*` in the order of their names, prints a
traceback for each failure and, as the last line, `N passed, N failed`. Exit code 1 if any failed.
Without arguments it takes every `test_*.py` of its own folder.
"""

import gc
import os
import sys

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
ROOT = HERE + "/../.."


def print_failure(error):
    """The traceback of `error` on standard output, on either interpreter."""
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error, file=sys.stdout)


def split_path(path):
    """Return (folder, module name) of the test file `path`."""
    folder, _, name = path.rpartition("/")
    return folder or ".", name[:-3] if name.endswith(".py") else name


def load(path):
    """Import the test file `path`; return (module, names of its tests), (None, ()) if it fails."""
    folder, name = split_path(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = __import__(name)
    except Exception as error:
        print("FAILED", path, "(import)")
        print_failure(error)
        return None, ()
    return module, [test for test in sorted(dir(module))
                    if test.startswith("test_") and callable(getattr(module, test))]


def run_test(path, module, test):
    """Call one test; whether it passed."""
    gc.collect()
    try:
        getattr(module, test)()
    except Exception as error:
        print("FAILED", path, test)
        print_failure(error)
        return False
    return True


def run_file(path):
    """Run every test of one file; return (passed, failed). Failing to import is one failure."""
    module, tests = load(path)
    if module is None:
        return 0, 1
    passed = 0
    for test in tests:
        passed += run_test(path, module, test)
    del sys.modules[split_path(path)[1]]
    return passed, len(tests) - passed


def main(paths):
    """Run the files in `paths`, all of this folder when there are none; return the exit code."""
    sys.path.insert(0, ROOT)
    if not paths:
        names = sorted(os.listdir(HERE))
        paths = [HERE + "/" + n for n in names if n.startswith("test_") and n.endswith(".py")]
    passed = failed = 0
    for path in paths:
        file_passed, file_failed = run_file(path)
        print("%s: %d passed, %d failed" % (path, file_passed, file_failed))
        passed += file_passed
        failed += file_failed
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
