"""The lexical rules of SIP that every header shares (RFC 3261 25.1).

Works on bytes values; raises Malformed where the grammar is broken. A set of characters is a
bytes constant: `bytes.strip` then tests membership at the interpreter's own speed.
Both interpreters; no I/O.
"""

from firmware.sip.errors import Malformed

ALPHANUM = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LWS = b" \t\r\n"
TOKEN = ALPHANUM + b"-.!%*_+`'~"
# gen-value: token, host or quoted-string; the host adds the IPv6 reference
PARAM_VALUE = ALPHANUM + b"-.!%*_+`'~[]:"
_PRINTED = bytes(range(32, 127)) + bytes(range(128, 256))
HEX = b"0123456789abcdefABCDEF"
PARAMS_LIMIT = 64  # of one value: names are compared with each other


def is_all(data, allowed):
    """True when `data` is not empty and every octet of it is in `allowed`."""
    return len(data) > 0 and not data.strip(allowed)


def is_token(data):
    """True for a token (RFC 3261 25.1)."""
    return is_all(data, TOKEN)


def has_control(data):
    """True when an octet below space or DEL occurs: never valid in a value on one line."""
    return bool(data.strip(_PRINTED))


def parse_uint(data, limit):
    """Decimal digits as an int in 0..limit; None for anything else."""
    if not data.isdigit() or len(data) > 20:
        return None
    value = int(data)
    return value if value <= limit else None


def end_of_quoted(data, start):
    """The index after the quoted-string that opens at data[start]."""
    at = start + 1
    size = len(data)
    while at < size:
        char = data[at]
        if char == 0x22:
            return at + 1
        at += 2 if char == 0x5C else 1
    raise Malformed("quoted string without end")


def find_outside(data, char, start=0):
    """Index of `char` (bytes) outside quoted-strings and <...>, or -1 (RFC 3261 7.3.1)."""
    while True:
        hit = data.find(char, start)
        if hit < 0:
            return -1
        quote = data.find(b'"', start, hit)
        bracket = data.find(b"<", start, hit)
        if quote < 0 and bracket < 0:
            return hit
        if quote >= 0 and (bracket < 0 or quote < bracket):
            start = end_of_quoted(data, quote)
        else:
            start = data.find(b">", bracket) + 1
            if not start:
                raise Malformed("angle bracket without end")


def split_list(data):
    """The comma-separated elements of a header value, each stripped (RFC 3261 7.3.1).

    Empty elements raise ValueError: the core grammar of the lists used here has none.
    """
    if b"," not in data:
        elements = [data.strip(LWS)]
    else:
        elements = []
        start = 0
        while True:
            comma = find_outside(data, b",", start)
            if comma < 0:
                elements.append(data[start:].strip(LWS))
                break
            elements.append(data[start:comma].strip(LWS))
            start = comma + 1
    for element in elements:
        if not element:
            raise Malformed("empty list element")
    return elements


def parse_params(data):
    """`;name=value;flag` as a list of (name in lower case, value or None).

    data: bytes from the first semicolon on, or empty.  A quoted value keeps its quotes.
    Raises Malformed for a name that is no token, a bad value, a name given twice or more than
    PARAMS_LIMIT of them.
    """
    params = []
    if not data:
        return params
    if data[0] != 0x3B:
        raise Malformed("parameter without semicolon")
    names = []
    for item in _semicolon_items(data):
        name, equals, value = item.partition(b"=")
        name = name.strip(LWS).lower()
        if not name or name.strip(TOKEN):
            raise Malformed("bad parameter name")
        if equals:
            value = value.strip(LWS)
            if not value or value.strip(PARAM_VALUE):
                _check_quoted(value)
        else:
            value = None
        if name in names:
            raise Malformed("parameter given twice")
        if len(names) == PARAMS_LIMIT:
            raise Malformed("too many parameters")
        names.append(name)
        params.append((name, value))
    return params


def _semicolon_items(data):
    """The texts between the semicolons of data[1:] that stand outside quotes and brackets."""
    if b'"' not in data and b"<" not in data:
        return data[1:].split(b";")
    items = []
    at = 1
    while True:
        end = find_outside(data, b";", at)
        if end < 0:
            items.append(data[at:])
            return items
        items.append(data[at:end])
        at = end + 1


def _check_quoted(value):
    if value[:1] != b'"' or end_of_quoted(value, 0) != len(value):
        raise Malformed("bad parameter value")


def find_param(params, name):
    """The pair (name, value) of `name` in the list of parse_params, or None."""
    for pair in params:
        if pair[0] == name:
            return pair
    return None


def unquote(data):
    """The content of a quoted-string with its quoted-pairs undone; other data as it is."""
    if data[:1] != b'"':
        return data
    inner = data[1:-1]
    if b"\\" not in inner:
        return inner
    out = bytearray()
    at = 0
    while at < len(inner):
        if inner[at] == 0x5C and at + 1 < len(inner):
            at += 1
        out.append(inner[at])
        at += 1
    return bytes(out)
