"""Status codes, their reason phrases (RFC 3261 21) and the exceptions of this package.

`SipError` is how a rule of the RFC says "answer this request with that status"; the proxy's
door catches it, so that nothing raises past `receive_message`. Both interpreters; no I/O.
"""

PHRASES = {
    100: b"Trying", 200: b"OK", 301: b"Moved Permanently", 302: b"Moved Temporarily",
    400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 408: b"Request Timeout", 416: b"Unsupported URI Scheme",
    420: b"Bad Extension", 423: b"Interval Too Brief", 480: b"Temporarily Unavailable",
    481: b"Call/Transaction Does Not Exist", 482: b"Loop Detected", 483: b"Too Many Hops",
    500: b"Server Internal Error", 501: b"Not Implemented", 503: b"Service Unavailable",
    504: b"Server Time-out", 505: b"Version Not Supported", 513: b"Message Too Large",
}


class Malformed(ValueError):
    """A value breaks the grammar; its text is fixed and ours, so it may go into an answer."""


class SipError(Exception):
    """A request must be answered with `status`.

    status: 300..699.  phrase: bytes, fixed text of ours, never the peer's; None takes the RFC's.
    headers: bytes, whole extra header lines, each ended by CRLF.
    """

    def __init__(self, status, phrase=None, headers=b""):
        super().__init__(status)
        self.status = status
        self.phrase = phrase or PHRASES[status]
        self.headers = headers
