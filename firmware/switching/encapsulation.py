"""The relay datagram between a switch card and a cluster card, the same both ways.

```
 0        1        2                 4                 8            10           12
 +--------+--------+--------+--------+--------+--------+------------+------------+---------
 | 0x5E   | 0x10   | reserved, 0     | peer IPv4       | peer port  | VIP port   | SIP ...
 +--------+--------+--------+--------+--------+--------+------------+------------+---------
```

The high half of octet 1 is the version (1), the low half flags (none yet). The peer is the address
outside the chassis: where the message came from, or where it shall go. All integers big-endian.
Imports no I/O. Runs on both interpreters.
"""

from bus.compat import const

HEADER_BYTES = const(12)
MAGIC = const(0x5E)
VERSION_FLAGS = const(0x10)


def ip_bytes(host):
    """The four octets of an IPv4 address in dotted text; ValueError where it is none."""
    parts = host.split(".")
    if len(parts) != 4:
        raise ValueError("not an IPv4 address: {}".format(host))
    numbers = [int(part) for part in parts]
    if min(numbers) < 0 or max(numbers) > 255:
        raise ValueError("not an IPv4 address: {}".format(host))
    return bytes(numbers)


def ip_text(buf, at):
    """The dotted text of the IPv4 address in buf[at:at + 4]."""
    return "{}.{}.{}.{}".format(buf[at], buf[at + 1], buf[at + 2], buf[at + 3])


def encode_into(out, host, port, vip_port):
    """Write the header at the start of `out`; returns HEADER_BYTES.

    out: bytearray of at least 12 octets.  host: dotted IPv4 text of the peer.
    port, vip_port: 1..65535.  Raises ValueError for an address or port out of range.
    """
    if not (0 < port <= 0xFFFF and 0 < vip_port <= 0xFFFF):
        raise ValueError("port out of range: {} {}".format(port, vip_port))
    out[4:8] = ip_bytes(host)
    out[0] = MAGIC
    out[1] = VERSION_FLAGS
    out[2] = 0
    out[3] = 0
    out[8] = port >> 8
    out[9] = port & 0xFF
    out[10] = vip_port >> 8
    out[11] = vip_port & 0xFF
    return HEADER_BYTES


def decode(buf, n):
    """The header of the n octets in `buf` as (host, port, vip_port).

    None where it is no relay datagram of this version or a port is 0. `buf` may be the header
    alone, where the SIP octets were received elsewhere.
    """
    if n < HEADER_BYTES or buf[0] != MAGIC or buf[1] != VERSION_FLAGS:
        return None
    port = buf[8] << 8 | buf[9]
    vip_port = buf[10] << 8 | buf[11]
    if not port or not vip_port:
        return None
    return ip_text(buf, 4), port, vip_port
