"""The message catalogue: bytes by hand, ranges, refusal of what is no message, README table."""

from bus import messages


def raises(*arguments):
    """Whether encode refuses these arguments."""
    try:
        messages.encode(*arguments)
    except ValueError:
        return True
    return False


def test_bytes_by_hand():
    assert messages.encode(messages.ECHO, b"ping") == b"\x02ping"
    assert messages.encode(messages.STATUS) == b"\x06"
    assert messages.encode(messages.DUMP, 1, 0x01020304) == b"\x08\0\0\0\x01\x01\x02\x03\x04"
    assert messages.encode(messages.WHERETO, b"INVITE", b"sip:a@b") == (
        b"\x0a\x06INVITE\x00\x07sip:a@b")
    assert messages.encode(messages.CATCH_UP, b"birthday", 7, b"digest88", 2) == (
        b"\x05birthday\0\0\0\x07digest88\x02")


def test_decode_is_the_reverse():
    octets = b"xx\x0a\x06INVITE\x00\x07sip:a@byy"
    assert messages.decode(octets, 2, len(octets) - 2) == [10, b"INVITE", b"sip:a@b"]
    assert messages.decode(b"\x06", 0, 1) == [messages.STATUS]


def test_every_message_round_trips():
    samples = {"B": 0xFE, "H": 0xFEDC, "I": 0xFEDCBA98, "8": b"12345678", "4": b"\x7f\0\0\x01",
               "s": b"short", "t": b"longer text", "*": b"the rest"}
    for number, name, _, fields in messages.CATALOGUE:
        values = [samples[kind] for _, kind in fields]
        octets = messages.encode(number, *values)
        assert messages.decode(octets, 0, len(octets)) == [number] + values, name


def test_cut_or_lengthened_messages_are_refused():
    beat = messages.encode(
        messages.HEARTBEAT, 2, 4, 0, 2, 3, 100, 9, bytes(8), bytes(8), 0, 0, 5, bytes(4), 1, 0,
        b"0.1")
    for n in range(len(beat)):
        assert messages.decode(beat, 0, n) is None, n
    assert messages.decode(beat + b"\0", 0, len(beat) + 1) is None
    assert messages.decode(beat, 0, len(beat) + 1) is None  # end beyond the buffer


def test_unknown_numbers_are_refused():
    for number in range(256):
        known = number in messages.FIELDS
        if not known:
            assert messages.decode(bytes((number,)) + bytes(80), 0, 81) is None
            assert raises(number)


def test_values_out_of_range_are_refused():
    # struct would truncate these silently on MicroPython
    assert raises(messages.DUMP, -1, 0)
    assert raises(messages.DUMP, 0, 1 << 32)
    assert raises(messages.COMMAND_RESULT, 256, b"")
    assert raises(messages.REGISTER_RESULT, 70000, 0, b"")
    assert raises(messages.CATCH_UP, b"short", 0, bytes(8), 0)
    assert raises(messages.WHERETO, bytes(256), b"")
    assert raises(messages.WHERETO, b"", bytes(65536))
    assert raises(messages.DUMP, 1)
    assert raises(messages.DUMP, 1, 2, 3)


def test_readme_has_the_table():
    folder = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    with open(folder + "/../../bus/README.md") as readme:
        text = readme.read()
    for line in messages.document():
        assert line in text, line
