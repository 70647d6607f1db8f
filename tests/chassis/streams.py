"""Streams of provisioning, registrations and calls that go on while a test breaks things."""

import secrets
import threading
import time

from host_tools.credentials import ha1_of
from host_tools.door import DoorClient
from host_tools.errors import ToolError
from phone import DOMAIN, Phone, status

PASSWORD = "open sesame"
PHONES = 500
PAUSE_S = 0.01


class Stream(threading.Thread):
    """Calls `once()` over and over until ended; an exception in it is raised again by `end`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.count = 0
        self._ending = threading.Event()
        self._error = None

    def run(self):
        try:
            while not self._ending.is_set():
                self.once()
                time.sleep(PAUSE_S)
        except Exception as error:  # kept for the thread that waits
            self._error = error

    def end(self):
        """Stop, wait, and raise what went wrong."""
        self._ending.set()
        self.join(60)
        assert not self.is_alive(), "the stream does not end"
        if self._error is not None:
            raise self._error


def door(chassis):
    """A client of the door of this chassis."""
    return DoorClient([tuple(one) for one in chassis.published()["doors"].values()])


class Provisioning(Stream):
    """Adds p0, p1, ...; `acknowledged` has those that were answered with a level."""

    def __init__(self, chassis):
        super().__init__()
        self._chassis = chassis
        self.acknowledged = []

    def once(self):
        """One connection; as many changes as it lives."""
        try:
            with door(self._chassis) as client:
                while not self._ending.is_set():
                    aor = "p{}@{}".format(self.count, DOMAIN)
                    client.ask("add", aor=aor, contact="sip:p@127.0.0.1:9")
                    self.acknowledged.append(aor)
                    self.count += 1
                    time.sleep(PAUSE_S)
        except ToolError:
            return  # the door is gone for now; the same change comes again


class Registrations(Stream):
    """Phones that register one after the other; `acknowledged`: AOR -> list of contacts."""

    def __init__(self, chassis):
        super().__init__()
        self._vip = chassis.vip
        self.acknowledged = {}
        self._name = "r" + secrets.token_hex(4)
        people = [{"kind": "subscriber", "user": self._user(number) + "@" + DOMAIN,
                   "realm": DOMAIN, "ha1": ha1_of(self._user(number), DOMAIN, PASSWORD)}
                  for number in range(PHONES)]
        with door(chassis) as client:
            client.ask("batch", first_line=1, records=people)

    def _user(self, number):
        return "{}x{}".format(self._name, number % PHONES)

    def once(self):
        """The next phone registers from a new socket, until it is answered 200."""
        user = self._user(self.count)
        phone = Phone(user, self._vip, PASSWORD)
        try:
            if status(phone.register(seconds=8)) == 200:
                self.acknowledged.setdefault(user + "@" + DOMAIN, []).append(phone.contact)
                self.count += 1
        finally:
            phone.close()


class Calls(Stream):
    """One caller that calls `callee` over and over; `failed` has the results that were not 200."""

    def __init__(self, chassis, callee):
        super().__init__()
        self._callee = callee
        self._phone = Phone("caller", chassis.vip)
        self.failed = []

    @property
    def retransmitted(self):
        """How many requests had to be sent again."""
        return self._phone.retransmitted

    def once(self):
        """One call."""
        result = self._phone.call(self._callee)
        if result != (200, 200):
            self.failed.append((self.count, result))
        self.count += 1
