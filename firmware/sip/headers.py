"""Structured header values (RFC 3261 20, 25.1): Via, name-addr, Contact, CSeq, credentials.

Every function takes a header value as bytes and raises Malformed where the grammar is broken.
Both interpreters; imports no I/O.
"""

from firmware.sip.errors import Malformed
from firmware.sip.grammar import (
    ALPHANUM, LWS, TOKEN, end_of_quoted, find_outside, find_param, has_control, is_token,
    is_all, parse_params, parse_uint, split_list)
from firmware.sip.uri import parse_hostport, parse_uri

CSEQ_LIMIT = (1 << 31) - 1  # RFC 3261 8.1.1.5
EXPIRES_LIMIT = (1 << 32) - 1  # RFC 3261 20.19
_DISPLAY = ALPHANUM + b"-.!%*_+`'~ \t"


class Via:
    """The first via-parm of a Via header value (RFC 3261 20.42).

    host: lower case.  port: 0 when absent.  branch, received, rport: bytes or None when absent;
    rport is b"" for the request's bare flag (RFC 3581).  text: the via-parm as written.
    end: where it ends in the header value: the length of the value or the index of the comma.
    """

    def __init__(self, data, senders=None):
        """data: the header value.  senders: a SentByMemory, or None."""
        end = find_outside(data, b",") if b"," in data else -1
        self.end = len(data) if end < 0 else end
        self.text = data[:self.end].strip(LWS)
        semicolon = self.text.find(b";")
        head = self.text if semicolon < 0 else self.text[:semicolon]
        self.transport, self.host, self.port = (
            _sent_by(head) if senders is None else senders.get(head))
        self.branch = self.received = self.rport = None
        self.params = []
        if semicolon >= 0:
            self._read_params(self.text[semicolon:])

    def _read_params(self, data):
        self.params = parse_params(data)
        for name, value in self.params:
            if name == b"branch":
                self.branch = value or b""
            elif name == b"received":
                self.received = value or b""
            elif name == b"rport":
                self.rport = value or b""

    def answered(self, host, port):
        """This via-parm as bytes with what the server must note (18.2.1, RFC 3581 4).

        host, port: the source of the request.  `received` is set when the sent-by host differs or
        rport is asked for; values that the client invented for either are replaced.
        """
        if self.rport is None and self.received is None:
            if self.host == host:
                return self.text
            return self.text + b";received=" + host
        parts = [self.text[:self.text.find(b";")]]
        for name, value in self.params:
            if name == b"received" or name == b"rport":
                continue
            parts.append(name if value is None else name + b"=" + value)
        if self.rport is not None:
            parts.append(b"received=" + host)
            parts.append(b"rport=%d" % port)
        elif self.host != host:
            parts.append(b"received=" + host)
        return b";".join(parts)


class UnreadVia:
    """A Via value that breaks the grammar, for the answer that says so.

    It is copied as it is, and the answer goes to where the request came from.
    """

    branch = None
    rport = b""

    def __init__(self, data):
        self.text = data
        self.end = len(data)

    def answered(self, host, port):
        """The value as it is; nothing can be added to what cannot be read."""
        return self.text


class SentByMemory:
    """Remembers the sent-by texts of the last senders taken apart; forgets all when full.

    limit: entries.  Texts longer than 80 octets are not kept, so the memory is bounded.
    """

    def __init__(self, limit):
        self._limit = limit
        self._known = {}

    def get(self, head):
        """(transport, host, port) of `SIP/2.0/UDP host:port`; raises Malformed."""
        found = self._known.get(head)
        if found is None:
            found = _sent_by(head)
            if len(self._known) >= self._limit:
                self._known.clear()
            if len(head) <= 80:
                self._known[head] = found
        return found


def _sent_by(head):
    """(transport in upper case, host in lower case, port or 0) of `SIP/2.0/UDP host : port`."""
    if head[:8] == b"SIP/2.0/":
        transport, _, sent_by = head[8:].partition(b" ")
    else:
        name, _, rest = head.partition(b"/")
        version, _, rest = rest.partition(b"/")
        if name.strip(LWS).upper() != b"SIP" or version.strip(LWS) != b"2.0":
            raise Malformed("Via protocol is not SIP/2.0")
        words = rest.split(None, 1)
        if len(words) != 2:
            raise Malformed("Via without sent-by")
        transport, sent_by = words
    if not is_token(transport):
        raise Malformed("bad Via transport")
    sent_by = sent_by.strip(LWS)
    if b" " in sent_by or b"\t" in sent_by:
        left, colon, right = sent_by.partition(b":")
        sent_by = left.strip(LWS) + colon + right.strip(LWS)
    host, port = parse_hostport(sent_by)
    return transport.upper(), host, port


def parse_name_addr(data):
    """`"Display" <uri>;params` or `uri;params` as (uri bytes, list of parse_params).

    In the form without brackets, parameters belong to the header, and a URI that needs brackets
    (comma, question mark, semicolon) is refused (RFC 3261 20.10).
    """
    bracket = data.find(b"<")
    quote = data.find(b'"')
    if 0 <= quote and (quote < bracket or bracket < 0):
        if data[:quote].strip(LWS):
            raise Malformed("text before display name")
        at = end_of_quoted(data, quote)
        bracket = data.find(b"<", at)
        if bracket < 0 or data[at:bracket].strip(LWS):
            raise Malformed("display name without <URI>")
    elif bracket > 0 and not is_all(data[:bracket], _DISPLAY) and data[:bracket].strip(LWS):
        raise Malformed("bad display name")
    if bracket >= 0:
        close = data.find(b">", bracket)
        if close < 0:
            raise Malformed("angle bracket without end")
        return data[bracket + 1:close], parse_params(data[close + 1:].strip(LWS))
    semicolon = data.find(b";")
    uri = (data if semicolon < 0 else data[:semicolon]).strip(LWS)
    if b"?" in uri or b"," in uri or not uri:
        raise Malformed("URI needs angle brackets")
    return uri, parse_params(b"" if semicolon < 0 else data[semicolon:])


def tag_of(data):
    """The tag of a From or To value (RFC 3261 20.20): b"" when it has no value, None without one.

    Raises Malformed where the value is no name-addr or addr-spec. The plain forms `<uri>` and
    `<uri>;tag=token` are told without taking them apart.
    """
    if data[:1] == b"<" and b'"' not in data:
        close = data.find(b">")
        rest = data[close + 1:]
        if close > 0:
            if not rest:
                return None
            if rest[:5] == b";tag=" and is_token(rest[5:]):
                return rest[5:]
    pair = find_param(parse_name_addr(data)[1], b"tag")
    return (pair[1] or b"") if pair else None


class Contact:
    """One Contact of a REGISTER (RFC 3261 10.2.1, 20.10).

    uri: bytes as written.  parsed: Uri.  q: 0..1000.  expires_s: int or None when absent.
    instance: bytes of +sip.instance or b"".  reg_id: int, 0 when absent.
    """

    def __init__(self, data):
        self.uri, params = parse_name_addr(data)
        if has_control(self.uri):
            raise Malformed("control character in Contact")
        self.parsed = parse_uri(self.uri)
        self.parsed.validate()
        self.q = 1000
        self.expires_s = None
        self.instance = b""
        self.reg_id = 0
        for name, value in params:
            if name == b"q":
                self.q = parse_q(value)
            elif name == b"expires":
                self.expires_s = parse_expires(value)
            elif name == b"+sip.instance":
                self.instance = _instance(value)
            elif name == b"reg-id":
                self.reg_id = parse_uint(value or b"", CSEQ_LIMIT)
                if not self.reg_id:
                    raise Malformed("bad reg-id")


def _instance(value):
    if not value or value[:2] != b'"<' or value[-2:] != b'>"' or has_control(value):
        raise Malformed("bad +sip.instance")
    return value[2:-2]


def parse_q(value):
    """A qvalue `0[.ddd]` or `1[.000]` in thousandths, 0..1000."""
    whole, dot, part = (value or b"").partition(b".")
    if whole not in (b"0", b"1") or len(part) > 3 or (part and not part.isdigit()):
        raise Malformed("bad q value")
    q = int(whole) * 1000 + int((part + b"000")[:3])
    if q > 1000:
        raise Malformed("bad q value")
    return q


def format_q(q):
    """Thousandths as a qvalue in its shortest form: b"1", b"0.7", b"0"."""
    if q >= 1000:
        return b"1"
    digits = b"%03d" % q
    while digits and digits[-1] == 0x30:
        digits = digits[:-1]
    return b"0." + digits if digits else b"0"


def parse_expires(value):
    """delta-seconds; a malformed value counts as 3600 (RFC 3261 10.2.1.1, 20.19)."""
    value = (value or b"").strip(LWS)
    if not value.isdigit():
        return 3600
    return min(int(value[:12]), EXPIRES_LIMIT)


def parse_contacts(values):
    """All Contacts of the Contact header values as a list, or b"*" for the wildcard alone.

    Raises Malformed when one of them is malformed or `*` stands beside another.
    """
    contacts = []
    wildcard = False
    for value in values:
        for element in split_list(value):
            if element == b"*":
                wildcard = True
            else:
                contacts.append(Contact(element))
    if wildcard:
        if contacts or len(values) != 1 or values[0].strip(LWS) != b"*":
            raise Malformed("wildcard beside another Contact")
        return b"*"
    return contacts


def parse_cseq(data):
    """(number, method) of a CSeq value; the number is 0..2**31-1 (RFC 3261 20.16)."""
    words = data.split()
    if len(words) != 2 or words[1].strip(TOKEN):
        raise Malformed("bad CSeq")
    number = parse_uint(words[0], CSEQ_LIMIT)
    if number is None:
        raise Malformed("bad CSeq number")
    return number, words[1]


def parse_credentials(data):
    """An Authorization or challenge value as (scheme in lower case, {name: raw value}).

    Names are lower case; values keep their quotes.  Raises Malformed for a repeated name.
    """
    scheme, _, rest = data.strip(LWS).partition(b" ")
    if not is_token(scheme):
        raise Malformed("bad authentication scheme")
    fields = {}
    for element in split_list(rest):
        name, equals, value = element.partition(b"=")
        name = name.strip(LWS).lower()
        value = value.strip(LWS)
        if not equals or not is_token(name) or name in fields:
            raise Malformed("bad credentials")
        if value[:1] == b'"' and end_of_quoted(value, 0) != len(value):
            raise Malformed("bad credentials")
        fields[name] = value
    return scheme.lower(), fields
