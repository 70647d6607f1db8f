"""Up, down, warm start, hot swap; what is refused is one sentence and leaves nothing running."""

import os
import socket

import pytest
from rig import CLUSTER, ROLES, alive, wait_for


def one_sentence(done):
    """The error that a verb wrote: one line, on standard error alone."""
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_up_all_in_service_and_coherent(chassis):
    cards = chassis.cards()
    assert {slot: card["role"] for slot, card in cards.items()} == ROLES
    assert all(card["state"] == "in-service" for card in cards.values())
    assert sorted(card["redundancy"] for card in cards.values() if card["role"] == "switch") == [
        "primary", "secondary"]
    for slot in CLUSTER:
        assert cards[slot]["database"]["state"] == "coherent"
        assert cards[slot]["health"]["alive"] is True
    assert all(alive(card["pid"]) for card in cards.values())
    assert all(os.path.exists(card["console"]) for card in cards.values())


def test_a_second_up_on_the_same_state_is_refused(chassis):
    before = chassis.cards()
    done = chassis.run("up", chassis.file, "--detach", expect=1)
    assert "already runs" in one_sentence(done)
    after = chassis.cards()
    assert [card["pid"] for card in after.values()] == [card["pid"] for card in before.values()]


def test_extract_and_insert(chassis):
    pid = chassis.pid(5)
    chassis.run("extract", 5)
    assert chassis.cards()[5]["state"] == "absent" and not alive(pid)
    level = chassis.ask("provision", "add", "swap@proxy.example", "sip:swap@127.0.0.1:9")["level"]
    chassis.run("insert", 5)
    chassis.whole()
    assert chassis.cards()[5]["database"]["level"] == level


def test_extract_now_pulls_the_card(chassis):
    pid = chassis.pid(4)
    incarnation = chassis.cards()[4]["incarnation"]
    chassis.run("extract", 4, "--now")
    assert not alive(pid)
    chassis.run("insert", 4)
    chassis.whole()
    assert chassis.cards()[4]["incarnation"] > incarnation


def test_console_commands(chassis):
    for slot in ROLES:
        text = chassis.run("console", slot, "--command", "counters").stdout
        assert "bus_sent" in text, text
    assert "tuples" in chassis.run("console", 1, "--command", "pools").stdout


def test_down_leaves_nothing_and_up_is_a_warm_start(fresh):
    fresh.up()
    level = fresh.ask("provision", "add", "warm@proxy.example", "sip:warm@127.0.0.1:9",
                      "--wait", "coherent")["level"]
    before = fresh.cards()
    fresh.run("down")
    assert not any(alive(card["pid"]) for card in before.values())
    done = fresh.run("status", expect=3)
    assert "no chassis runs" in done.stderr
    fresh.up()
    cards = fresh.cards()
    for slot in (3,) + CLUSTER:
        assert cards[slot]["database"]["level"] == level
        assert cards[slot]["database"]["birthday"] == before[slot]["database"]["birthday"]
        assert cards[slot]["incarnation"] > before[slot]["incarnation"]
    assert list(fresh.equal_dump()) == ["warm@proxy.example"]


def test_killed_supervisor_takes_no_hostage(fresh):
    fresh.up()
    document = fresh.published()
    os.kill(document["pid"], 9)
    wait_for(lambda: not alive(document["pid"]), "the supervisor dies")
    fresh.up()
    old = [slot["pid"] for slot in document["slots"]]
    wait_for(lambda: not any(map(alive, old)), "the cards of the dead supervisor end")


def test_busy_vip(fresh):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        fresh.file.write_text(fresh.file.read_text().replace("127.0.0.1:0", "127.0.0.1:{}".format(
            port)))
        sentence = one_sentence(fresh.run("up", fresh.file, "--detach", expect=1))
    assert "127.0.0.1:{}".format(port) in sentence and "in use" in sentence
    assert not (fresh.state / "chassis.json").exists()


@pytest.mark.parametrize(("find", "write"), [
    ('role = "sip-cluster"', 'role = "coffee-machine"'),
    ("number = 2", "number = 1"),
    ("number = 6", "number = 99"),
    ("[chassis]", "[chassis"),
    ("vip =", "vipp ="),
    ('kind = "ethernet"', 'kind = "string"'),
    ("reload_threshold = 1000", 'reload_threshold = "many"'),
])
def test_bad_chassis_file(fresh, find, write):
    text = fresh.file.read_text()
    assert find in text
    fresh.file.write_text(text.replace(find, write, 1))
    done = fresh.run("up", fresh.file, "--detach", check=False)
    assert done.returncode in (1, 2) and done.stdout == ""
    number = text[:text.index(find)].count("\n") + 1
    # a mistake may make another: one line each, all naming the file
    lines = done.stderr.strip().splitlines()
    assert all(str(fresh.file) in line for line in lines) and len(lines) <= 2, done.stderr
    assert "{}:{}:".format(fresh.file, number) in lines[0], done.stderr
    assert not (fresh.state / "chassis.json").exists()


def test_missing_chassis_file(fresh):
    done = fresh.run("up", fresh.folder / "none.toml", "--detach", check=False)
    assert done.returncode in (1, 2) and "none.toml" in done.stderr
