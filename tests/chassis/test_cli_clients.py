"""The clients of the verbs against small servers: door, control socket, serial console, dump."""

import asyncio
import base64
import contextlib
import json
import os
import pty
import socket
import struct
import threading
import tty

import pytest

from firmware.location import record
from firmware.runtime.console import Console
from firmware.runtime.management import Commands
from host_tools import door as door_client
from host_tools import dump
from host_tools.control import ControlServer, ask_once
from host_tools.door import DoorClient, DoorRefusal
from host_tools.errors import ToolError
from host_tools.export import export_records
from host_tools.serial_console import SerialConsole
from host_tools.state_dir import StateDir


@contextlib.contextmanager
def line_server(answers):
    """A TCP server that takes one line and sends one of `answers` (bytes) for it; gives (address,
    lines taken)."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken = []

    def serve():
        stream, _ = listener.accept()
        with stream, stream.makefile("rb") as lines:
            for answer in answers:
                taken.append(json.loads(lines.readline()))
                stream.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname(), taken
    finally:
        thread.join(10)
        listener.close()


def test_the_door_is_asked_in_lines_of_json():
    with line_server([b'{"ok":true,"level":7}\n']) as (address, taken):
        with DoorClient([address], "t0ken") as door:
            assert door.ask("add", aor="ä@b", contact="sip:c")["level"] == 7
    assert taken == [{"op": "add", "aor": "ä@b", "contact": "sip:c", "token": "t0ken"}]


@pytest.mark.parametrize(("answer", "code"), [
    (b'{"ok":false,"error":"no such contact","code":"not-found"}\n', 1),
    (b'{"ok":false,"error":"not permitted","code":"denied"}\n', 4)])
def test_a_refusal_is_its_sentence(answer, code):
    with line_server([answer]) as (address, _), DoorClient([address]) as door:
        with pytest.raises(DoorRefusal) as refused:
            door.ask("remove", aor="a@b")
    assert refused.value.exit_code == code
    assert refused.value.message == json.loads(answer)["error"]


@pytest.mark.parametrize("answer", [b"", b'{"ok":true,"le'])
def test_a_door_that_closes_before_its_answer(answer):
    with line_server([answer]) as (address, _), DoorClient([address]) as door:
        with pytest.raises(ToolError) as gone:
            door.ask("add", aor="a@b")
    assert gone.value.exit_code == 3
    assert "not known" in gone.value.message


def test_the_second_door_is_tried_when_the_first_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    with line_server([b'{"ok":true}\n']) as (address, _), DoorClient([dead, address]) as door:
        door.ask("level")
    with pytest.raises(ToolError) as nobody, DoorClient([dead]):
        pass
    assert nobody.value.exit_code == 3


def published(tmp_path, doors):
    """A StateDir that publishes these doors, as a running chassis does."""
    state = StateDir(tmp_path)
    state.create()
    state.acquire()
    state.publish({"pid": 1, "slots": [], "doors": doors})
    return state


@pytest.mark.parametrize("active", [3, 7])
def test_of_two_doors_the_active_location_servers_is_asked(tmp_path, monkeypatch, active):
    doors = {}
    with line_server([b'{"ok":true}\n']) as (right, taken), \
            socket.create_server(("127.0.0.1", 0)) as standby:
        for slot in (3, 7):
            doors[str(slot)] = right if slot == active else standby.getsockname()
        state = published(tmp_path, doors)
        monkeypatch.setattr(door_client, "ask_once", lambda state, op: {"slot": active})
        with door_client.open_door(state) as door:
            door.ask("level")
        state.release()
    assert taken == [{"op": "level"}]


def test_one_door_needs_no_question(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the chassis was asked")

    monkeypatch.setattr(door_client, "ask_once", refuse)
    with line_server([b'{"ok":true}\n']) as (address, _):
        state = published(tmp_path, {"3": address})
        with door_client.open_door(state) as door:
            door.ask("level")
        state.release()


def test_the_control_socket_answers_however_deep_the_state_is(tmp_path):
    state = StateDir(tmp_path / ("d" * 100) / ("e" * 100))
    state.create()
    state.acquire()
    state.publish({"pid": 1, "slots": []})

    async def refuse(request):
        raise ToolError("there is no slot {}".format(request["slot"]), 2)

    async def echo(request):
        return {"said": request["word"]}

    async def scene():
        server = ControlServer(state.socket, {"echo": echo, "insert": refuse})
        await server.start()
        assert state.socket.stat().st_mode & 0o777 == 0o600
        try:
            found = await asyncio.to_thread(ask_once, state, "echo", 10, word="hello")
            assert found == {"said": "hello"}
            for op, code in (("insert", 2), ("nonsense", 1)):
                with pytest.raises(ToolError) as refused:
                    await asyncio.to_thread(ask_once, state, op, 10, slot=9)
                assert refused.value.exit_code == code
        finally:
            await server.stop()

    asyncio.run(scene())
    state.release()
    with pytest.raises(ToolError) as nobody:
        ask_once(state, "echo")
    assert nobody.value.exit_code == 3


@contextlib.contextmanager
def card_on_a_line(commands):
    """A card's own console at the far end of a pseudo-terminal; gives the port's name."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    console = Console("slot4")
    console.greet("x" * 300)

    def serve():
        while True:
            waiting = console.to_send()
            if waiting:
                console.sent(os.write(master, bytes(waiting)))
                continue
            octets = os.read(master, 256)
            if octets == b"\x04":
                return
            console.receive(octets)
            while (line := console.next_line()) is not None:
                status, text = commands.execute(line)
                console.prompt("slot4", status)
                console.answer(text)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.write(slave, b"\x04")
        thread.join(10)
        os.close(master)
        os.close(slave)


def card_commands():
    commands = Commands()
    commands.add("two", "two lines", lambda words: "one: 1\ntwo: 2")
    commands.add("long", "many octets", lambda words: "\n".join(["y" * 70] * 300))
    commands.add("bad", "fails its test", lambda words: (1, "pass memory\nFAIL flash (x)"))

    def usage(words):
        raise ValueError("give a number")

    commands.add("number", "refuses", usage)
    return commands


def test_one_command_and_its_answer():
    with card_on_a_line(card_commands()) as port:
        with SerialConsole(port) as line:
            assert line.run("two", 10) == (0, "one: 1\ntwo: 2")
            assert line.run("bad", 10)[0] == 1
            assert line.run("number", 10) == (1, "number: give a number")
            assert line.run("nonsense", 10)[0] == 1
            code, answer = line.run("long", 10)
            assert (code, answer.splitlines()) == (0, ["y" * 70] * 300)


def test_a_console_belongs_to_one_program():
    with card_on_a_line(card_commands()) as port, SerialConsole(port):
        with pytest.raises(ToolError) as refused:
            SerialConsole(port)
    assert refused.value.exit_code == 1
    assert "in use" in refused.value.message


def aor_row(name):
    document = {"aor": name + "@a.example", "contact": "sip:x@192.0.2.1"}
    key, value = record.from_json(document)
    return struct.pack(">HH", len(key), len(value)) + bytes(key) + bytes(value)


def page(cursor, level, *names):
    return {"cursor": cursor, "level": level, "birthday": "00", "digest": "d{}".format(level),
            "rows": base64.b64encode(b"".join(map(aor_row, names))).decode()}


class FakeControl:
    """Gives the pages it was made with, one after the other."""

    def __init__(self, pages):
        self._pages = list(pages)
        self.cursors = []

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        return None

    def ask(self, op, **fields):
        self.cursors.append(fields["cursor"])
        return self._pages.pop(0)


def test_a_dump_begins_again_when_the_level_moves(monkeypatch):
    control = FakeControl([page(5, 1, "bob"), page(0xFFFFFFFF, 2, "alice"),
                           page(5, 2, "bob"), page(0xFFFFFFFF, 2, "alice", "carl")])
    monkeypatch.setattr(dump, "Control", lambda state: control)
    told = []
    found, stamp = dump.dump_card(None, 4, told.append)
    assert [key for key in sorted(found)] == [
        b"aalice@a.example", b"abob@a.example", b"acarl@a.example"]
    assert (stamp["level"], len(told), control.cursors) == (2, 1, [0, 5, 0, 5])


def test_a_dump_gives_up_when_the_level_never_stands_still(monkeypatch):
    control = FakeControl(page(5 if n % 2 == 0 else 0xFFFFFFFF, n) for n in range(100))
    monkeypatch.setattr(dump, "Control", lambda state: control)
    with pytest.raises(ToolError) as refused:
        dump.dump_card(None, 4, lambda text: None)
    assert "moved" in refused.value.message


def test_an_export_has_the_form_of_a_dump():
    key, value = record.from_json({"aor": "bob@a.example", "contact": "sip:b@192.0.2.1", "q": 0.5})
    shown = record.to_json(key, value)

    class Door:
        def ask(self, op, cursor):
            assert (op, cursor) == ("export", None)
            return {"level": 3, "birthday": "00", "digest": "d", "records": [shown],
                    "cursor": None}

    found, stamp = export_records(Door(), lambda text: None)
    assert found == {bytes(key): dump.record_line(key, value)}
    assert stamp["level"] == 3
    assert dump.record_line(key, value) == (
        '{"aor":"bob@a.example","bindings":[{"contact":"sip:b@192.0.2.1","q":0.5}],"kind":"aor"}')
