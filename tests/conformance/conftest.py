"""One location server and one cluster card, as processes, for the whole folder."""

import hashlib
import json
import pathlib
import sys

import pytest
from wire import PASSWORD, PROXY, REDIRECT, Peer, Phone

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "chassis"))

from rig import Chassis  # noqa: E402

USERS = 120
CHASSIS = """
[chassis]
name = "conformance"
vip = "127.0.0.1:0"
domains = ["127.0.0.1", "proxy.example", { name = "redirect.example", mode = "redirect" }]

[[slot]]
number = 1
role = "location-server"

[[slot]]
number = 2
role = "sip-cluster"
"""


def subscriber(user, realm):
    """The import record of a subscriber (RFC 7616 3.4.2)."""
    text = "{}:{}:{}".format(user, realm, PASSWORD).encode()
    return json.dumps({
        "kind": "subscriber", "user": user + "@" + realm, "realm": realm,
        "ha1": {"MD5": hashlib.md5(text).hexdigest(),
                "SHA-256": hashlib.sha256(text).hexdigest()}})


@pytest.fixture(scope="session")
def card(tmp_path_factory):
    """(host, port) of the cluster card's own socket, which is the VIP here."""
    running = Chassis(tmp_path_factory.mktemp("conformance"))
    running.file.write_text(CHASSIS)
    records = running.folder / "subscribers.ndjson"
    records.write_text("".join(
        subscriber("u{}".format(number), realm) + "\n"
        for number in range(USERS) for realm in (PROXY, REDIRECT)))
    try:
        running.up()
        running.run("provision", "import", records, "--wait", "coherent")
        yield running.vip
    finally:
        running.end()


@pytest.fixture(scope="session")
def users():
    """Names of subscribers that no test has used yet."""
    return iter("u{}".format(number) for number in range(USERS))


@pytest.fixture
def open_peers():
    """What a test opened; closed behind it."""
    opened = []
    yield opened
    for peer in opened:
        peer.close()


@pytest.fixture
def caller(card, open_peers):
    """A client without an account."""
    open_peers.append(Peer(card))
    return open_peers[-1]


@pytest.fixture
def phone(card, open_peers, users):
    """A subscriber's phone; its user has no binding yet."""
    open_peers.append(Phone(card, next(users)))
    return open_peers[-1]


@pytest.fixture
def other(card, open_peers):
    """A second client, to answer or to ask beside the first."""
    open_peers.append(Peer(card))
    return open_peers[-1]
