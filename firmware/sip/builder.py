"""Builds SIP messages: answers from a request's spans, and edited copies of a message.

Pieces are slices of the received message joined once, so what is copied is byte for byte what
came in (RFC 3261 8.2.6.2, 16.6 step 1). Both interpreters; imports no I/O.
"""

from firmware.fastpath import layout

_DAYS = (b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct",
           b"Nov", b"Dec")
_STATUS_LINES = {}


def status_line(status, phrase):
    """`SIP/2.0 302 Moved Temporarily` CRLF; the lines made once are kept (phrases are ours)."""
    line = _STATUS_LINES.get((status, phrase))
    if line is None:
        line = b"SIP/2.0 %d " % status + phrase + b"\r\n"
        _STATUS_LINES[(status, phrase)] = line
    return line


def response_head(message, via, via_text, to_tag):
    """The lines every response copies: Via, From, To with a tag, Call-ID, CSeq (8.2.6.2).

    message: an answerable SipMessage.  via: its topmost Via.  via_text: the same via-parm with
    received and rport.  to_tag: bytes to add to the To, b"" when it has one or cannot be read.
    Returns bytes that end with CRLF, without the status line.
    """
    parts = [b"Via: ", via_text, message.via_value[via.end:]]
    if message.via_count > 1:
        for item in message.items(layout.H_VIA)[1:]:
            parts.append(b"\r\nVia: ")
            parts.append(message.value(item))
    parts.append(b"\r\nFrom: ")
    parts.append(message.from_value)
    parts.append(b"\r\nTo: ")
    parts.append(message.to_value)
    if to_tag:
        parts.append(b";tag=")
        parts.append(to_tag)
    parts.append(b"\r\nCall-ID: ")
    parts.append(message.call_id)
    parts.append(b"\r\nCSeq: ")
    parts.append(message.cseq_value)
    parts.append(b"\r\n")
    return b"".join(parts)


def response(status, phrase, head, headers=b""):
    """A whole response without a body.

    head: of response_head.  headers: further header lines, each ended by CRLF.
    """
    return b"".join((status_line(status, phrase), head, headers, b"Content-Length: 0\r\n\r\n"))


def edited(data, changes, end):
    """A copy of data[:end] with spans replaced.

    changes: (start, end, piece) in rising order of start, not overlapping; piece may be empty.
    """
    parts = []
    at = 0
    for start, stop, piece in changes:
        parts.append(data[at:start])
        parts.append(piece)
        at = stop
    parts.append(data[at:end])
    return b"".join(parts)


class Edits:
    """The changes of one copy, gathered in rising order of offset."""

    def __init__(self, data):
        self._data = data
        self._changes = []

    def replace(self, start, end, piece):
        """Put `piece` (bytes, may be empty) in the place of data[start:end]."""
        self._changes.append((start, end, piece))

    def finish(self, end):
        """The edited copy of data[:end] as bytes."""
        return edited(self._data, self._changes, end)


def http_date(now_s):
    """Unix seconds as an RFC 1123 date for the Date header (RFC 3261 20.17)."""
    days, second = divmod(now_s, 86400)
    year, month, day = civil(days)
    return b"%s, %02d %s %d %02d:%02d:%02d GMT" % (
        _DAYS[days % 7], day, _MONTHS[month - 1], year, second // 3600, second // 60 % 60,
        second % 60)


def civil(days):
    """(year, month, day) of days since 1970-01-01, Gregorian (H. Hinnant's algorithm)."""
    days += 719468
    era, day_of_era = divmod(days, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524
                   - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return year, month, day_of_year - (153 * shifted + 2) // 5 + 1
