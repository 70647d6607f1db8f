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


def run_file(path):
    """Run every test of one file; return (passed, failed). Failing to import is one failure."""
    folder, name = split_path(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = __import__(name)
    except Exception as error:
        print("FAILED", path, "(import)")
        print_failure(error)
        return 0, 1
    passed = failed = 0
    for test in sorted(dir(module)):
        function = getattr(module, test)
        if not test.startswith("test_") or not callable(function):
            continue
        gc.collect()
        try:
            function()
            passed += 1
        except Exception as error:
            failed += 1
            print("FAILED", path, test)
            print_failure(error)
    del sys.modules[name]
    return passed, failed


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
