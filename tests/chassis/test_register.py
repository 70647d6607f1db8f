"""REGISTER through the VIP: a 200 means committed, and on every card."""

import pytest
from phone import Phone, status, values

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


def test_registered_is_on_every_card(chassis, phone):
    answer = phone.register()
    assert status(answer) == 200, answer
    assert phone.contact in values(answer, "contact")[0]
    assert bindings(chassis) == [phone.contact]
    for slot in (4, 5, 6):
        found = chassis.ask("whereto", "sip:bob@proxy.example", "--slot", slot)
        assert phone.contact in str(found)
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
