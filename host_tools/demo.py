"""The demo subscribers of `chassis up --demo N`: alice, bob, ... with passwords to print."""

import json
import secrets

from host_tools.credentials import ha1_of
from host_tools.state_dir import write_private

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
PASSWORD_BYTES = 6


def subscribers(state, count, domain):
    """[(user@domain, password)]; the passwords are kept in the state folder and stay the same."""
    path = state.path / "demo_subscribers.json"
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


def hint(people, vip):
    """Lines that tell a newcomer how to place a call."""
    lines = ["Demo subscribers (register a softphone with each):"]
    lines += ["  sip:{}   password {}".format(user, password) for user, password in people]
    lines.append("  proxy / registrar: {}:{} (UDP)".format(*vip))
    if len(people) > 1:
        caller, called = people[0][0], people[1][0]
        lines.append("To place a call: register {} and {} in two softphones, then dial sip:{} "
                     "from the first.".format(caller, called, called))
        lines.append("Without a softphone: `chassis provision add {} sip:{}@127.0.0.1:5090`, "
                     "then `sipp -sn uas -p 5090` and".format(called, called.partition("@")[0]))
        lines.append("  `sipp -sn uac {}:{} -s {} -m 1`.".format(
            *vip, called.partition("@")[0]))
    return lines
