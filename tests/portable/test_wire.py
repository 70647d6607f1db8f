"""Frames: bytes by hand from bus/README.md, check values of CRC-32 and RFC 4231, replay window."""

from bus import wire

# bus/README.md, The frame: MESSAGE (2) from slot 3 to all, life 0x01020304, frame 0x0A0B0C0D
HEADER = b"\xa1\x02\x00\x03\xff\x00\x00\x05\x01\x02\x03\x04\x0a\x0b\x0c\x0d"
PAYLOAD = b"hello"


def crc32_bitwise(octets):
    """CRC-32 of IEEE 802.3 by its definition: reflected polynomial 0xEDB88320."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def by_hand():
    """The frame of HEADER and PAYLOAD with its CRC."""
    assert crc32_bitwise(b"123456789") == 0xCBF43926  # the check value of the CRC catalogues
    return HEADER + PAYLOAD + crc32_bitwise(HEADER + PAYLOAD).to_bytes(4, "big")


def encoded(codec, payload=PAYLOAD):
    out = bytearray(wire.MAX_FRAME)
    n = codec.encode(out, wire.MESSAGE, 0, 3, wire.ALL, 0, 0x01020304, 0x0A0B0C0D,
                     b"__" + payload + b"__", 2, len(payload))
    return bytes(out[:n])


def test_encode_gives_the_documented_bytes():
    assert encoded(wire.FrameCodec()) == by_hand()


def test_check_accepts_the_documented_bytes():
    assert wire.FrameCodec().check(by_hand(), 25) == wire.OK
    assert wire.FrameCodec().check(bytearray(by_hand() + b"tail"), 25) == wire.OK


def test_every_flipped_bit_is_refused():
    good = by_hand()
    codec = wire.FrameCodec()
    for at in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            assert codec.check(bad, len(bad)) < 0, (at, bit)


def test_every_other_length_is_refused():
    good = by_hand()
    codec = wire.FrameCodec()
    for n in range(len(good)):
        assert codec.check(good[:n], n) == wire.BAD_HEADER
    assert codec.check(good + b"\0", len(good) + 1) == wire.BAD_HEADER
    huge = bytearray(wire.MAX_FRAME + 1)
    huge[0] = wire.MAGIC
    assert codec.check(huge, len(huge)) == wire.BAD_HEADER


def test_slot_above_31_is_refused():
    octets = bytearray(by_hand())
    octets[wire.AT_SOURCE] = 32
    octets[-4:] = crc32_bitwise(octets[:-4]).to_bytes(4, "big")
    assert wire.FrameCodec().check(octets, len(octets)) == wire.BAD_HEADER


def test_tag_is_hmac_sha_256_of_rfc_4231():
    cases = (
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db3853"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e"),
        (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f"),
    )
    for key, octets, digest in cases:
        tagger = wire._Tagger(key)
        assert tagger.tag(octets) == bytes.fromhex(digest)
        assert tagger.tag(octets) == bytes.fromhex(digest)  # the stored pads are not used up


def test_keyed_frame_has_flag_and_tag():
    codec = wire.FrameCodec(b"secret")
    frame = encoded(codec)
    assert len(frame) == 16 + 5 + 8 and frame[wire.AT_FLAGS] == 0x80
    assert codec.check(frame, len(frame)) == wire.OK
    for at in range(len(frame)):
        bad = bytearray(frame)
        bad[at] ^= 0x10
        assert codec.check(bad, len(bad)) < 0, at


def test_keys_and_their_absence_do_not_mix():
    keyed = encoded(wire.FrameCodec(b"secret"))
    other = encoded(wire.FrameCodec(b"other"))
    plain = by_hand()
    codec = wire.FrameCodec(b"secret")
    assert codec.check(other, len(other)) == wire.BAD_TAG
    assert codec.check(plain, len(plain)) == wire.BAD_KEYING
    assert wire.FrameCodec().check(keyed, len(keyed)) == wire.BAD_KEYING


def test_largest_payload_fits_a_frame_and_no_more():
    for key in (None, b"k"):
        codec = wire.FrameCodec(key)
        frame = encoded(codec, bytes(wire.MAX_PAYLOAD))
        assert len(frame) <= wire.MAX_FRAME == 1472
        assert codec.check(frame, len(frame)) == wire.OK
    try:
        encoded(wire.FrameCodec(), bytes(wire.MAX_PAYLOAD + 1))
    except ValueError:
        return
    raise AssertionError("a payload longer than a frame was taken")


def test_seal_leaves_the_payload_where_it_stands():
    out = bytearray(wire.MAX_FRAME)
    out[16:21] = PAYLOAD
    n = wire.FrameCodec().seal(out, wire.MESSAGE, 0, 3, wire.ALL, 0, 0x01020304, 0x0A0B0C0D, 5)
    assert bytes(out[:n]) == by_hand()


def test_window_takes_each_number_once():
    window = wire.FrameWindow()
    assert window.accept(100) == wire.FRESH
    assert window.accept(100) == wire.DUPLICATE
    assert window.accept(103) == wire.FRESH
    assert window.accept(101) == wire.FRESH
    assert window.accept(101) == wire.DUPLICATE
    assert window.accept(102) == wire.FRESH
    assert window.accept(103) == wire.DUPLICATE


def test_window_is_64_wide():
    window = wire.FrameWindow()
    assert window.accept(1000) == wire.FRESH
    assert window.accept(1000 - 63) == wire.FRESH
    assert window.accept(1000 - 64) == wire.REPLAYED
    assert window.accept(1001) == wire.FRESH
    assert window.accept(1001 - 64) == wire.REPLAYED
    assert window.accept(0) == wire.REPLAYED


def test_numbers_skipped_by_a_jump_are_still_to_come():
    for jump in (1, 2, 63, 64, 65, 1000):
        window = wire.FrameWindow()
        for number in range(64):
            assert window.accept(number) == wire.FRESH
        top = 63 + jump
        assert window.accept(top) == wire.FRESH
        for number in range(max(0, top - 63), top):
            seen = number < 64
            assert window.accept(number) == (wire.DUPLICATE if seen else wire.FRESH), number


def test_window_against_a_plain_set():
    """Random orders agree with the definition: seen in the last 64, or too old."""
    state = 12345
    window = wire.FrameWindow()
    seen = set()
    highest = None
    number = 5000
    for _ in range(3000):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        number = max(0, number + (state >> 12) % 90 - 42)
        if highest is None or number > highest:
            expected = wire.FRESH
            highest = number
        elif highest - number >= 64:
            expected = wire.REPLAYED
        else:
            expected = wire.DUPLICATE if number in seen else wire.FRESH
        assert window.accept(number) == expected, number
        seen.add(number)


def test_window_passes_the_wrap_of_32_bits():
    window = wire.FrameWindow()
    top = 0xFFFFFFFF
    assert window.accept(top - 1) == wire.FRESH
    assert window.accept(1) == wire.FRESH
    assert window.accept(top) == wire.FRESH
    assert window.accept(0) == wire.FRESH
    assert window.accept(top) == wire.DUPLICATE
    assert window.accept(0) == wire.DUPLICATE
    assert window.accept(top - 63) == wire.REPLAYED
