"""Keyed values that every card of a chassis computes alike (chassis secret, SipHash-2-4).

Each use has a key of its own, so that a value given out for one use is worth nothing for
another. Both interpreters; imports no I/O.
"""

from binascii import hexlify

from firmware import fastpath


class Secrets:
    """The chassis secret in its uses.

    secret16: 16 octets, the same on every card.
    """

    def __init__(self, secret16):
        self._tag = derive(secret16, b"to-tag")
        self._branch = derive(secret16, b"branch")
        self._route = derive(secret16, b"record-route")
        self._request = derive(secret16, b"request-id")
        self.nonce = derive(secret16, b"nonce")

    def to_tag(self, call_id):
        """The To tag of every answer of ours within a call: 16 hex octets (RFC 3261 8.2.7)."""
        return hexlify(fastpath.siphash(self._tag, call_id, 0, len(call_id)))

    def branch_hash(self, *parts):
        """A transaction's part of a branch: 16 hex octets."""
        return _hex(self._branch, parts)

    def route_mac(self, call_id, tag):
        """The mark of a Record-Route value: 16 hex octets, bound to a dialog's opener."""
        return _hex(self._route, (call_id, tag))

    def request_id(self, *parts):
        """The identity of a REGISTER: 8 octets, the same on every card."""
        data = b"\0".join(parts)
        return fastpath.siphash(self._request, data, 0, len(data))


def _hex(key, parts):
    data = b"\0".join(parts)
    return hexlify(fastpath.siphash(key, data, 0, len(data)))


def derive(secret16, label):
    """A 16-octet key for the use `label` (bytes)."""
    first = label + b"/1"
    second = label + b"/2"
    return (bytes(fastpath.siphash(secret16, first, 0, len(first)))
            + bytes(fastpath.siphash(secret16, second, 0, len(second))))
