"""One SIP message as spans into its own bytes (RFC 3261 7); headers are read when asked for.

The scanner (firmware.fastpath) finds the lines; this class indexes the first header of each
kind and hands out values. One object is reused for every message, so nothing here outlives the
next `parse`. Both interpreters; imports no I/O.
"""

from firmware.fastpath import layout
from firmware.sip.errors import Malformed, SipError
from firmware.sip.grammar import LWS, parse_uint, split_list

# more than one of these is an error (RFC 3261 7.3.1: their grammar is no list)
_SINGLE = (layout.H_FROM, layout.H_TO, layout.H_CALL_ID, layout.H_CSEQ, layout.H_MAX_FORWARDS,
           layout.H_CONTENT_LENGTH)
# what every message must have (RFC 3261 8.1.1, without Max-Forwards: RFC 2543 has none)
_NEEDED = (layout.H_VIA, layout.H_FROM, layout.H_TO, layout.H_CALL_ID, layout.H_CSEQ)
_IDS = len(layout.HEADER_NAMES)
_IS_SINGLE = bytearray(_IDS)
for _id in _SINGLE:
    _IS_SINGLE[_id] = 1
_NO_HEADERS = [0] * _IDS


class SipMessage:
    """The message parsed last.

    scanner: a Scanner of firmware.fastpath.  data: the message's bytes.  spans: the scanner's.
    kind: KIND_... of layout.  method_id: METHOD_... of layout.  status: 0 in a request.
    first: for each header id the index into spans of its first header, 0 = absent.
    repeated: True when a header that must stand alone does not.  via_value (of the first Via
    header), from_value, to_value, call_id, cseq_value: bytes on one line, after `answerable`.
    """

    def __init__(self, scanner):
        self._scanner = scanner
        self.spans = scanner.spans
        self.data = b""
        self.count = 0
        self.kind = 0
        self.method_id = 0
        self.status = 0
        self.via_count = 0
        self.first = _NO_HEADERS
        self.repeated = False
        self.via_value = self.from_value = self.to_value = b""
        self.call_id = self.cseq_value = b""

    def parse(self, buf, n):
        """Take the message in buf[:n]; 0, or the scanner's negative code.

        The octets are copied once, so the caller may reuse its buffer.
        """
        count = self._scanner.scan(buf, n)
        if count < 0:
            return count
        self.data = bytes(buf) if len(buf) == n else bytes(memoryview(buf)[:n])
        spans = self.spans
        self.count = count
        self.kind = spans[layout.KIND]
        self.method_id = spans[layout.METHOD]
        self.status = spans[layout.STATUS]
        first = _NO_HEADERS[:]
        self.first = first
        self.repeated = False
        self.via_count = 0
        for item in range(layout.HEAD_ITEMS, layout.HEAD_ITEMS + count * layout.HEADER_ITEMS,
                          layout.HEADER_ITEMS):
            header = spans[item]
            if header == layout.H_VIA:
                self.via_count += 1
            if not first[header]:
                first[header] = item
            elif _IS_SINGLE[header]:
                self.repeated = True
        return 0

    @property
    def method(self):
        """The method's name, bytes."""
        start = self.spans[layout.METHOD_START]
        return self.data[start:start + self.spans[layout.METHOD_LENGTH]]

    @property
    def request_uri(self):
        """The Request-URI, bytes as written."""
        start = self.spans[layout.URI_START]
        return self.data[start:start + self.spans[layout.URI_LENGTH]]

    def answerable(self):
        """True when a response can be built: each needed header is there (8.2.6).

        Then via_value, from_value, to_value, call_id and cseq_value hold the values of the first
        of each; `repeated` tells whether one stands there twice.
        """
        first = self.first
        spans = self.spans
        data = self.data
        values = []
        for header in _NEEDED:
            item = first[header]
            if not item:
                return False
            start = spans[item + 3]
            value = data[start:start + spans[item + 4]]
            values.append(unfold(value) if spans[item + 5] else value)
        (self.via_value, self.from_value, self.to_value, self.call_id,
         self.cseq_value) = values
        return True

    def header(self, header):
        """The value of the first header with this id on one line, or None."""
        item = self.first[header]
        return self.value(item) if item else None

    def headers(self, header):
        """The values of all headers with this id, in order, each on one line."""
        return [self.value(item) for item in self.items(header)]

    def value(self, item):
        """The value of the header at spans[item], folds turned into spaces (7.3.1)."""
        start = self.spans[item + 3]
        value = self.data[start:start + self.spans[item + 4]]
        return unfold(value) if self.spans[item + 5] else value

    def items(self, header):
        """Indexes into spans of all headers with this id."""
        item = self.first[header]
        if not item:
            return []
        spans = self.spans
        end = layout.HEAD_ITEMS + self.count * layout.HEADER_ITEMS
        return [at for at in range(item, end, layout.HEADER_ITEMS) if spans[at] == header]

    def line_end(self, item):
        """Where the line of the header at spans[item] ends: the offset after its line end."""
        last = layout.HEAD_ITEMS + (self.count - 1) * layout.HEADER_ITEMS
        if item != last:
            return self.spans[item + layout.HEADER_ITEMS + 1]
        body = self.spans[layout.BODY_START]
        return body - 2 if self.data[body - 2:body] == b"\r\n" else body - 1

    def list_of(self, header):
        """All comma-separated elements of all headers with this id, in order."""
        elements = []
        for value in self.headers(header):
            elements.extend(split_list(value))
        return elements

    def option_tags(self, header):
        """The option-tags in headers with this id, lower case; an empty header has none."""
        tags = []
        for value in self.headers(header):
            if value:
                tags.extend([tag.lower() for tag in split_list(value)])
        return tags

    def number(self, header, limit):
        """The value of a header of digits, 0..limit, or None when absent.

        Raises SipError 400 for anything else.
        """
        item = self.first[header]
        if not item:
            return None
        number = parse_uint(self.value(item), limit)
        if number is None:
            raise SipError(400, b"Bad " + layout.HEADER_NAMES[header])
        return number

    def end(self):
        """Where the message ends: octets beyond Content-Length are none of it (18.3).

        Raises Malformed when the body is shorter than Content-Length says.
        """
        length = self.number(layout.H_CONTENT_LENGTH, 1 << 30)
        if length is None:
            return len(self.data)
        end = self.spans[layout.BODY_START] + length
        if end > len(self.data):
            raise Malformed("body shorter than Content-Length")
        return end

    @property
    def body(self):
        """The octets behind the empty line, bytes."""
        return self.data[self.spans[layout.BODY_START]:self.end()]


def unfold(value):
    """A folded value on one line: each fold with the space around it becomes one space (7.3.1)."""
    lines = value.replace(b"\r\n", b"\n").split(b"\n")
    return b" ".join([line.strip(LWS) for line in lines])
