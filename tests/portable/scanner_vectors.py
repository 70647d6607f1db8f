"""Reads the Markdown vectors of tests/vectors/scanner (its README.md has their form)."""

FILES = ("messages.md", "malformed.md")
_KINDS = ("", "request", "response", "bad-request")


def folder():
    """tests/vectors/scanner/, from wherever the tests were started."""
    here = __file__.rsplit("/", 2)[0] if __file__.count("/") > 1 else "tests"
    return here + "/vectors/scanner/"


def octets(text):
    """Bytes of `text` with every <HH> as its octet."""
    out = bytearray()
    at = 0
    while at < len(text):
        if text[at] == "<" and text[at + 3:at + 4] == ">" and _is_hex(text[at + 1:at + 3]):
            out.append(int(text[at + 1:at + 3], 16))
            at += 4
        else:
            out += text[at].encode()
            at += 1
    return bytes(out)


def _is_hex(digits):
    return digits[0] in "0123456789ABCDEF" and digits[1] in "0123456789ABCDEF"


def _message(lines):
    """The octets of a `sip` block."""
    out = []
    for line in lines:
        ending = b"\r\n"
        for mark, other in (("<LF>", b"\n"), ("<NONE>", b"")):
            if line.endswith(mark):
                line = line[:-len(mark)]
                ending = other
        out.append(octets(line) + ending)
    return b"".join(out)


def vectors():
    """List of (title, message, lines of the spans block)."""
    found = []
    for name in FILES:
        with open(folder() + name) as file:
            found += _parse(file.read().split("\n"))
    return found


def _parse(lines):
    found = []
    title = block = message = fence = None
    for line in lines:
        if block is not None and line == "```":
            if fence == "```sip":
                message = _message(block)
            else:
                found.append((title, message, block))
            block = None
        elif block is not None:
            block.append(line)
        elif line.startswith("```"):
            fence = line
            block = []
        elif line.startswith("## "):
            title = line[3:]
    return found


def describe(layout, spans, message):
    """What a scanner found, as the lines of a `spans` block with octets for their escapes."""
    def part(start, length):
        return message[spans[start]:spans[start] + spans[length]] or b"-"

    version = "{}.{}".format(spans[layout.VERSION] >> 8, spans[layout.VERSION] & 255).encode()
    kind = _KINDS[spans[layout.KIND]].encode()
    if spans[layout.KIND] == layout.KIND_RESPONSE:
        words = [kind, str(spans[layout.STATUS]).encode(), version,
                 part(layout.REASON_START, layout.REASON_LENGTH)]
    else:
        words = [kind, str(spans[layout.METHOD]).encode(),
                 part(layout.METHOD_START, layout.METHOD_LENGTH),
                 part(layout.URI_START, layout.URI_LENGTH), version]
    lines = [b" ".join(words)]
    for number in range(spans[layout.HEADER_COUNT]):
        at = layout.HEAD_ITEMS + number * layout.HEADER_ITEMS
        lines.append(str(spans[at]).encode() + (b"* " if spans[at + layout.FOLDED] else b" ")
                     + part(at + layout.NAME_START, at + layout.NAME_LENGTH) + b" = "
                     + part(at + layout.VALUE_START, at + layout.VALUE_LENGTH))
    if message[spans[layout.BODY_START]:]:
        lines.append(b"body " + message[spans[layout.BODY_START]:])
    return lines
