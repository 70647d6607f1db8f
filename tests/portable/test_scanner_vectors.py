"""The SIP scanner against its Markdown vectors, on every implementation this interpreter has."""

from bus.compat import MICROPYTHON
from firmware import fastpath
from firmware.fastpath import layout

from scanner_vectors import describe, octets, vectors

VECTORS = vectors()
CODES = {"SYNTAX": layout.SYNTAX, "PARTIAL": layout.PARTIAL}


def implementations():
    """Names of the implementations to test; the C one only where its library is built."""
    loaded = fastpath.NAME
    return ["pure"] if loaded == "pure" else [loaded, "pure"]


def scanners():
    """A fresh scanner of each implementation."""
    loaded = fastpath.NAME
    made = []
    for name in implementations():
        fastpath.force(name)
        made.append(fastpath.Scanner(16))
    fastpath.force(loaded)
    return made


def test_there_are_vectors_and_an_implementation():
    assert len(VECTORS) >= 30
    assert fastpath.NAME in ("ffi" if MICROPYTHON else "cffi", "pure")


def test_whole_messages():
    for scanner in scanners():
        for title, message, expected in VECTORS:
            rc = scanner.scan(message, len(message))
            if expected[0] in CODES:
                assert rc == CODES[expected[0]], (title, rc)
                continue
            assert rc >= 0, (title, rc)
            found = describe(layout, scanner.spans, message)
            assert found == [octets(line) for line in expected], (title, found)
            assert rc == scanner.spans[layout.HEADER_COUNT], title


def test_octet_by_octet():
    for scanner in scanners():
        for title, message, expected in VECTORS:
            whole = scanner.scan(message, len(message))
            head = scanner.spans[layout.BODY_START] if whole >= 0 else len(message)
            seen_error = False
            for n in range(len(message) + 1):
                rc = scanner.scan(message, n)
                if whole >= 0:
                    assert rc == (layout.PARTIAL if n < head else whole), (title, n, rc)
                elif seen_error:
                    assert rc == layout.SYNTAX, (title, n, rc)
                else:
                    assert rc in (layout.PARTIAL, layout.SYNTAX), (title, n, rc)
                    seen_error = rc == layout.SYNTAX
            assert expected[0] != "SYNTAX" or seen_error, title


def test_octets_behind_the_message():
    for scanner in scanners():
        for title, message, expected in VECTORS:
            if expected[0] == "PARTIAL":
                continue
            rc = scanner.scan(message, len(message))
            spans = list(scanner.spans)
            longer = message + b"\r\nX: \0\r"
            assert scanner.scan(longer, len(longer)) == rc, title
            if rc >= 0:
                assert list(scanner.spans) == spans, title


def test_every_known_name():
    names = [(n, i) for i, n in enumerate(layout.HEADER_NAMES) if i]
    for scanner in scanners():
        for name, number in names + list(layout.COMPACT_NAMES):
            for spelt in (name, name.upper(), name.lower()):
                message = b"BYE sip:a SIP/2.0\r\n" + spelt + b":1\r\n\r\n"
                assert scanner.scan(message, len(message)) == 1
                assert scanner.spans[layout.HEAD_ITEMS] == number, spelt
                message = message.replace(b":1", b"x:1")
                assert scanner.scan(message, len(message)) == 1
                assert scanner.spans[layout.HEAD_ITEMS] == 0, spelt
        for number, method in enumerate(layout.METHODS):
            if number:
                message = method + b" sip:a SIP/2.0\r\n\r\n"
                assert scanner.scan(message, len(message)) == 0
                assert scanner.spans[layout.METHOD] == number


def test_bounds():
    for scanner in scanners():
        head = b"BYE sip:a SIP/2.0\r\n"
        message = head + b"a:b\r\n" * 16 + b"\r\n"
        assert scanner.scan(message, len(message)) == 16
        message = head + b"a:b\r\n" * 17 + b"\r\n"
        assert scanner.scan(message, len(message)) == layout.NO_SPACE
        long = head + b"a:" + b"b" * 70000 + b"\r\n\r\n"
        assert scanner.scan(long, 65535) == layout.PARTIAL
        assert scanner.scan(long, len(long)) == layout.NO_SPACE
        assert scanner.scan(head, len(head) + 1) == layout.BAD_ARGUMENT
        buffer = bytearray(head + b"\r\n" + bytes(500))
        assert scanner.scan(buffer, len(buffer)) == 0
        buffer[0:3] = b"ACK"
        assert scanner.scan(buffer, len(head) + 2) == 0
        assert scanner.spans[layout.METHOD] == layout.METHOD_ACK
