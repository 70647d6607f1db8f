"""The lexical rules of SIP that every header shares (RFC 3261 25.1).

Works on bytes values; raises ValueError with a text of ours where the grammar is broken.
Both interpreters; no I/O.
"""

ALPHANUM = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LWS = b" \t\r\n"


def char_table(allowed):
    """A 256-octet membership table of the octets in `allowed`."""
    table = bytearray(256)
    for char in allowed:
        table[char] = 1
    return table


TOKEN = char_table(ALPHANUM + b"-.!%*_+`'~")
# word (Call-ID) has these beside the token characters
WORD = char_table(ALPHANUM + b"-.!%*_+`'~()<>:\\\"/[]?{}@")
# gen-value: token, host or quoted-string; the host adds the IPv6 reference
PARAM_VALUE = char_table(ALPHANUM + b"-.!%*_+`'~[]:")
HEX = char_table(b"0123456789abcdefABCDEF")


def is_all(data, table):
    """True when `data` is not empty and every octet of it is in `table`."""
    for char in data:
        if not table[char]:
            return False
    return len(data) > 0


def is_token(data):
    """True for a token (RFC 3261 25.1)."""
    return is_all(data, TOKEN)


def has_control(data):
    """True when an octet below space or DEL occurs: never valid in a value on one line."""
    for char in data:
        if char < 32 or char == 127:
            return True
    return False


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
    raise ValueError("quoted string without end")


def find_outside(data, char, start=0):
    """Index of octet `char` (int) outside quoted-strings and <...>, or -1 (RFC 3261 7.3.1)."""
    at = start
    size = len(data)
    while at < size:
        here = data[at]
        if here == char:
            return at
        if here == 0x22:
            at = end_of_quoted(data, at)
        elif here == 0x3C:
            at = data.find(b">", at)
            if at < 0:
                raise ValueError("angle bracket without end")
            at += 1
        else:
            at += 1
    return -1


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
            comma = find_outside(data, 0x2C, start)
            if comma < 0:
                elements.append(data[start:].strip(LWS))
                break
            elements.append(data[start:comma].strip(LWS))
            start = comma + 1
    for element in elements:
        if not element:
            raise ValueError("empty list element")
    return elements


def parse_params(data):
    """`;name=value;flag` as a list of (name in lower case, value or None).

    data: bytes from the first semicolon on, or empty.  A quoted value keeps its quotes.
    Raises ValueError for a name that is no token, a bad value or a name given twice.
    """
    params = []
    at = 0
    size = len(data)
    while at < size:
        if data[at] != 0x3B:
            raise ValueError("parameter without semicolon")
        end = find_outside(data, 0x3B, at + 1)
        if end < 0:
            end = size
        name, equals, value = data[at + 1:end].partition(b"=")
        name = name.strip(LWS).lower()
        value = value.strip(LWS)
        if not is_token(name):
            raise ValueError("bad parameter name")
        if equals:
            if value[:1] == b'"':
                if end_of_quoted(value, 0) != len(value):
                    raise ValueError("bad parameter value")
            elif not is_all(value, PARAM_VALUE):
                raise ValueError("bad parameter value")
        if find_param(params, name):
            raise ValueError("parameter given twice")
        params.append((name, value if equals else None))
        at = end
    return params


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
