"""What every card does whatever its role: bus, heartbeat, console, requests of its managers.

Wiring only: the roles are in sip_cluster.py, location_server.py and switch.py. A card is a
state machine that the reactor steps; nothing here waits. Runs on both interpreters.
"""

from bus import messages, node, states
from bus.compat import MICROPYTHON, earliest, ticks_add, ticks_diff
from bus.messages import (
    BEAT_DATABASE, BEAT_HOT_SWAP, BEAT_LEVEL, BEAT_ROLE, BEAT_SERVICE, BEAT_TIME,
)
from bus.wire import MAX_FRAME
from firmware.location import record
from firmware.runtime import clock
from firmware.runtime.console import ConsolePort
from firmware.runtime.links import open_link
from firmware.runtime.log import Log
from firmware.runtime.management import Commands, as_json, render
from firmware.runtime.repl import Repl
from firmware.version import VERSION

BEAT_REFRESH_MS = 50
FRAMES_A_TURN = 64
REBOOT = "reboot"
POWER_OFF = "power-off"


class LinkHandler:
    """Feeds the frames of one bus link to the card's node."""

    def __init__(self, card, index, link):
        self._card = card
        self._index = index
        self._link = link
        self._buffer = bytearray(MAX_FRAME + 64)

    def readable(self, now_ms):
        """Take at most FRAMES_A_TURN frames, so that no other stream starves."""
        receive = self._link.receive_into
        for _ in range(FRAMES_A_TURN):
            found = receive(self._buffer)
            if found is None:
                return
            self._card.node.receive_frame(
                self._index, self._buffer, found[0], found[1], now_ms)


class Card:
    """One card. A role's class overrides the methods under "what a role adds"."""

    def __init__(self, config, limits, reactor, incarnation):
        self.config = config
        self.limits = limits
        self.reactor = reactor
        self.incarnation = incarnation
        self.clock = clock.ChassisClock()
        self.log = Log("slot{}".format(config.slot), self.clock.now_s)
        self.started_ms = clock.now_ms()
        self._uptime_s = 0
        self._uptime_mark_ms = self.started_ms
        self.hot_swap = states.M3
        self.service = states.OUT_OF_SERVICE
        self.redundancy = states.NO_REDUNDANCY
        self.node = node.BusNode(
            config.slot, config.role, incarnation, config.key, name=VERSION.encode())
        self.links = [open_link(settings) for settings in config.buses]
        self.node.attach(len(self.links))
        self._out = bytearray(MAX_FRAME)
        self._beat_at_ms = self.started_ms
        self._beat_fields = None
        self._urgent = None
        self.commands = Commands()
        self._add_commands()
        for index, link in enumerate(self.links):
            handler = LinkHandler(self, index, link)
            for stream in link.sockets():
                reactor.register(stream, handler)
        repl = None
        if MICROPYTHON:
            self.commands.add("repl", "Python on the running card (serial console only)", _no_repl)
            repl = Repl(self)
        self.console = ConsolePort(
            "slot{}".format(config.slot), self.commands, reactor, repl)

    def power_on(self):
        """The card is wired: tell the bus and the console."""
        self.hot_swap = states.M4
        self.log.note("power on, incarnation {}, role {}".format(
            self.incarnation, self.config.role_name))
        self.console.console.greet("{} {} {} in slot {}".format(
            self.config.chassis, self.config.role_name, VERSION, self.config.slot))
        self._refresh_beat(clock.now_ms(), True)

    # ---- what a role adds

    def beat_values(self, now_ms):
        """The heartbeat's database state, load percent, level, birthday, digest, staleness ms."""
        return states.NO_DATABASE, 0, 0, bytes(8), bytes(8), 0

    def epoch(self):
        """The redundancy epoch, or 0."""
        return 0

    def plane_address(self):
        """(host, port) where switch cards reach this card's SIP, or None."""
        return None

    def connections(self):
        """Connections this card counts as its own."""
        return 0

    def card_event(self, event, now_ms):
        """A bus event that the base does not handle itself."""

    def request(self, slot, request_id, message, now_ms):
        """A decoded bus request that the base does not answer itself; False when unknown."""
        return False

    def role_step(self, now_ms):
        """Timers, tasks and output of the role."""

    def role_deadline_ms(self):
        """When role_step wants to run next, or None."""
        return None

    def role_status(self):
        """The role's keys of the STATUS json: database, sip, connections, health."""
        return {}

    def close(self):
        """Leave the bus and close what was opened, before power-off or reboot."""
        for link in self.links:
            for stream in link.sockets():
                self.reactor.unregister(stream)
            link.close()

    # ---- the step

    def step(self, now_ms):
        """All work that is due: events, timers, role, output."""
        self._count_uptime(now_ms)
        bus = self.node
        bus.handle_timer(now_ms)
        while True:
            event = bus.next_event()
            if event is None:
                break
            self._handle(event, now_ms)
        self.role_step(now_ms)
        self._refresh_beat(now_ms, False)
        self.flush_bus(now_ms)
        self.console.flush()

    def flush_bus(self, now_ms):
        """Hand the node's frames to the links."""
        out = self._out
        to_send = self.node.to_send
        links = self.links
        while True:
            found = to_send(out, now_ms)
            if found is None:
                return
            count, link, address = found
            if link < 0:
                for one in links:
                    one.send(out, count, address)
            else:
                links[link].send(out, count, address)

    def next_deadline_ms(self):
        """The earliest of the node's, the role's and the heartbeat's deadlines."""
        deadline = earliest(self.node.next_deadline_ms(), self.role_deadline_ms())
        return earliest(deadline, self._beat_at_ms)

    def _count_uptime(self, now_ms):
        passed = ticks_diff(now_ms, self._uptime_mark_ms)
        if passed >= 1000:
            self._uptime_s += passed // 1000
            self._uptime_mark_ms = ticks_add(self._uptime_mark_ms, passed // 1000 * 1000)

    def _handle(self, event, now_ms):
        kind = event[0]
        if kind == node.REQUEST:
            self._answer(event[1], event[2], event[3], now_ms)
            return
        if kind == node.CARD_BEAT:
            member = self.node.members.get(event[1])
            if member is not None and self.config.role != states.LOCATION_SERVER:
                beat = member.beat
                if beat[BEAT_ROLE] == states.LOCATION_SERVER:
                    self.clock.follow(beat[BEAT_TIME])
        self.card_event(event, now_ms)

    def _answer(self, slot, request_id, octets, now_ms):
        message = messages.decode(octets, 0, len(octets))
        if message is None:
            return
        kind = message[0]
        respond = self.node.respond
        if kind == messages.ECHO:
            respond(slot, request_id, octets)
        elif kind == messages.STATUS:
            respond(slot, request_id,
                    messages.encode(messages.STATUS_RESULT, as_json(self.status())))
        elif kind == messages.COMMAND:
            status, text = self.commands.execute(message[1].decode())
            respond(slot, request_id,
                    messages.encode(messages.COMMAND_RESULT, status, text.encode()))
        else:
            self.request(slot, request_id, message, now_ms)

    def _refresh_beat(self, now_ms, at_once):
        if not at_once and ticks_diff(now_ms, self._beat_at_ms) < 0:
            return
        self._beat_at_ms = ticks_add(now_ms, BEAT_REFRESH_MS)
        database = self.beat_values(now_ms)
        plane = self.plane_address()
        ip = bytes(int(part) for part in plane[0].split(".")) if plane else bytes(4)
        fields = (
            self.config.role, self.hot_swap, self.redundancy, self.service,
            database[0], database[1], database[2], database[3], database[4],
            min(database[5], 0xFFFFFFFF), self.epoch(), self.clock.now_s(), ip,
            plane[1] if plane else 0, self.connections(), VERSION.encode())
        # states whose change the others must hear at once
        urgent = (self.redundancy, self.service, database[0], self.hot_swap, plane)
        if fields != self._beat_fields:
            self.node.heartbeat = messages.encode(messages.HEARTBEAT, *fields)
            if urgent != self._urgent:
                self.node.beat_now()
            self._beat_fields = fields
            self._urgent = urgent

    # ---- management

    def status(self):
        """The STATUS json of this card (INTERFACE: chassis status)."""
        counters = self.node.counters
        answer = {
            "slot": self.config.slot,
            "role": self.config.role_name,
            "board": self.config.board,
            "interpreter": "micropython" if MICROPYTHON else "cpython",
            "firmware": VERSION,
            "state": states.SERVICE[self.service],
            "hot_swap": states.HOT_SWAP[self.hot_swap],
            "incarnation": self.incarnation,
            "uptime_s": self._uptime_s,
            "redundancy": states.REDUNDANCY[self.redundancy],
            "database": None,
            "connections": None,
            "sip": None,
            "health": None,
            "bus": {name: counters.get(name, 0)
                    for name in ("sent", "received", "retransmitted", "dropped")},
        }
        answer.update(self.role_status())
        return answer

    def _add_commands(self):
        add = self.commands.add
        add("status", "role, state, database, counters in short", self._status_command)
        add("counters", "every counter of the card", self._counters_command)
        add("pools", "queues and tables: used, limit, high-water mark, dropped", self._pools)
        add("peers", "the other cards as this one hears them", self._peers)
        add("location", "location AOR: the record of one address", self._location)
        add("log", "the newest log lines", lambda words: "\n".join(self.log.recent()))
        add("selftest", "check memory, store and SIP path", self._selftest)
        add("bench", "measure store and SIP rates", self._bench)
        add("reboot", "restart this card", self._reboot)
        add("drain", "take no new calls", self._drain_command)
        add("undrain", "take new calls again", self._undrain_command)

    def _status_command(self, words):
        status = self.status()
        if words == ["--json"]:
            return as_json(status).decode()
        return render(status)

    def all_counters(self):
        """Every counter by name, for the console."""
        return {"bus_" + name: value for name, value in self.node.counters.items()}

    def _counters_command(self, words):
        counters = self.all_counters()
        return "\n".join("{:<32} {}".format(name, counters[name]) for name in sorted(counters))

    def pools(self):
        """Rows (name, used, limit, high-water mark, dropped) of the card's bounded things."""
        return list(self.node.pools())

    def _pools(self, words):
        lines = ["{:<24} {:>9} {:>9} {:>9} {:>9}".format(
            "pool", "used", "limit", "high", "dropped")]
        for row in self.pools():
            lines.append("{:<24} {:>9} {:>9} {:>9} {:>9}".format(*row))
        return "\n".join(lines)

    def _peers(self, words):
        lines = []
        now_ms = clock.now_ms()
        for slot in sorted(self.node.members):
            member = self.node.members[slot]
            beat = member.beat
            hot_swap = states.HOT_SWAP[beat[BEAT_HOT_SWAP]] if member.up else "M7"
            lines.append("slot {:>2} {:<16} {} {:<14} {:<12} level {} heard {} ms ago".format(
                slot, states.ROLES[beat[BEAT_ROLE]], hot_swap,
                states.SERVICE[beat[BEAT_SERVICE]], states.DATABASE[beat[BEAT_DATABASE]],
                beat[BEAT_LEVEL], ticks_diff(now_ms, member.last_heard_ms)))
        return "\n".join(lines) or "nobody heard yet"

    def location_value(self, key):
        """The value of a record, or None. Raises ValueError with a sentence where none is held."""
        raise ValueError("a {} card holds no location database".format(self.config.role_name))

    def _location(self, words):
        if len(words) != 1:
            return 1, "usage: location AOR"
        key = record.aor_key(words[0].encode())
        value = self.location_value(key)
        if value is None:
            return 1, "no record"
        return as_json(record.to_json(key, value)).decode()

    def selftest_items(self):
        """Rows (name, passed, detail); a role adds its own."""
        # MicroPython multiplies bytes, but no bytearray
        pattern = bytes(range(256)) * 16
        copy = bytearray(pattern)
        return [("memory", copy == pattern, "4096 octets"),
                ("bus", self.node.counters.get("sent", 0) > 0, "frames sent")]

    def _selftest(self, words):
        rows = self.selftest_items()
        lines = ["{} {} ({})".format("pass" if row[1] else "FAIL", row[0], row[2])
                 for row in rows]
        return (0 if all(row[1] for row in rows) else 1), "\n".join(lines)

    def bench_items(self):
        """Rows (name, value, unit); a role adds its own."""
        begun = clock.now_ms()
        count = 0
        while ticks_diff(clock.now_ms(), begun) < 20:
            count += 1
        return [("clock_reads", count * 50, "per s")]

    def _bench(self, words):
        rows = self.bench_items()
        return "\n".join("{:<24} {:>10} {}".format(*row) for row in rows)

    def _reboot(self, words):
        self.reactor.stop(REBOOT)
        return "rebooting"

    def drain(self, wanted):
        """Take no new calls (wanted) or take them again; roles that have none ignore it."""

    def _drain_command(self, words):
        self.hot_swap = states.M6
        self.drain(True)
        self._refresh_beat(clock.now_ms(), True)
        return "draining"

    def _undrain_command(self, words):
        self.hot_swap = states.M4
        self.drain(False)
        self._refresh_beat(clock.now_ms(), True)
        return "in service again"


def _no_repl(words):
    return 1, "repl is only on the serial console"
