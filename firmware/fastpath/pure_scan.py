"""The SIP message scanner (RFC 3261 7 and 25) in Python: the twin of sf_scan.

The output layout is in layout.py, the policy (line ends, folds, NUL) in sipfast.h. `find` does the
walking, so the cost is one step per line. Runs on both interpreters. Imports no I/O.
"""

from array import array

from firmware.fastpath import layout
from firmware.fastpath.layout import NO_SPACE, PARTIAL, SYNTAX

_SP = 32
_TAB = 9
_CR = 13
_LF = 10
_COLON = 58
_BACKSLASH = 92
_LIMIT = 65535  # spans are u16

_TOKEN = b"!%'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz~"

_METHOD_IDS = {}
for _id, _name in enumerate(layout.METHODS):
    _METHOD_IDS[_name] = _id
_HEADER_IDS = {}
for _id, _name in enumerate(layout.HEADER_NAMES):
    _HEADER_IDS[_name.lower()] = _id
for _name, _id in layout.COMPACT_NAMES:
    _HEADER_IDS[_name] = _id


def _is_token(buf, start, end):
    """True if buf[start:end] is a token of RFC 3261 25.1."""
    if start >= end:
        return False
    for at in range(start, end):
        if buf[at] not in _TOKEN:
            return False
    return True


def _is_digits(buf, start, end):
    if start >= end:
        return False
    for at in range(start, end):
        if not 48 <= buf[at] <= 57:
            return False
    return True


def _version(buf, start, end):
    """major * 256 + minor of `SIP/major.minor`, one digit each; -1 if it is something else."""
    if end - start != 7 or bytes(buf[start:start + 4]).upper() != b"SIP/":
        return -1
    if buf[start + 5] != 46:
        return -1
    if not (48 <= buf[start + 4] <= 57 and 48 <= buf[start + 6] <= 57):
        return -1
    return (buf[start + 4] - 48) * 256 + buf[start + 6] - 48


def _line_break(buf, start, n):
    """(end of the line's text, start of the next line), or (rc, 0): SYNTAX for a bare CR."""
    feed = buf.find(b"\n", start, n)
    stop = n if feed < 0 else feed
    carriage = buf.find(b"\r", start, stop)
    if carriage >= 0 and carriage + 1 < stop:
        return SYNTAX, 0
    if feed < 0:
        return PARTIAL, 0
    return (feed if carriage < 0 else carriage), feed + 1


def _trim_right(buf, start, end):
    """The end of buf[start:end] without LWS behind it."""
    while end > start and buf[end - 1] in b" \t\r\n":
        end -= 1
    return end


def _bad_nul(buf, start, end):
    """True if a NUL in buf[start:end] is no quoted-pair (RFC 4475 3.1.1.2 has one that is)."""
    at = buf.find(b"\0", start, end)
    while at >= 0:
        if at == start or buf[at - 1] != _BACKSLASH:
            return True
        at = buf.find(b"\0", at + 1, end)
    return False


class Scanner:
    """Scans messages into one array of spans.

    max_headers: int, 1..1000, messages with more give NO_SPACE.
    spans: array('H') of HEAD_ITEMS + max_headers * HEADER_ITEMS items (layout.py).
    """

    def __init__(self, max_headers=64):
        if not 1 <= max_headers <= 1000:
            raise ValueError("max_headers out of range: {}".format(max_headers))
        self._max = max_headers
        self.spans = array("H", bytes(2 * (
            layout.HEAD_ITEMS + max_headers * layout.HEADER_ITEMS)))

    def scan(self, buf, n):
        """Scan the message at buf[:n] (bytes or bytearray).

        Returns the number of headers, or SYNTAX, PARTIAL (no end of the head yet), NO_SPACE (too
        many headers, or a head past 65,535 octets). The spans count only when it is >= 0.
        """
        if not 0 <= n <= len(buf):
            return layout.BAD_ARGUMENT
        limit = n if n < _LIMIT else _LIMIT
        rc = self._scan(buf, limit)
        return NO_SPACE if rc == PARTIAL and n > limit else rc

    def _scan(self, buf, n):
        spans = self.spans
        for item in range(layout.HEAD_ITEMS):
            spans[item] = 0
        start = 0
        while start < n and (buf[start] == _LF or buf[start] == _CR):
            if buf[start] == _CR:
                if start + 1 == n:
                    return PARTIAL
                if buf[start + 1] != _LF:
                    return SYNTAX
                start += 1
            start += 1
        end, position = _line_break(buf, start, n)
        if buf.find(b"\0", start, n if end < 0 else end) >= 0 or end == SYNTAX:
            return SYNTAX
        if end < 0:
            return PARTIAL
        if not self._start_line(buf, start, end):
            return SYNTAX
        spans[layout.HEAD_START] = start
        return self._headers(buf, position, n)

    def _start_line(self, buf, start, end):
        """Fill the head from the start line; False if it is neither request nor response."""
        space = buf.find(b" ", start, end)
        if space < 0:
            return False
        version = _version(buf, start, space)
        if version >= 0:
            return self._status_line(buf, version, space + 1, end)
        if not _is_token(buf, start, space):
            return False
        return self._request_line(buf, start, space, end)

    def _status_line(self, buf, version, start, end):
        """`SIP/2.0 SP 3DIGIT SP reason`; the last SP may be missing when the reason is empty."""
        if end - start < 3 or not _is_digits(buf, start, start + 3):
            return False
        status = (buf[start] - 48) * 100 + (buf[start + 1] - 48) * 10 + buf[start + 2] - 48
        reason = start + 3
        if reason < end:
            if buf[reason] != _SP:
                return False
            reason += 1
        if not 100 <= status <= 699:
            return False
        spans = self.spans
        spans[layout.KIND] = layout.KIND_RESPONSE
        spans[layout.VERSION] = version
        spans[layout.STATUS] = status
        spans[layout.REASON_START] = reason
        spans[layout.REASON_LENGTH] = end - reason
        return True

    def _request_line(self, buf, start, space, end):
        """`Method SP Request-URI SP SIP/2.0`; readable with wrong spaces: KIND_BAD_REQUEST."""
        stop = end
        while stop > space and (buf[stop - 1] == _SP or buf[stop - 1] == _TAB):
            stop -= 1
        last = stop
        while last > space and buf[last - 1] != _SP and buf[last - 1] != _TAB:
            last -= 1
        version = _version(buf, last, stop)
        if version < 0:
            return False
        uri = space
        while uri < last and (buf[uri] == _SP or buf[uri] == _TAB):
            uri += 1
        uri_end = last
        while uri_end > uri and (buf[uri_end - 1] == _SP or buf[uri_end - 1] == _TAB):
            uri_end -= 1
        good = stop == end and uri == space + 1 and uri_end + 1 == last and uri < uri_end
        for at in range(uri, uri_end):
            if not 33 <= buf[at] <= 126:
                good = False
        spans = self.spans
        spans[layout.KIND] = layout.KIND_REQUEST if good else layout.KIND_BAD_REQUEST
        spans[layout.METHOD] = _METHOD_IDS.get(bytes(buf[start:space]), 0)
        spans[layout.METHOD_START] = start
        spans[layout.METHOD_LENGTH] = space - start
        spans[layout.URI_START] = uri
        spans[layout.URI_LENGTH] = uri_end - uri
        spans[layout.VERSION] = version
        return True

    def _headers(self, buf, position, n):
        """All header lines from `position` to the empty line; returns as `scan`."""
        count = 0
        while True:
            if position >= n:
                return PARTIAL
            if buf[position] == _LF:
                return self._finish(position + 1, count)
            if buf[position] == _CR:
                if position + 1 >= n:
                    return PARTIAL
                return self._finish(position + 2, count) if buf[position + 1] == _LF else SYNTAX
            if count == self._max:
                return NO_SPACE
            position = self._header(buf, position, n, layout.HEAD_ITEMS
                                    + count * layout.HEADER_ITEMS)
            if position < 0:
                return position
            count += 1

    def _finish(self, body, count):
        spans = self.spans
        spans[layout.BODY_START] = body
        spans[layout.HEAD_LENGTH] = body - spans[layout.HEAD_START]
        spans[layout.HEADER_COUNT] = count
        return count

    def _header(self, buf, start, n, item):
        """One header with its folded lines into spans[item:]; returns the next line or a rc."""
        colon, name_end = self._name(buf, start, n)
        if colon < 0:
            return colon
        at = colon + 1
        while True:
            end, following = _line_break(buf, at, n)
            if _bad_nul(buf, at, n if end < 0 else end):
                return SYNTAX
            if end < 0:
                return end
            if following >= n:
                return PARTIAL
            if buf[following] != _SP and buf[following] != _TAB:
                break
            at = following
        value_end = _trim_right(buf, colon + 1, end)
        value = colon + 1
        while value < value_end and buf[value] in b" \t\r\n":
            value += 1
        spans = self.spans
        name = bytes(buf[start:name_end]).lower()
        spans[item] = _HEADER_IDS.get(name, 0)
        spans[item + 1] = start
        spans[item + 2] = name_end - start
        spans[item + 3] = value
        spans[item + 4] = value_end - value
        spans[item + 5] = 1 if buf.find(b"\n", value, value_end) >= 0 else 0
        return following

    def _name(self, buf, start, n):
        """(offset of the colon, end of the name), or (rc, 0). Octets are judged as they come."""
        at = start
        while at < n and buf[at] in _TOKEN:
            at += 1
        name_end = at
        while at < n and (buf[at] == _SP or buf[at] == _TAB):
            at += 1
        if name_end == start and name_end < n:
            return SYNTAX, 0
        if at >= n:
            return PARTIAL, 0
        return (at, name_end) if buf[at] == _COLON else (SYNTAX, 0)
