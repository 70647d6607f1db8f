"""The UDP multicast link on real loopback sockets, ports from the system."""

import select

import pytest

from bus.interfaces import ip_octets, local_pair, open_udp, pair
from bus.links.udp_multicast import RUN, UdpMulticastLink

GROUP = "239.192.77.2"


@pytest.fixture
def links():
    """Three links on one plane."""
    probe = open_udp("127.0.0.1", 0)
    port = local_pair(probe)[1]
    probe.close()
    made = [UdpMulticastLink(GROUP, port) for _ in range(3)]
    yield made
    for link in made:
        link.close()


def wait(link):
    """Until something is there to read; loopback delivers within the call of the sender."""
    poll = select.poll()
    for sock in link.sockets():
        poll.register(sock, select.POLLIN)
    assert poll.poll(2000), "nothing arrived"


def received(link, count):
    """The next `count` datagrams as (octets, source)."""
    buf = bytearray(1472)
    found = []
    while len(found) < count:
        got = link.receive_into(buf)
        if got is None:
            wait(link)
        else:
            found.append((bytes(buf[:got[0]]), got[1]))
    return found


def test_multicast_reaches_all_and_unicast_one(links):
    one, two, three = links
    assert one.send(b"to all....", 6)
    for link in links:  # the sender hears itself: the node drops that
        assert received(link, 1) == [(b"to all", one.address)]
    assert two.send(bytearray(b"to one"), 6, one.address)
    assert received(one, 1) == [(b"to one", two.address)]
    buf = bytearray(1472)
    assert two.receive_into(buf) is None and three.receive_into(buf) is None


def test_largest_frame_passes_whole_and_longer_is_cut(links):
    one, two, _ = links
    octets = bytes(range(256)) * 6
    one.send(octets, 1472)
    one.send(octets, 1500)
    found = received(two, 2)
    assert found[0][0] == octets[:1472]
    assert len(found[1][0]) == 1472  # whose frame length then disagrees


def test_a_flood_on_one_socket_does_not_starve_the_other(links):
    one, two, _ = links
    for _ in range(3 * RUN):
        one.send(b"flood", 5)
    one.send(b"unicast", 7, two.address)
    first = [octets for octets, _ in received(two, 2 * RUN)]
    assert b"unicast" in first
    assert len(received(two, RUN + 1)) == RUN + 1


def test_a_burst_of_a_stream_window_is_not_lost(links):
    one, two, _ = links
    for number in range(128):
        one.send(number.to_bytes(2, "big") + bytes(1470), 1472)
    got = [int.from_bytes(octets[:2], "big") for octets, _ in received(two, 128)]
    assert got == list(range(128))


def test_what_cannot_be_sent_is_counted(links):
    assert not links[0].send(bytes(70000), 70000)
    assert links[0].send_errors == 1


def test_wrong_addresses_are_refused():
    for group, interface in ((GROUP, "127.0.0.1.1"), ("nonsense", "127.0.0.1"),
                             ("239.192.77.256", "127.0.0.1")):
        with pytest.raises(ValueError):
            UdpMulticastLink(group, 45454, interface)
    with pytest.raises(OSError):
        UdpMulticastLink(GROUP, 45454, "192.0.2.1")  # TEST-NET-1: no interface of ours


def test_addresses():
    assert ip_octets("127.0.0.1") == b"\x7f\0\0\1"
    sock = open_udp("127.0.0.1", 0)
    host, port = local_pair(sock)
    assert host == "127.0.0.1" and 0 < port < 65536
    assert pair((host, port)) == (host, port)
    with pytest.raises(OSError) as error:
        open_udp("127.0.0.1", port)
    assert error.value.args[0] == 98  # EADDRINUSE
    sock.close()
