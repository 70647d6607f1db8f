"""What the switch card reads of a SIP message: is it older than the connection table?

Only the start line and the To header are looked at, only for a connection without an entry.
Imports no I/O. Runs on both interpreters.
"""

from bus.compat import const

PEEK_BYTES = const(2048)


def is_response(buf, start):
    """Does a SIP response start at buf[start]?"""
    return bytes(buf[start:start + 8]) == b"SIP/2.0 "


def wants_answer(buf, start):
    """Is it a request that is answered by itself (all but ACK, RFC 3261 17.1.1.3)?"""
    return not is_response(buf, start) and bytes(buf[start:start + 4]) != b"ACK "


def belongs_to_dialog(buf, start, end):
    """Is the message a response, an ACK or a request inside a dialog (To with a tag)?

    Such a message continues what a card has begun (RFC 3261 12.2: requests within a dialog).
    """
    if not wants_answer(buf, start):
        return True
    text = bytes(buf[start:min(end, start + PEEK_BYTES)]).lower()
    at = 0
    while True:
        at = text.find(b"\nt", at)
        if at < 0:
            return False
        line_end = text.find(b"\n", at + 1)
        line = text[at + 1:line_end if line_end >= 0 else len(text)]
        colon = line.find(b":")
        if colon > 0 and line[:colon].strip() in (b"to", b"t"):
            # the tag is a header parameter: after the closing angle bracket where there is one
            return line.find(b"tag=", max(line.rfind(b">"), line.find(b";"))) >= 0
        at += 2
