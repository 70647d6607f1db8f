"""Verbs on a running chassis: self-tests on both interpreters, wrong cards, a last switch."""

import time

from rig import ROLES

# a drain that nobody can end takes 10 s; one that is free to go less than this
SHORT_S = 6


def test_every_card_passes_its_self_test(chassis):
    for slot in ROLES:
        text = chassis.run("console", slot, "--command", "selftest").stdout
        assert text.splitlines() and all(line.startswith("pass ") for line in text.splitlines())
    assert chassis.cards()[6]["incarnation"] == 1


def test_a_card_of_another_role_is_named(chassis):
    for words, what in ((("dump", 1), "keeps no location database"),
                        (("whereto", "sip:a@127.0.0.1", "--slot", 3), "routes no calls")):
        done = chassis.run(*words, expect=2)
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert what in done.stderr and "4, 5, 6" in done.stderr


def test_the_last_switch_card_drains_at_once(chassis):
    chassis.run("extract", 1)
    begun = time.monotonic()
    assert chassis.ask("extract", 2) == {"slot": 2, "drained": True}
    assert time.monotonic() - begun < SHORT_S
    for slot in (1, 2):
        chassis.run("insert", slot)
    chassis.whole()


def test_a_card_that_dies_at_once_is_not_waited_for(chassis):
    chassis.run("extract", 5)
    card = chassis.state / "slot5" / "card.json"
    right = card.read_text(encoding="utf-8")
    card.write_text("{", encoding="utf-8")
    begun = time.monotonic()
    try:
        done = chassis.run("insert", 5, expect=1)
    finally:
        card.write_text(right, encoding="utf-8")
    assert time.monotonic() - begun < SHORT_S
    assert "slot 5 (sip-cluster) is absent" in done.stderr and "log.txt" in done.stderr
    chassis.insert(5)


def test_whereto_is_told_from_the_question_to_the_next_hop(chassis):
    chassis.run("provision", "add", "way@127.0.0.1", "sip:way@127.0.0.1:9", "--wait", "coherent")
    lines = chassis.run("whereto", "sip:way@127.0.0.1").stdout.splitlines()
    told = dict(line.split(None, 1) for line in lines)
    assert [line.split()[0] for line in lines][:4] == ["method", "uri", "card", "domain"]
    assert told["record"] == "address way@127.0.0.1"
    assert told["next_hop"] == "127.0.0.1:9"
