"""Exit codes and one-sentence errors of the verbs, without a chassis."""

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from host_tools import cli, power, records_file
from host_tools.card_process import CardProcess
from host_tools.chassis_file import read_chassis_file
from host_tools.errors import ToolError
from host_tools.state_dir import StateDir

CHASSIS = """\
[chassis]
vip = "127.0.0.1:{}"
domains = ["a.example"]

[[slot]]
number = 1
role = "location-server"

[[slot]]
number = 2
role = "sip-cluster"
"""


@pytest.fixture
def no_cards(monkeypatch):
    """Whoever would start a card fails the test."""
    def refuse(*arguments):
        raise AssertionError("a card would have been started")

    monkeypatch.setattr(power, "Emulator", refuse)
    monkeypatch.setattr(power.subprocess, "Popen", refuse)


def run(capsys, *arguments):
    code = cli.run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def chassis_file(tmp_path, port=0):
    path = tmp_path / "chassis.toml"
    path.write_text(CHASSIS.format(port), encoding="utf-8")
    return path


VERBS = (
    ("status",), ("level",), ("insert", 2), ("extract", 2), ("extract", 2, "--now"), ("down",),
    ("dump", 2), ("whereto", "sip:a@b"), ("console", 2, "--command", "status"),
    ("monitor",), ("bus", "trace"), ("provision", "add", "a@b.example", "sip:a@192.0.2.1"),
    ("provision", "remove", "a@b.example"), ("provision", "show", "a@b.example"),
    ("provision", "count"), ("provision", "export"),
    ("provision", "route", "add", "49", "sip:gw@192.0.2.1"))


@pytest.mark.parametrize("arguments", VERBS, ids=lambda a: " ".join(map(str, a)))
def test_nobody_answers(capsys, tmp_path, arguments):
    code, out, err = run(capsys, *arguments, "--state", tmp_path / "none")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1 and "no chassis runs in" in err
    assert not (tmp_path / "none").exists()


WRONG = (
    ("no-such-verb",), ("status", "--loud"), ("insert",), ("insert", "x"), ("insert", 31),
    ("level", "--percent", 0), ("level", "--percent", 5, "--at", 5), ("console",),
    ("console", 2, "--port", "/dev/x"), ("provision", "add", "alice", "sip:a@192.0.2.1"),
    ("provision", "add", "a@b", "192.0.2.1"), ("provision", "add", "a@b", "sip:a@c", "--q", 2),
    ("provision", "add", "a@b", "sip:a@c", "--wait", "soon"),
    ("provision", "route", "add", "x", "sip:a@c"), ("provision", "import", "/nowhere/x.csv"),
    ("provision", "export", "/dev/null"), ("provision", "export", "/"),
    ("provision", "subscriber", "add", "a@b"), ("up", "/nowhere/x.toml"))


@pytest.mark.parametrize("arguments", WRONG, ids=lambda a: " ".join(map(str, a)))
def test_wrong_arguments(capsys, tmp_path, arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


@pytest.mark.parametrize("group", [(), ("provision",), ("bus",), ("provision", "route")])
def test_a_group_without_a_verb_shows_its_help(capsys, group):
    code, out, err = run(capsys, *group)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: " + " ".join(("chassis",) + group)) and "Commands:" in err


def test_no_line_of_the_help_is_cut(capsys):
    for group in ((), ("provision",), ("provision", "subscriber"), ("bus",)):
        code, out, _ = run(capsys, *group, "--help")
        assert code == 0 and "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize("arguments", [("up",), ("provision", "import")])
def test_a_file_that_may_not_be_read_is_code_4(capsys, tmp_path, monkeypatch, arguments):
    def refuse(*arguments, **words):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x")

    path = tmp_path / "x"
    path.write_text("x", encoding="utf-8")
    monkeypatch.setattr(records_file, "open", refuse, raising=False)
    monkeypatch.setattr(Path, "read_text", refuse)
    code, out, err = run(capsys, *arguments, path)
    assert (code, out) == (4, "")
    assert err.count("\n") == 1 and str(path) in err


def test_a_console_port_that_is_not_there(capsys):
    code, _, err = run(capsys, "console", "--port", "/dev/no-such-port", "--command", "status")
    assert code == 3
    assert err.count("\n") == 1 and "/dev/no-such-port" in err


def test_a_bad_chassis_file_starts_nothing(capsys, tmp_path, no_cards):
    path = tmp_path / "chassis.toml"
    path.write_text(CHASSIS.format(99999), encoding="utf-8")
    code, _, err = run(capsys, "up", path, "--state", tmp_path / "state")
    assert code == 2
    assert "{}:2: vip".format(path) in err
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["foreground", "detached"])
def test_a_busy_vip_starts_nothing(capsys, tmp_path, no_cards, detach):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        path = chassis_file(tmp_path, taken.getsockname()[1])
        code, out, err = run(capsys, "up", path, "--state", tmp_path / "state", *detach)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1 and "in use by another program" in err
    assert not (tmp_path / "state" / "slot1").exists()


@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["foreground", "detached"])
def test_a_second_up_is_refused(capsys, tmp_path, no_cards, detach):
    state = StateDir(tmp_path / "state")
    state.create()
    state.acquire()
    code, _, err = run(capsys, "up", chassis_file(tmp_path), "--state", state.path, *detach)
    state.release()
    assert code == 1
    assert err.count("\n") == 1 and "already runs in" in err


@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["foreground", "detached"])
def test_a_full_disk_is_one_sentence(capsys, tmp_path, monkeypatch, no_cards, detach):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run(
        capsys, "up", chassis_file(tmp_path), "--state", tmp_path / "state", *detach)
    assert code == 1
    assert err.count("\n") == 1 and "disk is full" in err
    assert list((tmp_path / "state").iterdir()) == []


def test_a_state_that_is_no_folder(capsys, tmp_path, no_cards):
    (tmp_path / "state").write_text("x", encoding="utf-8")
    code, _, err = run(capsys, "up", chassis_file(tmp_path), "--state", tmp_path / "state")
    assert code == 1
    assert "not a folder" in err


def test_keys_are_made_once_and_are_private(tmp_path):
    state = StateDir(tmp_path / "state")
    state.create()
    key = state.key()
    assert len(key) == 32 and state.key() == key
    assert len(state.secret()) == 16
    assert stat.S_IMODE((state.path / "key").stat().st_mode) == 0o600


def test_a_crashed_chassis_is_cleaned_up_but_a_stranger_is_left_alone(tmp_path):
    state = StateDir(tmp_path / "state")
    state.create()
    # our own process: its command line does not name the flash folder
    state.publish({"pid": 1, "slots": [{"slot": 2, "pid": os.getpid()}]})
    assert state.clean_up_after_crash() == []
    assert state.read_published() == {}


def test_a_disk_that_fills_later_ends_no_chassis(tmp_path, monkeypatch):
    def full(document):
        raise ToolError("the disk is full")

    told = []
    state = StateDir(tmp_path / "state")
    emulator = power.prepare(read_chassis_file(chassis_file(tmp_path)), state, told.append)
    try:
        emulator._cards = {number: CardProcess(number) for number in (1, 2)}
        with monkeypatch.context() as early:
            early.setattr(state, "publish", full)
            with pytest.raises(ToolError):
                emulator.publish()
        emulator.publish()
        monkeypatch.setattr(state, "publish", full)
        emulator.publish()
    finally:
        for card in emulator._cards.values():
            card.close()
        state.release()
    assert told == ["the disk is full"]


def test_the_port_chosen_for_a_vip_of_port_0_is_shown(tmp_path):
    description = read_chassis_file(chassis_file(tmp_path))
    state = StateDir(tmp_path / "state")
    emulator = power.prepare(description, state, print)
    try:
        assert emulator.wiring.vip[1] != 0
        assert (state.flash(2) / "card.json").exists()
        assert state.in_use()
    finally:
        state.release()
    assert not state.in_use()
