"""The location table, SipHash and the digest on every implementation this interpreter has."""

import struct

from firmware import fastpath
from firmware.fastpath import layout

SEED = bytes(range(16))

# SipHash-2-4 of the octets 0, 1, ... under the key 0, 1, ... 15: the first eight, the fifteenth of
# the paper's appendix A and the last of the reference implementation's vectors.h.
SIPHASH_VECTORS = (
    (0, "310e0edd47db6f72"), (1, "fd67dc93c539f874"), (2, "5a4fa9d909806c0d"),
    (3, "2d7efbd796666785"), (4, "b7877127e09427cf"), (5, "8da699cd64557618"),
    (6, "cee3fe586e46c9cb"), (7, "37d1018bf50002ab"), (8, "6224939a79f5f593"),
    (15, "e545be4961ca29a1"), (63, "724506eb4c328a95"),
)


def each():
    """Run the loop's body once on each implementation."""
    loaded = fastpath.NAME
    for name in ("pure",) if loaded == "pure" else (loaded, "pure"):
        fastpath.force(name)
        yield name
    fastpath.force(loaded)


def new_table(records=100, heap=8000):
    memory = bytearray(fastpath.table_size(records, heap))
    table = fastpath.Table(memory)
    assert table.init(records, SEED) == layout.OK
    return table


def row(key, value):
    """One row of the bus form; value None removes."""
    if value is None:
        return struct.pack(">HH", len(key), 0xFFFF) + key
    return struct.pack(">HH", len(key), len(value)) + key + value


def test_siphash_vectors():
    for name in each():
        for length, digest in SIPHASH_VECTORS:
            data = b"xx" + bytes(range(length)) + b"yy"
            found = fastpath.siphash(bytes(range(16)), data, 2, 2 + length)
            assert found == bytes(int(digest[i * 2:i * 2 + 2], 16) for i in range(8)), name
        for wrong in ((bytes(15), b"", 0, 0), (bytes(16), b"a", 0, 2), (bytes(16), b"a", 1, 0)):
            try:
                fastpath.siphash(*wrong)
            except ValueError:
                continue
            raise AssertionError("no ValueError")


def test_crc32():
    # check value of CRC-32/ISO-HDLC, the catalogue's "123456789"
    assert fastpath.crc32(b"123456789") == 0xCBF43926


def test_put_get_remove():
    for name in each():
        table = new_table()
        assert table.get(b"k") is None and table.count() == 0 and table.used() == 0
        assert table.put(b"k", b"value") == layout.OK
        assert table.get(b"k") == b"value" and table.count() == 1
        assert table.used() == 32  # 12 + 1 + 5 octets are two granules
        assert table.find(b"k") == layout.OK
        assert bytes(table.mem[table.offset:table.offset + table.length]) == b"value"
        assert table.put(b"k", b"") == layout.OK and table.get(b"k") == b""
        assert table.remove(b"k") == layout.OK
        assert table.remove(b"k") == layout.NOT_FOUND and table.find(b"k") == layout.NOT_FOUND
        assert table.count() == 0 and table.used() == 0 and table.digest() == bytes(8), name


def test_region_header_octets():
    """The layout of sipfast.h, octet for octet."""
    for name in each():
        table = new_table(12, 160)
        memory = table.mem
        assert len(memory) == 4096 + 64 + 160, name
        assert bytes(memory[0:8]) == b"SFT1\x01\x00\x00\x00"
        assert bytes(memory[8:12]) == bytes((0xE0, 0x10, 0, 0))
        assert bytes(memory[32:48]) == SEED
        assert bytes(memory[48:68]) == bytes((
            0, 0, 0, 0, 16, 0, 0, 0, 0x40, 0x10, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0))
        table.put(b"ab", b"cde")
        assert bytes(memory[12:16]) == b"\x02\0\0\0" and memory[48] == 1 and memory[64] == 2
        # first record: crc | hash | klen 2 | vlen 3 | "ab" | "cde" | padding
        at = 4096 + 64
        number = fastpath.siphash(SEED, b"ab", 0, 2)
        body = number[:4] + b"\x02\0\x03\0abcde"
        assert bytes(memory[at + 4:at + 32]) == body + bytes(15)
        assert bytes(memory[at:at + 4]) == struct.pack("<I", fastpath.crc32(body))
        slot = 4096 + 4 * (number[0] & 15)
        assert bytes(memory[slot:slot + 4]) == bytes((1, 0, 0, number[7] & 0xF8))


def test_digest_is_the_sum_of_the_records():
    for name in each():
        table = new_table()
        total = 0
        parts = [0] * 256
        for key, value in ((b"a", b"1"), (b"b", b"22"), (b"c", b"")):
            table.put(key, b"old")
            table.put(key, value)
            data = b"\0\x01" + key + value
            term = int.from_bytes(
                fastpath.siphash(b"SIP location db1", data, 0, len(data)), "big")
            total += term
            parts[fastpath.siphash(b"SIP location db1", key, 0, 1)[0]] += term
        table.put(b"gone", b"x")
        table.remove(b"gone")
        assert table.digest() == (total % (1 << 64)).to_bytes(8, "big"), name
        for number in range(256):
            want = (parts[number] % (1 << 64)).to_bytes(8, "big")
            assert table.bucket_digest(number) == want
        assert fastpath.bucket(b"a") == fastpath.siphash(b"SIP location db1", b"a", 0, 1)[0]


def test_index_full_and_heap_full():
    for name in each():
        table = new_table(12, 1 << 16)
        for number in range(12):
            assert table.put(b"k%d" % number, b"v") == layout.OK
        before = bytes(table.mem[16:])
        assert table.put(b"more", b"v") == layout.NO_SPACE
        assert bytes(table.mem[16:]) == before, name
        assert table.put(b"k3", b"w") == layout.OK
        table = new_table(100, 64)
        assert table.put(b"a", bytes(35)) == layout.OK  # 48 octets
        assert table.put(b"b", bytes(19)) == layout.NO_SPACE
        assert table.get(b"b") is None
        assert table.put(b"a", bytes(60)) == layout.NO_SPACE and table.get(b"a") == bytes(35)
        assert table.put(b"b", bytes(3)) == layout.OK


def test_space_is_used_again():
    for name in each():
        table = new_table(100, 20000)
        for turn in range(60):
            for number in range(20):
                rc = table.put(b"k%d" % number, bytes((turn * 7 + number) % 4 * 100))
                assert rc == layout.OK, (name, turn, number, rc)
        for number in range(20):
            table.remove(b"k%d" % number)
        assert table.used() == 0 and table.count() == 0


def test_a_large_free_block_is_cut():
    for name in each():
        table = new_table(100, 2048)
        assert table.put(b"big", bytes(1500)) == layout.OK  # the one block of 128 granules
        assert table.put(b"k0", b"") == layout.NO_SPACE
        assert table.remove(b"big") == layout.OK
        for number in range(64):
            assert table.put(b"k%d" % number, bytes(10)) == layout.OK, (name, number)
        assert table.put(b"k64", b"") == layout.NO_SPACE and table.used() == 2048
        assert table.audit(0, 1000) == 0


def test_largest_key_and_value():
    for name in each():
        table = new_table(4, 300000)
        key = b"k" * 1024
        assert table.put(key, bytes(0xFFFE)) == layout.OK, name
        assert table.get(key) == bytes(0xFFFE)
        assert table.put(key + b"k", b"") == layout.BAD_ARGUMENT
        assert table.put(b"", b"") == layout.BAD_ARGUMENT
        assert table.put(b"k", bytes(0xFFFF)) == layout.BAD_ARGUMENT
        assert table.remove(key) == layout.OK and table.audit(0, 1000) == 0


def test_apply_and_its_framing():
    for name in each():
        table = new_table()
        rows = row(b"a", b"1") + row(b"b", b"2") + row(b"a", None) + row(b"none", None)
        assert table.apply(rows, 0, len(rows), 4) == 4
        assert table.get(b"a") is None and table.get(b"b") == b"2", name
        assert table.apply(b"xx" + rows + b"yy", 2, 2 + len(rows), 4) == 4
        before = bytes(table.mem)
        for start, end, count in ((0, len(rows), 3), (0, len(rows), 5), (0, len(rows) - 1, 4),
                                  (1, len(rows), 4), (0, len(rows) + 1, 4), (5, 4, 0)):
            assert table.apply(rows, start, end, count) == layout.BAD_ARGUMENT
        assert table.apply(row(b"", b"x"), 0, 5, 1) == layout.BAD_ARGUMENT
        assert bytes(table.mem) == before


def test_next_visits_every_record_once():
    for name in each():
        table = new_table()
        wanted = {}
        for number in range(70):
            wanted[b"key%d" % number] = b"v" * number
            table.put(b"key%d" % number, b"v" * number)
        found = {}
        cursor = table.next(0)
        while cursor > 0:
            key = bytes(table.mem[table.key_offset:table.key_offset + table.key_length])
            assert key not in found
            found[key] = bytes(table.mem[table.offset:table.offset + table.length])
            cursor = table.next(cursor)
        assert cursor == layout.NOT_FOUND and found == wanted, name


def test_audit_finds_a_flipped_bit():
    for name in each():
        table = new_table(12, 800)
        for number in range(10):
            table.put(b"k%d" % number, b"v" * number)
        assert table.audit(0, 3) == 3 and table.audit(3, 1000) == 0
        heap = 4096 + 64
        for at in range(heap, heap + 32):
            table.mem[at] ^= 4
            rc = table.audit(0, 1000)
            # the last granule of the first record holds 14 octets and padding
            assert rc == (layout.CORRUPT if at < heap + 14 else rc), (name, at)
            table.mem[at] ^= 4
        assert table.audit(0, 1000) == 0 and table.audit(16, 1) == layout.BAD_ARGUMENT


def test_attach_refuses_what_is_torn_or_other():
    for name in each():
        table = new_table()
        table.put(b"k", b"v")
        table.begin()
        assert fastpath.Table(table.mem).attach() == layout.CORRUPT, name
        table.set_level(1 << 40)
        table.set_birthday(b"birthday")
        table.end()
        again = fastpath.Table(bytearray(table.mem))
        assert again.attach() == layout.OK and again.get(b"k") == b"v"
        assert again.get_level() == 1 << 40 and again.get_birthday() == b"birthday"
        for at, octet in ((12, 1), (0, 0), (4, 2), (8, 0), (53, 3), (56, 1), (60, 1)):
            copy = bytearray(table.mem)
            copy[at] = copy[at] | 1 if at == 12 else octet
            want = layout.CORRUPT if at == 12 else layout.BAD_ARGUMENT
            assert fastpath.Table(copy).attach() == want, (name, at)
        assert fastpath.Table(table.mem[:5000]).attach() == layout.BAD_ARGUMENT


def test_copy_into_a_larger_table():
    for name in each():
        table = new_table()
        for number in range(70):
            table.put(b"key%d" % number, b"v" * number)
        larger = new_table(1000, 80000)
        cursor = table.copy_to(larger, 0, 7)
        while cursor > 0:
            cursor = table.copy_to(larger, cursor, 7)
        assert cursor == 0 and larger.count() == 70, name
        assert larger.digest() == table.digest() and larger.audit(0, 10000) == 0


def test_table_size():
    for name in each():
        assert fastpath.table_size(12, 0) == 4096 + 64, name
        assert fastpath.table_size(13, 1) == 4096 + 128 + 16
        assert fastpath.table_size(1 << 27, 0) == layout.BAD_ARGUMENT
        assert fastpath.table_size(1, 0x7FFFFFF0) == layout.BAD_ARGUMENT
        small = fastpath.Table(bytearray(4159))
        assert small.init(12, SEED) == layout.NO_SPACE
        assert small.init(12, bytes(3)) == layout.BAD_ARGUMENT
