"""What the SIP tests share: a store of plain records, a server over it, and message text."""

import hashlib

from firmware.location import record
from firmware.proxy.server import SipServer
from firmware.sip import digest

NOW_S = 1700000000  # Tue, 14 Nov 2023 22:13:20 GMT
NOW_MS = (1 << 30) - 5000  # five seconds before the ticks wrap
SECRET = bytes(range(16))
VIP = ("192.0.2.10", 5060)
CLIENT = ("192.0.2.1", 5060)
DOMAINS = [{"name": "example.com", "mode": "proxy"},
           {"name": "redirect.example", "mode": "redirect"},
           {"name": "open.example", "mode": "proxy", "auth": False}]


class PlainStore:
    """Stands in for LocationStore: `get` over a dict."""

    def __init__(self):
        self.records = {}

    def get(self, key):
        return self.records.get(bytes(key))


def binding(contact, q=1000, expires_s=0, path=b""):
    """A Binding as the location server would commit it."""
    return record.Binding(contact, q, expires_s, b"", 0, path, b"", b"", b"", 0)


def aor(store, name, *bindings):
    """Put an AoR record."""
    store.records[record.aor_key(name)] = record.encode_aor(list(bindings))


def subscriber(store, user, password, realm=b"example.com"):
    """Put a subscriber record `user@realm` with both HA1."""
    secrets = []
    for number, function in hashes():
        secrets.append((number, digest.ha1(function, user, realm, password)))
    store.records[record.subscriber_key(user + b"@" + realm)] = record.encode_subscriber(
        realm, tuple(secrets))


def hashes():
    """SHA-256 and, where the interpreter has it, MD5."""
    found = [(digest.SHA256, hashlib.sha256)]
    if hasattr(hashlib, "md5"):
        found.append((digest.MD5, hashlib.md5))
    return found


def server(store=None, **settings):
    """A SipServer on VIP for DOMAINS."""
    settings["vip"] = settings.get("vip", VIP)
    settings["domains"] = settings.get("domains", DOMAINS)
    return SipServer(settings, store or PlainStore(), SECRET)


def message(*lines, **options):
    """Lines of text or bytes as one message with CRLF; option body: bytes."""
    joined = b"\r\n".join([line if isinstance(line, bytes) else line.encode() for line in lines])
    return joined + b"\r\n\r\n" + options.get("body", b"")


def request(method, uri, *extra, **options):
    """A plain request; options: via, to, sender, call_id, cseq, body."""
    return message(
        "{} {} SIP/2.0".format(method, uri),
        options.get("via", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1"),
        "Max-Forwards: 70",
        "From: {}".format(options.get("sender", "<sip:caller@example.net>;tag=f1")),
        "To: {}".format(options.get("to", "<" + uri + ">")),
        "Call-ID: {}".format(options.get("call_id", "c1@192.0.2.1")),
        "CSeq: {} {}".format(options.get("cseq", 1), method),
        *extra,
        body=options.get("body", b""))


def exchange(card, datagram, source=CLIENT, now_ms=NOW_MS, now_s=NOW_S):
    """Give one datagram; the list of (datagram, address) the card sends."""
    card.receive_message(bytearray(datagram), len(datagram), source, now_ms, now_s)
    assert card.counters["faults"] == 0
    return drain(card)


def drain(card):
    """All the card has to send."""
    sent = []
    item = card.to_send()
    while item is not None:
        sent.append((bytes(item[0]), item[1]))
        item = card.to_send()
    return sent


def only(sent):
    """The one (datagram, address) of a list."""
    assert len(sent) == 1, sent
    return sent[0]


def status(datagram):
    """The status code of a response."""
    assert datagram.startswith(b"SIP/2.0 ")
    return int(datagram[8:11])


def values(datagram, name):
    """The values of all header lines with this exact name."""
    head = datagram.split(b"\r\n\r\n", 1)[0]
    prefix = name + b": "
    return [line[len(prefix):] for line in head.split(b"\r\n") if line.startswith(prefix)]
