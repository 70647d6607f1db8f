"""What a running chassis does when asked over its control socket."""

import asyncio
import base64
import json
import time

from bus import messages, states
from bus.messages import BEAT_CONNECTIONS, BEAT_REDUNDANCY, BEAT_SERVICE
from host_tools.description import LOCATION_SERVER, SIP_CLUSTER, SWITCH
from host_tools.errors import NOTHING_ANSWERS, WRONG_ARGUMENTS, ToolError
from host_tools.levels import level_of_percent, percent_at_level
from host_tools.status import active_server

DUMP_OCTETS = 32768
# RFC 3261's T1: the round trip of what the card had forwarded when the drain began
SETTLE_S = 0.5


def has_drained(role, beat, has_mate=True):
    """Whether a card that was told to drain is free to go, by its decoded HEARTBEAT.

    A location server answers each change at once and has nothing to drain; a switch card must
    have given the VIP to its mate, and without one (has_mate) nobody could take it; a cluster
    card must have no connection of its own left.
    """
    if role == LOCATION_SERVER or beat[BEAT_SERVICE] == states.OUT_OF_SERVICE:
        return True
    if beat[BEAT_SERVICE] != states.DRAINING:
        return False
    if role == SWITCH:
        return not has_mate or beat[BEAT_REDUNDANCY] != states.PRIMARY
    return beat[BEAT_CONNECTIONS] == 0


class Operations:
    """The operations of one Emulator; each takes the request dict and gives the answer's keys."""

    def __init__(self, emulator):
        self._emulator = emulator

    def table(self):
        """dict op -> coroutine function."""
        return {"status": self.status, "level": self.level, "insert": self.insert,
                "extract": self.extract, "down": self.down, "dump": self.dump,
                "whereto": self.whereto, "command": self.command, "ready": self.ready,
                "door": self.door}

    async def status(self, request):
        """{"op": "status"}: the status document."""
        return await self._emulator.status()

    async def ready(self, request):
        """{"op": "ready", "seconds"}: waits; {"missing": [texts]} is empty when all is well."""
        return {"missing": await self._emulator.until_ready(request["seconds"])}

    async def down(self, request):
        """{"op": "down"}: the chassis ends after the answer."""
        asyncio.get_running_loop().call_soon(self._emulator.stop)

    async def door(self, request):
        """{"op": "door"}: {"slot"} of the active location server, null when none is heard."""
        return {"slot": active_server(self._emulator.description.slots, self._emulator.beats())}

    async def level(self, request):
        """{"op": "level", "percent" or "at"}: levels of the cluster cards (INTERFACE: level)."""
        committed, birthday, cards = self._emulator.levels()
        answer = {"committed": committed, "birthday": birthday,
                  "cards": [{"slot": c.slot, "level": c.level, "state": c.state} for c in cards]}
        if request.get("at") is not None:
            percent, exceptions = percent_at_level(cards, request["at"])
            answer.update(level=request["at"], percent=percent, exceptions=exceptions)
        else:
            percent = request.get("percent") or 100
            level, exceptions = level_of_percent(cards, percent)
            answer.update(level=level, percent=percent, exceptions=exceptions)
        return answer

    async def insert(self, request):
        """{"op": "insert", "slot", "seconds"}: power on; {"missing": [texts]} as ready has it."""
        number = request["slot"]
        card = self._emulator.card(number)
        if card.pid is not None:
            raise ToolError("slot {} already holds a card (pid {})".format(number, card.pid))
        self._emulator.power_on(number)
        if not request.get("seconds"):
            return {"missing": [], "pid": card.pid}
        missing = await self._emulator.until_ready(request["seconds"], number)
        return {"missing": missing, "pid": card.pid}

    async def extract(self, request):
        """{"op": "extract", "slot", "now", "seconds"}: drain and switch off, or pull."""
        number = request["slot"]
        self._present(number)
        slot = self._emulator.shelf.states[number]
        if request.get("now"):
            slot.lost("pulled")
            await self._emulator.switch_off(number, at_once=True)
            return {"drained": False}
        slot.extraction()
        drained = await self._drain(number, request.get("seconds", 10))
        slot.drained("drained" if drained else "drain took too long")
        await self._emulator.switch_off(number, at_once=False)
        return {"drained": drained}

    async def _drain(self, number, seconds):
        """True when the card was heard to have drained within `seconds`."""
        shelf = self._emulator.shelf
        role = self._emulator.description.slot(number).role
        try:
            await shelf.command(number, "drain")
        except ToolError:
            return False
        # answers under way still pass through the card
        await asyncio.sleep(min(SETTLE_S, seconds))
        end = time.monotonic() + seconds
        while number in self._emulator.running():
            beat = shelf.beat(number)
            if beat is not None and has_drained(role, beat, self._has_mate(number)):
                return True
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(0.02)
        return False

    def _has_mate(self, number):
        """Whether another card of the same role is heard."""
        description = self._emulator.description
        return any(mate != number and mate in self._emulator.beats()
                   for mate in description.numbers(description.slot(number).role))

    def _present(self, number):
        card = self._emulator.card(number)
        if card.pid is None:
            raise ToolError("slot {} holds no card; `chassis insert {}` puts one in".format(
                number, number), NOTHING_ANSWERS)
        return card

    def _asked_of(self, number, roles, what):
        """ToolError unless the card in `number` is present and one of `roles`, which do `what`."""
        self._present(number)
        role = self._emulator.description.slot(number).role
        if role not in roles:
            raise ToolError("slot {} holds a {} card, which {}; slots that do: {}".format(
                number, role, what, ", ".join(
                    str(n) for name in roles for n in self._emulator.description.numbers(name))),
                WRONG_ARGUMENTS)

    async def dump(self, request):
        """{"op": "dump", "slot", "cursor"}: one page of a card's own records, rows in base64."""
        self._asked_of(request["slot"], (LOCATION_SERVER, SIP_CLUSTER),
                       "keeps no location database")
        answer = await self._emulator.shelf.request(request["slot"], messages.encode(
            messages.DUMP, request["cursor"], DUMP_OCTETS))
        return {"cursor": answer[1], "level": answer[2], "birthday": answer[3].hex(),
                "digest": answer[4].hex(), "rows": base64.b64encode(answer[5]).decode()}

    async def whereto(self, request):
        """{"op": "whereto", "method", "uri", "slot" or null}: what a cluster card would do."""
        number = request.get("slot") or self._cluster_card()
        self._asked_of(number, (SIP_CLUSTER,), "routes no calls")
        answer = await self._emulator.shelf.request(number, messages.encode(
            messages.WHERETO, request["method"].encode(), request["uri"].encode()))
        return {"card": number, **json.loads(answer[1])}

    def _cluster_card(self):
        beats = self._emulator.beats()
        for number in self._emulator.description.numbers(SIP_CLUSTER):
            if number in beats and beats[number][BEAT_SERVICE] == states.IN_SERVICE:
                return number
        raise ToolError("no cluster card is in service; see `chassis status`", NOTHING_ANSWERS)

    async def command(self, request):
        """{"op": "command", "slot", "line"}: a console command executed over the bus."""
        self._present(request["slot"])
        status, text = await self._emulator.shelf.command(request["slot"], request["line"])
        return {"status": status, "text": text}
