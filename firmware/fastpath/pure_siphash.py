"""SipHash-2-4 (Aumasson, Bernstein 2012) in Python: the twin of sf_siphash.

Runs on both interpreters. Imports no I/O.
"""

import struct

from firmware.fastpath import layout

_MASK = (1 << 64) - 1


def _rounds(v0, v1, v2, v3, count):
    """`count` SipRounds (paper, figure 2.1)."""
    for _ in range(count):
        v0 = (v0 + v1) & _MASK
        v1 = ((v1 << 13) & _MASK | v1 >> 51) ^ v0
        v0 = (v0 << 32) & _MASK | v0 >> 32
        v2 = (v2 + v3) & _MASK
        v3 = ((v3 << 16) & _MASK | v3 >> 48) ^ v2
        v0 = (v0 + v3) & _MASK
        v3 = ((v3 << 21) & _MASK | v3 >> 43) ^ v0
        v2 = (v2 + v1) & _MASK
        v1 = ((v1 << 17) & _MASK | v1 >> 47) ^ v2
        v2 = (v2 << 32) & _MASK | v2 >> 32
    return v0, v1, v2, v3


def siphash_number(key16, data):
    """SipHash-2-4 of `data` (bytes) under `key16` (16 octets) as an int below 2**64."""
    if len(key16) != 16:
        raise ValueError("a SipHash key has 16 octets, got {}".format(len(key16)))
    k0, k1 = struct.unpack("<QQ", key16)
    v0 = k0 ^ 0x736F6D6570736575
    v1 = k1 ^ 0x646F72616E646F6D
    v2 = k0 ^ 0x6C7967656E657261
    v3 = k1 ^ 0x7465646279746573
    length = len(data)
    tail = bytes(7 - length % 8) + bytes((length & 0xFF,))
    padded = bytes(data) + tail
    for at in range(0, len(padded), 8):
        word = struct.unpack_from("<Q", padded, at)[0]
        v0, v1, v2, v3 = _rounds(v0, v1, v2, v3 ^ word, 2)
        v0 ^= word
    v0, v1, v2, v3 = _rounds(v0, v1, v2 ^ 0xFF, v3, 4)
    return v0 ^ v1 ^ v2 ^ v3


def siphash(key16, buf, start, end):
    """SipHash-2-4 of buf[start:end] under `key16`: 8 octets in the order of the paper's vectors.

    Raises ValueError for a key that is not 16 octets or a span outside the buffer.
    """
    if not 0 <= start <= end <= len(buf):
        raise ValueError("span outside the buffer: {}..{}".format(start, end))
    return struct.pack("<Q", siphash_number(key16, buf[start:end]))


def bucket(key):
    """Bucket 0..255 of a key in the digest: the first octet of its hash under the public key."""
    return siphash_number(layout.DIGEST_KEY, key) & 0xFF


def record_digest(key, value):
    """A record's term of the database digest: SipHash of `klen u16 big-endian | key | value`.

    Its octets are read as a big-endian number, as all integers on the bus.
    """
    number = siphash_number(layout.DIGEST_KEY, struct.pack(">H", len(key)) + key + value)
    return struct.unpack(">Q", struct.pack("<Q", number))[0]
