"""Digest authentication of a server (RFC 3261 22.4, RFC 7616, RFC 8760).

Hash functions are parameters (hashlib.md5 is absent on some boards), SipHash likewise; a nonce
carries its time and a MAC by the chassis secret, so that every card accepts what another minted.
Both interpreters; imports no I/O, reads no clock.

    nonce = Unix seconds (8 hex digits) | salt (8) | SipHash(key, seconds | salt | host) (16)

The salt is of the request that is challenged: two phones behind one address get two nonces, since
each counts its own uses, and a retransmission gets the nonce it got.
"""

from binascii import hexlify

from firmware.sip.errors import Malformed
from firmware.sip.grammar import HEX, is_all, unquote

MD5 = 1
SHA256 = 2
NAMES = {MD5: b"MD5", SHA256: b"SHA-256"}
FRESH = 0
STALE = 1
FORGED = 2
SALT_CHARS = 8
NONCE_CHARS = 32
_MAC_AT = 16


def hash_hex(hash_function, data):
    """The hash of `data` as lower-case hex bytes; hash_function as in hashlib."""
    return hexlify(hash_function(data).digest())


def ha1(hash_function, user, realm, password):
    """HA1 = H(user:realm:password) as lower-case hex bytes (RFC 7616 3.4.2)."""
    return hash_hex(hash_function, b":".join((user, realm, password)))


def response(hash_function, ha1_hex, nonce, nc, cnonce, method, uri):
    """The request-digest with qop=auth as lower-case hex bytes (RFC 7616 3.4.1)."""
    ha2 = hash_hex(hash_function, method + b":" + uri)
    return hash_hex(hash_function, b":".join((ha1_hex, nonce, nc, cnonce, b"auth", ha2)))


def challenge(realm, nonce, algorithm, stale):
    """One WWW-Authenticate value (RFC 7616 3.3; RFC 8760 2.4: one header for each algorithm)."""
    return b"".join((
        b'Digest realm="', realm, b'",nonce="', nonce, b'",algorithm=', NAMES[algorithm],
        b',qop="auth"', b",stale=true" if stale else b""))


class Credentials:
    """The digest fields of one Authorization header, unquoted; raises Malformed when incomplete.

    algorithm: MD5 or SHA256, or None when it is another.  qop must be auth.
    """

    def __init__(self, fields):
        values = []
        for name in (b"username", b"realm", b"nonce", b"uri", b"response", b"cnonce", b"nc"):
            if name not in fields:
                raise Malformed("incomplete credentials")
            values.append(unquote(fields[name]))
        (self.username, self.realm, self.nonce, self.uri, self.response, self.cnonce,
         self.nc) = values
        if unquote(fields.get(b"qop", b"")).lower() != b"auth":
            raise Malformed("qop is not auth")
        if len(self.nc) != 8 or not is_all(self.nc, HEX) or int(self.nc, 16) == 0:
            raise Malformed("bad nonce count")
        name = unquote(fields.get(b"algorithm", b"MD5")).upper()
        self.algorithm = None
        for number in NAMES:
            if NAMES[number] == name:
                self.algorithm = number


def same(one, other):
    """Compare two digests without telling by the time taken where they differ."""
    if len(one) != len(other):
        return False
    difference = 0
    for at in range(len(one)):
        difference |= one[at] ^ other[at]
    return difference == 0


class Nonces:
    """Mints and checks nonces.

    key: 16 octets shared by all cards.  siphash(key, buf, start, end) -> 8 octets.
    lifetime_s: how long a nonce is fresh.
    """

    def __init__(self, key, siphash, lifetime_s=300):
        self._key = key
        self._siphash = siphash
        self.lifetime_s = lifetime_s

    def mint(self, now_s, host, salt):
        """A nonce (32 hex octets) for the client at `host` (bytes), made at now_s (Unix s).

        salt: bytes, what tells this request from others of the host in the same second.
        """
        short = hexlify(self._siphash(self._key, salt, 0, len(salt)))[:SALT_CHARS]
        head = b"%08x" % (now_s & 0xFFFFFFFF) + short
        return head + self._mac(head + host)

    def _mac(self, data):
        return hexlify(self._siphash(self._key, data, 0, len(data)))

    def check(self, nonce, now_s, host):
        """FRESH, STALE (ours, too old or from the future) or FORGED."""
        if len(nonce) != NONCE_CHARS or not is_all(nonce, HEX):
            return FORGED
        if not same(nonce[_MAC_AT:], self._mac(nonce[:_MAC_AT] + host)):
            return FORGED
        age_s = now_s - int(nonce[:8], 16)
        # clocks of two cards may differ by a few seconds
        return FRESH if -60 <= age_s <= self.lifetime_s else STALE


class NonceCounts:
    """Which nonce counts a card has seen, for replay protection (RFC 7616 3.4.5).

    limit: entries in each of two generations; a full generation becomes the old one and the
    one before is forgotten, so memory stays bounded and the newest `limit` nonces are kept.
    """

    def __init__(self, limit=1024):
        self.limit = limit
        self._new = {}
        self._old = {}
        self.forgotten = 0

    def __len__(self):
        return len(self._new) + len(self._old)

    def accept(self, nonce, count):
        """True and remembered when `count` is higher than any before with this nonce."""
        last = self._new.get(nonce)
        if last is None:
            last = self._old.get(nonce, 0)
        if count <= last:
            return False
        if nonce not in self._new and len(self._new) >= self.limit:
            self.forgotten += len(self._old)
            self._old = self._new
            self._new = {}
        self._new[nonce] = count
        return True
