"""card.json and the incarnation counter, on both interpreters."""

import json
import os

from bus import states
from firmware.runtime import config

FOLDER = "build/test_config"
CARD = {
    "slot": 3, "role": "sip-cluster", "board": "unix", "chassis": "demo",
    "vip": ["127.0.0.1", 5060], "secret": "00112233445566778899aabbccddeeff",
    "buses": [{"kind": "udp_multicast", "group": "239.255.1.1", "port": 1}],
    "plane": ["127.0.0.1", 0],
}


def _flash(card):
    for path in ("build", FOLDER):
        try:
            os.mkdir(path)
        except OSError:
            pass
    with open(FOLDER + "/card.json", "w") as file:
        file.write(card if isinstance(card, str) else json.dumps(card))
    return FOLDER


def _clear():
    for name in ("card.json", "incarnation"):
        try:
            os.remove(FOLDER + "/" + name)
        except OSError:
            pass
    os.rmdir(FOLDER)


def _refusal(card):
    try:
        config.load(_flash(card))
    except config.ConfigError as error:
        return str(error)
    finally:
        _clear()
    return None


def _with(**changes):
    card = dict(CARD)
    for name in changes:
        card[name] = changes[name]
    return card


def test_a_card_reads_its_settings():
    card = config.load(_flash(CARD))
    _clear()
    assert card.slot == 3 and card.role == states.SIP_CLUSTER
    assert card.vip == ("127.0.0.1", 5060) and card.plane == ("127.0.0.1", 0)
    assert card.secret == bytes.fromhex("00112233445566778899aabbccddeeff")
    assert card.key is None and card.direct is None and card.modes == ["proxy"]


def test_each_mistake_is_named():
    assert "slot" in _refusal(_with(slot=31))
    assert "role" in _refusal(_with(role="router"))
    assert "vip" in _refusal(_with(vip="127.0.0.1:5060"))
    assert "hexadecimal" in _refusal(_with(key="xyz"))
    assert "buses" in _refusal(_with(buses=[]))
    assert "not JSON" in _refusal("slot = 3")
    assert "one JSON object" in _refusal("[]")


def test_a_missing_file_is_a_sentence():
    try:
        config.load("build/no_such_folder")
        raise AssertionError("a missing folder was accepted")
    except config.ConfigError as error:
        assert "card.json" in str(error)


def test_incarnations_rise_and_survive_rubbish():
    _flash(CARD)
    assert config.next_incarnation(FOLDER) == 1
    assert config.next_incarnation(FOLDER) == 2
    with open(FOLDER + "/incarnation", "w") as file:
        file.write("rubbish")
    assert config.next_incarnation(FOLDER) == 1
    _clear()
