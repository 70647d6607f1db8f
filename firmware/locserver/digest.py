"""The running digest of the whole content: the same on every card at the same level.

The sum modulo 2^64 over all records of SipHash-2-4(public key, klen u16 | key | value). A sum, not
an exclusive or, so that equal records never cancel; a change costs one subtraction and one
addition. The cards' table keeps the same sum. Portable; imports no I/O.
"""

from firmware import fastpath

MASK = (1 << 64) - 1


def record_hash(key, value):
    """The hash of one record as an int below 2^64."""
    buf = len(key).to_bytes(2, "big") + key + value
    return int.from_bytes(fastpath.siphash(fastpath.DIGEST_KEY, buf, 0, len(buf)), "big")


def replaced(total, key, old, new):
    """The sum `total` after `key` changed from `old` to `new`; None stands for no record."""
    if old is not None:
        total -= record_hash(key, old)
    if new is not None:
        total += record_hash(key, new)
    return total & MASK
