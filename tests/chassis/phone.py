"""A SIP user agent over UDP for tests, from RFC 3261 by hand: REGISTER with digest, calls.

Retransmits as section 17.1 has it (500 ms doubling to 4 s, 32 s in all), answers INVITE and BYE.
"""

import hashlib
import re
import secrets
import socket
import threading
import time

T1_S = 0.5
T2_S = 4.0
TIMER_F_S = 32.0
DOMAIN = "proxy.example"


def headers(message):
    """(start line, list of (lower-case name, value)) of a SIP message as text."""
    lines = message.split("\r\n\r\n")[0].split("\r\n")
    pairs = [line.partition(":") for line in lines[1:]]
    return lines[0], [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def values(message, name):
    """Every value of a header."""
    return [value for found, value in headers(message)[1] if found == name]


def status(message):
    """The status code of a response; 0 for a request."""
    return int(message[8:11]) if message.startswith("SIP/2.0 ") else 0


class Phone:
    """One user agent on a socket of its own. user: text before the @ of sip:user@domain."""

    def __init__(self, user, vip, password=None, domain=DOMAIN):
        self.user = user
        self.domain = domain
        self.password = password
        self.retransmitted = 0
        self._vip = vip
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.contact = "sip:{}@127.0.0.1:{}".format(user, self.port)
        self._call_id = secrets.token_hex(8)
        self._cseq = 0

    def close(self):
        self._socket.close()

    def register(self, expires_s=600, seconds=TIMER_F_S):
        """REGISTER, with credentials when challenged; the final response."""
        aor = "sip:{}@{}".format(self.user, self.domain)
        fields = ["From: <{}>;tag={}".format(aor, self._call_id), "To: <{}>".format(aor),
                  "Contact: <{}>".format(self.contact), "Expires: {}".format(expires_s)]
        answer = self.request("REGISTER", "sip:" + self.domain, fields, seconds)
        if status(answer) == 401:
            challenge = [value for value in values(answer, "www-authenticate")
                         if "SHA-256" not in value][-1]
            fields.append(self._authorization(challenge))
            answer = self.request("REGISTER", "sip:" + self.domain, fields, seconds)
        return answer

    def call(self, callee, seconds=TIMER_F_S):
        """INVITE, ACK, BYE to sip:callee@domain; the status of INVITE and of BYE."""
        self._call_id = secrets.token_hex(8)
        target = "sip:{}@{}".format(callee, self.domain)
        sender = "From: <sip:{}@{}>;tag={}".format(self.user, self.domain, self._call_id)
        fields = [sender, "To: <{}>".format(target), "Contact: <{}>".format(self.contact)]
        answer = self.request("INVITE", target, fields, seconds)
        if status(answer) != 200:
            return status(answer), 0
        remote = re.search("<(.*?)>", values(answer, "contact")[0]).group(1)
        fields = [sender, "To: " + values(answer, "to")[0]]
        fields += ["Route: " + value for value in reversed(values(answer, "record-route"))]
        self._send("ACK", remote, fields, self._cseq)
        return 200, status(self.request("BYE", remote, fields, seconds))

    def request(self, method, uri, fields, seconds=TIMER_F_S):
        """Send a request through the VIP and give its final response; "" after `seconds`."""
        self._cseq += 1
        datagram, branch = self._build(method, uri, fields, self._cseq)
        end = time.monotonic() + seconds
        interval = T1_S
        self._socket.sendto(datagram, self._vip)
        resend = time.monotonic() + interval
        while time.monotonic() < end:
            self._socket.settimeout(max(0.001, min(resend, end) - time.monotonic()))
            try:
                text = self._socket.recv(65535).decode()
            except (TimeoutError, ConnectionError):
                if time.monotonic() >= resend:
                    interval = min(2 * interval, T2_S)
                    resend = time.monotonic() + interval
                    self.retransmitted += 1
                    self._socket.sendto(datagram, self._vip)
                continue
            if status(text) >= 200 and branch in values(text, "via")[0]:
                return text
        return ""

    def _build(self, method, uri, fields, cseq):
        branch = "z9hG4bK" + secrets.token_hex(8)
        lines = ["{} {} SIP/2.0".format(method, uri),
                 "Via: SIP/2.0/UDP 127.0.0.1:{};branch={};rport".format(self.port, branch),
                 "Max-Forwards: 70", "Call-ID: " + self._call_id,
                 "CSeq: {} {}".format(cseq, method), *fields, "Content-Length: 0", "", ""]
        return "\r\n".join(lines).encode(), branch

    def _send(self, method, uri, fields, cseq):
        self._socket.sendto(self._build(method, uri, fields, cseq)[0], self._vip)

    def _authorization(self, challenge):
        """RFC 2617 3.2.2 with MD5, and qop=auth where offered."""
        found = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge.partition(" ")[2]))
        uri = "sip:" + self.domain

        def md5(*parts):
            return hashlib.md5(":".join(parts).encode()).hexdigest()

        first = md5(self.user, found["realm"], self.password)
        second = md5("REGISTER", uri)
        text = 'username="{}", realm="{}", nonce="{}", uri="{}", algorithm=MD5'.format(
            self.user, found["realm"], found["nonce"], uri)
        if "qop" in found:
            client = secrets.token_hex(4)
            response = md5(first, found["nonce"], "00000001", client, "auth", second)
            text += ', qop=auth, nc=00000001, cnonce="{}"'.format(client)
        else:
            response = md5(first, found["nonce"], second)
        if "opaque" in found:
            text += ', opaque="{}"'.format(found["opaque"])
        return 'Authorization: Digest {}, response="{}"'.format(text, response)


class Answerer(threading.Thread):
    """A callee in a thread: 200 to every request but ACK."""

    def __init__(self, user):
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.contact = "sip:{}@127.0.0.1:{}".format(user, self._socket.getsockname()[1])
        self.calls = set()
        self._ending = threading.Event()

    def run(self):
        while not self._ending.is_set():
            try:
                octets, source = self._socket.recvfrom(65535)
            except (TimeoutError, ConnectionError):
                continue
            text = octets.decode()
            if status(text) or text.startswith("ACK "):
                continue
            if text.startswith("INVITE "):
                self.calls.add(values(text, "call-id")[0])
            self._socket.sendto(self._answer(text).encode(), source)
        self._socket.close()

    def end(self):
        """Stop and wait for the thread."""
        self._ending.set()
        self.join()

    def _answer(self, text):
        lines = ["SIP/2.0 200 OK"]
        for name, value in headers(text)[1]:
            if name == "to" and ";tag=" not in value:
                value += ";tag=callee"
            if name in ("via", "record-route", "from", "to", "call-id", "cseq"):
                lines.append("{}: {}".format(name.title(), value))
        return "\r\n".join([*lines, "Contact: <{}>".format(self.contact), "Content-Length: 0",
                            "", ""])
