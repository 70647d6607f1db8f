"""Writes what a card finds in its flash folder before its first power-on: card.json."""

import json

from host_tools.description import LOCATION_SERVER, SIP_CLUSTER, SWITCH
from host_tools.errors import os_failure
from host_tools.ports import multicast_group
from host_tools.state_dir import write_private

LOOPBACK = "127.0.0.1"


class Wiring:
    """The addresses of one life of the emulated chassis, chosen once for all its cards.

    buses: the `buses` entries of every card.json; door: (host, port) of each location server by
    slot; plane and direct: (host, port) by slot.
    """

    def __init__(self, description, ports):
        vip_host, vip_port = description.vip
        self.vip = (vip_host, vip_port or ports.free(vip_host))
        self.buses = [
            {"kind": "udp_multicast", "group": plane.group or multicast_group(),
             "port": plane.port or ports.free(plane.interface), "interface": plane.interface}
            for plane in description.backplanes]
        servers = description.numbers(LOCATION_SERVER)
        self.doors = {slot: (LOOPBACK, ports.free()) for slot in servers}
        if description.door:
            self.doors[servers[0]] = description.door
        clusters = description.numbers(SIP_CLUSTER)
        self.planes = {slot: (LOOPBACK, ports.free())
                       for slot in clusters + description.numbers(SWITCH)}
        self.direct = {slot: description.slot(slot).direct or (LOOPBACK, ports.free())
                       for slot in clusters}
        if len(clusters) == 1 and not description.numbers(SWITCH):
            # nobody else would own the VIP
            self.direct[clusters[0]] = self.vip


def card_document(description, wiring, slot, key, secret):
    """The card.json of `slot` as a dict."""
    card = description.slot(slot)
    mates = [n for n in description.numbers(card.role) if n != slot]
    paired = card.role in (LOCATION_SERVER, SWITCH)
    return {
        "slot": slot, "role": card.role, "board": card.board, "chassis": description.name,
        "vip": list(wiring.vip),
        "domains": [{"name": d.name, "mode": _domain_mode(d, card)} for d in description.domains],
        "modes": list(card.mode),
        "key": key.hex(), "secret": secret.hex(),
        "database": {"reload_threshold": description.reload_threshold,
                     "log_levels": description.log_levels,
                     "audit_hours": description.audit_hours},
        "buses": wiring.buses,
        "door": _listed(wiring.doors.get(slot)), "door_token": None,
        "plane": _listed(wiring.planes.get(slot)),
        "direct": _listed(wiring.direct.get(slot)),
        "mate": mates[0] if paired and mates else None,
        "location_servers": description.numbers(LOCATION_SERVER),
        "settings": {**description.settings, **card.settings},
    }


def _domain_mode(domain, card):
    """A domain chooses among the modes that the card has; the card's first mode otherwise."""
    return domain.mode if domain.mode in card.mode else card.mode[0]


def _listed(address):
    return list(address) if address else None


def write_card_files(description, wiring, state, key, secret):
    """Make every flash folder with its card.json (mode 0600: it holds keys)."""
    for slot in description.numbers():
        flash = state.flash(slot)
        try:
            flash.mkdir(exist_ok=True)
        except OSError as error:
            raise os_failure(error, "writing {}".format(flash)) from None
        document = card_document(description, wiring, slot, key, secret)
        write_private(flash / "card.json", json.dumps(document, indent=1) + "\n")
