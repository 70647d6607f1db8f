"""Bindings of an address-of-record and the bytes of an AoR record.

Value of an AoR record, integers big-endian:

    version u8 = 1 | binding ...
    binding: length u16 (of what follows) | q u16 | expires u32 | cseq u32 | reg_id u32 | field ...
    field:   tag u8 | length u16 | octets        tags 1 contact, 2 Call-ID, 3 Path, 4 received,
                                                 5 User-Agent, 6 instance; absent when empty

Bindings stand in canonical order: q falling, then contact octets; equal content has equal bytes.
A reader passes over tags it does not know and over the rest of a binding it cannot read, so an
older firmware can serve a newer record. Runs on both interpreters. Imports no I/O.
"""

import struct

from bus.compat import const

VERSION = const(1)
MAX_VALUE = const(0xFFFE)  # octets of a record's value: the table's bound
Q_MAX = const(1000)

_HEAD = const(14)
_FIELD_HEAD = const(3)
_CONTACT = const(1)
_CALL_ID = const(2)
_PATH = const(3)
_RECEIVED = const(4)
_USER_AGENT = const(5)
_INSTANCE = const(6)


class Binding:
    """One contact of an address-of-record (RFC 3261 10; RFC 5626 for instance and reg_id).

    contact: bytes, URI without angle brackets.  q: int, thousandths 0..1000.  expires_s: int, Unix
    seconds, 0 = never (relative seconds in a REGISTER message of the bus).  call_id, path,
    received, user_agent, instance: bytes, empty when absent; path: as a Route header value.
    cseq, reg_id: int, 0 when absent.  A binding without Call-ID is provisioned.
    """

    def __init__(self, contact, q=Q_MAX, expires_s=0, call_id=b"", cseq=0, path=b"",
                 received=b"", user_agent=b"", instance=b"", reg_id=0):
        self.contact = contact
        self.q = q
        self.expires_s = expires_s
        self.call_id = call_id
        self.cseq = cseq
        self.path = path
        self.received = received
        self.user_agent = user_agent
        self.instance = instance
        self.reg_id = reg_id

    def __eq__(self, other):
        return isinstance(other, Binding) and _order(self) == _order(other)

    def __repr__(self):
        return "Binding{}".format(_order(self)[1:])


def _order(binding):
    """Sort key of the canonical order; all fields, because sorting need not be stable."""
    return (-binding.q, binding.contact, binding.q, binding.expires_s, binding.call_id,
            binding.cseq, binding.path, binding.received, binding.user_agent, binding.instance,
            binding.reg_id)


def _encode_binding(binding):
    """Bytes of one binding; ValueError naming the field that is out of its range."""
    for name, value, top in (("q", binding.q, Q_MAX), ("expires_s", binding.expires_s, 0xFFFFFFFF),
                             ("cseq", binding.cseq, 0xFFFFFFFF),
                             ("reg_id", binding.reg_id, 0xFFFFFFFF)):
        if not 0 <= value <= top:
            raise ValueError("{} out of range: {}".format(name, value))
    parts = [struct.pack(">HIII", binding.q, binding.expires_s, binding.cseq, binding.reg_id)]
    for tag, octets in ((_CONTACT, binding.contact), (_CALL_ID, binding.call_id),
                        (_PATH, binding.path), (_RECEIVED, binding.received),
                        (_USER_AGENT, binding.user_agent), (_INSTANCE, binding.instance)):
        if len(octets) > MAX_VALUE:
            raise ValueError("a binding's field is longer than {} octets".format(MAX_VALUE))
        if octets:
            parts.append(struct.pack(">BH", tag, len(octets)))
            parts.append(bytes(octets))
    body = b"".join(parts)
    if len(body) > MAX_VALUE:
        raise ValueError("a binding is longer than {} octets".format(MAX_VALUE))
    return struct.pack(">H", len(body)) + body


def encode_aor(bindings):
    """Value of an AoR record: `bindings` (iterable of Binding, any order) in canonical order.

    Raises ValueError where a field is out of range or the value is longer than 65,534 octets.
    """
    parts = [bytes((VERSION,))]
    for binding in sorted(bindings, key=_order):
        parts.append(_encode_binding(binding))
    value = b"".join(parts)
    if len(value) > MAX_VALUE:
        raise ValueError("the record is longer than {} octets".format(MAX_VALUE))
    return value


def decode_aor(buf, start, end):
    """The list of Binding in buf[start:end], in their order; ValueError if it is cut short."""
    if end <= start:
        raise ValueError("an AoR record cannot be empty")
    bindings = []
    at = start + 1
    while at < end:
        stop = at + 2 + struct.unpack_from(">H", buf, at)[0] if end - at >= 2 else end + 1
        if stop > end or stop - at - 2 < _HEAD:
            raise ValueError("an AoR record is cut short")
        bindings.append(_decode_binding(buf, at + 2, stop))
        at = stop
    return bindings


def _decode_binding(buf, at, stop):
    """The Binding in buf[at:stop], without its length."""
    binding = Binding(b"")
    binding.q, binding.expires_s, binding.cseq, binding.reg_id = struct.unpack_from(
        ">HIII", buf, at)
    at += _HEAD
    while stop - at >= _FIELD_HEAD:
        tag, length = struct.unpack_from(">BH", buf, at)
        at += _FIELD_HEAD
        if length > stop - at:
            raise ValueError("a binding's field is cut short")
        octets = bytes(buf[at:at + length])
        at += length
        if tag == _CONTACT:
            binding.contact = octets
        elif tag == _CALL_ID:
            binding.call_id = octets
        elif tag == _PATH:
            binding.path = octets
        elif tag == _RECEIVED:
            binding.received = octets
        elif tag == _USER_AGENT:
            binding.user_agent = octets
        elif tag == _INSTANCE:
            binding.instance = octets
    return binding
