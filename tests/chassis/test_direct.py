"""The plain UDP address of one card: what comes there is answered from there, now or later.

RFC 3261 18.2.2: without rport an answer goes to the port of the Via, not to the sender's.
"""

import socket

import pytest
from phone import DOMAIN, Phone, status, values

PASSWORD = "tea and cake"


class TwoPorts(Phone):
    """Sends from one socket and names another in its Via."""

    def __init__(self, user, address):
        super().__init__(user, address, PASSWORD)
        self.address = address
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sender.bind(("127.0.0.1", 0))

    def close(self):
        super().close()
        self._sender.close()

    def request(self, method, uri, fields, seconds=10):
        """The final response, which must come from the address asked."""
        self._cseq += 1
        datagram, branch = self._build(method, uri, fields, self._cseq)
        self._sender.sendto(datagram.replace(b";rport", b""), self.address)
        self._socket.settimeout(seconds)
        text, source = self._socket.recvfrom(65535)
        assert source == self.address
        assert branch in values(text.decode(), "via")[0]
        return text.decode()


@pytest.fixture(params=[4, 6])
def phone(request, chassis):
    """A phone at the direct address of one card."""
    chassis.run("provision", "subscriber", "add", "dora@" + DOMAIN, "--password-stdin",
                "--wait", "coherent", text=PASSWORD + "\n")
    slots = {slot["slot"]: slot for slot in chassis.published()["slots"]}
    made = TwoPorts("dora", tuple(slots[request.param]["direct"]))
    yield made
    made.close()


def test_answers_leave_by_the_direct_address(phone):
    sender = ["From: <sip:dora@{}>;tag=1".format(DOMAIN), "To: <sip:nobody@{}>".format(DOMAIN)]
    answer = phone.request("OPTIONS", "sip:nobody@" + DOMAIN, sender)
    assert status(answer) == 404, answer
    answer = phone.register()  # the 401 at once, the 200 after the commit
    assert status(answer) == 200, answer
    assert any(phone.contact in value for value in values(answer, "contact"))
    assert status(phone.register(0)) == 200
