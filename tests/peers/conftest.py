"""Fixtures of the peer tests: the demo chassis, one for each test file."""

import pathlib
import shutil
import socket
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "chassis"))

from rig import running  # noqa: E402


@pytest.fixture(scope="module")
def chassis(tmp_path_factory):
    """The demo chassis, up and whole."""
    with running(tmp_path_factory.mktemp("peers")) as made:
        yield made


@pytest.fixture
def free_port():
    """A function that gives a UDP port of 127.0.0.1 which nobody has at this moment."""

    def find():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def tool():
    """A function that gives the path of a peer's program; a missing one fails the test."""

    def find(name):
        path = shutil.which(name)
        assert path, "{} is missing; `make test` as root installs it".format(name)
        return path

    return find
