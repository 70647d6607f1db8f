"""SIP over a real UDP socket, octet for octet as a test writes it; nothing of the firmware.

A test tells silence by a probe: one card answers one socket in order, so the answer to a later
request that comes first proves that the earlier one had none. No test waits for time to pass.
"""

import hashlib
import re
import secrets
import socket

ANSWER_TIMEOUT_S = 10
PROXY = "proxy.example"
REDIRECT = "redirect.example"
PASSWORD = "tea and cake"
_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact",
            "l": "content-length"}


class Message:
    """A datagram taken apart at its line ends. start: start line. body: octets as text."""

    def __init__(self, octets):
        self.octets = octets
        head, _, self.body = octets.decode("utf-8").partition("\r\n\r\n")
        self.start, *self.lines = head.split("\r\n")

    @property
    def status(self):
        """The status code; 0 for a request."""
        return int(self.start[8:11]) if self.start.startswith("SIP/2.0 ") else 0

    def values(self, name):
        """The values of every header with this name (lower case), in order."""
        found = []
        for line in self.lines:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            if _COMPACT.get(key, key) == name:
                found.append(value.strip())
        return found

    def value(self, name):
        """The value of the one header with this name."""
        (value,) = self.values(name)
        return value


def lines(*text, body=""):
    """Lines as one datagram: CRLF behind each and one empty line."""
    return ("\r\n".join(text) + "\r\n\r\n" + body).encode()


class Peer:
    """One UDP socket that talks to the card. address: the card's (host, port)."""

    def __init__(self, address):
        self.card = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        self.port = self._socket.getsockname()[1]

    def close(self):
        """Give the port back."""
        self._socket.close()

    def via(self, branch=None, params=""):
        """A Via line of this socket; a new branch unless one is given."""
        return "Via: SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bK{}{}".format(
            self.port, branch or secrets.token_hex(8), params)

    def build(self, method, uri, *extra, via=None, to=None, sender=None, call_id=None, cseq=1,
              max_forwards="Max-Forwards: 70", body=""):
        """A plain request; extra: header lines behind the needed ones."""
        head = [line for line in (
            "{} {} SIP/2.0".format(method, uri), via or self.via(), max_forwards,
            "From: " + (sender or "<sip:caller@caller.example>;tag=c1"),
            "To: " + (to or "<{}>".format(uri)),
            "Call-ID: " + (call_id or secrets.token_hex(8)),
            "CSeq: {} {}".format(cseq, method)) if line]
        length = [] if any(line.lower().startswith("content-length") for line in extra) else [
            "Content-Length: {}".format(len(body.encode()))]
        return lines(*head, *extra, *length, body=body)

    def send(self, datagram):
        """Send octets to the card."""
        self._socket.sendto(datagram, self.card)

    def receive(self):
        """The next datagram as Message; it must come from the card's own address and port."""
        octets, source = self._socket.recvfrom(65535)
        assert source == self.card, source
        return Message(octets)

    def ask(self, datagram):
        """Send, and give what comes back."""
        self.send(datagram)
        return self.receive()

    def request(self, method, uri, *extra, **options):
        """Send a plain request and give its answer."""
        return self.ask(self.build(method, uri, *extra, **options))

    def is_silent(self, datagram):
        """True when the card sends nothing here for `datagram`: a later OPTIONS is first."""
        self.send(datagram)
        probe = secrets.token_hex(8)
        uri = "sip:{}:{}".format(*self.card)
        return self.request("OPTIONS", uri, call_id=probe).value("call-id") == probe

    def answer(self, request, start, *extra, tag="callee", body=""):
        """Answer a forwarded request as a user agent server does (RFC 3261 8.2.6)."""
        copied = []
        for name in ("via", "record-route", "from", "to", "call-id", "cseq"):
            for value in request.values(name):
                if name == "to" and ";tag=" not in value:
                    value += ";tag=" + tag
                copied.append("{}: {}".format(name, value))
        self.send(lines("SIP/2.0 " + start, *copied, *extra,
                        "Content-Length: {}".format(len(body)), body=body))


class Phone(Peer):
    """A user agent of a subscriber `user` in both domains, registering with SHA-256 digest."""

    def __init__(self, address, user):
        super().__init__(address)
        self.user = user
        self.call_id = secrets.token_hex(8)
        self.cseq = 0

    def contact(self, prefix=""):
        """This socket as a Contact URI; another prefix of the user makes it another one."""
        return "sip:{}{}@127.0.0.1:{}".format(prefix, self.user, self.port)

    def aor(self, domain=PROXY):
        """The phone's address of record as a URI."""
        return "sip:{}@{}".format(self.user, domain)

    def unsigned(self, *extra, domain=PROXY, to=None, call_id=None, cseq=None, via=None,
                 tag="r1"):
        """A REGISTER without credentials; cseq counts up unless given."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        aor = to or "<{}>".format(self.aor(domain))
        return self.build("REGISTER", "sip:" + domain, *extra, to=aor, via=via,
                          sender="<{}>;tag={}".format(self.aor(domain), tag), cseq=cseq,
                          call_id=call_id or self.call_id)

    def register(self, *extra, domain=PROXY, cseq=None, **options):
        """REGISTER through the challenge; the final answer. cseq: of the request that counts.

        A second challenge that says stale is answered too (RFC 7616 3.3), as any phone does.
        """
        first = None if cseq is None else cseq - 1
        answer = self.ask(self.unsigned(*extra, domain=domain, cseq=first, **options))
        for _ in range(2):
            if answer.status == 401:
                signed = credentials(answer, self.user, domain)
                answer = self.ask(
                    self.unsigned(*extra, signed, domain=domain, cseq=cseq, **options))
        return answer

    def bind(self, contact=None, *extra, domain=PROXY, **options):
        """Register one contact; a 200 is asserted and returned."""
        answer = self.register("Contact: <{}>".format(contact or self.contact()), *extra,
                               domain=domain, **options)
        assert answer.status == 200, answer.start
        return answer

    def bindings(self, domain=PROXY):
        """The contact URIs that the registrar lists now (10.2.3)."""
        answer = self.register(domain=domain, call_id=secrets.token_hex(8), cseq=1)
        assert answer.status == 200, answer.start
        return sorted(re.match("<([^>]*)>", value).group(1)
                      for value in answer.values("contact"))


def challenge_fields(challenge, algorithm="SHA-256"):
    """The fields of the WWW-Authenticate header for `algorithm`, unquoted."""
    for value in challenge.values("www-authenticate"):
        fields = dict(re.findall(r'([\w-]+)="?([^",]*)"?', value.partition(" ")[2]))
        if fields["algorithm"] == algorithm:
            return fields
    raise AssertionError("no challenge for " + algorithm)


def credentials(challenge, user, domain, algorithm="SHA-256", nc="00000001", password=PASSWORD):
    """The Authorization line for a challenge to REGISTER (RFC 7616 3.4)."""
    function = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}[algorithm]

    def digest(*parts):
        return function(":".join(parts).encode()).hexdigest()

    fields = challenge_fields(challenge, algorithm)
    uri = "sip:" + domain
    client = secrets.token_hex(4)
    response = digest(digest(user, fields["realm"], password), fields["nonce"], nc, client,
                      "auth", digest("REGISTER", uri))
    return ('Authorization: Digest username="{}", realm="{}", nonce="{}", uri="{}", algorithm={},'
            ' qop=auth, nc={}, cnonce="{}", response="{}"').format(
        user, fields["realm"], fields["nonce"], uri, algorithm, nc, client, response)
