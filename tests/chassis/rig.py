"""Runs the `chassis` command as a user would, and ends what it started by its published pids.

What a test asks over and over (status, dumps) goes to the command's own functions in this
process: a new interpreter for each question would take the machine from the cards.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from host_tools.control import ask_once
from host_tools.dump import dump_card, record_line
from host_tools.state_dir import StateDir

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "boards" / "chassis" / "demo.toml"
COMMAND_TIMEOUT_S = 120
END_TIMEOUT_S = 5
ROLES = {1: "switch", 2: "switch", 3: "location-server", 4: "sip-cluster", 5: "sip-cluster",
         6: "sip-cluster"}
CLUSTER = (4, 5, 6)


def wait_for(condition, what, timeout_s=30):
    """The first true value of condition(), asked over and over; AssertionError naming `what`."""
    end = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, "not within {} s: {}".format(timeout_s, what)
        time.sleep(0.05)


def alive(pid):
    """Does a process with this pid run (a zombie does not)?"""
    try:
        state = Path("/proc/{}/stat".format(pid)).read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Chassis:
    """One chassis in a state folder of its own below `folder`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self.file = self.folder / "chassis.toml"
        self.file.write_text(DEMO.read_text())
        self.edit('vip = "127.0.0.1:5060"', 'vip = "127.0.0.1:0"')
        self._pids = set()

    def edit(self, find, write):
        """Replace the one place of `find` in the chassis file."""
        text = self.file.read_text()
        assert text.count(find) == 1, find
        self.file.write_text(text.replace(find, write))

    def run(self, *words, expect=0, text=None, check=True):
        """Run `chassis` with these words; CompletedProcess. expect: the exit code it must have."""
        done = subprocess.run(
            [sys.executable, "-m", "host_tools", *map(str, words)], cwd=ROOT, input=text,
            capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S,
            env={**os.environ, "CHASSIS_STATE": str(self.state)})
        if check:
            assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return done

    def ask(self, *words):
        """The JSON document that a verb prints with --json."""
        return json.loads(self.run(*words, "--json").stdout)

    def up(self, *words):
        """Bring it up detached; all in service when this returns."""
        done = self.run("up", self.file, "--detach", *words)
        self.published()
        return done

    def published(self):
        """STATE/chassis.json; every pid in it is remembered for the end."""
        document = json.loads((self.state / "chassis.json").read_text())
        self._pids.add(document["pid"])
        self._pids.update(slot["pid"] for slot in document["slots"] if slot["pid"])
        return document

    @property
    def vip(self):
        """(host, port) of the VIP."""
        return tuple(self.published()["vip"])

    def cards(self):
        """The cards of `chassis status` by slot."""
        return {card["slot"]: card for card in self.control("status")["cards"]}

    def control(self, op, **fields):
        """Ask the running chassis what the verbs ask it; its answer."""
        return ask_once(StateDir(self.state), op, **fields)

    def counters(self, slot):
        """The counters that a card's console tells, name -> int."""
        answer = self.control("command", slot=slot, line="counters")
        return {line.split()[0]: int(line.split()[1]) for line in answer["text"].splitlines()}

    def pid(self, slot):
        """The pid of the card in `slot`."""
        return self.cards()[slot]["pid"]

    def primary(self):
        """The slot of the switch card that says primary, or None."""
        for slot, card in self.cards().items():
            if card["redundancy"] == "primary":
                return slot
        return None

    def kill(self, slot):
        """kill -9 of the card's process, gone when this returns."""
        pid = self.pid(slot)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "slot {} dies".format(slot))

    def insert(self, slot):
        """Put the card back and wait until the chassis is whole again."""
        wait_for(lambda: self.cards()[slot]["state"] == "absent", "slot {} absent".format(slot))
        self.run("insert", slot)
        self.whole()

    def whole(self):
        """Wait until every card is in service and every cluster card coherent at one level."""

        def check():
            cards = self.cards()
            told = {(card["database"]["level"], card["database"]["digest"])
                    for card in cards.values() if card["database"]}
            return (all(card["state"] == "in-service" for card in cards.values())
                    and all(cards[slot]["database"]["state"] == "coherent" for slot in CLUSTER)
                    and len(told) == 1)

        wait_for(check, "every card in service and coherent", 60)
        self.published()

    def equal_dump(self):
        """The one dump that all cluster cards give: records by AOR, others by their own text."""
        lines = [record_line(key, value) for key, value in self.equal_copies().items()]
        return {json.loads(line).get("aor", line): json.loads(line) for line in lines}

    def equal_copies(self):
        """The one copy that all cluster cards hold: octets of the record by octets of its key."""
        copies = [dump_card(StateDir(self.state), slot, print)[0] for slot in CLUSTER]
        assert all(copy == copies[0] for copy in copies), "copies differ"
        return copies[0]

    def end(self):
        """Take it down; whatever is left of what it published is killed and reported."""
        try:
            self.published()
        except OSError:
            pass
        self.run("down", check=False)
        end = time.monotonic() + END_TIMEOUT_S
        while self._left() and time.monotonic() < end:
            time.sleep(0.02)
        left = self._left()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, "still running after `chassis down`: {}".format(left)

    def _left(self):
        return [pid for pid in self._pids if alive(pid) and self._is_ours(pid)]

    def _is_ours(self, pid):
        """Pids are reused: the command line must name this state folder."""
        try:
            return os.fsencode(self.state) in Path("/proc/{}/cmdline".format(pid)).read_bytes()
        except OSError:
            return False


@contextlib.contextmanager
def running(folder):
    """The demo chassis in `folder`, up and whole; ended behind the block."""
    made = Chassis(folder)
    try:
        made.up()
        yield made
    finally:
        made.end()
