"""The health check on the wire: a SIP OPTIONS to the VIP itself and the verdict on its answer.

The request is for the server, not for a user (RFC 3261 section 11), so the card answers it alone.
Its peer is the switch card's own plane address; an answer to that address is never relayed.
Imports no I/O. Runs on both interpreters.
"""

from bus.compat import const

ANSWER_BYTES = const(2048)


def probe_text(probe_id):
    """A probe identifier as sixteen lower-case hex digits."""
    return "".join("{:02x}".format(octet) for octet in probe_id)


def build_options(probe_id, plane, vip):
    """The OPTIONS request as bytes.

    probe_id: 8 octets, in branch and Call-ID.  plane, vip: (host, port).
    """
    return (
        "OPTIONS sip:{vip} SIP/2.0\r\n"
        "Via: SIP/2.0/UDP {plane};branch=z9hG4bKcheck{text};rport\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:switch@{vip}>;tag={text}\r\n"
        "To: <sip:{vip}>\r\n"
        "Call-ID: check-{text}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    ).format(vip="{}:{}".format(vip[0], vip[1]), plane="{}:{}".format(plane[0], plane[1]),
             text=probe_text(probe_id)).encode()


def read_answer(buf, start, end):
    """An answer to a check as (probe_id, passed), or None where it is none.

    passed: the status is 200. 503 comes from a card that lives but does not serve.
    """
    if bytes(buf[start:start + 8]) != b"SIP/2.0 ":
        return None
    text = bytes(buf[start:min(end, start + ANSWER_BYTES)])
    at = text.find(b"check-")
    if at < 0 or len(text) < at + 22:
        return None
    try:
        digits = text[at + 6:at + 22].decode()
        probe_id = bytes(int(digits[i:i + 2], 16) for i in range(0, 16, 2))
    except ValueError:
        return None
    return probe_id, text[8:11] == b"200"
