"""Reads CHASSIS.toml; tells every mistake with its line and reason before anything starts."""

import ipaddress
import json
import re
import tomllib
from pathlib import Path

from host_tools.description import (
    BOARDS, INTERPRETERS, LOCATION_SERVER, MODES, ROLES, SETTINGS, SIP_CLUSTER, SWITCH,
    Backplane, Description, Domain, Slot)
from host_tools.errors import WRONG_ARGUMENTS, ToolError, os_failure
from host_tools.toml_lines import key_lines, line_of

MAX_SLOT = 30
# a second one would be the warm standby, which is not built: two active ones would quarrel
MAX_LOCATION_SERVERS = 1
MAX_SWITCHES = 2
DEFAULT_VIP = "127.0.0.1:5060"
# the log also tells a REGISTER that is sent again from a new one: it must hold more changes than
# the location server can have under way (a whole commit and its queue)
LEAST_LOG_LEVELS = 5000

_REQUIRED = object()
_HOST_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*$")

_CHASSIS_KEYS = ("name", "vip", "domains", "key_file", "door", "settings")
_DATABASE_KEYS = {"reload_threshold": (1000, 1, 10_000_000),
                  "log_levels": (100_000, LEAST_LOG_LEVELS, 100_000_000),
                  "audit_hours": (24, 1, 8760)}
REASONS = {"log_levels": ": the log also holds the request ids by which a REGISTER that is sent "
                         "again is known"}
_BACKPLANE_KEYS = ("kind", "group", "port", "interface")
_SLOT_KEYS = ("number", "role", "board", "interpreter", "mode", "direct", "settings")
_TOP_KEYS = ("chassis", "database", "backplane", "slot")


class ChassisFileError(ToolError):
    """A refused chassis file: `mistakes` is a list of (line, reason) in rising order."""

    def __init__(self, path, mistakes):
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join("{}:{}: {}".format(path, line, reason)
                                   for line, reason in self.mistakes), WRONG_ARGUMENTS)


def read_chassis_file(path):
    """The Description in the file `path`.

    Raises ChassisFileError naming each mistake, ToolError when the file cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ToolError("there is no chassis file {}".format(path), WRONG_ARGUMENTS) from None
    except UnicodeDecodeError:
        raise ChassisFileError(path, [(1, "the file is not UTF-8 text")]) from None
    except OSError as error:
        raise os_failure(error, "reading the chassis file {}".format(path)) from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ChassisFileError(path, [_toml_mistake(text, str(error))]) from None
    return _Reader(path, document, key_lines(text)).description()


def _toml_mistake(text, message):
    place = re.search(r"\(at line (\d+), column \d+\)", message)
    line = int(place.group(1)) if place else max(1, len(text.splitlines()))
    return line, "not TOML: " + re.sub(r"\s*\(at .*\)$", "", message).lower()


class _Reader:
    """Walks one parsed document and collects its mistakes."""

    def __init__(self, path, document, lines):
        self.path = path
        self.document = document
        self.lines = lines
        self.mistakes = []

    def wrong(self, path, reason):
        self.mistakes.append((line_of(self.lines, path), reason))

    def description(self):
        self.known_keys(self.document, (), _TOP_KEYS, "the file")
        chassis = self.table("chassis")
        self.known_keys(chassis, ("chassis",), _CHASSIS_KEYS, "[chassis]")
        slots = self.slots()
        self.whole(slots)
        fields = dict(
            path=self.path,
            name=self.value(chassis, ("chassis",), "name", str, "chassis"),
            vip=self.host_port(chassis, ("chassis",), "vip", DEFAULT_VIP, zero_port=True),
            domains=self.domains(chassis),
            key_file=self.key_file(chassis),
            door=self.host_port(chassis, ("chassis",), "door", None),
            settings=self.settings(chassis, ("chassis",)),
            backplanes=self.backplanes(), slots=tuple(slots), **self.database())
        if self.mistakes:
            raise ChassisFileError(self.path, self.mistakes)
        return Description(**fields)

    def table(self, name):
        found = self.document.get(name, {})
        if isinstance(found, dict):
            return found
        self.wrong((name,), "{} must be a table, written [{}]".format(name, name))
        return {}

    def tables(self, name):
        found = self.document.get(name, [])
        if isinstance(found, list) and all(isinstance(item, dict) for item in found):
            return found
        self.wrong((name,), "{} must be written [[{}]], once for each".format(name, name))
        return []

    def known_keys(self, table, path, known, where):
        for key in table:
            if key not in known:
                self.wrong(path + (key,), "{} has no key {!r}; it may have {}".format(
                    where, key, ", ".join(known)))

    def value(self, table, path, key, kind, default):
        """table[key] when it is of `kind`; else the mistake is noted and None comes back."""
        if key not in table:
            if default is _REQUIRED:
                self.wrong(path, "{} is missing".format(key))
                return None
            return default
        found = table[key]
        if isinstance(found, kind) and not (kind is int and isinstance(found, bool)):
            return found
        names = {str: "a string", int: "a whole number", dict: "a table", list: "a list",
                 bool: "true or false"}
        self.wrong(path + (key,), "{} must be {}, not {!r}".format(key, names[kind], found))
        return None

    def choice(self, table, path, key, choices, default):
        found = self.value(table, path, key, str, default)
        if found is not None and found not in choices:
            self.wrong(path + (key,), "{} {!r} is none of {}".format(
                key, found, ", ".join(choices)))
        return found

    def host_port(self, table, path, key, default, zero_port=False):
        found = self.value(table, path, key, str, default)
        if found is None:
            return None
        host, _, port = found.rpartition(":")
        try:
            ipaddress.IPv4Address(host)
            number = int(port)
        except ValueError:
            number = -1
        if not (0 if zero_port else 1) <= number <= 65535:
            self.wrong(path + (key,), '{} {!r} is not an IPv4 address and port such as '
                       '"127.0.0.1:5060"'.format(key, found))
            return None
        return (host, number)

    def domains(self, chassis):
        path = ("chassis", "domains")
        found = self.value(chassis, ("chassis",), "domains", list, _REQUIRED)
        domains = []
        for item in found or ():
            entry = {"name": item} if isinstance(item, str) else item
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                self.wrong(path, "domain {!r} is neither a name nor {{ name, mode }}".format(item))
                continue
            self.known_keys(entry, path, ("name", "mode"), "a domain")
            name = entry["name"].lower()
            if not _HOST_NAME.match(name):
                self.wrong(path, "{!r} is not a domain name".format(entry["name"]))
            if any(domain.name == name for domain in domains):
                self.wrong(path, "domain {!r} is there twice".format(name))
            mode = self.choice(entry, path, "mode", MODES, None)
            domains.append(Domain(name, mode))
        if found == []:
            self.wrong(path, "domains is empty: name at least one SIP domain")
        return tuple(domains)

    def key_file(self, chassis):
        found = self.value(chassis, ("chassis",), "key_file", str, None)
        if found is None:
            return None
        path = self.path.parent / found
        try:
            if len(bytes.fromhex(path.read_text(encoding="ascii").strip())) < 16:
                raise ValueError
        except OSError as error:
            self.wrong(("chassis", "key_file"), "key_file {} cannot be read: {}".format(
                path, error.strerror))
        except ValueError:
            self.wrong(("chassis", "key_file"),
                       "key_file {} must hold at least 32 hexadecimal digits".format(path))
        return path

    def database(self):
        table = self.table("database")
        self.known_keys(table, ("database",), tuple(_DATABASE_KEYS), "[database]")
        values = {}
        for key, (default, low, high) in _DATABASE_KEYS.items():
            found = self.value(table, ("database",), key, int, default)
            if found is not None and not low <= found <= high:
                self.wrong(("database", key), "{} must be {} to {}, not {}{}".format(
                    key, low, high, found, REASONS.get(key, "")))
            values[key] = found
        return values

    def backplanes(self):
        backplanes = []
        for index, table in enumerate(self.tables("backplane")):
            path = ("backplane", index)
            self.known_keys(table, path, _BACKPLANE_KEYS, "[[backplane]]")
            kind = self.choice(table, path, "kind", ("ethernet", "can"), _REQUIRED)
            if kind == "can":
                self.wrong(path + ("kind",), 'the emulated chassis has no CAN backplane; '
                           'use kind = "ethernet"')
            backplanes.append(Backplane(
                kind, self.multicast_group(table, path), self.bus_port(table, path),
                self.interface(table, path)))
        return tuple(backplanes) or (Backplane(),)

    def multicast_group(self, table, path):
        group = self.value(table, path, "group", str, None)
        if group is not None and not _is_address(group, multicast=True):
            self.wrong(path + ("group",), "group {!r} is not an IPv4 multicast address such as "
                       "239.255.1.1".format(group))
        return group

    def bus_port(self, table, path):
        port = self.value(table, path, "port", int, None)
        if port is not None and not 1 <= port <= 65535:
            self.wrong(path + ("port",), "port must be 1 to 65535, not {}".format(port))
        return port

    def interface(self, table, path):
        interface = self.value(table, path, "interface", str, "127.0.0.1")
        if interface is not None and not _is_address(interface):
            self.wrong(path + ("interface",), "interface {!r} is not an IPv4 address of this "
                       "machine".format(interface))
        return interface

    def slots(self):
        slots = []
        for index, table in enumerate(self.tables("slot")):
            path = ("slot", index)
            self.known_keys(table, path, _SLOT_KEYS, "[[slot]]")
            number = self.value(table, path, "number", int, _REQUIRED)
            if number is not None and not 1 <= number <= MAX_SLOT:
                self.wrong(path + ("number",), "number must be 1 to {}, not {}".format(
                    MAX_SLOT, number))
            role = self.choice(table, path, "role", ROLES, _REQUIRED)
            interpreter = self.choice(table, path, "interpreter", INTERPRETERS, "cpython")
            slots.append(Slot(
                number, role, self.board(table, path, interpreter), interpreter,
                self.modes(table, path, role), self.host_port(table, path, "direct", None),
                self.settings(table, path)))
        return slots

    def settings(self, table, path):
        found = self.value(table, path, "settings", dict, {}) or {}
        path = path + ("settings",)
        self.known_keys(found, path, tuple(SETTINGS), "settings")
        for key in found:
            value = self.value(found, path, key, SETTINGS.get(key, object), None)
            if SETTINGS.get(key) is int and value is not None and value < 1:
                self.wrong(path + (key,), "{} must be at least 1, not {}".format(key, value))
        return found

    def board(self, table, path, interpreter):
        default = "unix" if interpreter == "micropython" else "linux_sbc"
        board = self.value(table, path, "board", str, default)
        if board is None:
            return None
        known = {entry.parent.name: entry for entry in sorted(BOARDS.glob("*/board.json"))}
        if board not in known:
            self.wrong(path + ("board",), "board {!r} is none of {}".format(
                board, ", ".join(known)))
            return board
        runs = json.loads(known[board].read_text(encoding="utf-8"))["interpreters"]
        if interpreter in INTERPRETERS and interpreter not in runs:
            self.wrong(path + ("interpreter",), "board {} does not run {}, only {}".format(
                board, interpreter, ", ".join(runs)))
        return board

    def modes(self, table, path, role):
        if "mode" not in table:
            return MODES
        found = table["mode"]
        modes = [found] if isinstance(found, str) else found
        if not isinstance(modes, list) or not modes or any(m not in MODES for m in modes):
            self.wrong(path + ("mode",), 'mode must be a list of "proxy" and "redirect", '
                       'not {!r}'.format(found))
            return MODES
        if role in ROLES and role != SIP_CLUSTER:
            self.wrong(path + ("mode",), "only a sip-cluster card has a mode")
        return tuple(modes)

    def whole(self, slots):
        """What no single slot shows: doubles, and what a chassis must or may hold."""
        seen = set()
        for index, slot in enumerate(slots):
            if slot.number in seen and slot.number is not None:
                self.wrong(("slot", index, "number"), "slot {} is there twice".format(slot.number))
            seen.add(slot.number)
        count = {role: [i for i, s in enumerate(slots) if s.role == role] for role in ROLES}
        for role, most in ((LOCATION_SERVER, MAX_LOCATION_SERVERS), (SWITCH, MAX_SWITCHES)):
            if len(count[role]) > most:
                self.wrong(("slot", count[role][most]), "more than {} {} card{}".format(
                    most, role, "s" if most > 1 else ""))
        if any(slot.role not in ROLES for slot in slots):
            return  # its line is named; what it was meant to be is not known
        for role in (LOCATION_SERVER, SIP_CLUSTER):
            if not count[role]:
                self.wrong(("slot",), "there is no {} card: a chassis needs one".format(role))


def _is_address(text, multicast=False):
    try:
        return ipaddress.IPv4Address(text).is_multicast is multicast
    except ValueError:
        return False
