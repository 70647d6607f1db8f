"""The schema of the location database: keys, values, and what makes a record right.

    key                 value
    b"a" + user@host    bindings of an address-of-record (binding.py); host in lower case
    b"s" + user@domain  subscriber: version u8 = 1 | realm length u16 | realm | credential ...
                        credential: algorithm u8 | length u8 | HA1 in lower-case hex
    b"n" + digits       number prefix route: version u8 = 1 | target URI
    b"d" + domain       domain route: the same

The JSON form of records is in record_json.py. Runs on both interpreters. Imports no I/O.
"""

import struct

from bus.compat import const
from firmware.location.binding import (
    MAX_VALUE, VERSION, Binding, decode_aor, encode_aor,
)
from firmware.location.record_json import from_json_fields, to_json_fields

MD5 = const(1)
SHA256 = const(2)
HA1_LENGTH = {MD5: 32, SHA256: 64}

MAX_AOR = const(255)
MAX_DIGITS = const(32)

_HEX = b"0123456789abcdef"


def aor_key(aor):
    """Key of a canonical AoR (bytes `user@host`)."""
    return b"a" + aor


def subscriber_key(user):
    """Key of a subscriber (bytes `user@domain`)."""
    return b"s" + user


def prefix_key(digits):
    """Key of a number prefix (bytes, digits)."""
    return b"n" + digits


def domain_key(domain):
    """Key of a domain route (bytes, lower-case)."""
    return b"d" + domain


def encode_subscriber(realm, credentials):
    """Value of a subscriber record.

    realm: bytes.  credentials: iterable of (MD5 or SHA256, HA1 in lower-case hex, bytes); written
    in the order of the algorithms.  Raises ValueError for another algorithm or length.
    """
    if len(realm) > MAX_AOR:
        raise ValueError("realm is longer than {} octets".format(MAX_AOR))
    parts = [struct.pack(">BH", VERSION, len(realm)), bytes(realm)]
    for algorithm, ha1 in sorted(credentials):
        if HA1_LENGTH.get(algorithm) != len(ha1):
            raise ValueError("ha1 of algorithm {} has the wrong length".format(algorithm))
        parts.append(bytes((algorithm, len(ha1))))
        parts.append(bytes(ha1))
    return b"".join(parts)


def decode_subscriber(buf, start, end):
    """(realm, ((algorithm, HA1), ...)) of buf[start:end]; ValueError if it is cut short."""
    if end - start < 3:
        raise ValueError("a subscriber record is cut short")
    at = start + 3 + struct.unpack_from(">H", buf, start + 1)[0]
    if at > end:
        raise ValueError("a subscriber record is cut short")
    realm = bytes(buf[start + 3:at])
    credentials = []
    while at < end:
        if end - at < 2 or buf[at + 1] > end - at - 2:
            raise ValueError("a subscriber record is cut short")
        stop = at + 2 + buf[at + 1]
        credentials.append((buf[at], bytes(buf[at + 2:stop])))
        at = stop
    return realm, tuple(credentials)


def encode_route(target):
    """Value of a route record: `target` (bytes) is the URI calls are sent to."""
    if not target or len(target) > MAX_VALUE - 1:
        raise ValueError("target must have 1..{} octets".format(MAX_VALUE - 1))
    return bytes((VERSION,)) + bytes(target)


def decode_route(buf, start, end):
    """The target URI in buf[start:end]; ValueError if there is none."""
    if end - start < 2:
        raise ValueError("a route record is cut short")
    return bytes(buf[start + 1:end])


def _is_visible(octets):
    """True if all octets are printable ASCII without space: what a URI is made of."""
    for octet in octets:
        if not 33 <= octet <= 126:
            return False
    return True


def _wrong_name(name, what):
    """What is wrong with a canonical `user@host`, or None."""
    user, at, host = name.rpartition(b"@")
    if not at or not user or not host or len(name) > MAX_AOR:
        return "{} must be user@host of at most {} octets".format(what, MAX_AOR)
    if host != host.lower() or not _is_visible(host):
        return "{} must have its host in lower case".format(what)
    return None


def _wrong_bindings(value):
    bindings = decode_aor(value, 0, len(value))
    if not bindings:
        return "an address-of-record needs a binding"
    for binding in bindings:
        if not binding.contact or not _is_visible(binding.contact):
            return "contact must be a URI of printable ASCII"
    if value[0] == VERSION and encode_aor(bindings) != value:
        return "bindings are not in canonical form"
    return None


def _wrong_subscriber(value):
    _, credentials = decode_subscriber(value, 0, len(value))
    if not credentials:
        return "ha1 is missing"
    for algorithm, ha1 in credentials:
        if HA1_LENGTH.get(algorithm, len(ha1)) != len(ha1):
            return "ha1 has the wrong length"
        for octet in ha1:
            if octet not in _HEX:
                return "ha1 must be lower-case hex"
    return None


def _wrong_route(key, value):
    name = key[1:]
    if key[:1] == b"n":
        if len(name) > MAX_DIGITS or not name.isdigit():
            return "prefix must be 1..{} digits".format(MAX_DIGITS)
    elif not name or len(name) > MAX_AOR or name != name.lower() or not _is_visible(name):
        return "domain must be a name in lower case"
    return None if _is_visible(decode_route(value, 0, len(value))) else (
        "target must be a URI of printable ASCII")


def check(key, value):
    """None if the record satisfies the schema, else a text that names what is wrong."""
    kind = key[:1]
    if len(value) > MAX_VALUE:
        return "the record is longer than {} octets".format(MAX_VALUE)
    try:
        if kind == b"a":
            return _wrong_name(key[1:], "aor") or _wrong_bindings(value)
        if kind == b"s":
            return _wrong_name(key[1:], "user") or _wrong_subscriber(value)
        if kind == b"n" or kind == b"d":
            return _wrong_route(key, value)
    except ValueError as error:
        return str(error)
    return "unknown kind of record"


def to_json(key, value):
    """The record as a dict for JSON (record_json.py); ValueError if it is no record."""
    kind = key[:1]
    if kind == b"a":
        return to_json_fields(kind, key[1:], decode_aor(value, 0, len(value)))
    if kind == b"s":
        return to_json_fields(kind, key[1:], decode_subscriber(value, 0, len(value)))
    if kind == b"n" or kind == b"d":
        return to_json_fields(kind, key[1:], decode_route(value, 0, len(value)))
    raise ValueError("unknown kind of record")


def from_json(document):
    """(key, value) of a dict of `to_json`, or of the short form of one binding.

    The aor may have a scheme, escapes and upper case in its host.  Raises ValueError naming the
    field that is wrong.
    """
    kind, name, content = from_json_fields(document)
    key = kind + name
    if kind == b"a":
        value = encode_aor(content)
    elif kind == b"s":
        value = encode_subscriber(content[0], content[1])
    else:
        value = encode_route(content)
    wrong = check(key, value)
    if wrong:
        raise ValueError(wrong)
    return key, value


__all__ = (
    "Binding", "aor_key", "check", "decode_aor", "decode_route", "decode_subscriber",
    "domain_key", "encode_aor", "encode_route", "encode_subscriber", "from_json", "prefix_key",
    "subscriber_key", "to_json",
)
