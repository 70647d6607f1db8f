"""Just enough SIP for the simulated phones, of its own making: texts, headers, digest answers.

Nothing of firmware/sip is used, so that an error there is not made twice.
"""

import hashlib
import re


class Text:
    """One message taken apart: `start` (first line), `head` (name, value) pairs as text."""

    def __init__(self, octets):
        lines = octets.decode().split("\r\n\r\n")[0].split("\r\n")
        self.start = lines[0]
        self.head = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.head.append((name.strip().lower(), value.strip()))
        words = self.start.split(" ", 2)
        self.status = int(words[1]) if words[0] == "SIP/2.0" else None
        number, _, method = self.value("cseq").partition(" ")
        self.cseq = int(number)
        self.method = method.strip()
        self.uri = words[1] if self.status is None else None

    def values(self, name):
        """All values of a header."""
        return [value for key, value in self.head if key == name]

    def value(self, name):
        """The first value of a header, "" without one."""
        found = self.values(name)
        return found[0] if found else ""

    def branch(self):
        """The branch of the topmost Via."""
        return parameter(self.value("via"), "branch")

    def tag(self, name):
        """The tag of From or To, or None."""
        return parameter(self.value(name), "tag")


def parameter(value, name):
    """A parameter of a header value, or None."""
    found = re.search(r";{}=([^;,\s>]*)".format(name), value)
    return found.group(1) if found else None


def bare_uri(value):
    """What stands between the angle brackets."""
    return re.search(r"<([^>]*)>", value).group(1)


def build(start, lines):
    """The octets of a message without a body."""
    return "\r\n".join([start, *lines, "Content-Length: 0", "", ""]).encode()


def answer(request, status, phrase, to_tag, lines=()):
    """A response by RFC 3261 8.2.6, with the Record-Route of a dialog (12.1.1)."""
    head = ["Via: " + value for value in request.values("via")]
    head += ["Record-Route: " + value for value in request.values("record-route")]
    to = request.value("to")
    if request.tag("to") is None:
        to += ";tag=" + to_tag
    head += ["From: " + request.value("from"), "To: " + to,
             "Call-ID: " + request.value("call-id"), "CSeq: " + request.value("cseq"), *lines]
    return build("SIP/2.0 {} {}".format(status, phrase), head)


def sha256(text):
    """Lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def authorization(challenge, user, password, method, uri):
    """An Authorization line for a SHA-256 challenge (RFC 7616 3.4.1, qop=auth, first use)."""
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge.partition(" ")[2]))
    ha1 = sha256("{}:{}:{}".format(user, fields["realm"], password))
    cnonce = "0a4f113b"
    response = sha256("{}:{}:00000001:{}:auth:{}".format(
        ha1, fields["nonce"], cnonce, sha256("{}:{}".format(method, uri))))
    return ('Authorization: Digest username="{}", realm="{}", nonce="{}", uri="{}", '
            'response="{}", algorithm=SHA-256, cnonce="{}", qop=auth, nc=00000001'.format(
                user, fields["realm"], fields["nonce"], uri, response, cnonce))
