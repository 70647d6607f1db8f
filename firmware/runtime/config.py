"""What a card reads from its flash folder before anything else: card.json and its incarnation.

Runs on both interpreters. Errors are ConfigError with one sentence: what, where, what to do.
"""

import json
import os

from bus import states

CARD_FILE = "card.json"
INCARNATION_FILE = "incarnation"


class ConfigError(Exception):
    """The flash folder does not hold a usable configuration."""


class CardConfig:
    """The settings of one card.

    Attributes are the keys of card.json; addresses are (host, port) tuples; `key` and `secret`
    are bytes; `role` is the number of bus/states.py. `flash` is the folder itself.
    """

    def __init__(self, flash, raw):
        self.flash = flash
        self.raw = raw
        self.slot = _number(raw, "slot", 0, 30)
        role = raw.get("role")
        if role not in states.ROLES[1:]:
            raise ConfigError("card.json: role {!r} is none of {}".format(role, states.ROLES[1:]))
        self.role = states.ROLES.index(role)
        self.role_name = role
        self.board = raw.get("board", "linux_sbc")
        self.chassis = raw.get("chassis", "chassis")
        self.vip = _address(raw, "vip", True)
        self.domains = raw.get("domains", [])
        self.modes = raw.get("modes", ["proxy"])
        self.key = _octets(raw, "key")
        self.secret = _octets(raw, "secret") or bytes(16)
        self.database = raw.get("database", {})
        self.buses = raw.get("buses", [])
        if not self.buses:
            raise ConfigError("card.json: no bus; add at least one entry to buses")
        self.door = _address(raw, "door", False)
        self.door_token = raw.get("door_token")
        self.plane = _address(raw, "plane", False)
        self.direct = _address(raw, "direct", False)
        self.mate = raw.get("mate")
        self.settings = raw.get("settings", {})


def _number(raw, name, low, high):
    value = raw.get(name)
    if not isinstance(value, int) or not low <= value <= high:
        raise ConfigError("card.json: {} must be a number from {} to {}".format(name, low, high))
    return value


def _address(raw, name, needed):
    value = raw.get(name)
    if value is None and not needed:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ConfigError('card.json: {} must be ["host", port]'.format(name))
    return (value[0], value[1])


def _octets(raw, name):
    value = raw.get(name)
    if value is None:
        return None
    try:
        return bytes.fromhex(value)
    except (ValueError, TypeError):
        raise ConfigError("card.json: {} must be hexadecimal".format(name))


def load(flash):
    """The CardConfig of the flash folder `flash`. Raises ConfigError."""
    path = flash + "/" + CARD_FILE
    try:
        with open(path) as file:
            raw = json.load(file)
    except OSError as error:
        raise ConfigError("cannot read {}: error {}".format(path, error.args[0]))
    except ValueError:
        raise ConfigError("{} is not JSON".format(path))
    if not isinstance(raw, dict):
        raise ConfigError("{} must hold one JSON object".format(path))
    return CardConfig(flash, raw)


def next_incarnation(flash):
    """Count one more power-on of this card and return its number, 1..2**30.

    The new number is on stable storage before it is used: two lives never share one.
    """
    path = flash + "/" + INCARNATION_FILE
    number = 0
    try:
        with open(path) as file:
            number = int(file.read().strip() or "0")
    except (OSError, ValueError):
        number = 0
    number += 1
    with open(path + ".new", "w") as file:
        file.write("{}\n".format(number))
        file.flush()
        if hasattr(os, "fsync"):
            os.fsync(file.fileno())
    os.rename(path + ".new", path)
    return number
