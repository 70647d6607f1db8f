"""What C answers itself is, octet for octet, what SipServer answers; the rest it leaves alone."""

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "portable"))

from firmware import fastpath  # noqa: E402  tests/portable must be on the path first

if fastpath.NAME != "cffi":
    pytest.skip("SKIPPED: the C fast path is not built (make setup)", allow_module_level=True)

from plain_rig import CONFIGS, Pair  # noqa: E402  only where the library is there
from scanner_vectors import vectors  # noqa: E402
from sip_bench import SECRET, request  # noqa: E402

from firmware.proxy.secrets import Secrets  # noqa: E402

PAIRS = [Pair(each) for each in CONFIGS]
SOURCES = [("192.0.2.1", 5060), ("10.20.30.40", 49999), ("255.255.255.255", 1), ("0.0.0.0", 65535)]
OWN_TAG = Secrets(SECRET).to_tag(b"c1@192.0.2.1").decode()
VIA = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1"
BOB = "sip:bob@redirect.example"

# (message, the status C must give, 0 for silence)
PLAIN = [
    (request("INVITE", BOB), 302),
    (request("OPTIONS", BOB, via=VIA + ";rport"), 302),
    (request("MESSAGE", "sip:two@redirect.example:5060", body=b"hi"), 302),
    (request("INVITE", "sip:many@REDIRECT.example;user=phone"), 302),
    (request("INVITE", "sip:q@192.0.2.10"), 302),
    (request("BYE", "sip:+44@192.0.2.99", "Content-Length: 0"), 302),
    (request("INVITE", BOB, "Via: SIP/2.0/TCP a, SIP/2.0/UDP b"), 302),
    (request("INVITE", BOB, to='"Bob B" <sip:bob@redirect.example>;tag=x'), 302),
    (request("INVITE", BOB, via="v: SIP/2.0/UDP a.example;RPORT=9;Received=b;branch=z;f"), 302),
    (request("INVITE", BOB, via="Via: SIP/2.0/UDP 192.0.2.1;received=9;branch=z"), 302),
    (request("INVITE", "sip:path@redirect.example"), 302),
    (request("INVITE", "sip:nobody@redirect.example"), 404),
    (request("INVITE", "sip:4419@redirect.example"), 404),
    (request("OPTIONS", "sip:gone@redirect.example"), 480),
    (request("OPTIONS", "sip:none@redirect.example"), 480),
    (request("OPTIONS", "sip:192.0.2.10:5060"), 200),
    (request("OPTIONS", "sip:redirect.example"), 200),
    (request("ACK", BOB, to="<{}>;tag={}".format(BOB, OWN_TAG)), 0),
    (request("ACK", "sip:bob@192.0.2.77:9", to="<{}>;tag={}".format(BOB, OWN_TAG)), 0),
    (request("ACK", BOB), 0),
    (request("ACK", "sip:192.0.2.10"), 0),
]


# left to Python, whatever it answers
OTHERS = [
    request("REGISTER", "sip:redirect.example"), request("CANCEL", BOB), request("FOO", BOB),
    request("ACK", "sip:bob@proxy.example"), request("INVITE", "sip:bob@proxy.example"),
    request("INVITE", "sip:bob@other.example"), request("INVITE", "sips:bob@redirect.example"),
    request("INVITE", "tel:+4420"), request("INVITE", "sip:b%6Fb@redirect.example"),
    request("INVITE", "sip:bob:pw@redirect.example"), request("INVITE", BOB + "?a=b"),
    request("INVITE", "sip:4420@redirect.example"), request("INVITE", "sip:self@redirect.example"),
    request("INVITE", "sip:huge@redirect.example"), request("INVITE", "sip:cut@redirect.example"),
    request("INVITE", "sip:empty@redirect.example"), request("INVITE", "sip:bob@[::1]"),
    request("INVITE", "sip:newer@redirect.example"),
    request("INVITE", "sip:short@redirect.example"),
    request("INVITE", "sip:field@redirect.example"), request("BYE", "sip:192.0.2.10"),
    request("INVITE", BOB, "Route: <sip:192.0.2.10;lr>"), request("INVITE", BOB, "Require: a"),
    request("INVITE", BOB, "Subject: a\r\n b"), request("INVITE", BOB, "Content-Length: 5"),
    request("INVITE", BOB, "To: <sip:a@b>"), request("INVITE", BOB, "Max-Forwards: 70"),
    request("INVITE", BOB, via=VIA + ", SIP/2.0/UDP b"), request("INVITE", BOB, via=VIA + ";a;A"),
    request("INVITE", BOB, via="Via: SIP/2.0/TCP 192.0.2.1"), request("INVITE", BOB, to=BOB),
    request("INVITE", BOB, via="Via: SIP/2.0/UDP [::1]"), request("INVITE", BOB, cseq="x"),
    request("INVITE", BOB, call_id="a b"), request("INVITE", BOB, sender="sip:a@b"),
    request("INVITE", BOB).replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"),
    request("INVITE", BOB).replace(b"1 INVITE", b"1 BYE"), request("INVITE", BOB)[:-2],
    b"SIP/2.0 200 OK" + request("INVITE", BOB)[len("INVITE sip:bob@redirect.example SIP/2.0"):],
    b"", b"\r\n\r\n", b"\0" * 40,
]


@pytest.mark.parametrize("number", range(len(PLAIN)))
@pytest.mark.parametrize("source", SOURCES)
def test_plain_requests_are_answered_in_c(number, source):
    message, status = PLAIN[number]
    rc, octets = PAIRS[0].in_c(message, source)
    assert (int(octets[8:11]) if rc else 0) == status
    assert PAIRS[0].compare(message, source)


@pytest.mark.parametrize("number", range(len(OTHERS)))
def test_others_are_left_to_python(number):
    assert not PAIRS[0].compare(OTHERS[number], SOURCES[0])


def test_every_vector():
    for _, message, _ in vectors():
        for pair in PAIRS:
            pair.compare(message, SOURCES[0])


def test_the_port_nobody_can_answer_to_is_left_to_python():
    assert not PAIRS[0].compare(PLAIN[0][0], ("192.0.2.1", 0))


@pytest.mark.parametrize("pair", PAIRS)
def test_same_domain_of_every_host_and_port(pair):
    for host in ("redirect.example", "proxy.example", "192.0.2.99", "192.0.2.10", "192.0.2.11"):
        for port in ("", ":5060", ":5061", ":5062", ":5070"):
            # `none` is a user of one domain only, `bob` of all
            for user in ("none@", "bob@", ""):
                uri = "sip:{}{}{}".format(user, host, port)
                pair.compare(request("OPTIONS", uri), SOURCES[0])


hosts = st.sampled_from([
    "redirect.example", "REDIRECT.Example", "192.0.2.10", "192.0.2.99", "proxy.example",
    "other.example", "192.0.2.11", "card.example", "[::1]", "a_b", "", "192.0.2.1"])
ports = st.sampled_from([
    "", "", "", ":5060", ":5070", ":5062", ":0", ":", ":65536", ":05060", ":000005060", ":x"])
users = st.sampled_from([
    "bob", "two", "q", "many", "gone", "self", "huge", "path", "vip", "+44", "nobody", "4420",
    "44209", "4419", "+4-4", "()", "empty", "none", "cut", "short", "newer", "field", "b%6fb",
    "b ob", "bob:x", "bob;x", "bob,x", "b/ob", "a" * 300, "a" * 1100, "\xe9"])
uri_ends = st.sampled_from(["", "", "", ";user=phone", ";a;a", ";", ";x=@y", "?a=b", ";m=1", ";%"])
uris = st.one_of(
    st.builds("sip:{}@{}{}{}".format, users, hosts, ports, uri_ends),
    st.builds("sip:{}{}{}".format, hosts, ports, uri_ends),
    st.sampled_from(["tel:+4420", "SIP:bob@redirect.example", "sips:bob@redirect.example", "x"]))
methods = st.sampled_from([
    "INVITE", "INVITE", "OPTIONS", "OPTIONS", "ACK", "BYE", "MESSAGE", "CANCEL", "REGISTER",
    "FOO", "SUBSCRIBE", "invite"])
via_params = st.lists(st.sampled_from([
    ";branch=z9hG4bKa1", ";rport", ";RPort=7", ";received=1.2.3.4", ";Received", ";x=\"a;b\"",
    ";x=", ";=x", ";a=[::1]", ";A", ";a", ";b", ";c", ";d", ";e", ";f", " ;g", ";h =i", ";", ",x",
    ", SIP/2.0/UDP b", ";k=<v>", ";rportx", ";receive=1", ";TTL=2"]), max_size=6).map("".join)
vias = st.builds(
    "{}: {} {}{}{}".format, st.sampled_from(["Via", "v", "VIA "]),
    st.sampled_from(["SIP/2.0/UDP"] * 6 + ["SIP/2.0/TCP", "sip/2.0/udp", "SIP / 2.0 / UDP"]),
    st.one_of(hosts, st.just("10.20.30.40")), ports, via_params)
tags = st.sampled_from([
    "", "", ";tag=a", ";tag=" + OWN_TAG, ";TAG=a", ";tag=", ";tag=a;b", " ;tag=a", ";x=y",
    ";tag=\"a\"", ";tag=a@", "x"])
name_addrs = st.builds(
    "{}{}{}".format,
    st.sampled_from([
        "", "", "A B ", "\"A <B> \" ", "\"a\\\"b\" ", "\"", "x\"y\" ", "\"a\"x", "a;"]),
    st.sampled_from(["<sip:a@b>", "<>", "<sip:a@b;tag=c>", "sip:a@b", "<sip:a\"b>", "<<a>", "<a"]),
    tags)
extras = st.lists(st.sampled_from([
    "Via: SIP/2.0/UDP other", "v: ", "Via: a\r\n b", "Content-Length: 0", "l: 3", "l: 99",
    "Content-Length: -1", "Require: 100rel", "Route: <sip:192.0.2.10;lr>", "Subject:", "X: y",
    "Max-Forwards: 0", "Contact: <sip:a@b>", "To: <sip:c@d>", "Supported: path", "Call-ID: b",
    "Content-Length: 0000000000"]), max_size=4)
call_ids = st.sampled_from(["c1@192.0.2.1"] * 4 + ["a", "", "a b", "a\tb", "\xe9", "x" * 200])
cseqs = st.sampled_from([1, 1, 1, 0, "0001", 1 << 31, 2147483647, "x", "", "1 ", "99999999999"])


@settings(max_examples=2000, deadline=None, print_blob=True)
@given(st.data())
def test_same_answers_of_built_requests(data):
    draw = data.draw
    message = request(
        draw(methods), draw(uris), *draw(extras), via=draw(vias), to=draw(name_addrs),
        sender=draw(name_addrs), call_id=draw(call_ids), cseq=draw(cseqs), body=b"body")
    draw(st.sampled_from(PAIRS)).compare(message, draw(st.sampled_from(SOURCES)))


@settings(max_examples=2000, deadline=None, print_blob=True)
@given(st.data())
def test_same_answers_of_nearly_plain_requests(data):
    draw = data.draw
    odd = draw(st.integers(0, 5))
    message = request(
        draw(methods) if odd == 0 else "INVITE",
        draw(uris) if odd == 1 else "sip:{}@redirect.example".format(
            draw(st.sampled_from(["bob", "two", "q", "many", "gone", "nobody", "path"]))),
        *(draw(extras) if odd == 2 else []), via=draw(vias) if odd == 3 else VIA,
        to=draw(name_addrs) if odd == 4 else "<sip:x@y>",
        sender=draw(name_addrs) if odd == 5 else "<sip:x@y>;tag=z",
        call_id=draw(call_ids), cseq=draw(cseqs) if odd == 0 else 1)
    draw(st.sampled_from(PAIRS)).compare(message, draw(st.sampled_from(SOURCES)))


PIECES = [
    b"\r\n", b"\n", b" ", b"\t", b"\0", b"\\", b":", b";", b",", b"<", b">", b'"', b"=", b"@",
    b"%", b"?", b";tag=", b";rport", b";received=", b"sip:", b"SIP/2.0/UDP", b"\xff", b"\x7f",
    b"\x0b",
    b"\r\nTo: <sip:a@b>", b"\r\n ", b"\r\nVia: ", b"192.0.2.1", b"0", b"A",
]  # fmt: skip


def test_same_answers_of_mutated_requests():
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    plain = 0
    for turn in range(30000):
        data = bytearray(dice.choice(PLAIN)[0])
        for _ in range(dice.randrange(1, 3)):
            at = dice.randrange(len(data) + 1)
            data[at:at + dice.randrange(3)] = dice.choice(
                (dice.choice(PIECES), bytes([dice.randrange(256)])))
        try:
            plain += PAIRS[turn % 3].compare(bytes(data), SOURCES[turn % 4])
        except AssertionError as error:
            raise AssertionError("seed {}".format(seed)) from error
    # the mutations must leave enough that C answers, or nothing was compared
    assert plain > 2000, (seed, plain)
