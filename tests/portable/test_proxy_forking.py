"""Forking: responses on their way up, and the order of targets (RFC 3261 16.6, 16.7)."""

from fork_rig import UPSTREAM, ForkRig
from sip_bench import message, status, values
from transaction_rig import STREAM, reply


def test_16_7_3_only_our_via_is_not_forwarded_and_ours_is_removed():
    one = ForkRig()
    assert one.begin("a") == ["INVITE a"]
    assert one.answer("a", 180, via=None) == []
    assert one.forking.counters["bad_responses"] == 1
    assert one.answer("a", 180, "X-Strange: yes", body=b"v=0") == ["180"]
    assert one.upstream() == message(
        "SIP/2.0 180 Fine", "Via: " + UPSTREAM, "From: <sip:caller@example.net>;tag=f1",
        "To: <sip:bob@example.com>;tag=a", "Call-ID: c1@192.0.2.1", "CSeq: 1 INVITE",
        "X-Strange: yes", body=b"v=0")
    # a final response that cannot go further counts as 502
    assert one.answer("a", 200, via=None) == ["502"]
    assert one.upstream() == message(
        "SIP/2.0 502 Bad Gateway", "Via: " + UPSTREAM, "From: <sip:caller@example.net>;tag=f1",
        "To: <sip:bob@example.com>;tag=ours", "Call-ID: c1@192.0.2.1", "CSeq: 1 INVITE",
        "Content-Length: 0")


def test_16_7_3_vias_in_one_header_line_and_content_length_for_streams():
    one = ForkRig(peer=STREAM)
    one.begin("a")
    text = reply(200, branch=b"z9hG4bKa", body=b"v=0").replace(
        b"\r\nVia: SIP/2.0/UDP 192.0.2.1:", b",SIP/2.0/UDP 192.0.2.1:")
    one.rig.sent.clear()
    one.rig.give(text)
    assert one.take() == ["200"] and values(one.upstream(), b"Via") == [UPSTREAM.encode()]
    assert values(one.upstream(), b"Content-Length") == [b"3"]
    assert one.upstream().startswith(b"SIP/2.0 200 Fine\r\nContent-Length: 3\r\n")
    assert one.upstream().endswith(b"\r\n\r\nv=0")
    one = ForkRig(peer=STREAM)
    one.begin("a")
    one.answer("a", 200, "Content-Length: 0")
    assert values(one.upstream(), b"Content-Length") == [b"0"]


def test_18_3_a_body_shorter_than_content_length_is_502():
    one = ForkRig()
    one.begin("a")
    assert one.answer("a", 200, "Content-Length: 9", body=b"v=0") == ["502"]


def test_16_7_5_a_100_is_never_forwarded():
    one = ForkRig()
    one.begin("ab")
    assert one.answer("a", 100) == []
    assert one.answer("a", 183) == ["183"] and one.answer("b", 180) == ["180"]


def test_16_7_5_every_2xx_is_forwarded_at_once():
    one = ForkRig()
    assert one.begin("abc") == ["INVITE a", "INVITE b", "INVITE c"]
    assert one.answer("b", 180) == ["180"]
    assert one.answer("a", 200) == ["200", "CANCEL b"]
    # after a final went up: 2xx still goes, nothing else does
    assert one.answer("a", 200, to="<sip:bob@example.com>;tag=other") == ["200"]
    assert one.answer("b", 200) == ["200"]
    assert one.answer("c", 486) == ["ACK c"]
    assert one.forking.counters == {
        "contexts": 1, "branches": 3, "branches_dropped": 0, "cancels": 1, "timer_c": 0,
        "bad_responses": 0, "unsent": 0}


def test_16_7_5_6xx_stops_new_branches_and_waits_for_the_others():
    one = ForkRig()
    assert one.begin("abcd", (900, 900, 900, 100)) == ["INVITE a", "INVITE b", "INVITE c"]
    one.answer("b", 180)
    assert one.answer("a", 603) == ["ACK a", "CANCEL b"]
    assert one.answer("b", 200, method="CANCEL") == []
    assert one.answer("c", 404) == ["ACK c"]
    assert one.answer("b", 487) == ["ACK b", "603"]
    assert status(one.upstream()) == 603
    assert values(one.upstream(), b"To") == [b"<sip:bob@example.com>;tag=a"]
    assert one.run(200000) == ["603"]  # its retransmissions, no target d


def test_16_7_5_2xx_while_a_6xx_waits():
    one = ForkRig()
    one.begin("ab")
    one.answer("b", 180)
    assert one.answer("a", 600) == ["ACK a", "CANCEL b"]
    assert one.answer("b", 200, method="CANCEL") == []
    assert one.answer("b", 200) == ["200"]
    assert one.run(40000) == []


def best_of(*codes):
    """The status that goes up when one target after another ended with `codes`."""
    one = ForkRig()
    names = "abcdefgh"[:len(codes)]
    one.begin(names)
    for name, code in zip(names[:-1], codes[:-1]):
        assert one.answer(name, code) == ["ACK " + name]
    sent = one.answer(names[-1], codes[-1])
    assert len(sent) == 2 and sent[0] == "ACK " + names[-1]
    assert one.forking.counters["unsent"] == 0
    return int(sent[1])


def test_16_7_6_best_response():
    assert best_of(503, 407, 501, 404) == 407  # the RFC's own example
    for codes, best in (
            ((486, 302), 302), ((500, 404), 404), ((404, 603), 603), ((302, 600, 401), 600),
            ((404, 401), 401), ((404, 407), 407), ((404, 415), 415), ((404, 420), 420),
            ((404, 484), 484), ((484, 401), 401), ((486, 404), 486), ((487, 486), 486),
            ((408, 404), 404), ((503, 501), 501), ((503, 404), 404), ((600, 603), 600)):
        assert best_of(*codes) == best, codes


def test_16_7_6_503_alone_becomes_500():
    one = ForkRig()
    one.begin("ab")
    one.answer("a", 503, "Retry-After: 99")
    assert one.answer("b", 503, "Retry-After: 99") == ["ACK b", "500"]
    assert values(one.upstream(), b"Retry-After") == []
    assert values(one.upstream(), b"To") == [b"<sip:bob@example.com>;tag=ours"]


def test_16_7_6_nobody_answers_408():
    one = ForkRig()
    one.begin("ab")
    one.answer("b", 404)
    assert one.run(31999) == ["100", "INVITE a"]
    assert one.run(1) == ["404"]
    one = ForkRig()
    one.begin("a")
    one.run(31999)
    assert one.run(1) == ["408"]
    assert values(one.upstream(), b"To") == [b"<sip:bob@example.com>;tag=ours"]
    one = ForkRig()
    one.begin("a")
    assert one.answer("a", 408) == ["ACK a", "408"]
    assert values(one.upstream(), b"To") == [b"<sip:bob@example.com>;tag=a"]


def test_16_7_7_challenges_of_all_branches_in_one_response():
    one = ForkRig()
    one.begin("abcd")
    one.answer("a", 401, 'WWW-Authenticate: Digest realm="a", nonce="1"',
               'WWW-Authenticate: Digest realm="a2"')
    one.answer("b", 407, 'Proxy-Authenticate: Digest realm="b"', "X-B: no")
    one.answer("c", 404, 'WWW-Authenticate: Digest realm="not one of them"')
    assert one.answer("d", 401, 'WWW-Authenticate: Digest realm="d"') == ["ACK d", "401"]
    up = one.upstream()
    assert sorted(values(up, b"WWW-Authenticate")) == [
        b'Digest realm="a", nonce="1"', b'Digest realm="a2"', b'Digest realm="d"']
    assert values(up, b"Proxy-Authenticate") == [b'Digest realm="b"']
    assert values(up, b"X-B") == [] and values(up, b"To") == [b"<sip:bob@example.com>;tag=a"]
    assert up.startswith(b"SIP/2.0 401 Fine\r\n") and up.endswith(b"\r\n\r\n")
    # a better response takes none of them along
    one = ForkRig()
    one.begin("ab")
    one.answer("a", 401, 'WWW-Authenticate: Digest realm="a"')
    one.answer("b", 302)
    assert status(one.upstream()) == 302 and values(one.upstream(), b"WWW-Authenticate") == []


def test_16_6_serial_by_q_and_parallel_at_equal_q():
    one = ForkRig()
    assert one.begin("abcd", (100, 700, 500, 700)) == ["INVITE b", "INVITE d"]
    assert one.answer("b", 486) == ["ACK b"]
    assert one.answer("d", 404) == ["ACK d", "INVITE c"]
    assert one.answer("c", 480) == ["ACK c", "INVITE a"]
    assert one.answer("a", 404) == ["ACK a", "486"]
    one = ForkRig()
    assert one.begin("abc", parallel=False) == ["INVITE a"]
    assert one.answer("a", 486) == ["ACK a", "INVITE b"]
    assert one.answer("b", 200) == ["200"]
    assert one.run(40000) == []  # c is never tried


def test_16_6_targets_past_the_limit_are_left_out_by_q():
    one = ForkRig(branch_limit=2)
    assert one.begin("abc", (100, 300, 200)) == ["INVITE b"]
    assert one.answer("b", 486) == ["ACK b", "INVITE c"]
    assert one.answer("c", 486) == ["ACK c", "486"]
    assert one.forking.counters["branches_dropped"] == 1


def test_7_5_empty_lines_before_a_response_are_not_forwarded():
    one = ForkRig()
    one.begin("a")
    one.rig.sent.clear()
    one.rig.give(b"\r\n\r\n" + reply(180, branch=b"z9hG4bKa"))
    assert one.take() == ["180"] and one.upstream().startswith(b"SIP/2.0 180 Fine\r\n")
