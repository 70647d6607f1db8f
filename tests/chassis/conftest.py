"""Fixtures: a chassis that is up, one for each test file; a folder for one that is not yet."""

import pytest
from phone import Answerer
from rig import Chassis


@pytest.fixture(scope="module")
def chassis(tmp_path_factory):
    """The demo chassis, up and whole."""
    running = Chassis(tmp_path_factory.mktemp("chassis"))
    try:
        running.up()
        yield running
    finally:
        running.end()


@pytest.fixture
def fresh(tmp_path):
    """A chassis that the test itself brings up; ended after it."""
    made = Chassis(tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def callee():
    """A thread that answers calls."""
    thread = Answerer("callee")
    thread.start()
    try:
        yield thread
    finally:
        thread.end()
