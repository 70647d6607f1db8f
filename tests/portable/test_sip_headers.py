"""RFC 3261 20 and 25.1: structured header values."""

from firmware.sip.grammar import split_list, unquote
from firmware.sip.headers import (
    Contact, Via, format_q, parse_contacts, parse_credentials, parse_cseq, parse_expires,
    parse_name_addr, parse_q, tag_of)


def raises(function, *arguments):
    try:
        function(*arguments)
    except ValueError:
        return True
    return False


def test_20_42_via():
    one = Via(b"SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7")
    assert (one.transport, one.host, one.port) == (b"UDP", b"erlang.bell-telephone.com", 5060)
    assert one.branch == b"z9hG4bK87asdks7"
    two = Via(b"SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 "
              b";branch=z9hG4bKa7c6a8dlze.1")
    assert (two.host, two.port, two.branch) == (
        b"first.example.com", 4000, b"z9hG4bKa7c6a8dlze.1")


def test_7_3_1_first_of_a_list():
    one = Via(b"SIP/2.0/UDP a.com;x=\"1,2\";branch=z9hG4bK1 , SIP/2.0/UDP b.com;branch=z9hG4bK2")
    assert one.branch == b"z9hG4bK1"
    assert one.text == b"SIP/2.0/UDP a.com;x=\"1,2\";branch=z9hG4bK1"


def test_20_42_malformed():
    for text in (b"", b"SIP/2.0/UDP", b"SIP/3.0/UDP a", b"HTTP/2.0/UDP a", b"SIP/2.0/UDP a:b",
                 b"SIP/2.0/UDP a;branch=z9;branch=z9", b"SIP/2.0/UDP a b", b"SIP/2.0/UDP a;x=\"",
                 b"SIP/2.0/U\"P a", b"SIP/2.0/UDP ;branch=1"):
        assert raises(Via, text), text


def test_18_2_1_received_only_when_the_host_differs():
    one = Via(b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1")
    assert one.answered(b"192.0.2.1", 9) == b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"
    assert one.answered(b"192.0.2.9", 9) == (
        b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;received=192.0.2.9")


def test_3581_4_rport():
    one = Via(b"SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff")
    assert one.answered(b"192.0.2.1", 9988) == (
        b"SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988")


def test_values_the_client_invented_are_replaced():
    one = Via(b"SIP/2.0/UDP a:1;received=6.6.6.6;branch=z9hG4bK1;rport=7")
    assert one.answered(b"192.0.2.1", 5) == (
        b"SIP/2.0/UDP a:1;branch=z9hG4bK1;received=192.0.2.1;rport=5")
    two = Via(b"SIP/2.0/UDP 192.0.2.1;received=6.6.6.6;branch=z9hG4bK1")
    assert two.answered(b"192.0.2.1", 5) == b"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"


def test_20_10_name_addr():
    assert parse_name_addr(b'"Mr. Watson" <sip:watson@worcester.bell-telephone.com>;q=0.7')[0] == (
        b"sip:watson@worcester.bell-telephone.com")
    assert parse_name_addr(b"sip:a@b;tag=1") == (b"sip:a@b", [(b"tag", b"1")])
    assert parse_name_addr(b"<sip:a@b;lr>;x") == (b"sip:a@b;lr", [(b"x", None)])
    assert parse_name_addr(b'Bob Smith <sip:a@b>')[0] == b"sip:a@b"
    assert parse_name_addr(b'"a\\"<sip:x@y>" <sip:a@b>')[0] == b"sip:a@b"
    for text in (b"", b"sip:a@b?x=y", b'"a <sip:a@b>', b'"a" sip:a@b', b"<sip:a@b",
                 b"B@b <sip:a@b>", b"<sip:a@b>x", b"<sip:a@b>;=", b'x "a" <sip:a@b>'):
        assert raises(parse_name_addr, text), text


def test_19_3_tag():
    assert tag_of(b"Alice <sip:alice@atlanta.com>;tag=1928301774") == b"1928301774"
    assert tag_of(b"Alice <sip:alice@atlanta.com;tag=no>") is None
    assert tag_of(b"<sip:a@b>") is None
    assert tag_of(b"<sip:a@b>;Tag") == b""
    assert tag_of(b"<sip:a@b> ; x=1 ; TAG = 7") == b"7"
    for broken in (b"", b"<sip:a@b", b'"a <sip:a@b>;tag=1', b"<sip:a@b>;tag=1;tag=2", b"a@b?c",
                   b"<sip:a@b>;tag=", b"<sip:a@b>x"):
        assert raises(tag_of, broken), broken


def test_20_10_contact():
    one = Contact(b'<sip:a@10.0.0.1:5070;transport=udp>;q=0.25;expires=60;reg-id=1;'
                  b'+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"')
    assert (one.uri, one.q, one.expires_s, one.reg_id) == (
        b"sip:a@10.0.0.1:5070;transport=udp", 250, 60, 1)
    assert one.instance == b"urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF"
    assert Contact(b"sip:a@b").expires_s is None
    for text in (b"<sip:a@>", b"<sip:a@b>;q=2", b"<sip:a@b>;q=0.1234", b"<>",
                 b"<sip:a@b>;reg-id=0",
                 b"<sip:a@b>;+sip.instance=x", b"<sip:a b@c>", b"<sip:a\x01@c>"):
        assert raises(Contact, text), text


def test_10_2_2_wildcard_stands_alone():
    assert parse_contacts([b" * "]) == b"*"
    assert raises(parse_contacts, [b"*", b"<sip:a@b>"])
    assert raises(parse_contacts, [b"*, <sip:a@b>"])
    assert raises(parse_contacts, [b"*", b"*"])
    assert raises(parse_contacts, [b"*;q=1"])
    assert len(parse_contacts([b"<sip:a@b>, <sip:c@d>;x=\"1,2\"", b"sip:e@f"])) == 3
    assert raises(parse_contacts, [b"<sip:a@b>,"])


def test_25_1_qvalue():
    for text, value in ((b"0", 0), (b"1", 1000), (b"0.5", 500), (b"0.", 0), (b"1.000", 1000),
                        (b"0.001", 1), (b"0.07", 70)):
        assert parse_q(text) == value
    for text in (b"", b".5", b"1.001", b"2", b"0.1234", b"-1", b"0.a", None):
        assert raises(parse_q, text), text
    for value, text in ((0, b"0"), (1000, b"1"), (500, b"0.5"), (1, b"0.001"), (70, b"0.07")):
        assert format_q(value) == text


def test_20_19_malformed_expires_is_an_hour():
    assert parse_expires(b"5") == 5
    assert parse_expires(b"x") == 3600
    assert parse_expires(None) == 3600
    assert parse_expires(b"99999999999999999999999") == (1 << 32) - 1


def test_20_16_cseq():
    assert parse_cseq(b"4711 INVITE") == (4711, b"INVITE")
    assert parse_cseq(b"0009 \t INVITE") == (9, b"INVITE")
    for text in (b"", b"1", b"x INVITE", b"2147483648 INVITE", b"-1 INVITE", b"1 IN VITE",
                 b"1 IN\"ITE"):
        assert raises(parse_cseq, text), text


def test_20_7_credentials():
    scheme, fields = parse_credentials(b'Digest username="a,b", nc=00000001,uri="x\\"y"')
    assert scheme == b"digest"
    assert unquote(fields[b"username"]) == b"a,b"
    assert unquote(fields[b"uri"]) == b'x"y'
    for text in (b"", b"Digest", b"Digest a", b'Digest a="', b"Digest a=1,a=2",
                 b"Digest a=1,,b=2"):
        assert raises(parse_credentials, text), text


def test_7_3_1_split_list():
    assert split_list(b'"a,b" <sip:x>, c') == [b'"a,b" <sip:x>', b"c"]
    assert raises(split_list, b"a,,b")
    assert raises(split_list, b"")


def test_parameters_of_one_value_are_bounded():
    many = b"".join([b";p%d=1" % number for number in range(64)])
    assert Via(b"SIP/2.0/UDP a" + many).params[63] == (b"p63", b"1")
    assert raises(Via, b"SIP/2.0/UDP a" + many + b";p64")
