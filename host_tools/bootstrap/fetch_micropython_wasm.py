"""Put a 32-bit MicroPython for Node.js at `build/micropython-wasm/`, for tests only.

Usage: python3 host_tools/bootstrap/fetch_micropython_wasm.py [--optional]
Takes one pinned release of MicroPython's WebAssembly port by npm and unpacks it when its octets
are those we know; nothing of it is run or installed. Needs node and npm. With --optional it is no
error when that cannot be done: the suite portable-wasm is then left out. Standard library only.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "micropython-wasm"
PACKAGE = "@micropython/micropython-webassembly-pyscript"
VERSION = "1.27.0"
# base64 of the package's SHA-512, as npm states it (`npm view PACKAGE@VERSION dist.integrity`)
SHA512 = "DnXx4EqxgkeaFESrS3uKrL7mLMk4mRTd0mMzaOd3HUSiZUOAE7t11uLnjf3ftF87N2xm4knHnWEKcVK4IYIUDA=="
FILES = ("micropython.mjs", "micropython.wasm")
OLDEST_NODE = 18
TIMEOUT_S = 60


class Unavailable(Exception):
    """The interpreter cannot be had here; the text says why."""


def check_node():
    """Raise Unavailable unless node and npm are installed, node new enough."""
    for command in ("node", "npm"):
        if not shutil.which(command):
            raise Unavailable(f"{command} is not installed")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    major = re.match(r"v(\d+)\.", said)
    if not major or int(major[1]) < OLDEST_NODE:
        raise Unavailable(f"node is {said.strip() or 'broken'}, not {OLDEST_NODE} or newer")


def download(folder):
    """Path of the package that npm put into `folder`; raises Unavailable when it gave none."""
    # no retries: without a network every `make test` would wait for them
    options = ["--loglevel=error", "--logs-max=0", "--prefer-offline", "--fetch-retries=0"]
    command = ["npm", "pack", *options, "--pack-destination", folder, f"{PACKAGE}@{VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm gave no answer in {TIMEOUT_S} s") from None
    found = sorted(Path(folder).glob("*.tgz"))
    if done.returncode or len(found) != 1:
        first = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise Unavailable(f"npm pack failed: {first}")
    return found[0]


def unpack(package, home):
    """Put FILES of the package (a path) into `home`, whole or not at all."""
    octets = package.read_bytes()
    if base64.b64encode(hashlib.sha512(octets).digest()).decode() != SHA512:
        raise Unavailable(f"{PACKAGE} {VERSION} has other octets than the pinned ones")
    fresh = home.with_name(home.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with tarfile.open(package) as archive:
        for name in FILES:
            (fresh / name).write_bytes(archive.extractfile(f"package/{name}").read())
    (fresh / "VERSION").write_text(VERSION + "\n")
    shutil.rmtree(home, ignore_errors=True)
    fresh.rename(home)


def provide():
    """Make HOME hold the pinned interpreter; raises Unavailable when that cannot be."""
    check_node()
    mark = HOME / "VERSION"
    if mark.exists() and mark.read_text().strip() == VERSION:
        return
    with tempfile.TemporaryDirectory() as folder:
        unpack(download(folder), HOME)


def main():
    try:
        provide()
    except Unavailable as reason:
        print(f"setup: no 32-bit MicroPython: {reason}; the suite portable-wasm is left out.",
              file=sys.stderr)
        sys.exit(0 if "--optional" in sys.argv else 1)


if __name__ == "__main__":
    main()
