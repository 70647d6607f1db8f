"""SIP URIs: parse, validate, compare, canonical address-of-record (RFC 3261 19.1).

Both interpreters; imports no I/O. Names are compared and resolved by others: here a host is text.
"""

from firmware.sip.errors import Malformed
from firmware.sip.grammar import ALPHANUM, HEX, is_all, is_token, parse_uint

_UNRESERVED = b"-_.!~*'()"
_USER = ALPHANUM + _UNRESERVED + b"%&=+$,;?/"
_PASSWORD = ALPHANUM + _UNRESERVED + b"%&=+$,"
_HOST = ALPHANUM + b"-._"
_IPV6 = b"0123456789abcdefABCDEF:."
_PARAM = ALPHANUM + _UNRESERVED + b"%[]/:&+$"
_HEADER = ALPHANUM + _UNRESERVED + b"%[]/?:+$=&"
# RFC 2396 characters of a URI of another scheme
_OTHER = ALPHANUM + _UNRESERVED + b"%;/?:@&=+$,#[]"
_NUMBER = b"0123456789-.()+*#"
# a parameter that decides where or how a URI is reached never matches its absence (19.1.4)
_DECIDING = (b"user", b"ttl", b"method", b"maddr", b"transport")
URI_LIMIT = 1024


class Uri:
    """One URI, split.

    scheme: lower case.  user, password: as written (escaped) or None.  host: lower case, an
    IPv6 reference with its brackets.  port: 0 when absent.  params, headers: as written, without
    the leading `;` or `?`.  For other schemes than sip and sips all after the colon is `user`
    and the host is empty.
    """

    def __init__(self, scheme, user, host, port, params, headers, password=None):
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params
        self.headers = headers

    def param(self, name):
        """The value of URI parameter `name` (lower case): bytes, b"" for a flag, or None."""
        if not self.params:
            return None
        for item in self.params.split(b";"):
            key, _, value = item.partition(b"=")
            if key.lower() == name:
                return value
        return None

    def aor(self):
        """The canonical address-of-record `user@host`, unescaped (RFC 3261 10.3 step 5).

        Parameters and the port are left out; bytes, or None without a user.
        """
        if not self.user:
            return None
        user = self.user
        if b"%" in user:
            user = unescape(user)
        return user + b"@" + self.host

    def request_uri(self, user=None):
        """The URI as bytes for a Request-URI: no headers, no method parameter (19.1.1).

        user: replaces an absent user part.
        """
        parts = [self.scheme, b":"]
        user = self.user if self.user is not None else user
        if user is not None:
            parts.append(user)
            if self.password is not None:
                parts.append(b":")
                parts.append(self.password)
            if self.host:
                parts.append(b"@")
        parts.append(self.host)
        if self.port:
            parts.append(b":%d" % self.port)
        if self.params:
            for item in self.params.split(b";"):
                if item.partition(b"=")[0].lower() != b"method":
                    parts.append(b";")
                    parts.append(item)
        return b"".join(parts)

    def validate(self):
        """Raise Malformed where a part holds an octet the grammar does not allow (25.1)."""
        if self.scheme not in (b"sip", b"sips"):
            _check(self.user, _OTHER, "bad URI")
            return
        if self.user is not None:
            _check(self.user, _USER, "bad user part")
        if self.password:
            _check(self.password, _PASSWORD, "bad password part")
        if self.params:
            seen = []
            for item in self.params.split(b";"):
                name, equals, value = item.partition(b"=")
                name = name.lower()
                _check(name, _PARAM, "bad URI parameter")
                if equals:
                    _check(value, _PARAM, "bad URI parameter")
                if name in seen:
                    raise Malformed("URI parameter given twice")
                seen.append(name)
        if self.headers:
            _check(self.headers, _HEADER, "bad URI headers")


def _check(data, table, text):
    if not is_all(data, table):
        raise Malformed(text)
    at = data.find(b"%")
    while at >= 0:
        if not is_all(data[at + 1:at + 3], HEX) or at + 3 > len(data):
            raise Malformed("bad escape")
        at = data.find(b"%", at + 1)


def parse_uri(data):
    """`data` (bytes, no angle brackets) as a Uri; raises Malformed.

    Splits and checks scheme, host and port; `validate` checks the octets of the other parts, so
    that the fast path pays for it only when a look-up fails.
    """
    colon = data.find(b":")
    if colon < 1 or len(data) > URI_LIMIT:
        raise Malformed("no URI scheme")
    scheme = data[:colon].lower()
    if scheme != b"sip" and scheme != b"sips":
        if not is_token(scheme) or not scheme[:1].isalpha():
            raise Malformed("bad URI scheme")
        return Uri(scheme, data[colon + 1:], b"", 0, b"", b"")
    at = data.find(b"@", colon)
    user = password = None
    if at >= 0:
        user = data[colon + 1:at]
        if b":" in user:
            user, _, password = user.partition(b":")
        if not user:
            raise Malformed("empty user part")
    else:
        at = colon
    rest = data[at + 1:]
    headers = params = b""
    if b"?" in rest:
        rest, _, headers = rest.partition(b"?")
    if b";" in rest:
        rest, _, params = rest.partition(b";")
        if not params:
            raise Malformed("empty URI parameter")
    host, port = parse_hostport(rest)
    return Uri(scheme, user, host, port, params, headers, password)


def parse_hostport(data):
    """`host[:port]` as (host in lower case, port or 0); raises Malformed."""
    port = 0
    if data[:1] == b"[":
        close = data.find(b"]")
        host = data[:close + 1]
        if close < 0 or not is_all(data[1:close], _IPV6):
            raise Malformed("bad IPv6 reference")
        rest = data[close + 1:]
    else:
        colon = data.find(b":")
        host = data if colon < 0 else data[:colon]
        rest = b"" if colon < 0 else data[colon:]
        if not is_all(host, _HOST):
            raise Malformed("bad host")
    if rest:
        port = parse_uint(rest[1:], 65535) if rest[:1] == b":" else None
        if not port:
            raise Malformed("bad port")
    return host.lower(), port


def is_ipv4(host):
    """True for dotted-decimal IPv4 text in bytes."""
    if not 7 <= len(host) <= 15:
        return False
    parts = host.split(b".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return True


def unescape(data):
    """`data` with every %HH turned into its octet; a broken escape stays as it is."""
    if b"%" not in data:
        return data
    pieces = data.split(b"%")
    out = [pieces[0]]
    for piece in pieces[1:]:
        if len(piece) >= 2 and is_all(piece[:2], HEX):
            out.append(bytes((int(piece[:2], 16),)))
            out.append(piece[2:])
        else:
            out.append(b"%")
            out.append(piece)
    return b"".join(out)


def telephone_digits(user):
    """The digits of a telephone number in a user part (RFC 3966), or None if it is no number.

    Visual separators, a leading `+` and parameters after `;` are left out.
    """
    number = user.partition(b";")[0]
    if not is_all(number, _NUMBER):
        return None
    digits = bytes(char for char in number if 0x30 <= char <= 0x39)
    return digits or None


def _params(uri):
    table = {}
    if uri.params:
        for item in uri.params.split(b";"):
            name, _, value = item.partition(b"=")
            table[unescape(name).lower()] = unescape(value).lower()
    return table


def equal(one, other):
    """True when two Uri objects are equivalent (RFC 3261 19.1.4)."""
    if one.scheme != other.scheme or one.host != other.host or one.port != other.port:
        return False
    if unescape(one.user or b"") != unescape(other.user or b""):
        return False
    if unescape(one.password or b"") != unescape(other.password or b""):
        return False
    mine = _params(one)
    theirs = _params(other)
    for name in mine:
        if name in theirs and mine[name] != theirs[name]:
            return False
    for name in _DECIDING:
        if (name in mine) != (name in theirs):
            return False
    return _headers(one) == _headers(other)


def _headers(uri):
    if not uri.headers:
        return []
    pairs = []
    for item in uri.headers.split(b"&"):
        name, _, value = item.partition(b"=")
        pairs.append((unescape(name).lower(), unescape(value)))
    return sorted(pairs)
