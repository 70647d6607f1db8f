"""A location server and one sip-cluster card as processes, filled and coherent."""

import json
import os
import pty
import socket
import sys
import time

from tests.bench.measure import GENERATOR_CPU, ROOT, TARGET_CPU, Skipped, free_port, start, stop

MAIN = ROOT / "firmware" / "cards" / "main.py"
SERVER_SLOT = 1
CLUSTER_SLOT = 3
BATCH = 500
READY_S = 60


class CardPair:
    """The two cards; `address` is where the cluster card takes plain SIP."""

    def __init__(self, folder, domain):
        self._folder = folder
        self._domain = domain
        self._processes = []
        self._consoles = []
        self._door = ("127.0.0.1", free_port())
        self._bus = {"kind": "udp_multicast", "group": "239.255.71.21", "port": free_port(),
                     "interface": "127.0.0.1"}
        self.address = ("127.0.0.1", free_port())
        self._power_on(SERVER_SLOT, "location-server", GENERATOR_CPU, door=list(self._door))
        self._power_on(CLUSTER_SLOT, "sip-cluster", TARGET_CPU, direct=list(self.address),
                       plane=["127.0.0.1", free_port()])

    @property
    def pid(self):
        """Of the cluster card."""
        return self._processes[-1].pid

    def _power_on(self, slot, role, cpu, **more):
        flash = self._folder / f"slot-{slot}"
        flash.mkdir()
        card = {
            "slot": slot, "role": role, "board": "linux_sbc", "chassis": "bench",
            "vip": ["127.0.0.1", 5060], "domains": [{"name": self._domain, "mode": "redirect"}],
            "modes": ["redirect"], "key": None, "secret": "00" * 16, "buses": [self._bus],
            "database": {"reload_threshold": 1000000, "log_levels": 1000000, "audit_hours": 24},
            "location_servers": [SERVER_SLOT], "mate": None, "door": None, "door_token": None,
            "plane": None, "direct": None, "settings": {}, **more}
        (flash / "card.json").write_text(json.dumps(card))
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        self._consoles.append(master)
        log = open(self._folder / f"slot-{slot}.err", "w")
        self._processes.append(start(
            [sys.executable, MAIN, flash], cpu, stdin=slave, stdout=slave, stderr=log, cwd=ROOT))
        os.close(slave)
        log.close()

    def fill(self, subscribers):
        """Commit (AoR, contact) pairs through the door and wait until the card answers them."""
        with self._connect() as door, door.makefile("rw") as stream:
            for first in range(0, len(subscribers), BATCH):
                records = [{"aor": aor, "contact": contact, "q": 1.0, "expires": 0}
                           for aor, contact in subscribers[first:first + BATCH]]
                request = {"op": "batch", "first_line": first + 1, "records": records}
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                if not answer.get("ok"):
                    raise RuntimeError(f"the door refused a batch: {answer}")
        wait_for_redirect(self.address, subscribers[-1][0])

    def _connect(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            for process in self._processes:
                if process.poll() is not None:
                    raise Skipped(f"a card did not start; see {self._folder}")
            try:
                return socket.create_connection(self._door, timeout=READY_S)
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise RuntimeError("the location server opens no door")

    def close(self):
        """Power both cards off."""
        for process in self._processes:
            stop(process)
        for console in self._consoles:
            os.close(console)


def wait_for_redirect(address, aor, wanted=b"SIP/2.0 302"):
    """Ask for `aor` until the answer starts with `wanted`. Raises RuntimeError after READY_S."""
    deadline = time.monotonic() + READY_S
    answer = b"nothing"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.settimeout(0.2)
        here = "127.0.0.1:%d" % probe.getsockname()[1]
        count = 0
        while time.monotonic() < deadline:
            count += 1
            text = (
                f"OPTIONS sip:{aor} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKp{count}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:probe@{here}>;tag=p{count}\r\nTo: <sip:{aor}>\r\n"
                f"Call-ID: probe{count}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            probe.sendto(text.encode(), address)
            try:
                answer = probe.recv(4096)
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.02)
                continue
            if answer.startswith(wanted):
                return
    raise RuntimeError(f"{address} does not redirect {aor}: {answer[:60]!r}")
