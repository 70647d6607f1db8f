"""The request being answered: its message with what the server noted about it.

One object is reused; it is valid until the next `receive`. Both interpreters; no I/O.
"""

from firmware.fastpath import layout
from firmware.proxy.config import DEFAULT_PORT
from firmware.sip.builder import response_head
from firmware.sip.errors import Malformed, SipError
from firmware.sip.grammar import LWS
from firmware.sip.headers import SentByMemory, UnreadVia, Via, parse_cseq, tag_of

MAX_FORWARDS_LIMIT = 255  # RFC 3261 20.22


class Request:
    """A request and where it came from.

    message: SipMessage.  via: its topmost Via.  uri: Uri, set by the server.  host: source
    address as bytes.  reply_to: (host text, port) by RFC 3261 18.2.2 and RFC 3581.  call_id:
    bytes.  cseq: int.  to_tag: bytes, None outside a dialog.  from_tag: bytes, b"" when absent
    (RFC 2543 clients), after `check`.  ready: True once an answer can be
    built.  fault: the Malformed of a Via or To that cannot be read, for `check`.
    """

    def __init__(self, message, sender_limit):
        """sender_limit: how many Via sent-by texts are remembered taken apart."""
        self.message = message
        self._senders = SentByMemory(sender_limit)
        self.ready = False
        self.via = None
        self.uri = None
        self.host = b""
        self.port = 0
        self.reply_to = None
        self.call_id = b""
        self.cseq = 0
        self.end = 0
        self.to_tag = None
        self.from_tag = b""
        self.may_add_tag = False
        self.fault = None
        self.now_ms = 0
        self.now_s = 0

    def open(self, source, host, now_ms, now_s):
        """Note the source; raises Malformed when the request is not even answerable.

        source: (host text, port).  host: the same address as bytes.
        """
        message = self.message
        if not message.answerable():
            raise Malformed("needed header missing")
        self.fault = None
        try:
            via = Via(message.via_value, self._senders)
        except Malformed as fault:
            self.fault = fault
            via = UnreadVia(message.via_value)
        self.via = via
        self.host = host
        self.port = source[1]
        if via.rport is not None:
            self.reply_to = source
        else:
            self.reply_to = (source[0], via.port or DEFAULT_PORT)
        self.call_id = message.call_id
        self.now_ms = now_ms
        self.now_s = now_s
        try:
            self.to_tag = tag_of(message.to_value)
            self.may_add_tag = self.to_tag is None
        except Malformed as fault:
            # the answer is a 400, and what is added to a broken value may land anywhere in it
            self.fault = fault
            self.to_tag = None
            self.may_add_tag = False
        self.ready = True

    def check(self):
        """The rules every request must keep (RFC 3261 8.1.1, 8.2, 18.3).

        Raises SipError, Malformed.
        """
        message = self.message
        if message.spans[layout.VERSION] != layout.SIP_2_0:
            raise SipError(505)
        if message.kind == layout.KIND_BAD_REQUEST:
            raise Malformed("malformed request line")
        if self.fault is not None:
            raise self.fault
        if message.repeated:
            raise Malformed("header repeated")
        self.cseq, method = parse_cseq(message.cseq_value)
        if method != message.method:
            raise Malformed("CSeq method differs")
        if not self.call_id or self.call_id.strip(LWS) != self.call_id or b" " in self.call_id:
            raise Malformed("bad Call-ID")
        self.from_tag = tag_of(message.from_value) or b""
        self.end = message.end()

    def max_forwards(self):
        """Max-Forwards as an int, or None when absent; raises SipError 400."""
        return self.message.number(layout.H_MAX_FORWARDS, MAX_FORWARDS_LIMIT)

    def head(self, secrets):
        """The lines every answer to this request copies (8.2.6.2), as response_head."""
        tag = secrets.to_tag(self.call_id) if self.may_add_tag else b""
        return response_head(
            self.message, self.via, self.via.answered(self.host, self.port), tag)
