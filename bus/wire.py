"""The frame of the IMT bus (bus/README.md, The frame): header, payload, trailer.

      0       1      2       3        4      5         6        8             12          16
    +-------+------+-------+--------+------+---------+--------+-------------+-----------+---------+
    | magic | type | flags | source | dest | channel | length | incarnation | frame no. | payload |
    +-------+------+-------+--------+------+---------+--------+-------------+-----------+---------+
    and a trailer: CRC-32 (IEEE 802.3) or, with a key, 8 octets of HMAC-SHA-256 (RFC 2104)

Imports no I/O. Runs on both interpreters.
"""

import binascii
import hashlib
import struct

from bus.compat import const

MAGIC = const(0xA1)  # magic 0xA, version 1
HEADER_BYTES = const(16)
CRC_BYTES = const(4)
TAG_BYTES = const(8)
MAX_FRAME = const(1472)  # one Ethernet frame less IPv4 and UDP headers
# The larger trailer is always reserved: what fits a frame does not depend on there being a key.
MAX_PAYLOAD = const(1448)

# offsets of the header's fields
AT_TYPE = const(1)
AT_FLAGS = const(2)
AT_SOURCE = const(3)
AT_DEST = const(4)
AT_CHANNEL = const(5)
AT_LENGTH = const(6)
AT_INCARNATION = const(8)
AT_FRAME_NO = const(12)

ALL = const(0xFF)
HOST_TOOL = const(31)
MAX_SLOT = const(31)

HEARTBEAT = const(1)
MESSAGE = const(2)
REQUEST = const(3)
RESPONSE = const(4)
SEGMENT = const(5)
DATA = const(16)
DATA_EOF = const(17)
RESET = const(18)
ACK = const(19)
ACK_TXNOW = const(20)
RTT_MEASURE = const(21)
RTT_ACK = const(22)
SND_ACK_TOME = const(23)
NULL = const(24)

TYPE_NAMES = {
    HEARTBEAT: "HEARTBEAT", MESSAGE: "MESSAGE", REQUEST: "REQUEST", RESPONSE: "RESPONSE",
    SEGMENT: "SEGMENT", DATA: "DATA", DATA_EOF: "DATA_EOF", RESET: "RESET", ACK: "ACK",
    ACK_TXNOW: "ACK_TXNOW", RTT_MEASURE: "RTT_MEASURE", RTT_ACK: "RTT_ACK",
    SND_ACK_TOME: "SND_ACK_TOME", NULL: "NULL",
}

FLAG_KEYED = const(0x80)
FLAG_FROM_BASE = const(0x40)  # RMTP: receivers start at the stream's first packet
FLAG_GENERATION = const(0x0F)  # RMTP: incarnation + times the channel was opened, modulo 16

OK = const(0)
BAD_HEADER = const(-1)  # too short or long, another magic, a length that disagrees, a slot too big
BAD_CRC = const(-2)
BAD_TAG = const(-3)
BAD_KEYING = const(-4)  # unkeyed frame for a keyed card, or the reverse

_HEADER = ">BBBBBBHII"
_HMAC_BLOCK = const(64)
_HASH_COPIES = hasattr(hashlib.sha256(b""), "copy")


class _Tagger:
    """HMAC-SHA-256 truncated to 8 octets.

    Where the hash can be copied, the two padded keys are hashed once for life: two compressions
    fewer for each frame. MicroPython cannot copy a hash and starts from the pads each time.
    """

    def __init__(self, key):
        if len(key) > _HMAC_BLOCK:
            key = hashlib.sha256(key).digest()
        key = bytes(key) + bytes(_HMAC_BLOCK - len(key))
        self._inner_pad = bytes([octet ^ 0x36 for octet in key])
        self._outer_pad = bytes([octet ^ 0x5C for octet in key])
        self._inner = hashlib.sha256(self._inner_pad)
        self._outer = hashlib.sha256(self._outer_pad)

    def tag(self, octets):
        """The first 8 octets of the HMAC of `octets` (any buffer)."""
        if _HASH_COPIES:
            inner = self._inner.copy()
            outer = self._outer.copy()
        else:
            inner = hashlib.sha256(self._inner_pad)
            outer = hashlib.sha256(self._outer_pad)
        inner.update(octets)
        outer.update(inner.digest())
        return outer.digest()[:TAG_BYTES]


class FrameCodec:
    """Builds and checks frames with one key, or with none."""

    def __init__(self, key=None):
        """key: bytes shared by the whole chassis, or None for CRC-32 trailers."""
        self._tagger = None if key is None else _Tagger(key)
        self._keyed = 0 if key is None else FLAG_KEYED
        self.trailer_bytes = CRC_BYTES if key is None else TAG_BYTES

    def encode(self, out, frame_type, flags, source, dest, channel, incarnation, frame_no,
               payload, start, n):
        """Write a frame with payload[start:start + n] into `out`; returns its length in octets."""
        out[HEADER_BYTES:HEADER_BYTES + n] = payload[start:start + n]
        return self.seal(out, frame_type, flags, source, dest, channel, incarnation, frame_no, n)

    def seal(self, out, frame_type, flags, source, dest, channel, incarnation, frame_no, n):
        """Write header and trailer around the payload that stands at out[16:16 + n] already.

        out: bytearray or memoryview of at least 16 + n + 8 octets.  n: 0..MAX_PAYLOAD.
        incarnation, frame_no: 0..2**32 - 1.  Returns the frame's length.  Raises ValueError.
        """
        if not 0 <= n <= MAX_PAYLOAD:
            raise ValueError("a frame carries 0..{} octets, not {}".format(MAX_PAYLOAD, n))
        struct.pack_into(_HEADER, out, 0, MAGIC, frame_type, flags | self._keyed, source, dest,
                         channel, n, incarnation, frame_no)
        end = HEADER_BYTES + n
        covered = memoryview(out)[:end]
        if self._tagger is None:
            struct.pack_into(">I", out, end, binascii.crc32(covered))
            return end + CRC_BYTES
        out[end:end + TAG_BYTES] = self._tagger.tag(covered)
        return end + TAG_BYTES

    def check(self, buf, n):
        """Whether buf[:n] is a whole frame: OK or a negative reason."""
        if n < HEADER_BYTES + CRC_BYTES or n > MAX_FRAME or buf[0] != MAGIC:
            return BAD_HEADER
        if buf[AT_FLAGS] & FLAG_KEYED != self._keyed:
            return BAD_KEYING
        end = n - self.trailer_bytes
        if (buf[AT_LENGTH] << 8 | buf[AT_LENGTH + 1]) != end - HEADER_BYTES:
            return BAD_HEADER
        if buf[AT_SOURCE] > MAX_SLOT:
            return BAD_HEADER
        covered = memoryview(buf)[:end]
        if self._tagger is None:
            if struct.unpack_from(">I", buf, end)[0] != binascii.crc32(covered):
                return BAD_CRC
            return OK
        tag = self._tagger.tag(covered)
        differs = 0
        for at in range(TAG_BYTES):  # every octet, so that time tells nothing of the tag
            differs |= buf[end + at] ^ tag[at]
        return BAD_TAG if differs else OK


FRESH = const(0)
DUPLICATE = const(-1)
REPLAYED = const(-2)
WINDOW_FRAMES = const(64)
_HALF = const(0x80000000)
_MASK = const(0xFFFFFFFF)


class FrameWindow:
    """Which of the last 64 frame numbers of one source have been seen: each is accepted once.

    A bitmap in a bytearray, bit = number modulo 64: no integer above 32 bits, no garbage.
    """

    def __init__(self):
        self._seen = bytearray(WINDOW_FRAMES // 8)
        self._highest = -1

    def accept(self, frame_no):
        """FRESH (and marked as seen), DUPLICATE, or REPLAYED when below the window."""
        highest = self._highest
        seen = self._seen
        byte = (frame_no >> 3) & 7
        bit = 1 << (frame_no & 7)
        ahead = (frame_no - highest) & _MASK
        if highest < 0 or 0 < ahead < _HALF:
            self._advance(frame_no, WINDOW_FRAMES if highest < 0 else ahead)
            seen[byte] |= bit
            return FRESH
        if ((highest - frame_no) & _MASK) >= WINDOW_FRAMES:
            return REPLAYED
        if seen[byte] & bit:
            return DUPLICATE
        seen[byte] |= bit
        return FRESH

    def _advance(self, frame_no, ahead):
        """Slide the window up; numbers skipped on the way become not seen."""
        seen = self._seen
        if ahead >= WINDOW_FRAMES:
            for at in range(len(seen)):
                seen[at] = 0
        else:
            for number in range(frame_no - ahead + 1, frame_no):
                seen[(number >> 3) & 7] &= ~(1 << (number & 7)) & 0xFF
        self._highest = frame_no
