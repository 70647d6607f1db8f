"""The emulated chassis: one operating-system process per card, and the shelf manager in this one.

It does not start again a card that died: the slot shows absent until `chassis insert`.
"""

import asyncio
import os
import signal
import time

from bus import states
from host_tools.card_process import CardProcess
from host_tools.control import ControlServer
from host_tools.description import LOCATION_SERVER, SIP_CLUSTER
from host_tools.errors import WRONG_ARGUMENTS, ToolError
from host_tools.interpreters import card_command, card_environment
from host_tools.operations import Operations
from host_tools.shelf import Shelf
from host_tools.status import card_document, card_levels, merge_health, unready

TICK_S = 0.05
TERMINATE_S = 5.0
KILL_S = 5.0


class Emulator:
    """A chassis described by `description` in the state folder `state`, wired by `wiring`.

    key: the bus key.  micropython: path of the interpreter or None.  tell(text) gets one line
    for each change a person may want to see.
    """

    def __init__(self, description, state, wiring, key, micropython, tell):
        self.description = description
        self.state = state
        self.wiring = wiring
        self.shelf = Shelf(wiring.buses, key, description.numbers())
        self.started_s = time.monotonic()
        self._micropython = micropython
        self._tell = tell
        self._cards = {}
        self._stop = None
        self._is_published = False
        self._control = ControlServer(state.socket, Operations(self).table())

    async def run(self, work=None):
        """Power all cards on, serve until told to stop, power all off.

        work: coroutine function(self) that runs beside (live table, demo subscribers), or None.
        """
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop.set)
        beside = None
        try:
            for number in self.description.numbers():
                self._cards[number] = CardProcess(number)
            self.shelf.start()
            await self._control.start()
            for number in self._power_on_order():
                self.power_on(number)
            if work is not None:
                beside = asyncio.ensure_future(work(self))
            while not self._stop.is_set():
                self._look_after()
                if beside is not None and beside.done():
                    beside.result()
                    beside = None
                await self._pause()
        finally:
            if beside is not None:
                beside.cancel()
            await self._power_off_all()

    def stop(self):
        """End `run` after its present turn."""
        self._stop.set()

    def _power_on_order(self):
        """Location servers first: cluster cards have somebody to load from."""
        slots = self.description.slots
        return [s.number for s in sorted(
            slots, key=lambda s: (s.role != LOCATION_SERVER, s.role != SIP_CLUSTER, s.number))]

    async def _pause(self):
        try:
            await asyncio.wait_for(self._stop.wait(), TICK_S)
        except TimeoutError:
            return

    def _look_after(self):
        """Notice cards whose process ended, and tell what changed."""
        for number, card in self._cards.items():
            how = card.ended()
            if how is not None:
                self.shelf.life_ended(number)
                self.shelf.states[number].gone(how)
                self.publish()
        for slot in self.shelf.states.values():
            for change in slot.take_changes():
                self._tell("slot {} {}: {} -> {} ({})".format(
                    change.slot, self.description.slot(change.slot).role,
                    states.HOT_SWAP[change.previous], states.HOT_SWAP[change.state],
                    change.cause))

    # what the operations use

    def card(self, number):
        """The CardProcess of a slot; ToolError (2) when the description has none."""
        card = self._cards.get(number)
        if card is None:
            raise ToolError("there is no slot {}; the slots are {}".format(
                number, ", ".join(map(str, self.description.numbers()))), WRONG_ARGUMENTS)
        return card

    def running(self):
        """Numbers of the slots whose card's process runs."""
        return {number for number, card in self._cards.items() if card.pid is not None}

    def power_on(self, number):
        """Start the card of a slot on its flash folder."""
        flash = self.state.flash(number)
        wanted = self.description.slot(number).interpreter
        command, real = card_command(wanted, flash, self._micropython)
        if real != wanted:
            self._tell("slot {}: no MicroPython 1.25 or newer is here; the card runs on "
                       "CPython (`make setup` fetches one)".format(number))
        self._cards[number].start(command, real, card_environment(), flash / "log.txt")
        self.shelf.states[number].inserted()
        self.publish()

    async def switch_off(self, number, at_once):
        """End the card's process: SIGTERM and after TERMINATE_S SIGKILL, or SIGKILL at once."""
        card = self._cards[number]
        card.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        if not await self._gone({number}, TERMINATE_S):
            card.send_signal(signal.SIGKILL)
            await self._gone({number}, KILL_S)

    async def _gone(self, numbers, seconds):
        end = time.monotonic() + seconds
        while True:
            self._look_after()
            if not numbers & self.running():
                return True
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(TICK_S / 5)

    async def _power_off_all(self):
        for number in self.running():
            self.shelf.states[number].extraction("chassis goes down")
            self.shelf.states[number].drained("switched off")
        for how in (signal.SIGTERM, signal.SIGKILL):
            for card in self._cards.values():
                card.send_signal(how)
            if await self._gone(set(self._cards), TERMINATE_S):
                break
        await self._control.stop()
        self.shelf.stop()
        for card in self._cards.values():
            card.close()
        self.state.withdraw()

    def publish(self):
        """Write chassis.json as it is now.

        ToolError when that fails the first time; later a full disk is told and no card ends.
        """
        try:
            self.state.publish(self._published())
        except ToolError as error:
            if not self._is_published:
                raise
            self._tell(error.message)
        self._is_published = True

    def _published(self):
        return {
            "chassis": self.description.name, "pid": os.getpid(),
            "file": str(self.description.path.absolute()),
            "vip": list(self.wiring.vip), "buses": self.wiring.buses,
            "doors": {str(slot): list(door) for slot, door in self.wiring.doors.items()},
            "domains": [domain.name for domain in self.description.domains],
            "slots": [{"slot": slot.number, "role": slot.role, "pid": self.card(slot.number).pid,
                       "console": self.card(slot.number).console,
                       "direct": self.wiring.direct.get(slot.number),
                       "log": str(self.state.flash(slot.number) / "log.txt")}
                      for slot in self.description.slots],
        }

    def beats(self):
        """dict slot -> decoded HEARTBEAT of the cards whose process runs and that are heard."""
        found = {number: self.shelf.beat(number) for number in self.running()}
        return {number: beat for number, beat in found.items() if beat is not None}

    def levels(self):
        """(committed level, birthday hex, [CardLevel])."""
        return card_levels(self.description.slots, self.running(), self.beats())

    async def status(self):
        """The `chassis status` document."""
        running = sorted(self.running())
        answers = await asyncio.gather(*(self.shelf.status(number) for number in running))
        told = {n: answer for n, answer in zip(running, answers) if answer is not None}
        cards = []
        for slot in sorted(self.description.slots, key=lambda slot: slot.number):
            card = self._cards[slot.number]
            cards.append(card_document(
                slot, card.interpreter or slot.interpreter, (card.pid, card.console),
                self.shelf.beat(slot.number), self.shelf.states[slot.number],
                told.get(slot.number)))
        merge_health(cards, told)
        return {"chassis": self.description.name, "vip": "{}:{}".format(*self.wiring.vip),
                "cards": cards}

    async def until_ready(self, seconds, only=None):
        """[] as soon as every card (or slot `only`) is ready, else what is not after `seconds`.

        A slot whose card ended is not waited for.
        """
        end = time.monotonic() + seconds
        while True:
            cards = (await self.status())["cards"]
            missing = unready(cards, only)
            died = only is not None and only not in self.running()
            if not missing or died or time.monotonic() >= end:
                return missing
            await asyncio.sleep(0.1)
