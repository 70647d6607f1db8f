"""Chassis files: what is right is read, each mistake is told with its line and its reason."""

import json

import pytest

from host_tools.card_config import Wiring, card_document
from host_tools.chassis_file import ChassisFileError, read_chassis_file
from host_tools.description import BOARDS, DEMO_FILE
from host_tools.errors import ToolError
from host_tools.ports import PortChooser

RIGHT = """\
[chassis]
name = "lab"
vip = "127.0.0.1:5070"
domains = ["lab.example", { name = "Other.Example", mode = "redirect" }]

[database]
reload_threshold = 50

[[backplane]]
kind = "ethernet"

[[slot]]
number = 1
role = "location-server"

[[slot]]
number = 2
role = "sip-cluster"
mode = ["proxy"]
"""


def read(tmp_path, text):
    path = tmp_path / "chassis.toml"
    path.write_text(text, encoding="utf-8")
    return read_chassis_file(path)


def test_a_right_file_is_read(tmp_path):
    description = read(tmp_path, RIGHT)
    assert description.vip == ("127.0.0.1", 5070)
    assert [(d.name, d.mode) for d in description.domains] == [
        ("lab.example", None), ("other.example", "redirect")]
    assert description.reload_threshold == 50
    assert description.numbers("sip-cluster") == [2]
    assert description.slot(2).board == "linux_sbc"


# what is replaced, by what, the line that must be named, a word of the reason
MISTAKES = (
    ('name = "lab"', "name = 7", 2, "a string"),
    ('vip = "127.0.0.1:5070"', 'vip = "127.0.0.1"', 3, "port"),
    ('vip = "127.0.0.1:5070"', 'vip = "localhost:5070"', 3, "IPv4"),
    ('vip = "127.0.0.1:5070"', 'vip = "127.0.0.1:70000"', 3, "port"),
    ('"lab.example"', '"lab example"', 4, "domain name"),
    ('"lab.example"', '"other.example"', 4, "twice"),
    ('mode = "redirect"', 'mode = "tandem"', 4, "tandem"),
    ("reload_threshold = 50", "reload_threshold = 0", 7, "1 to"),
    ("reload_threshold = 50", "reload_treshold = 50", 7, "reload_treshold"),
    ("reload_threshold = 50", "log_levels = 4999", 7, "request ids"),
    ('kind = "ethernet"', 'kind = "can"', 10, "CAN"),
    ('kind = "ethernet"', 'kind = "ethernet"\ngroup = "10.0.0.1"', 11, "multicast"),
    ("number = 2", "number = 1", 17, "twice"),
    ("number = 2", "number = 31", 17, "1 to 30"),
    ('[[slot]]\nnumber = 2\n', '[[slot]]\nnumber = 3\nrole = "location-server"\n'
     '[[slot]]\nnumber = 2\n', 16, "more than 1 location-server card"),
    ("number = 2", "number = true", 17, "whole number"),
    ('role = "sip-cluster"', 'role = "router"', 18, "router"),
    ('role = "sip-cluster"', 'role = "sip-cluster"\nboard = "pdp11"', 19, "pdp11"),
    ('role = "location-server"', 'role = "location-server"\ninterpreter = "micropython"\n'
     'board = "linux_sbc"', 15, "does not run micropython"),
    ('mode = ["proxy"]', "mode = []", 19, "list"),
    ('role = "location-server"', 'role = "location-server"\nmode = ["proxy"]', 15, "sip-cluster"),
    ("[chassis]", "[chassis", 1, "not TOML"),
    ('[[slot]]\nnumber = 2\nrole = "sip-cluster"\nmode = ["proxy"]\n', "", 12, "sip-cluster"),
    ("[database]", "[databank]", 6, "databank"),
    ('name = "lab"', 'key_file = "missing"', 2, "cannot be read"),
    ('name = "lab"', "settings = { max_contacts = 0 }", 2, "at least 1"),
    ('name = "lab"', "settings = { relay_allowed = 1 }", 2, "true or false"),
    ('mode = ["proxy"]', "settings = { relay_alowed = true }", 19, "relay_alowed"),
)


@pytest.mark.parametrize(("old", "new", "line", "word"), MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path, old, new, line, word):
    assert old in RIGHT
    with pytest.raises(ChassisFileError) as refused:
        read(tmp_path, RIGHT.replace(old, new))
    assert refused.value.exit_code == 2
    told = [reason for number, reason in refused.value.mistakes if number == line]
    assert any(word in reason for reason in told), refused.value.mistakes
    assert "chassis.toml:{}: ".format(line) in refused.value.message


def test_every_mistake_is_told_at_once(tmp_path):
    text = RIGHT.replace('name = "lab"', "name = 7").replace("number = 2", "number = 99")
    with pytest.raises(ChassisFileError) as refused:
        read(tmp_path, text)
    assert [line for line, _ in refused.value.mistakes] == [2, 17]


def test_a_wrong_role_is_one_mistake(tmp_path):
    with pytest.raises(ChassisFileError) as refused:
        read(tmp_path, RIGHT.replace('role = "sip-cluster"', 'role = "router"'))
    assert [line for line, _ in refused.value.mistakes] == [18]


def test_the_least_log_is_taken(tmp_path):
    text = RIGHT.replace("reload_threshold = 50", "log_levels = 5000")
    assert read(tmp_path, text).log_levels == 5000


def test_keys_inside_a_long_string_are_no_keys(tmp_path):
    text = RIGHT.replace('name = "lab"', 'name = """\n[[slot]]\n"""').replace(
        "number = 2", "number = 99")
    with pytest.raises(ChassisFileError) as refused:
        read(tmp_path, text)
    assert [line for line, _ in refused.value.mistakes] == [19]


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ToolError) as refused:
        read_chassis_file(tmp_path / "none.toml")
    assert refused.value.exit_code == 2
    assert "none.toml" in refused.value.message


def test_the_files_of_the_tree_are_right():
    demo = read_chassis_file(DEMO_FILE)
    roles = ("switch", "location-server", "sip-cluster")
    assert [len(demo.numbers(role)) for role in roles] == [2, 1, 3]
    assert [s.interpreter for s in demo.slots].count("micropython") == 1
    for path in sorted((BOARDS / "chassis").glob("*.toml")):
        read_chassis_file(path)


def wired(description):
    ports = PortChooser()
    try:
        return Wiring(description, ports)
    finally:
        ports.close()


def test_card_json_has_what_the_card_needs(tmp_path):
    description = read(tmp_path, RIGHT)
    wiring = wired(description)
    card = card_document(description, wiring, 2, b"k" * 32, b"s" * 16)
    assert card["slot"] == 2
    assert card["role"] == "sip-cluster"
    # this card cannot redirect, whatever the domain would like
    assert [d["mode"] for d in card["domains"]] == ["proxy", "proxy"]
    assert card["key"] == "6b" * 32
    assert card["database"]["reload_threshold"] == 50
    assert card["location_servers"] == [1]
    # nobody else owns the VIP in a chassis without a switch card
    assert card["direct"] == ["127.0.0.1", 5070]
    server = card_document(description, wiring, 1, b"k" * 32, b"s" * 16)
    assert server["door"][0] == "127.0.0.1"
    assert server["plane"] is None
    assert server["mate"] is None


def test_switch_cards_are_mates_and_no_port_is_given_twice():
    demo = read_chassis_file(DEMO_FILE)
    wiring = wired(demo)
    assert card_document(demo, wiring, 1, b"", b"")["mate"] == 2
    assert card_document(demo, wiring, 2, b"", b"")["mate"] == 1
    ports = [bus["port"] for bus in wiring.buses]
    for table in (wiring.doors, wiring.planes, wiring.direct):
        ports += [port for _, port in table.values()]
    assert len(ports) == len(set(ports))


@pytest.mark.parametrize("board", sorted(p.parent.name for p in BOARDS.glob("*/board.json")))
def test_a_board_says_the_same_to_host_and_firmware(board):
    told = json.loads((BOARDS / board / "board.json").read_text(encoding="utf-8"))
    module = __import__("boards.{}.board".format(board), fromlist=["board"])
    assert (told["name"], told["digest"], told["storage"]) == (
        module.NAME, list(module.DIGESTS), module.STORAGE)
