"""The torture messages of RFC 4475 and RFC 5118 through SipServer, each with our decision."""

import torture_vectors
from bus import messages
from firmware import fastpath
from firmware.location import record
from sip_bench import NOW_MS, NOW_S, PlainStore, aor, binding, drain, server, status

SOURCE = ("192.0.2.1", 9000)
NEXT_HOP = ("192.0.2.77", 5070)
DOMAINS = ("example.com", "example.org", "example.net", "host.example.net",
           "chair-dnrc.example.com")
CALLED = (
    b"user@example.com", b"user@example.org", b"user@host.example.net",
    b"vivekg@chair-dnrc.example.com", b"sips:user@example.com@example.net",
    b"user;par=u@example.net@example.com", b"kumiko@example.org", b"UserB@example.com",
    b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com")


def card(auth=False):
    store = PlainStore()
    for name in CALLED:
        aor(store, name, binding(b"sip:u@192.0.2.77:5070"))
    domains = [{"name": name, "mode": "proxy", "auth": auth} for name in DOMAINS]
    return server(store, domains=domains, addresses=[
        ("services.example.com", 5060), ("[2001:db8::10]", 5060), ("127.0.0.1", 5080)])


def give(one, message):
    one.receive_message(bytearray(message), len(message), SOURCE, NOW_MS, NOW_S)
    assert one.counters["faults"] == 0
    return drain(one)


def registered(one):
    """The contacts of the REGISTER that the card hands over, sorted."""
    event = one.next_event()
    assert event is not None and one.next_event() is None
    fields = messages.decode(event[2], 0, len(event[2]))
    wanted = record.decode_aor(fields[6], 0, len(fields[6]))
    return sorted([found.contact for found in wanted])


def check(title, message, expected):
    one = card(expected[0] == "with auth")
    if expected[0] == "with auth":
        expected = expected[1:]
    sent = give(one, message)
    verdict = expected[0].split(" ")
    if verdict[0] == "drop":
        assert sent == [] and one.counters["dropped"] == 1, (title, sent)
        return
    if verdict[0] == "register":
        wanted = sorted([uri.encode() for uri in verdict[1:]])
        assert sent == [] and registered(one) == wanted, (title, sent)
        return
    assert len(sent) == 1, (title, sent)
    datagram, address = sent[0]
    if verdict[0] == "forward":
        assert address == NEXT_HOP, (title, datagram)
        body = message[message.index(b"\r\n\r\n"):]
        assert datagram.endswith(body), (title, datagram)
    else:
        assert status(datagram) == int(verdict[0]), (title, datagram)
        assert address[0] == SOURCE[0], (title, address)
    look(title, datagram, expected[1:])


def look(title, datagram, expected):
    """Compare the `has` and `no` lines with what was sent."""
    lines = datagram[:datagram.index(b"\r\n\r\n")].split(b"\r\n")
    for line in expected:
        word, _, text = line.partition(" ")
        if word == "has":
            assert torture_vectors.line_octets(text) in lines, (title, text, datagram)
        else:
            assert word == "no", line
            names = [found.partition(b":")[0].strip().lower() for found in lines[1:]]
            assert text.encode() not in names, (title, text)


def test_every_message_is_decided_as_written():
    vectors = torture_vectors.vectors()
    assert len(vectors) == 60, len(vectors)
    for title, message, expected in vectors:
        check(title, message, expected)


def test_no_message_cut_or_changed_at_any_octet_is_a_fault():
    slow = 13 if fastpath.NAME == "pure" else 1  # there a message takes milliseconds
    for _, message, _ in torture_vectors.vectors():
        one = card()
        step = slow if len(message) < 1500 else 7 * slow
        for at in range(0, len(message), step):
            give(one, message[:at])
            give(one, message[:at] + bytes((message[at] ^ 0x2A,)) + message[at + 1:])
            while one.next_event() is not None:
                pass
