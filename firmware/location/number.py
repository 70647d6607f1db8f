"""Provisioned routes: number prefixes by longest match, and domains.

Runs on both interpreters. Imports no I/O.
"""

from firmware.location.record import MAX_DIGITS, decode_route


def longest_prefix(store, digits):
    """(prefix, target URI) of the longest provisioned prefix of `digits`, or None.

    store: a LocationStore.  digits: bytes of ASCII digits, looked at up to 32 of them.
    Cost: one lookup per digit at most.
    """
    key = b"n" + digits[:MAX_DIGITS]
    while len(key) > 1:
        value = store.get(key)
        if value is not None:
            return key[1:], decode_route(value, 0, len(value))
        key = key[:-1]
    return None


def domain_route(store, domain):
    """Target URI provisioned for `domain` (bytes, lower-case), or None."""
    value = store.get(b"d" + domain)
    return None if value is None else decode_route(value, 0, len(value))
