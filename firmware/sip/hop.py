"""The requests a client makes of one it sent: the ACK to a failure, and CANCEL.

Both carry the request's Request-URI, its topmost Via alone, Call-ID, From, CSeq number and Route
(RFC 3261 17.1.1.3, 9.1). Both interpreters; imports no I/O.
"""

from firmware.fastpath import layout
from firmware.sip.headers import Via, parse_cseq


class Hop:
    """What ACK and CANCEL copy from an INVITE we sent.

    message: the INVITE as an answerable SipMessage.  to_value: its To, bytes.
    """

    def __init__(self, message):
        parts = [b" ", message.request_uri, b" SIP/2.0\r\nVia: ", Via(message.via_value).text,
                 b"\r\nMax-Forwards: 70\r\n"]
        for value in message.headers(layout.H_ROUTE):
            parts.append(b"Route: " + value + b"\r\n")
        parts.append(b"From: " + message.from_value + b"\r\nCall-ID: " + message.call_id)
        self._head = b"".join(parts)
        self._number = parse_cseq(message.cseq_value)[0]
        self.to_value = message.to_value

    def build(self, method, to_value):
        """The request as bytes.

        method: b"ACK" or b"CANCEL".  to_value: of the response for an ACK, our own for a CANCEL.
        """
        return b"%s%s\r\nTo: %s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n" % (
            method, self._head, to_value, self._number, method)
