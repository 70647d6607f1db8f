"""Switches an emulated chassis on: in the foreground of a terminal, or detached."""

import asyncio
import subprocess
import sys
import time

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from host_tools.card_config import Wiring, write_card_files
from host_tools.control import ask_once
from host_tools.demo import hint, provision_demo
from host_tools.description import ROOT
from host_tools.door import open_door
from host_tools.emulator import Emulator
from host_tools.errors import NOTHING_ANSWERS, ToolError
from host_tools.interpreters import card_environment, find_micropython
from host_tools.ports import PortChooser, check_free
from host_tools.tables import status_table

REFRESH_S = 1.0
END_TIMEOUT_S = 15
READY = "all cards in service, all databases coherent after {:.1f} s"


def check_addresses(description):
    """ToolError when an address that the chassis file fixes is taken."""
    fixed = [("the VIP", description.vip), ("the door", description.door)]
    fixed += [("the direct port of slot {}".format(slot.number), slot.direct)
              for slot in description.slots]
    for what, address in fixed:
        if address is not None and address[1]:
            check_free(*address, what, description.path)


def prepare(description, state, tell):
    """Everything that can go wrong before a card starts; an Emulator that is ready to run.

    The state folder is held when this returns.
    """
    state.create()
    state.acquire()
    try:
        for pid in state.clean_up_after_crash():
            tell("ended pid {}, left behind by a chassis that crashed".format(pid))
        check_addresses(description)
        ports = PortChooser()
        try:
            wiring = Wiring(description, ports)
        finally:
            ports.close()
        key = state.key(description.key_file)
        write_card_files(description, wiring, state, key, state.secret())
        wants = any(slot.interpreter == "micropython" for slot in description.slots)
        micropython = find_micropython() if wants else None
        return Emulator(description, state, wiring, key, micropython, tell)
    except BaseException:
        state.release()
        raise


def power_up_foreground(description, state, seconds, demo):
    """Run the chassis in this process until Ctrl-C, SIGTERM or `chassis down`."""
    console = Console()
    screen = _Terminal(console) if console.is_terminal else _Plain()
    emulator = prepare(description, state, screen.tell)
    try:
        with screen:
            asyncio.run(emulator.run(
                lambda running: _beside(running, screen, state, seconds, demo)))
    finally:
        state.release()
    click.echo("chassis down")


async def _beside(emulator, screen, state, seconds, demo):
    """What runs beside a foreground chassis: the word of success, demo subscribers, the table."""
    watching = asyncio.ensure_future(_watch(emulator, screen))
    try:
        missing = await emulator.until_ready(seconds)
        taken = time.monotonic() - emulator.started_s
        if missing:
            screen.tell("not ready after {} s: {}".format(seconds, "; ".join(missing)))
        else:
            screen.tell(READY.format(taken))
        if demo and not missing:
            await _demo_beside(emulator, screen, state, demo)
        await watching
    finally:
        watching.cancel()


async def _demo_beside(emulator, screen, state, count):
    """Demo subscribers for a chassis that runs: without them it is still a chassis."""
    domain = emulator.description.domains[0].name
    try:
        people = await asyncio.to_thread(_demo, state, count, domain)
    except ToolError as error:
        screen.remark(["no demo subscribers: {}".format(error.message)])
    else:
        screen.remark(hint(people, emulator.wiring.vip, state.path))


def _demo(state, count, domain):
    with open_door(state) as door:
        return provision_demo(state, door, count, domain)


async def _watch(emulator, screen):
    while screen.wants_status:
        screen.show(await emulator.status())
        await asyncio.sleep(REFRESH_S)


class _Plain:
    """Foreground output off a terminal: one line for each change."""

    wants_status = False

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        return None

    def tell(self, text):
        """One line."""
        click.echo(text)
        sys.stdout.flush()

    def remark(self, lines):
        """Lines that stay below the table where there is one."""
        for line in lines:
            self.tell(line)


class _Terminal:
    """Foreground output on a terminal: a live table, changes scrolling above it."""

    wants_status = True

    def __init__(self, console):
        self._live = Live(console=console, auto_refresh=False)
        self._remark = Text("Ctrl-C ends the chassis.")
        self._table = Text("")

    def __enter__(self):
        self._live.start()
        return self

    def __exit__(self, *problem):
        self._live.stop()

    def tell(self, text):
        """One line above the table."""
        self._live.console.print(text, markup=False, highlight=False)

    def remark(self, lines):
        """Lines that stay below the table."""
        self._remark = Text("\n".join(lines + [""])) + self._remark
        self._refresh()

    def show(self, document):
        """A new status document."""
        self._table = status_table(document, self._live.console.width)
        self._refresh()

    def _refresh(self):
        self._live.update(Group(self._table, self._remark), refresh=True)


def power_up_detached(description, state, seconds, demo):
    """Start a chassis that outlives this process; ToolError and nothing running otherwise."""
    state.create()
    if state.in_use():
        state.acquire()
    check_addresses(description)
    log = state.path / "supervisor.log"
    with open(log, "ab") as output:
        begin = output.tell()
        supervisor = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "host_tools", "up",
             str(description.path.absolute()), "--state", str(state.path),
             "--wait", str(seconds)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT,
            env=card_environment(), start_new_session=True)
    try:
        taken = _wait_detached(supervisor, state, seconds, log, begin)
        click.echo(READY.format(taken))
        if demo:
            people = _demo(state, demo, description.domains[0].name)
            for line in hint(people, state.running()["vip"], state.path):
                click.echo(line)
    except BaseException:
        _end(supervisor)
        raise


def _wait_detached(supervisor, state, seconds, log, begin):
    """Seconds until all was ready; ToolError naming what is not after `seconds`."""
    begun = time.monotonic()
    end = begun + seconds
    missing = ["the chassis did not start"]
    while True:
        if supervisor.poll() is not None:
            raise ToolError(_last_words(log, begin), supervisor.returncode or 1)
        left = max(0.0, end - time.monotonic())
        try:
            missing = ask_once(state, "ready", left + 5, seconds=left)["missing"]
        except ToolError as error:
            if error.exit_code != NOTHING_ANSWERS:
                raise
        if not missing:
            return time.monotonic() - begun
        if time.monotonic() >= end:
            raise ToolError("not ready after {} s, so the chassis was ended: {}; the cards' logs "
                            "are {}".format(seconds, "; ".join(missing),
                                            state.path / "slot*" / "log.txt"))
        time.sleep(0.05)


def _last_words(log, begin):
    """Why the supervisor ended: the sentence it wrote."""
    with open(log, "rb") as file:
        file.seek(begin)
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    for line in reversed(lines):
        if line.startswith("chassis: "):
            return line.removeprefix("chassis: ")
    return "the chassis ended: {}; see {}".format(lines[-1] if lines else "no reason told", log)


def _end(supervisor):
    """Nothing may be left running: the supervisor takes its cards with it either way."""
    supervisor.terminate()
    try:
        supervisor.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
