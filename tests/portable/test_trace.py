"""Frames as lines: what is shown, and that no octet of the bus gets raw into a line."""

from bus import messages, wire
from bus.trace import describe


def line(frame_type, payload, flags=0, dest=wire.ALL, channel=0, key=None):
    out = bytearray(wire.MAX_FRAME)
    n = wire.FrameCodec(key).encode(out, frame_type, flags, 3, dest, channel, 9, 77, payload, 0,
                                    len(payload))
    return describe(out, n)


def test_messages_show_their_fields():
    assert line(wire.MESSAGE, messages.encode(messages.DUMP, 5, 600)) == (
        " 3 > all MESSAGE   life=9 frame=77 DUMP cursor=5 octets=600")
    assert line(wire.REQUEST, b"\x01234567\xff" + b"\x02ping", dest=12, key=b"k") == (
        ' 3 > 12  REQUEST   life=9 frame=77 keyed id=01323334353637ff ECHO body="ping"')


def test_streams_show_numbers_and_the_message_inside():
    head = b"\0\0\0\x05\0\0\0\x02\0\0\x01\0"
    assert line(wire.DATA, head + b"\x02hi", 0x43, channel=1) == (
        ' 3 > all DATA      channel=1 generation=3 life=9 frame=77 '
        'seq=5 base=2 stamp=256 ECHO body="hi"')
    assert line(wire.NULL, head, channel=34, dest=2) == (
        " 3 > 2   NULL      channel=34 generation=0 life=9 frame=77 next=5 base=2 stamp=256")


def test_acknowledgements_show_l_and_v_of_the_papers():
    # the papers' example: L = 15, V = 01110001
    body = b"\0\0\0\x0f\0\0\0\x16\0\0\0\x09\0\x03\0\x08\x71"
    assert line(wire.ACK, body, dest=2, channel=1) == (
        " 3 > 2   ACK       channel=1 generation=0 life=9 frame=77 "
        "L=15 highest=22 echo=9 dwell_ms=3 V=01110001")


def test_segments_show_the_transfer():
    assert line(wire.SEGMENT, b"\x03\0\x01\x02\0\x07\0\x03\0\x02g").endswith(
        "of REQUEST transfer=258 index=2 step=3 total=7")


def test_octets_are_never_raw():
    hostile = messages.encode(messages.COMMAND, b"\x1b[2J\nrm -rf\x7f\xff")
    shown = line(wire.MESSAGE, hostile)
    assert "COMMAND line=1b5b324a0a726d202d72667fff" in shown
    for frame_type in list(range(32)) + [255]:
        for payload in (b"", b"\n", bytes(range(256)), b"\x1b" * 40):
            for letter in line(frame_type, payload):
                assert " " <= letter <= "~"


def test_what_is_no_frame():
    assert describe(b"\xa1", 1) == "no frame, 1 octets"
    assert describe(bytes(40), 40) == "no frame, 40 octets"
    cut = bytearray(40)
    cut[0] = wire.MAGIC
    cut[wire.AT_LENGTH] = 4
    assert describe(cut, 40) == "cut frame, 40 octets of 1040"
