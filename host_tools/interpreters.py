"""Finds the interpreter that a slot asks for and the command line that powers its card on."""

import os
import shutil
import subprocess
import sys

from host_tools.description import ROOT

MICROPYTHON_LEAST = (1, 25)
MICROPYTHON_HEAP = "64m"
MAIN = "firmware/cards/main.py"
_VERSION = "import sys; print(sys.implementation.name, *sys.implementation.version[:2])"


def find_micropython():
    """The path of a MicroPython unix port of at least MICROPYTHON_LEAST, or None.

    The checkout's own comes first, then the one on PATH.
    """
    own = ROOT / "build" / "micropython" / "micropython"
    for candidate in (str(own), shutil.which("micropython")):
        if candidate and os.access(candidate, os.X_OK) and _new_enough(candidate):
            return candidate
    return None


def _new_enough(path):
    try:
        answer = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True,
                                timeout=10, check=True).stdout.split()
        return answer[0] == "micropython" and tuple(map(int, answer[1:])) >= MICROPYTHON_LEAST
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return False


def card_command(interpreter, flash, micropython):
    """(argv, real interpreter) of a card whose slot asks for `interpreter`.

    micropython: what find_micropython gave; None makes such a card run on CPython.
    """
    if interpreter == "micropython" and micropython:
        return ([micropython, "-X", "heapsize=" + MICROPYTHON_HEAP, MAIN, str(flash)],
                "micropython")
    return [sys.executable, "-X", "utf8", MAIN, str(flash)], "cpython"


def card_environment():
    """The environment of a card: the caller's, with the tree importable."""
    environment = dict(os.environ)
    paths = [str(ROOT)] + [p for p in (environment.get("PYTHONPATH"),) if p]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment
