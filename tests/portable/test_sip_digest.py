"""Digest authentication: RFC 7616 3.9 examples, RFC 8760, nonces of the chassis."""

import hashlib

from firmware.sip import digest
from firmware.sip.digest import FORGED, FRESH, STALE, Credentials, NonceCounts, Nonces
from firmware.sip.headers import parse_credentials

NONCE = b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
REALM = b"http-auth@example.org"


def toy_siphash(key, buf, start, end):
    return hashlib.sha256(bytes(key) + bytes(buf[start:end])).digest()[:8]


def example(hash_function):
    secret = digest.ha1(hash_function, b"Mufasa", REALM, b"Circle of Life")
    return digest.response(
        hash_function, secret, NONCE, b"00000001", CNONCE, b"GET", b"/dir/index.html")


def test_7616_3_9_1_md5():
    if hasattr(hashlib, "md5"):
        assert example(hashlib.md5) == b"8ca523f5e9506fed4657c9700eebdbec"


def test_7616_3_9_1_sha256():
    assert example(hashlib.sha256) == (
        b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")


def test_7616_3_9_1_credentials():
    scheme, fields = parse_credentials(
        b'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",'
        b' algorithm=SHA-256, nonce="' + NONCE + b'", nc=00000001, cnonce="' + CNONCE
        + b'", qop=auth, response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb'
        b'6c1", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"')
    assert scheme == b"digest"
    one = Credentials(fields)
    assert one.algorithm == digest.SHA256
    assert (one.username, one.realm, one.cnonce) == (b"Mufasa", REALM, CNONCE)
    assert one.response == example(hashlib.sha256)


def test_7616_3_4_algorithm_defaults_to_md5_and_others_are_unknown():
    fields = {b"username": b'"a"', b"realm": b'"r"', b"nonce": b'"n"', b"uri": b'"u"',
              b"response": b'"x"', b"cnonce": b'"c"', b"nc": b"00000001", b"qop": b"auth"}
    assert Credentials(fields).algorithm == digest.MD5
    fields[b"algorithm"] = b"SHA-512-256"
    assert Credentials(fields).algorithm is None
    for name, value in ((b"nc", b"00000000"), (b"nc", b"1"), (b"qop", b"auth-int")):
        wrong = dict(fields)
        wrong[name] = value
        assert refused(wrong), name
    del fields[b"cnonce"]
    assert refused(fields)


def refused(fields):
    try:
        Credentials(fields)
    except ValueError:
        return True
    return False


def test_7616_3_3_challenge():
    assert digest.challenge(b"example.com", b"abc", digest.SHA256, False) == (
        b'Digest realm="example.com",nonce="abc",algorithm=SHA-256,qop="auth"')
    assert digest.challenge(b"example.com", b"abc", digest.MD5, True) == (
        b'Digest realm="example.com",nonce="abc",algorithm=MD5,qop="auth",stale=true')


def test_nonce_is_bound_to_time_client_and_key():
    nonces = Nonces(bytes(16), toy_siphash, 300)
    nonce = nonces.mint(1700000000, b"192.0.2.1", b"one")
    assert nonce[:8] == b"6553f100" and len(nonce) == 32
    assert nonce == nonces.mint(1700000000, b"192.0.2.1", b"one")
    assert nonce != nonces.mint(1700000000, b"192.0.2.1", b"two")
    assert Nonces(bytes(16), toy_siphash).check(nonce, 1700000300, b"192.0.2.1") == FRESH
    assert nonces.check(nonce, 1700000301, b"192.0.2.1") == STALE
    assert nonces.check(nonce, 1700000000, b"192.0.2.2") == FORGED
    assert Nonces(b"k" * 16, toy_siphash).check(nonce, 1700000000, b"192.0.2.1") == FORGED
    other_salt = nonce[:8] + b"00000000" + nonce[16:]
    assert nonces.check(other_salt, 1700000000, b"192.0.2.1") == FORGED
    assert nonces.check(b"6553f101" + nonce[8:], 1700000000, b"192.0.2.1") == FORGED
    assert nonces.check(b"x" * 32, 1700000000, b"192.0.2.1") == FORGED
    assert nonces.check(b"", 1700000000, b"192.0.2.1") == FORGED


def test_7616_3_4_5_nonce_count_replay_and_bound():
    counts = NonceCounts(2)
    assert counts.accept(b"a", 1)
    assert not counts.accept(b"a", 1)
    assert counts.accept(b"a", 3)
    assert not counts.accept(b"a", 2)
    assert counts.accept(b"b", 1) and counts.accept(b"c", 1)
    assert not counts.accept(b"a", 3)
    for number in range(10):
        counts.accept(b"%d" % number, 1)
        assert len(counts) <= 4


def test_same():
    assert digest.same(b"abc", b"abc")
    assert not digest.same(b"abc", b"abd")
    assert not digest.same(b"abc", b"ab")
