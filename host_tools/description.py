"""What a chassis file says, as data: the chassis, its database settings, backplanes and slots."""

from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ROOT / "boards"
DEMO_FILE = BOARDS / "chassis" / "demo.toml"

LOCATION_SERVER = "location-server"
SIP_CLUSTER = "sip-cluster"
SWITCH = "switch"
ROLES = (LOCATION_SERVER, SIP_CLUSTER, SWITCH)
INTERPRETERS = ("cpython", "micropython")
MODES = ("proxy", "redirect")
# what `settings` of [chassis] or of a slot may say (firmware/proxy/config.py); numbers are >= 1
SETTINGS = {
    "relay_allowed": bool, "max_contacts": int,
    "min_expires_s": int, "default_expires_s": int, "max_expires_s": int,
    "nonce_lifetime_s": int, "retry_after_s": int,
}


@dataclass(frozen=True)
class Domain:
    """A SIP domain of ours; mode None leaves the choice to the card."""

    name: str
    mode: str | None = None


@dataclass(frozen=True)
class Backplane:
    """One backplane; None in group or port lets the emulator choose a free one."""

    kind: str = "ethernet"
    group: str | None = None
    port: int | None = None
    interface: str = "127.0.0.1"


@dataclass(frozen=True)
class Slot:
    """One card of the description."""

    number: int
    role: str
    board: str
    interpreter: str = "cpython"
    mode: tuple = ("proxy",)
    direct: tuple | None = None
    settings: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """A whole chassis file that has been found right."""

    path: Path
    name: str
    vip: tuple
    domains: tuple
    key_file: Path | None
    door: tuple | None
    settings: dict
    reload_threshold: int
    log_levels: int
    audit_hours: int
    backplanes: tuple
    slots: tuple

    def slot(self, number):
        """The Slot with that number, or None."""
        for slot in self.slots:
            if slot.number == number:
                return slot
        return None

    def numbers(self, role=None):
        """Slot numbers in rising order, of one role or of all."""
        return sorted(s.number for s in self.slots if role is None or s.role == role)
