"""Fixtures: a chassis that is up, one for each test file; a folder for one that is not yet."""

import pytest
from phone import DOMAIN, Answerer
from rig import Chassis, running


@pytest.fixture(scope="module")
def chassis(tmp_path_factory):
    """The demo chassis, up and whole."""
    with running(tmp_path_factory.mktemp("chassis")) as made:
        yield made


@pytest.fixture
def fresh(tmp_path):
    """A chassis that the test itself brings up; ended after it."""
    made = Chassis(tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def callee(chassis):
    """A thread that answers calls to `callee`, provisioned on every card."""
    thread = Answerer("callee")
    thread.start()
    aor = "callee@" + DOMAIN
    try:
        chassis.run("provision", "add", aor, thread.contact, "--wait", "coherent")
        yield thread
    finally:
        chassis.run("provision", "remove", aor, check=False)
        thread.end()
