"""Records as dicts for JSON, and back: what `dump`, `export` and `import` show and take.

    {"kind": "aor", "aor": "alice@example.com", "bindings": [{"contact", "q", "expires", ...}]}
    {"kind": "subscriber", "user": "alice@example.com", "realm": "...", "ha1": {"MD5": hex, ...}}
    {"kind": "route", "prefix" or "domain": "...", "target": "sip:..."}
    {"aor", "contact", "q", "expires"}     short form of one binding, taken only

q is a number from 0 to 1, expires absolute Unix seconds (0 or absent: never), absent fields are
empty. Octets that are not printable ASCII, and `%`, stand as %HH in names and in user_agent, so
the form loses nothing. Runs on both interpreters. Imports no I/O.
"""

from firmware.location.binding import Q_MAX, Binding

_ALGORITHMS = ((1, "MD5"), (2, "SHA-256"))
_BYTES_FIELDS = ("call_id", "path", "received", "user_agent", "instance")
_NUMBER_FIELDS = ("cseq", "reg_id")
_HEX_DIGITS = "0123456789abcdefABCDEF"
_NAME_ESCAPES = b'%@"<>'
_TEXT_ESCAPES = b"%"


def _escape(octets, escapes, lowest):
    """Text of `octets`; %HH for what is in `escapes`, below `lowest` or beyond ASCII."""
    parts = []
    for octet in octets:
        if octet < lowest or octet > 126 or octet in escapes:
            parts.append("%{:02X}".format(octet))
        else:
            parts.append(chr(octet))
    return "".join(parts)


def _unescape(text, field):
    """Octets of `text` with every %HH turned into its octet; ValueError for a broken escape."""
    pieces = text.split("%")
    parts = [pieces[0].encode()]
    for piece in pieces[1:]:
        digits = piece[:2]
        if len(digits) < 2 or digits[0] not in _HEX_DIGITS or digits[1] not in _HEX_DIGITS:
            raise ValueError("{} has a broken % escape".format(field))
        parts.append(bytes((int(digits, 16),)))
        parts.append(piece[2:].encode())
    return b"".join(parts)


def _name_text(name):
    """Text of a `user@host`."""
    user, _, host = name.rpartition(b"@")
    return _escape(user, _NAME_ESCAPES, 33) + "@" + _escape(host, b"", 33)


def _name_octets(text, field):
    """Canonical octets of a `user@host`, which may have a scheme before it."""
    for scheme in ("sip:", "sips:"):
        if text.lower().startswith(scheme):
            text = text[len(scheme):]
            break
    user, at, host = text.rpartition("@")
    if not at:
        raise ValueError("{} must be user@host".format(field))
    return _unescape(user, field) + b"@" + host.lower().encode()


def _text(document, field, default=None):
    """A field that must be text; ValueError when it is absent without default, or no text."""
    value = document.get(field, default)
    if not isinstance(value, str):
        raise ValueError("{} must be text".format(field))
    return value


def _number(document, field):
    """A field that must be an int 0..2**32-1; 0 when absent."""
    value = document.get(field, 0)
    if not isinstance(value, int) or value is True or value is False:
        raise ValueError("{} must be a whole number".format(field))
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError("{} out of range: {}".format(field, value))
    return value


def _q(document):
    """Thousandths of the field q; 1000 when absent."""
    value = document.get("q", 1)
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("q must be a number from 0 to 1")
    return int(value * Q_MAX + 0.5)


def _binding_fields(binding):
    """One binding as a dict, only its set fields but contact and q."""
    q = binding.q
    fields = {"contact": _escape(binding.contact, b"", 33),
              "q": q // Q_MAX if q in (0, Q_MAX) else q / Q_MAX}
    if binding.expires_s:
        fields["expires"] = binding.expires_s
    for name in _BYTES_FIELDS:
        octets = getattr(binding, name)
        if octets:
            fields[name] = _escape(octets, _TEXT_ESCAPES if name == "user_agent" else b"", 32)
    for name in _NUMBER_FIELDS:
        if getattr(binding, name):
            fields[name] = getattr(binding, name)
    return fields


def _binding(document):
    """The Binding of a dict; ValueError naming the field that is wrong."""
    if not isinstance(document, dict):
        raise ValueError("a binding must be an object")
    binding = Binding(_text(document, "contact").encode(), _q(document),
                      _number(document, "expires"))
    for name in _BYTES_FIELDS:
        text = _text(document, name, "")
        octets = _unescape(text, name) if name == "user_agent" else text.encode()
        setattr(binding, name, octets)
    for name in _NUMBER_FIELDS:
        setattr(binding, name, _number(document, name))
    return binding


def _subscriber(document):
    """(name, (realm, credentials)) of a subscriber's dict."""
    name = _name_octets(_text(document, "user"), "user")
    realm = _text(document, "realm", name.rpartition(b"@")[2].decode()).encode()
    hashes = document.get("ha1")
    if not isinstance(hashes, dict):
        raise ValueError("ha1 must be an object")
    credentials = []
    for number, algorithm in _ALGORITHMS:
        if algorithm in hashes:
            credentials.append((number, _text(hashes, algorithm).lower().encode()))
    if not credentials or len(credentials) != len(hashes):
        raise ValueError("ha1 must hold MD5 or SHA-256")
    return name, (realm, credentials)


def to_json_fields(kind, name, content):
    """The dict of a record: kind octet, key without it, decoded value (record.py)."""
    if kind == b"a":
        return {"kind": "aor", "aor": _name_text(name),
                "bindings": [_binding_fields(binding) for binding in content]}
    if kind == b"s":
        hashes = {}
        for number, algorithm in _ALGORITHMS:
            for held, ha1 in content[1]:
                if held == number:
                    hashes[algorithm] = ha1.decode()
        return {"kind": "subscriber", "user": _name_text(name),
                "realm": content[0].decode(), "ha1": hashes}
    field = "prefix" if kind == b"n" else "domain"
    return {"kind": "route", field: name.decode(), "target": _escape(content, b"", 33)}


def from_json_fields(document):
    """(kind octet, key without it, content to encode) of a dict; ValueError naming the field."""
    if not isinstance(document, dict):
        raise ValueError("a record must be an object")
    kind = document.get("kind", "aor")
    if kind == "aor":
        name = _name_octets(_text(document, "aor"), "aor")
        listed = document.get("bindings", [document] if "contact" in document else None)
        if not isinstance(listed, list) or not listed:
            raise ValueError("bindings must be a list of at least one")
        return b"a", name, [_binding(item) for item in listed]
    if kind == "subscriber":
        name, content = _subscriber(document)
        return b"s", name, content
    if kind == "route":
        target = _text(document, "target").encode()
        if "prefix" in document:
            return b"n", _text(document, "prefix").encode(), target
        return b"d", _text(document, "domain").lower().encode(), target
    raise ValueError("kind must be aor, subscriber or route")
