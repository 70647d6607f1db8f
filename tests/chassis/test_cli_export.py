"""Where an export may go: regular files and new ones, written whole or not at all."""

import asyncio
import errno
import json
import os
import stat

import pytest

from host_tools import cli, power
from host_tools.description import Domain
from host_tools.errors import ToolError
from host_tools.verbs import transfer

STAMP = {"level": 7, "birthday": "00", "digest": "d1"}
FOUND = {b"ab@c": '{"aor":"b@c","bindings":[]}', b"aa@c": '{"aor":"a@c","bindings":[]}'}
LINES = ['{"birthday":"00","digest":"d1","kind":"database","level":7,"records":2}',
         '{"aor":"a@c","bindings":[]}', '{"aor":"b@c","bindings":[]}']


class Door:
    """Stands for an open door."""

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        return None


@pytest.fixture
def export(capsys, monkeypatch):
    """Runs `provision export` against a database of two records; (code, out, err)."""
    monkeypatch.setattr(transfer, "open_door", lambda state: Door())
    monkeypatch.setattr(transfer, "export_records", lambda door, tell: (FOUND, STAMP))

    def run(*words):
        code = cli.run(["provision", "export", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_to_standard_output(export):
    code, out, err = export()
    assert (code, err) == (0, "") and out.splitlines() == LINES


def test_one_json_document(export):
    code, out, _ = export("--json")
    assert code == 0
    assert json.loads(out) == {**STAMP, "records": [json.loads(line) for line in LINES[1:]]}


def test_a_new_file_and_an_old_one(export, tmp_path):
    path = tmp_path / "x.ndjson"
    for text in (None, "old"):
        if text is not None:
            path.write_text(text, encoding="utf-8")
            path.chmod(0o640)
        code, out, err = export(path)
        assert (code, out) == (0, "") and err.count("\n") == 1
        assert path.read_text(encoding="utf-8").splitlines() == LINES
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(export, tmp_path):
    path, link = tmp_path / "x", tmp_path / "link"
    link.symlink_to(path)
    assert export(link)[0] == 0
    assert link.is_symlink() and path.read_text(encoding="utf-8").splitlines() == LINES


def test_a_pipe_is_refused_and_stays_a_pipe(export, tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for target in (pipe, link):
        code, out, err = export(target)
        assert (code, out) == (2, "") and "not a regular file" in err
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == [link, pipe]


def test_a_full_disk_leaves_the_old_file(export, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "x"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", full)
    code, _, err = export(path)
    assert code == 1 and err.count("\n") == 1 and "disk is full" in err
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


class Screen:
    """Collects what the foreground chassis would show."""

    def __init__(self):
        self.lines = []

    def remark(self, lines):
        self.lines += lines


class Running:
    """What _demo_beside needs of an emulator."""

    class description:
        domains = (Domain("a.example", None),)

    class wiring:
        vip = ("192.0.2.1", 5060)


def demo_lines(monkeypatch, tmp_path, demo):
    """What `up --demo` shows when `demo` provisions."""
    monkeypatch.setattr(power, "_demo", demo)
    screen = Screen()
    state = type("State", (), {"path": tmp_path})
    asyncio.run(power._demo_beside(Running, screen, state, 2))
    return screen.lines


def test_a_chassis_outlives_demo_subscribers_that_fail(monkeypatch, tmp_path):
    def refuse(state, count, domain):
        raise ToolError("the location server does not answer", 3)

    assert demo_lines(monkeypatch, tmp_path, refuse) == [
        "no demo subscribers: the location server does not answer"]


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_the_demo_hint_leaves_room_for_the_table(monkeypatch, tmp_path, count):
    people = [("user{}@a.example".format(n), "secret{}".format(n)) for n in range(count)]
    lines = demo_lines(monkeypatch, tmp_path, lambda state, count, domain: people)
    # a terminal of 24 lines less the table of the demo chassis and its two lines of margin
    assert len(lines) <= 12
    text = "\n".join(lines)
    assert "secret0" in text and "sipp -sn uac" in text and "192.0.2.1:5060" in text
    assert "demo_subscribers.json" in text
