"""One line of text for each frame, for `chassis bus trace` and tests.

Octets that came over the bus are shown only as numbers, names of our tables or escaped text: a
line cannot carry control characters. Imports no I/O. Runs on both interpreters.
"""

import struct

from bus import messages, wire
from bus.segmenter import SEGMENT_HEADER, SEGMENT_HEADER_BYTES

_ACKS = (wire.ACK, wire.ACK_TXNOW)
_NUMBERED = {
    wire.DATA: "seq", wire.DATA_EOF: "seq", wire.NULL: "next", wire.RESET: "next",
}
_SHOWN_OCTETS = 24
_DATA_HEAD_BYTES = 12
_ACK_HEAD_BYTES = 16


def _octets(value):
    """Octets as hexadecimal digits or, where all are printable, as quoted text; long ones cut."""
    cut = value[:_SHOWN_OCTETS]
    dots = "..." if len(value) > _SHOWN_OCTETS else ""
    for octet in cut:
        if not 0x20 <= octet < 0x7F:
            return "".join(["{:02x}".format(one) for one in cut]) + dots
    return '"' + bytes(cut).decode() + '"' + dots


def _message(buf, start, end):
    """Name and fields of the message in buf[start:end]."""
    if end <= start:
        return "empty"
    values = messages.decode(buf, start, end)
    if values is None:
        return "not a message of the catalogue, {} octets".format(end - start)
    words = [messages.NAMES[values[0]]]
    for (name, _), value in zip(messages.FIELDS[values[0]], values[1:]):
        shown = value if isinstance(value, int) else _octets(value)
        words.append("{}={}".format(name, shown))
    return " ".join(words)


def _payload(frame_type, buf, start, end):
    """What the payload buf[start:end] of a frame says."""
    n = end - start
    if frame_type in (wire.HEARTBEAT, wire.MESSAGE):
        return _message(buf, start, end)
    if frame_type in (wire.REQUEST, wire.RESPONSE) and n >= 8:
        name = "".join(["{:02x}".format(one) for one in buf[start:start + 8]])
        return "id={} {}".format(name, _message(buf, start + 8, end))
    if frame_type == wire.SEGMENT and n >= SEGMENT_HEADER_BYTES:
        inner, _, transfer, total, step, index = struct.unpack_from(SEGMENT_HEADER, buf, start)
        return "of {} transfer={} index={} step={} total={}".format(
            wire.TYPE_NAMES.get(inner, inner), transfer, index, step, total)
    if frame_type in _NUMBERED and n >= _DATA_HEAD_BYTES:
        number, base, stamp = struct.unpack_from(">III", buf, start)
        text = "{}={} base={} stamp={}".format(_NUMBERED[frame_type], number, base, stamp)
        if n > _DATA_HEAD_BYTES:
            text += " " + _message(buf, start + _DATA_HEAD_BYTES, end)
        return text
    if frame_type in _ACKS and n >= _ACK_HEAD_BYTES:
        low, highest, echo, dwell, nbits = struct.unpack_from(">IIIHH", buf, start)
        held = "".join(["{:08b}".format(one) for one in buf[start + _ACK_HEAD_BYTES:end]])
        return "L={} highest={} echo={} dwell_ms={} V={}".format(
            low, highest, echo, dwell, held[:nbits] or "-")
    return "{} octets".format(n)


def describe(buf, n):
    """The frame buf[:n] as one line; its trailer is not checked."""
    if n < wire.HEADER_BYTES + wire.CRC_BYTES or buf[0] != wire.MAGIC:
        return "no frame, {} octets".format(n)
    (_, frame_type, flags, source, dest, channel, length, incarnation,
     frame_no) = struct.unpack_from(">BBBBBBHII", buf, 0)
    end = wire.HEADER_BYTES + length
    if end > n:
        return "cut frame, {} octets of {}".format(n, end)
    words = ["{:>2} > {:<3}".format(source, "all" if dest == wire.ALL else dest)]
    words.append("{:<9}".format(wire.TYPE_NAMES.get(frame_type, "type " + str(frame_type))))
    if frame_type >= wire.DATA:
        words.append("channel={} generation={}".format(channel, flags & wire.FLAG_GENERATION))
    words.append("life={} frame={}{}".format(
        incarnation, frame_no, " keyed" if flags & wire.FLAG_KEYED else ""))
    words.append(_payload(frame_type, buf, wire.HEADER_BYTES, end))
    return " ".join(words)
