"""The same pseudo-random work on any interpreter: `same_work.py SEED` prints a CRC a step.

test_same_work.py runs it on every interpreter and fast path and compares the lines. Portable, like
the tests of tests/portable, whose rigs it uses. What a platform may choose is fixed: one hash.
"""

import binascii
import hashlib
import sys

if "tests/portable" not in sys.path:
    sys.path[:0] = [".", "tests/portable"]

from scanner_vectors import vectors  # noqa: E402
from sip_bench import (  # noqa: E402
    CLIENT, DOMAINS, NOW_MS, NOW_S, SECRET, VIP, PlainStore, aor, binding, drain, request)

from bus import wire  # noqa: E402
from firmware import fastpath  # noqa: E402
from firmware.fastpath import layout  # noqa: E402
from firmware.proxy.server import SipServer  # noqa: E402
from firmware.sip import digest  # noqa: E402

RECORDS = 24
HEAP_BYTES = 6000


class Dice:
    """The linear congruential generator of ISO C's rand(), of which the upper bits are used."""

    def __init__(self, seed):
        self._state = seed & 0x7FFFFFFF

    def below(self, limit):
        """A number 0..limit - 1, limit <= 32768."""
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 16) % limit

    def octets(self, n):
        return bytes([self.below(256) for _ in range(n)])

    def one_of(self, things):
        return things[self.below(len(things))]

    def damaged(self, message):
        """`message` with up to three octets changed, put in or taken out, or cut short."""
        for _ in range(self.below(4)):
            at = self.below(len(message))
            kind = self.below(8)
            octet = bytes([self.below(256)]) if kind & 1 else self.one_of(
                (b"\r", b"\n", b" ", b";", b",", b"<", b">", b"\"", b"@", b":", b"\\", b"\0"))
            behind = at if kind < 3 else at + 1
            message = message[:at] + octet + message[behind:] if kind else message[:at] or b"x"
        return message


def table_work(dice):
    """Writes to one small table; the octets of the whole region, and its digest."""
    memory = bytearray(fastpath.table_size(RECORDS, HEAP_BYTES))
    table = fastpath.Table(memory)
    table.init(RECORDS, SECRET)
    results = []
    for _ in range(30):
        key = b"k%d" % dice.below(40)
        if dice.below(3):
            results.append(table.put(key, dice.octets(dice.below(300))))
        else:
            results.append(table.remove(key))
    return str(results).encode() + bytes(memory) + str(table.digest()).encode()


def scanner_work(dice, scanner, messages):
    message = dice.damaged(dice.one_of(messages))
    code = scanner.scan(message, len(message))
    end = layout.HEAD_ITEMS + max(code, 0) * layout.HEADER_ITEMS
    return str([code, list(scanner.spans[:end]) if code >= 0 else ()]).encode()


def hash_work(dice):
    data = dice.octets(dice.below(70))
    start = dice.below(len(data) + 1)
    hashed = fastpath.siphash(dice.octets(16), data, start, len(data))
    return hashed + b"%d %d" % (fastpath.bucket(data), fastpath.crc32(data))


def frame_work(dice, codec):
    frame = bytearray(wire.MAX_FRAME)
    payload = dice.octets(dice.below(200))
    number = dice.below(32768) << 17 | dice.below(32768)
    n = codec.encode(frame, wire.MESSAGE, 0, dice.below(32), wire.ALL, 0, number, number ^ 1,
                     payload, 0, len(payload))
    damaged = bytearray(dice.damaged(bytes(frame[:n])))
    return bytes(frame[:n]) + str(codec.check(damaged, len(damaged))).encode()


def sip_store():
    store = PlainStore()
    for n in range(20):
        name = b"user%d@%s" % (n, DOMAINS[n % 3]["name"].encode())
        aor(store, name, *[binding(b"sip:u%d@192.0.2.%d:5070" % (n, 20 + m), 1000 - 100 * m)
                           for m in range(n % 4)])
    return store


def server_work(dice, card):
    """One damaged request; what the card sends, or nothing."""
    method = dice.one_of(("INVITE", "OPTIONS", "MESSAGE", "REGISTER", "CANCEL", "ACK", "NOVEL"))
    uri = "sip:user{}@{}".format(dice.below(24), dice.one_of(DOMAINS)["name"])
    extra = dice.one_of(((), ("Contact: <sip:c@192.0.2.1>",), ("Require: gruu, path",),
                         ("Route: <sip:192.0.2.10;lr>",), ("Contact: *", "Expires: 0")))
    text = dice.damaged(request(method, uri, *extra, cseq=dice.below(32768) << 16))
    card.receive_message(bytearray(text), len(text), CLIENT, NOW_MS, NOW_S)
    sent = [octets + "{}:{}".format(*peer).encode() for octets, peer in drain(card)]
    return b"".join(sent) + b" %d" % card.counters["faults"]


def main(seed):
    dice = Dice(seed)
    messages = [message for _, message, _ in vectors()]
    scanner = fastpath.Scanner(16)
    codecs = (wire.FrameCodec(), wire.FrameCodec(SECRET))
    settings = {"vip": VIP, "domains": DOMAINS}
    card = SipServer(settings, sip_store(), SECRET, [(digest.SHA256, hashlib.sha256)])
    works = (table_work, lambda dice: scanner_work(dice, scanner, messages), hash_work,
             lambda dice: frame_work(dice, dice.one_of(codecs)),
             lambda dice: server_work(dice, card))
    names = ("table", "scanner", "hash", "frame", "server")
    print("fast path", fastpath.NAME)
    for step in range(60):
        for name, work in zip(names, works):
            for _ in range(1 if name == "table" else 6):
                result = work(dice)
                print(step, name, len(result), "%08x" % binascii.crc32(result))


if __name__ == "__main__":
    main(int(sys.argv[1]))
