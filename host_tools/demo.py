"""The demo subscribers of `chassis up --demo N`: alice, bob, ... with passwords to print."""

import json
import secrets
from pathlib import Path

from host_tools.credentials import ha1_of
from host_tools.state_dir import write_private

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
PASSWORD_BYTES = 6
SUBSCRIBERS_FILE = "demo_subscribers.json"


def subscribers(state, count, domain):
    """[(user@domain, password)]; the passwords are kept in the state folder and stay the same."""
    path = state.path / SUBSCRIBERS_FILE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    chosen = []
    for index in range(count):
        name = NAMES[index] if index < len(NAMES) else "user{}".format(index + 1)
        user = "{}@{}".format(name, domain)
        chosen.append((user, known.setdefault(user, secrets.token_urlsafe(PASSWORD_BYTES))))
    write_private(path, json.dumps(known, indent=1) + "\n")
    return chosen


def provision_demo(state, door, count, domain):
    """Provision `count` demo subscribers through `door` (DoorClient); gives `subscribers`."""
    people = subscribers(state, count, domain)
    for user, password in people:
        door.ask("subscriber", user=user, realm=domain, ha1=ha1_of(user, domain, password))
    return people


def hint(people, vip, path):
    """Lines that tell a newcomer how to place a call: few, for they stay below the live table.

    people: what `subscribers` gives, at least one.  vip: (host, port).  path: the state folder.
    """
    caller, called = people[0], people[min(1, len(people) - 1)]
    name, _, domain = called[0].partition("@")
    lines = ["{} demo subscribers of {}; all passwords: {}".format(
        len(people), domain, _short(path / SUBSCRIBERS_FILE))]
    lines += ["  {}  password {}".format(user, password)
              for user, password in dict((caller, called)).items()]
    if caller != called:
        lines.append("With two softphones: register these two at {}:{} (UDP), dial sip:{}".format(
            *vip, called[0]))
    return lines + [
        "Without: in another terminal, `. .venv/bin/activate`, then",
        "  chassis provision add {} sip:{}@127.0.0.1:5090".format(called[0], name),
        "  sipp -sn uas -i 127.0.0.1 -p 5090 -m 1 -bg",
        "  sipp -sn uac -i 127.0.0.1 {}:{} -s {} -m 1".format(*vip, name)]


def _short(path):
    """`path` as seen from the working folder when it is below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
