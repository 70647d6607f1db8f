"""Responses on their way back through a forking proxy (RFC 3261 16.7, steps 3, 6 and 7).

Both interpreters; imports no I/O.
"""

from firmware.fastpath import layout
from firmware.sip.builder import Edits
from firmware.sip.errors import Malformed
from firmware.sip.headers import Via

CHALLENGES = (401, 407)
# what tells the client how to send the request again (16.7 step 6)
_HELPFUL = (415, 420, 484)
# what tells least: nobody answered, or we ourselves cancelled
_EMPTY = (408, 487, 503)


def rank(status):
    """How good a final failure is to pass on; the lowest is the best (16.7 step 6)."""
    if status >= 600:
        return 0
    within = 2
    if status in CHALLENGES:
        within = 0
    elif status in _HELPFUL:
        within = 1
    elif status in _EMPTY:
        within = 3
    return status // 100 * 4 + within


def without_top_via(message, add_length):
    """The response less its topmost Via (16.7 step 3), or None when it cannot go further.

    message: an answerable SipMessage.  add_length: True where it leaves by a stream, which needs a
    Content-Length (18.3).  None: no further Via, or the message is malformed.
    """
    try:
        end = message.end()
        value = message.via_value
        top_end = Via(value).end
    except Malformed:
        return None
    spans = message.spans
    item = message.first[layout.H_VIA]
    edits = Edits(message.data)
    edits.replace(0, spans[layout.HEAD_START], b"")
    if add_length and not message.first[layout.H_CONTENT_LENGTH]:
        start = _second_line(message.data, spans[layout.HEAD_START])
        edits.replace(start, start, b"Content-Length: %d\r\n" % (end - spans[layout.BODY_START]))
    if top_end < len(value):
        start = spans[item + 3]
        edits.replace(start, start + spans[item + 4], value[top_end + 1:].strip())
    elif message.via_count > 1:
        edits.replace(spans[item + 1], message.line_end(item), b"")
    else:
        return None
    return edits.finish(end)


def challenge_lines(message):
    """The challenges of a 401 or 407 as header lines, unchanged (16.7 step 7)."""
    lines = []
    for header in (layout.H_WWW_AUTHENTICATE, layout.H_PROXY_AUTHENTICATE):
        for value in message.headers(header):
            lines.append(layout.HEADER_NAMES[header] + b": " + value + b"\r\n")
    return b"".join(lines)


def with_lines(data, lines):
    """The message `data`, which begins with its start line, with further header lines."""
    start = _second_line(data, 0)
    return data[:start] + lines + data[start:]


def _second_line(data, start):
    return data.find(b"\n", start) + 1
