"""The message catalogue of the IMT bus: one table from which code and documents come.

A message is one octet of number followed by its fields in the order of the table. All integers
are big-endian. Field kinds:

    B  unsigned octet            H  unsigned 16 bits          I  unsigned 32 bits
    8  eight octets (a 64-bit value that is never an int)     4  four octets (IPv4 address)
    s  octet string, one octet of length                      t  octet string, two octets of length
    *  all that remains (last field only)

Imports no I/O. Runs on both interpreters.
"""

import struct

from bus.compat import const

HEARTBEAT = const(1)
ECHO = const(2)
REGISTER = const(3)
REGISTER_RESULT = const(4)
CATCH_UP = const(5)
STATUS = const(6)
STATUS_RESULT = const(7)
DUMP = const(8)
DUMP_RESULT = const(9)
WHERETO = const(10)
WHERETO_RESULT = const(11)
COMMAND = const(12)
COMMAND_RESULT = const(13)
UPDATE = const(32)
RELOAD_BEGIN = const(33)
RELOAD_ROWS = const(34)
RELOAD_END = const(35)
FRAGMENT = const(36)
TUPLES = const(48)

# channels of the streams (README.md)
LIVE_CHANNEL = const(1)  # to all cards
TUPLE_CHANNEL = const(2)  # to all cards; the other switch card joins
CATCH_UP_CHANNEL = const(32)  # + slot: to that card alone, which joins by itself

# CATCH_UP.reason: why a card asks. From FORCE_FULL up it wants a full copy whatever its level.
REASON_BEHIND = const(0)
REASON_STREAM_LOST = const(1)
FORCE_FULL = const(16)
REASON_EMPTY = const(16)
REASON_MISMATCH = const(17)
REASON_WRITE_FAILED = const(18)
REASON_BAD_RECORD = const(19)

# indices into a decoded HEARTBEAT, in the order of its fields
BEAT_ROLE = const(1)
BEAT_HOT_SWAP = const(2)
BEAT_REDUNDANCY = const(3)
BEAT_SERVICE = const(4)
BEAT_DATABASE = const(5)
BEAT_LOAD = const(6)
BEAT_LEVEL = const(7)
BEAT_BIRTHDAY = const(8)
BEAT_DIGEST = const(9)
BEAT_STALENESS = const(10)
BEAT_EPOCH = const(11)
BEAT_TIME = const(12)
BEAT_PLANE_IP = const(13)
BEAT_PLANE_PORT = const(14)
BEAT_CONNECTIONS = const(15)

# number, name, carried by, fields
CATALOGUE = (
    (HEARTBEAT, "HEARTBEAT", "heartbeat frame", (
        ("role", "B"), ("hot_swap", "B"), ("redundancy", "B"), ("service", "B"),
        ("db_state", "B"), ("load_percent", "B"), ("level", "I"), ("birthday", "8"),
        ("digest", "8"), ("staleness_ms", "I"), ("epoch", "I"), ("time_s", "I"),
        ("plane_ip", "4"), ("plane_port", "H"), ("connections", "I"), ("firmware", "s"))),
    (ECHO, "ECHO", "request and response", (("body", "*"),)),
    (REGISTER, "REGISTER", "request", (
        ("aor", "t"), ("call_id", "t"), ("cseq", "I"), ("now_s", "I"), ("wildcard", "B"),
        ("bindings", "*"))),
    (REGISTER_RESULT, "REGISTER_RESULT", "response", (
        ("status", "H"), ("level", "I"), ("record", "*"))),
    (CATCH_UP, "CATCH_UP", "datagram", (
        ("birthday", "8"), ("level", "I"), ("digest", "8"), ("reason", "B"))),
    (STATUS, "STATUS", "request", ()),
    (STATUS_RESULT, "STATUS_RESULT", "response", (("json", "*"),)),
    (DUMP, "DUMP", "request", (("cursor", "I"), ("octets", "I"))),
    (DUMP_RESULT, "DUMP_RESULT", "response", (
        ("cursor", "I"), ("level", "I"), ("birthday", "8"), ("digest", "8"), ("rows", "*"))),
    (WHERETO, "WHERETO", "request", (("method", "s"), ("uri", "t"))),
    (WHERETO_RESULT, "WHERETO_RESULT", "response", (("json", "*"),)),
    (COMMAND, "COMMAND", "request", (("line", "*"),)),
    (COMMAND_RESULT, "COMMAND_RESULT", "response", (("status", "B"), ("text", "*"))),
    (UPDATE, "UPDATE", "stream", (
        ("birthday", "8"), ("first_level", "I"), ("count", "H"), ("digest", "8"), ("rows", "*"))),
    (RELOAD_BEGIN, "RELOAD_BEGIN", "stream", (
        ("birthday", "8"), ("level", "I"), ("digest", "8"), ("records", "I"))),
    (RELOAD_ROWS, "RELOAD_ROWS", "stream", (("count", "H"), ("rows", "*"))),
    (RELOAD_END, "RELOAD_END", "stream", (("level", "I"), ("digest", "8"))),
    (FRAGMENT, "FRAGMENT", "stream", (("index", "H"), ("count", "H"), ("octets", "*"))),
    (TUPLES, "TUPLES", "stream", (("count", "H"), ("rows", "*"))),
)

FIELDS = {}
NAMES = {}
for _number, _name, _carrier, _fields in CATALOGUE:
    FIELDS[_number] = _fields
    NAMES[_number] = _name

_INTEGERS = {"B": (1, 0xFF), "H": (2, 0xFFFF), "I": (4, 0xFFFFFFFF)}
_FIXED = {"8": 8, "4": 4}
_COUNTED = {"s": (1, 0xFF), "t": (2, 0xFFFF)}


def encode(number, *values):
    """One message as bytes.

    number: a constant of this module.  values: one per field, in the order of the table.
    Raises ValueError for an unknown number, a missing value or one out of its field's range.
    """
    fields = FIELDS.get(number)
    if fields is None:
        raise ValueError("unknown bus message {}".format(number))
    if len(values) != len(fields):
        raise ValueError("{} takes {} fields, got {}".format(
            NAMES[number], len(fields), len(values)))
    parts = [bytes((number,))]
    for (name, kind), value in zip(fields, values):
        if kind in _INTEGERS:
            width, top = _INTEGERS[kind]
            if not 0 <= value <= top:
                raise ValueError("{}.{} out of range: {}".format(NAMES[number], name, value))
            parts.append(struct.pack(">" + kind, value))
        elif kind in _FIXED:
            if len(value) != _FIXED[kind]:
                raise ValueError("{}.{} must be {} octets".format(
                    NAMES[number], name, _FIXED[kind]))
            parts.append(bytes(value))
        elif kind == "*":
            parts.append(bytes(value))
        else:
            width, top = _COUNTED[kind]
            if len(value) > top:
                raise ValueError("{}.{} longer than {} octets".format(NAMES[number], name, top))
            parts.append(struct.pack(">B" if width == 1 else ">H", len(value)))
            parts.append(bytes(value))
    return b"".join(parts)


def decode(buf, start, end):
    """The message in buf[start:end] as a list [number, field, ...].

    Octet strings come out as bytes.  Returns None where the bytes are no message of this table
    (unknown number, too short, trailing octets): the caller drops and counts it.
    """
    if end <= start or end > len(buf):
        return None
    number = buf[start]
    fields = FIELDS.get(number)
    if fields is None:
        return None
    values = [number]
    at = start + 1
    for _, kind in fields:
        if kind == "*":
            values.append(bytes(buf[at:end]))
            at = end
            continue
        if kind in _INTEGERS:
            width = _INTEGERS[kind][0]
            if end - at < width:
                return None
            values.append(int.from_bytes(buf[at:at + width], "big"))
        elif kind in _FIXED:
            width = _FIXED[kind]
            if end - at < width:
                return None
            values.append(bytes(buf[at:at + width]))
        else:
            head = _COUNTED[kind][0]
            if end - at < head:
                return None
            width = int.from_bytes(buf[at:at + head], "big")
            at += head
            if end - at < width:
                return None
            values.append(bytes(buf[at:at + width]))
        at += width
    return values if at == end else None


def plane_of(beat):
    """(host, port) of the plane socket that a decoded HEARTBEAT tells, or None."""
    if not beat[BEAT_PLANE_PORT]:
        return None
    return ".".join(str(octet) for octet in beat[BEAT_PLANE_IP]), beat[BEAT_PLANE_PORT]


def document():
    """The table as Markdown lines, for bus/README.md (a test keeps both equal)."""
    lines = ["| number | message | carried by | fields |", "|---|---|---|---|"]
    for number, name, carrier, fields in CATALOGUE:
        text = " ".join("{}:{}".format(field, kind) for field, kind in fields)
        lines.append("| {} | {} | {} | {} |".format(number, name, carrier, text or "-"))
    return lines
