"""Rows of the log or of a snapshot as stream messages that fit a packet.

A row is `klen u16 | vlen u16 (0xFFFF: removed) | key | value`, the same bytes in UPDATE and
RELOAD_ROWS. A message longer than a packet travels as FRAGMENT messages, one after the other on
the same stream. Portable; imports no I/O.
"""

from bus import messages
from bus.compat import const

PACKET_OCTETS = const(1400)  # the largest body of a stream packet (bus/rmtp.py packet_size)
UPDATE_HEAD = const(23)  # number, birthday, first_level, count, digest
ROWS_HEAD = const(3)  # number, count
FRAGMENT_HEAD = const(5)  # number, index, count
ROW_HEAD = const(4)
REMOVED = const(0xFFFF)


def encode_row(key, value):
    """One row as bytes; value None removes the key."""
    length = REMOVED if value is None else len(value)
    return (len(key).to_bytes(2, "big") + length.to_bytes(2, "big") + key
            + (b"" if value is None else value))


def take_rows(pairs, room):
    """As many rows as fit `room` octets, at least one.

    pairs: list of (key, value or None).  Returns (rows as bytes, count).
    """
    rows = []
    octets = 0
    for key, value in pairs:
        row = encode_row(key, value)
        if rows and octets + len(row) > room:
            break
        rows.append(row)
        octets += len(row)
    return b"".join(rows), len(rows)


def update(birthday, log_rows):
    """The first of `log_rows` that fit a packet as an UPDATE.

    log_rows: (level, key, value or None, digest) in order, not empty, levels dense.
    Returns (message, count of rows taken).
    """
    rows, count = take_rows([row[1:3] for row in log_rows], PACKET_OCTETS - UPDATE_HEAD)
    return messages.encode(messages.UPDATE, birthday, log_rows[0][0], count,
                           log_rows[count - 1][3], rows), count


def reload_rows(pairs):
    """The first of `pairs` (key, value) that fit a packet as RELOAD_ROWS; (message, count)."""
    rows, count = take_rows(pairs, PACKET_OCTETS - ROWS_HEAD)
    return messages.encode(messages.RELOAD_ROWS, count, rows), count


def packets(message):
    """`message` as the list of stream packets that carry it: itself, or its fragments."""
    if len(message) <= PACKET_OCTETS:
        return [message]
    size = PACKET_OCTETS - FRAGMENT_HEAD
    count = (len(message) + size - 1) // size
    return [messages.encode(messages.FRAGMENT, index, count,
                            message[index * size:(index + 1) * size])
            for index in range(count)]
