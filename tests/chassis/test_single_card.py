"""One card alone, started as a supervisor would: its serial line hangs up, or there is none."""

import json
import os
import pty
import signal
import subprocess
import tty

import pytest
from rig import ROOT, wait_for

from host_tools.interpreters import card_command, card_environment, find_micropython
from host_tools.ports import PortChooser, multicast_group


@pytest.fixture
def flash(tmp_path):
    """The flash folder of a sip-cluster card in slot 4 that nobody else is in a chassis with."""
    ports = PortChooser()
    bus = {"kind": "udp_multicast", "group": multicast_group(), "port": ports.free(),
           "interface": "127.0.0.1"}
    card = {
        "slot": 4, "role": "sip-cluster", "board": "unix", "chassis": "alone",
        "vip": ["127.0.0.1", 5060], "domains": [{"name": "proxy.example", "mode": "proxy"}],
        "secret": "00" * 16, "buses": [bus], "plane": ["127.0.0.1", ports.free()]}
    (tmp_path / "card.json").write_text(json.dumps(card))
    ports.close()
    return tmp_path


class Alone:
    """The card's process; the caller holds the ends of its serial line."""

    def __init__(self, interpreter, flash, line):
        found = find_micropython()
        if interpreter == "micropython" and not found:
            pytest.skip("MicroPython could not be fetched")
        self._log = flash / "log.txt"
        command, _ = card_command(interpreter, flash, found)
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=line, stdout=line, stderr=log, cwd=ROOT, env=card_environment())

    def says(self, text):
        wait_for(lambda: text in self._log.read_text(), "the card's log has " + text)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture(params=["cpython", "micropython"])
def power_on(request, flash):
    """power_on(line): the card, on each interpreter; ended after the test."""
    cards = []

    def start(line):
        cards.append(Alone(request.param, flash, line))
        return cards[-1]

    yield start
    for card in cards:
        card.end()


def serial_line():
    """(master, slave) as the supervisor makes them."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    return master, slave


@pytest.mark.parametrize("end", ["master", "slave"])
def test_a_card_whose_line_hangs_up_powers_off(power_on, end):
    master, slave = serial_line()
    held, other = (master, slave) if end == "master" else (slave, master)
    card = power_on(held)
    os.close(held)
    card.says("power on")
    os.close(other)
    assert card.process.wait(timeout=20) == 0
    card.says("life ends: hung-up")


def test_a_card_without_a_line_lives_on(power_on):
    with open(os.devnull, "r+b") as nothing:
        card = power_on(nothing)
    card.says("power on")
    with pytest.raises(subprocess.TimeoutExpired):
        card.process.wait(timeout=0.5)
    card.process.send_signal(signal.SIGTERM)
    card.process.wait(timeout=20)
