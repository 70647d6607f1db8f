"""Install the standard programs that the tests talk to, with apt-get, when run as root.

Usage: python3 host_tools/bootstrap/install_peers.py
Installs only what is missing. Not root or no apt-get: says what is missing and leaves it, exit 0;
the suites that need it then say SKIPPED. Standard library only.
"""

import importlib.util
import os
import shutil
import subprocess
import sys

# command that must be on the path -> Debian and Ubuntu package that brings it
PEERS = {
    "gcc": "gcc libc6-dev",  # with its sanitizer libraries
    "sipp": "sip-tester",
    "baresip": "baresip",
    "kamailio": "kamailio",
}
SYSTEM_FOLDERS = ":/usr/sbin:/sbin"


def missing():
    """What is not installed: dict of its name for people to the packages that bring it."""
    path = os.environ.get("PATH", "") + SYSTEM_FOLDERS
    absent = {name: brings for name, brings in PEERS.items() if not shutil.which(name, path=path)}
    if not importlib.util.find_spec("ensurepip"):
        absent["Python's venv"] = "python3-venv"
    return absent


def apt_get(*words):
    """Run apt-get without questions and without starting what it installs; return its code."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    output = subprocess.DEVNULL if words[0] == "update" else None
    return subprocess.run(["apt-get", "-q", *words], env=environment, stdout=output).returncode


def main():
    absent = missing()
    if not absent:
        return
    names = " ".join(absent.values())
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"setup: missing {', '.join(absent)} (packages: {names}).", file=sys.stderr)
        return
    apt_get("update")
    if apt_get("install", "--yes", "--no-install-recommends", *names.split()):
        print(f"setup: apt-get could not install {names}.", file=sys.stderr)


if __name__ == "__main__":
    main()
