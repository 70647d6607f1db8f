"""REGISTER through the VIP: a 200 means committed, and on every card within a second."""

import time

import pytest
from phone import Phone, status, values
from rig import CLUSTER, wait_for
from streams import Calls

PASSWORD = "tea and cake"


@pytest.fixture
def phone(chassis):
    chassis.run("provision", "subscriber", "add", "bob@proxy.example", "--password-stdin",
                "--wait", "coherent", text=PASSWORD + "\n")
    made = Phone("bob", chassis.vip, PASSWORD)
    yield made
    made.close()


def bindings(chassis):
    chassis.whole()
    record = chassis.equal_dump().get("bob@proxy.example", {})
    return [one["contact"] for one in record.get("bindings", [])]


def whereto(chassis, slot):
    """What `chassis whereto` tells of bob by the copy of one card, as text."""
    return str(chassis.control("whereto", method="INVITE", uri="sip:bob@proxy.example", slot=slot))


def test_registered_is_on_every_card(chassis, phone):
    answer = phone.register()
    assert status(answer) == 200, answer
    begun = time.monotonic()
    wait_for(lambda: all(phone.contact in whereto(chassis, slot) for slot in CLUSTER),
             "the contact on every card", 1)
    print("on every card {:.3f} s after the 200".format(time.monotonic() - begun))
    assert time.monotonic() - begun < 1
    assert phone.contact in values(answer, "contact")[0]
    assert bindings(chassis) == [phone.contact]
    level = chassis.cards()[3]["database"]["level"]
    assert status(phone.register()) == 200
    assert chassis.cards()[3]["database"]["level"] > level
    assert bindings(chassis) == [phone.contact]
    assert status(phone.register(0)) == 200
    assert bindings(chassis) == []


def test_wrong_password_changes_nothing(chassis, phone):
    before = chassis.cards()[3]["database"]
    phone.password = "guess"
    assert status(phone.register(seconds=5)) in (401, 403)
    assert chassis.cards()[3]["database"] == before


def test_unknown_subscriber_changes_nothing(chassis):
    stranger = Phone("mallory", chassis.vip, "x")
    before = chassis.cards()[3]["database"]
    assert status(stranger.register(seconds=5)) in (401, 403, 404)
    assert chassis.cards()[3]["database"] == before
    stranger.close()


def test_without_a_location_server_calls_go_on_and_register_gets_503(chassis, callee, phone):
    calls = Calls(chassis, "callee")
    calls.start()
    chassis.kill(3)
    had = calls.count
    answer = phone.register()
    assert status(answer) == 503, answer
    assert 0 < int(values(answer, "retry-after")[0]) < 3600, answer
    for slot in CLUSTER:
        assert chassis.cards()[slot]["state"] == "in-service"
    wait_for(lambda: calls.count > 5 + had, "calls go on without the location server")
    chassis.insert(3)
    calls.end()
    assert calls.failed == []
    assert status(phone.register()) == 200
    assert bindings(chassis) == [phone.contact]
