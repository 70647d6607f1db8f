"""The location server's disk fills while it is used: refused clearly, routed on, recovered.

Where no small disk can be mounted, a limit on the size of the card's files stands for one.
"""

import os
import resource
import subprocess

import pytest
from phone import DOMAIN, Answerer, Phone, status, values
from rig import CLUSTER, wait_for
from streams import Calls, door

from host_tools.errors import ToolError

DISK_BYTES = 4 << 20
PASSWORD = "tea and cake"


class SmallDisk:
    """A tmpfs over the flash folder; `says` are words of the refusal that it causes."""

    says = ("disk", "full", "free some space")

    def __init__(self, flash):
        self._flash = flash
        self._filler = flash / "filler"

    def fill(self, card):
        """Write until the disk has no room."""
        with open(self._filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno == 28, error  # ENOSPC
            os.fsync(file.fileno())

    def free(self, card):
        self._filler.unlink()

    def end(self):
        subprocess.run(["umount", self._flash], check=True)


class SmallFiles:
    """No file of the card's process may grow."""

    says = ("disk", "fails", "check it")

    def fill(self, card):
        self._hard = resource.prlimit(card["pid"], resource.RLIMIT_FSIZE)[1]
        resource.prlimit(card["pid"], resource.RLIMIT_FSIZE, (0, self._hard))

    def free(self, card):
        resource.prlimit(card["pid"], resource.RLIMIT_FSIZE, (self._hard, self._hard))

    def end(self):
        """Nothing to undo: the limit ends with the process."""


@pytest.fixture
def disk(fresh):
    """The disk of the location server of a chassis that is not yet up."""
    flash = fresh.state / "slot3"
    flash.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size={}".format(DISK_BYTES),
                              "chassis-test", flash], capture_output=True)
    made = SmallFiles() if mounted.returncode else SmallDisk(flash)
    yield made
    fresh.end()
    made.end()


def until_refused(chassis):
    """Provision batches until one is refused: (AORs acknowledged, AORs refused, sentence)."""
    kept = []
    with door(chassis) as client:
        for batch in range(200):
            aors = ["f{}x{}@{}".format(batch, number, DOMAIN) for number in range(50)]
            people = [{"kind": "aor", "aor": aor, "bindings": [{"contact": "sip:f@127.0.0.1:9"}]}
                      for aor in aors]
            try:
                client.ask("batch", first_line=1, records=people)
            except ToolError as error:
                return kept, aors, str(error)
            kept += aors
    raise AssertionError("the disk never filled")


@pytest.fixture
def people(disk, fresh):
    """(answerer `callee`, phone of dora), both provisioned in the running chassis."""
    fresh.up()
    callee, phone = Answerer("callee"), Phone("dora", fresh.vip, PASSWORD)
    callee.start()
    fresh.run("provision", "subscriber", "add", "dora@" + DOMAIN, "--password-stdin",
              text=PASSWORD + "\n")
    fresh.run("provision", "add", "callee@" + DOMAIN, callee.contact, "--wait", "coherent")
    yield callee, phone
    callee.end()
    phone.close()


def test_a_full_disk_refuses_changes_and_nothing_else(fresh, disk, people):
    phone = people[1]
    calls = Calls(fresh, "callee")
    calls.start()
    disk.fill(fresh.cards()[3])
    kept, lost, sentence = until_refused(fresh)
    assert all(word in sentence for word in disk.says), sentence
    before = fresh.cards()[3]["database"]
    done = fresh.run("provision", "add", "x@" + DOMAIN, "sip:x@127.0.0.1:9", expect=1)
    assert disk.says[1] in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    answer = phone.register()
    assert status(answer) in (500, 503) and values(answer, "retry-after"), answer
    had = calls.count
    wait_for(lambda: calls.count > 5 + had, "calls go on beside the full disk")
    fresh.whole()
    assert fresh.cards()[3]["database"] == before
    assert all(fresh.cards()[slot]["database"]["level"] == before["level"] for slot in CLUSTER)

    disk.free(fresh.cards()[3])
    fresh.run("provision", "add", "after@" + DOMAIN, "sip:x@127.0.0.1:9", "--wait", "coherent")
    assert status(phone.register()) == 200
    calls.end()
    assert calls.failed == []
    fresh.whole()
    found = fresh.equal_dump()
    assert set(kept) <= set(found) and not set(lost) & set(found)
    assert "after@" + DOMAIN in found and "x@" + DOMAIN not in found
    assert found["dora@" + DOMAIN]["bindings"][0]["contact"] == phone.contact
