"""Reads the Markdown vectors of tests/vectors/torture (its README.md has their form)."""

from scanner_vectors import octets

FILES = ("rfc4475_valid.md", "rfc4475_invalid.md", "rfc4475_semantics.md", "rfc5118.md")


def folder():
    """tests/vectors/torture/, from wherever the tests were started."""
    here = __file__.rsplit("/", 2)[0] if __file__.count("/") > 1 else "tests"
    return here + "/vectors/torture/"


def session(address):
    """The session description that the RFCs give most messages, 150 octets for 9 of address."""
    family = "IP6" if ":" in address else "IP4"
    return "\r\n".join((
        "v=0", "o=mhandley 29739 7272939 IN {} {}".format(family, address), "s=-",
        "c=IN {} {}".format(family, address), "t=0 0", "m=audio 49217 RTP/AVP 0 12",
        "m=video 3227 RTP/AVP 31", "a=rtpmap:31 LPC")).encode()


def line_octets(line):
    """One line of a block as octets, its marks written out."""
    if line.startswith("<SDP "):
        return session(line[5:-1])
    if line == "<OCTETS>":
        return bytes(range(256))
    at = line.find("<repeat ")
    while at >= 0:
        end = line.find(">", at)
        _, count, text = line[at + 1:end].split(" ")
        line = line[:at] + text * int(count) + line[end + 1:]
        at = line.find("<repeat ")
    return octets(line)


def blocks(lines):
    """(kind, title, list of lines) for every fenced block."""
    found = []
    title = block = kind = None
    for line in lines:
        if block is not None and line == "```":
            found.append((kind, title, block))
            block = None
        elif block is not None:
            block.append(line)
        elif line.startswith("```"):
            kind = line[3:]
            block = []
        elif line.startswith("## "):
            title = line[3:]
    return found


def vectors():
    """List of (title, message octets, lines of the result block)."""
    found = []
    for name in FILES:
        with open(folder() + name) as file:
            parts = blocks(file.read().split("\n"))
        for index in range(0, len(parts), 2):
            kind, title, lines = parts[index]
            result, _, expected = parts[index + 1]
            assert (kind, result) == ("sip", "result"), title
            message = b"".join([line_octets(line) + b"\r\n" for line in lines])
            found.append((title, message, expected))
    return found
