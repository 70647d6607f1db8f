"""The shelf manager: slot 0 of the bus. Hears every heartbeat, asks cards, tracks hot swap.

One asyncio loop owns it; BusNode itself is sans-I/O, this file gives it sockets and the clock.
"""

import asyncio
import json
import time

from bus import messages, node, states
from bus.compat import TICKS_MASK, ticks_diff
from bus.links.udp_multicast import UdpMulticastLink
from bus.messages import BEAT_SERVICE
from bus.wire import MAX_FRAME
from firmware.version import VERSION
from host_tools.errors import NOTHING_ANSWERS, ToolError, os_failure
from host_tools.hot_swap import SlotState

OWN_SLOT = 0
REQUEST_TIMEOUT_MS = 3000
HEARTBEAT_REFRESH_S = 1.0
FRAMES_A_TURN = 64


def ticks_ms():
    """Monotonic milliseconds as bus ticks."""
    return time.monotonic_ns() // 1_000_000 & TICKS_MASK


class Shelf:
    """Slot 0 on the buses of one chassis.

    buses: `buses` entries of card.json.  key: chassis key.  slots: numbers that are looked after.
    `states`: SlotState by slot.  `members`: what BusNode knows of each card.
    """

    def __init__(self, buses, key, slots):
        self.states = {slot: SlotState(slot) for slot in slots}
        self._buses = buses
        self._node = node.BusNode(OWN_SLOT, states.SHELF_MANAGER, int(time.time()),
                                  key, name=VERSION.encode())
        self._links = []
        self._ended = {}
        self._buffer = bytearray(MAX_FRAME + 64)
        self._out = bytearray(MAX_FRAME)
        self._pending = {}
        self._timer = None
        self._beat_timer = None
        self._loop = None

    @property
    def members(self):
        """dict slot -> Member of every card ever heard."""
        return self._node.members

    def start(self):
        """Join the buses; to be called inside the running loop."""
        self._loop = asyncio.get_running_loop()
        for settings in self._buses:
            try:
                link = UdpMulticastLink(
                    settings["group"], settings["port"], settings["interface"])
            except OSError as error:
                raise os_failure(error, "joining the bus at {group}:{port}".format(
                    **settings)) from None
            index = len(self._links)
            self._links.append(link)
            for stream in link.sockets():
                self._loop.add_reader(stream, self._readable, index, link)
        self._node.attach(len(self._links))
        self._refresh_heartbeat()
        self._turn()

    def stop(self):
        """Leave the buses; whoever waits for an answer gets none."""
        for timer in (self._timer, self._beat_timer):
            if timer is not None:
                timer.cancel()
        for link in self._links:
            for stream in link.sockets():
                self._loop.remove_reader(stream)
            link.close()
        self._links = []
        for future in self._pending.values():
            future.cancel()

    def beat(self, slot):
        """The newest decoded HEARTBEAT of a card that is up, else None."""
        member = self._node.members.get(slot)
        if member is None or not member.up or member.incarnation == self._ended.get(slot):
            return None
        return member.beat

    def life_ended(self, slot):
        """The card's process is gone: what its last life said is not the word of the next."""
        member = self._node.members.get(slot)
        if member is not None:
            self._ended[slot] = member.incarnation

    async def request(self, slot, message, timeout_ms=REQUEST_TIMEOUT_MS):
        """Send `message` to `slot` and give its decoded answer; ToolError (3) without one."""
        request_id = self._node.request(slot, message, ticks_ms(), timeout_ms)
        if request_id is None:
            raise ToolError("too many requests wait for answers of the cards; try again later")
        request_id = bytes(request_id)
        future = self._loop.create_future()
        self._pending[request_id] = future
        self._turn()
        try:
            octets = await future
        finally:
            self._pending.pop(request_id, None)
        answer = messages.decode(octets, 0, len(octets)) if octets is not None else None
        if answer is None:
            raise ToolError("the card in slot {} does not answer on the bus".format(slot),
                            NOTHING_ANSWERS)
        return answer

    async def status(self, slot, timeout_ms=1000):
        """The STATUS_RESULT json of a card as a dict, or None when it does not answer."""
        try:
            answer = await self.request(slot, messages.encode(messages.STATUS), timeout_ms)
        except ToolError:
            return None
        return json.loads(answer[1])

    async def command(self, slot, line, timeout_ms=REQUEST_TIMEOUT_MS):
        """(status, text) of a console command executed over the bus."""
        answer = await self.request(
            slot, messages.encode(messages.COMMAND, line.encode()), timeout_ms)
        return answer[1], answer[2].decode("utf-8", "replace")

    def _readable(self, index, link):
        for _ in range(FRAMES_A_TURN):
            found = link.receive_into(self._buffer)
            if found is None:
                break
            self._node.receive_frame(index, self._buffer, found[0], found[1], ticks_ms())
        self._turn()

    def _refresh_heartbeat(self):
        self._node.heartbeat = messages.encode(
            messages.HEARTBEAT, states.SHELF_MANAGER, states.M4, states.NO_REDUNDANCY,
            states.IN_SERVICE, states.NO_DATABASE, 0, 0, bytes(8), bytes(8), 0, 0,
            int(time.time()), bytes(4), 0, 0, VERSION.encode())
        self._beat_timer = self._loop.call_later(HEARTBEAT_REFRESH_S, self._refresh_heartbeat)

    def _turn(self):
        """Everything that is due: timers, events, frames to send, the next wake-up."""
        now_ms = ticks_ms()
        self._node.handle_timer(now_ms)
        while (event := self._node.next_event()) is not None:
            self._handle(event)
        while (found := self._node.to_send(self._out, now_ms)) is not None:
            count, index, address = found
            for link in self._links if index < 0 else (self._links[index],):
                link.send(self._out, count, address)
        self._sleep_until(self._node.next_deadline_ms())

    def _sleep_until(self, deadline_ms):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline_ms is not None:
            delay_ms = max(1, ticks_diff(deadline_ms, ticks_ms()))
            self._timer = self._loop.call_later(delay_ms / 1000, self._turn)

    def _handle(self, event):
        kind = event[0]
        if kind in (node.RESPONSE, node.TIMEOUT):
            future = self._pending.get(bytes(event[2]))
            if future is not None and not future.done():
                future.set_result(event[3] if kind == node.RESPONSE else None)
        elif kind == node.REQUEST:
            message = messages.decode(event[3], 0, len(event[3]))
            if message is not None and message[0] == messages.ECHO:
                self._node.respond(event[1], event[2], event[3])
        elif kind == node.CARD_DOWN and event[1] in self.states:
            self.states[event[1]].lost("no heartbeat")
        elif kind in (node.CARD_UP, node.CARD_BEAT) and event[1] in self.states:
            beat = self.beat(event[1])
            if beat is not None:
                self.states[event[1]].heard(beat[BEAT_SERVICE] == states.IN_SERVICE)
