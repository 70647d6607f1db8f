"""Hostile SIP: mutated messages never raise, and every answer is parseable and copies the request.

Hypothesis prints the failing example and its seed (`--hypothesis-seed`).
"""

import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "portable"))

from sip_bench import (  # noqa: E402
    CLIENT, NOW_MS, NOW_S, PlainStore, aor, binding, drain, request, server, subscriber, values)

from firmware import fastpath  # noqa: E402
from firmware.fastpath import layout  # noqa: E402
from firmware.sip.errors import Malformed, SipError  # noqa: E402
from firmware.sip.headers import Via  # noqa: E402
from firmware.sip.message import SipMessage  # noqa: E402

BOB = "sip:bob@example.com"
ROUTE = "Route: <sip:192.0.2.10:5060;lr;m=0123456789abcdef>, <sip:198.51.100.7>"
DIGEST = ('Authorization: Digest username="alice", realm="example.com", nonce="x", uri="sip:e",'
          ' response="00", cnonce="c", qop=auth, nc=00000001')
SEEDS = (
    request("OPTIONS", "sip:192.0.2.10"),
    request("INVITE", BOB, "Content-Length: 4", "Proxy-Require: a", body=b"v=0\n"),
    request("INVITE", "sip:bob@redirect.example", "X: folded", " line", "Via: SIP/2.0/TCP z"),
    request("BYE", "sip:bob@192.0.2.4:5070", ROUTE, to="<sip:b@c>;tag=2"),
    request("CANCEL", BOB, "Require: x", via="Via: SIP/2.0/UDP h:1;rport;branch=z9hG4bKq, b"),
    request("REGISTER", "sip:example.com", DIGEST, "Contact: *", "Expires: 0",
            to="<sip:alice@example.com>"),
    request("REGISTER", "sip:open.example", 'Contact: "x" <sip:a@b;t=1>;q=0.5;expires=60, sip:c@d',
            "Path: <sip:192.0.2.7;lr>", to="<sip:alice@open.example>"),
    request("ACK", BOB),
    request("INVITE", "tel:+49-30;x=y", to="<tel:+49>"),
)
PIECES = (b"", b"\r\n", b"\r\n ", b"\n", b"\0", b'"', b"<", b">", b",", b";", b"=", b"@", b":",
          b"%", b"%zz", b"\\", b"\xff", b"SIP/2.0", b"branch=", b";tag=", b"Via: ", b"*",
          b"Contact: *", b"99999999999999999999", b"-1", b"sips:", b"tel:", b"[::1]",
          b"z9hG4bK", b"\t", b" ")


def make_card(**options):
    store = PlainStore()
    aor(store, b"bob@example.com", binding(b"sip:bob@192.0.2.4:5070", path=b"<sip:192.0.2.7;lr>"))
    aor(store, b"bob@redirect.example", binding(b"sip:bob@192.0.2.4:5070"))
    subscriber(store, b"alice", b"wonderland")
    return server(store, **options)


@st.composite
def mutated(draw):
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)))
            data = data[:start] + piece + data[start + draw(st.integers(0, 5)):]
        elif kind == 1:
            lines = data.split(b"\r\n")
            del lines[draw(st.integers(0, len(lines) - 1))]
            data = b"\r\n".join(lines)
        elif kind == 2:
            lines = data.split(b"\r\n")
            at = draw(st.integers(0, len(lines) - 1))
            lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
            data = b"\r\n".join(lines)
        else:
            other = draw(st.sampled_from(SEEDS))
            data = data[:start] + other[draw(st.integers(0, len(other))):]
    return data


def parsed(data):
    message = SipMessage(fastpath.Scanner(64))
    assert message.parse(data, len(data)) == 0, data
    return message


def check_answer(received, answer):
    """RFC 3261 8.2.6.2: the answer copies Via (all), From, Call-ID and CSeq."""
    asked = parsed(received)
    assert asked.answerable()
    told = parsed(answer)
    assert told.kind == layout.KIND_RESPONSE and told.answerable()
    for header in (layout.H_FROM, layout.H_CALL_ID, layout.H_CSEQ):
        assert told.headers(header) == asked.headers(header)[:1]
    assert told.header(layout.H_TO).startswith(asked.header(layout.H_TO))
    sent = asked.headers(layout.H_VIA)
    back = told.headers(layout.H_VIA)
    assert back[1:] == sent[1:]
    try:
        top = Via(asked.via_value)
    except Malformed:
        assert told.status in (400, 505) and back[0] == sent[0]
        return
    told_top = Via(told.via_value)
    assert told_top.branch == top.branch and told_top.host == top.host
    assert back[0][told_top.end:] == sent[0][top.end:]
    assert told.header(layout.H_CONTENT_LENGTH) == b"0"
    assert told.spans[layout.BODY_START] == len(answer)


def check_exchange(card, data):
    card.receive_message(bytearray(data), len(data), CLIENT, NOW_MS, NOW_S)
    assert card.counters["faults"] == 0
    for datagram, address in drain(card):
        if datagram.startswith(b"SIP/2.0 ") and not data.lstrip().startswith(b"SIP/2.0 "):
            assert address[0] == CLIENT[0]
            check_answer(data, datagram)
        else:
            check_forwarded(datagram, address)


def check_forwarded(datagram, address):
    told = parsed(datagram)
    assert told.answerable() and isinstance(address[1], int) and 0 < address[1] < 65536
    if told.kind == layout.KIND_REQUEST:
        assert Via(told.via_value).host == b"192.0.2.10"


@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_mutated_messages(data):
    check_exchange(make_card(), data)


@settings(max_examples=500, deadline=None)
@given(mutated())
def test_mutated_messages_where_relaying_is_allowed(data):
    check_exchange(make_card(relay_allowed=True), data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_noise(data):
    card = make_card()
    card.receive_message(bytearray(data), len(data), CLIENT, NOW_MS, NOW_S)
    assert card.counters["faults"] == 0 and drain(card) == []


@settings(max_examples=600, deadline=None)
@given(mutated(), st.integers(0, 400), st.sampled_from(PIECES))
def test_mutated_responses(data, at, piece):
    card = make_card()
    card.receive_message(bytearray(SEEDS[1].replace(b"Proxy-Require: a\r\n", b"")),
                         len(SEEDS[1]) - 18, CLIENT, NOW_MS, NOW_S)
    forwarded = drain(card)[0][0]
    first_line = forwarded.split(b"\r\n", 1)[0]
    answer = forwarded.replace(first_line, b"SIP/2.0 200 OK")
    check_response(card, answer[:at] + piece + answer[at + 1:])
    check_response(card, b"SIP/2.0 200 OK\r\n" + b"Via: " + values(forwarded, b"Via")[0] + b"\r\n"
                   + data.split(b"\r\n", 1)[-1])


def check_response(card, data):
    """A response is forwarded to the client that asked, or dropped; it is never answered."""
    card.receive_message(bytearray(data), len(data), CLIENT, NOW_MS, NOW_S)
    assert card.counters["faults"] == 0
    for datagram, address in drain(card):
        assert address == CLIENT or not data.startswith(b"SIP/2.0")
        assert data.startswith(b"SIP/2.0") == datagram.startswith(b"SIP/2.0") or (
            b"SIP/2.0 4" == datagram[:9])


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_the_pure_scanner_gives_the_same_answers(data):
    if fastpath.NAME == "pure":
        pytest.skip("no C library to compare with")
    sent = []
    name = fastpath.NAME
    for implementation in (name, "pure"):
        try:
            fastpath.force(implementation)
            card = make_card()
            card.receive_message(bytearray(data), len(data), CLIENT, NOW_MS, NOW_S)
            sent.append((drain(card), card.counters, card.next_event()))
        finally:
            fastpath.force(name)
    assert sent[0] == sent[1]


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(PIECES), st.integers(0, 80))
def test_uri_parsing_raises_only_malformed(data, piece, at):
    from firmware.sip.uri import parse_uri

    for text in (data, b"sip:alice@example.com;x=y?a=b"[:at] + piece + data):
        try:
            uri = parse_uri(text)
            uri.aor()
            uri.request_uri()
            uri.validate()
        except (Malformed, SipError):
            continue
        assert parse_uri(uri.request_uri()).aor() == uri.aor()
