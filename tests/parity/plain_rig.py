"""One message through C's plain answers and through SipServer: equal, or left to Python."""

import mmap

import cffi
from sip_bench import NOW_MS, NOW_S, SECRET, binding

from firmware.cards.plain_linux import config_block
from firmware.fastpath import dataplane_linux, layout
from firmware.location import record
from firmware.location.store import LocationStore
from firmware.proxy.config import SipConfig
from firmware.proxy.server import SipServer

WORK_BYTES = 1 << 17
OUT_BYTES = 8192
DID_COUNTERS = {1: "redirected", 2: "errors", 3: "options", 4: "acks"}
DOMAINS = [{"name": "redirect.example", "mode": "redirect"},
           {"name": "proxy.example", "mode": "proxy"},
           {"name": "192.0.2.99", "mode": "redirect"}]
CONFIGS = [
    {"vip": ("192.0.2.10", 5060), "domains": DOMAINS},
    {"vip": ("192.0.2.10", 5070), "domains": DOMAINS[1:], "max_headers": 9,
     "addresses": [("192.0.2.11", 5060), ("card.example", 5062)]},
    {"vip": ("192.0.2.99", 5070), "domains": DOMAINS, "relay_allowed": True,
     "addresses": [("192.0.2.99", 5060)]},
]

_ffi = cffi.FFI()
_ffi.cdef("""
int32_t sf_answer(const uint8_t *, uint32_t, const void *, uint32_t, const uint8_t *, uint32_t,
                  const uint8_t *, uint32_t, void *, uint8_t *, uint32_t, uint32_t *);
""")


def fill(store):
    """Users of every kind: live, expired, many, malformed, and number routes."""
    live = NOW_S + 77
    users = {
        b"bob": [binding(b"sip:bob@192.0.2.4:5070")],
        b"two": [binding(b"sip:two@192.0.2.5", 700, live), binding(b"sip:two@192.0.2.6", 1000)],
        b"q": [binding(b"sip:q%d@192.0.2.7" % q, q, live) for q in (0, 1, 10, 50, 500, 505, 999)],
        b"many": [binding(b"sip:m%d@192.0.2.%d;ob" % (i, i), 1000 - i, i % 3 and NOW_S + 40 - i)
                  for i in range(60)],
        b"gone": [binding(b"sip:gone@192.0.2.8", 900, NOW_S)],
        b"self": [binding(b"sip:self@ReDirect.Example"), binding(b"sip:self@192.0.2.9", 500)],
        b"huge": [binding(b"sip:%d@h" % i + b"x" * 900) for i in range(12)],
        b"path": [binding(b"sip:path@192.0.2.12", 1000, live, b"<sip:edge.example;lr>")],
        b"vip": [binding(b"sip:vip@192.0.2.10:5060")],
        b"+44": [binding(b"sip:44@192.0.2.13", 1, (1 << 32) - 1)],
    }
    for user, bindings in users.items():
        for domain in (b"redirect.example", b"192.0.2.99", b"proxy.example"):
            store.put(record.aor_key(user + b"@" + domain), record.encode_aor(bindings))
    whole = record.encode_aor(users[b"two"])
    for name, value in ((b"empty", b""), (b"none", b"\1"), (b"cut", whole[:-1]),
                        (b"short", whole[:9]), (b"newer", b"\2" + whole[1:]),
                        (b"field", whole[:18] + b"\xff\xff" + whole[20:])):
        store.put(record.aor_key(name + b"@redirect.example"), value)
    store.put(record.prefix_key(b"4420"), record.encode_route(b"sip:192.0.2.20"))


class Pair:
    """C and Python over one store and one configuration."""

    def __init__(self, settings):
        self.store = LocationStore(bytearray, 64)
        fill(self.store)
        config = SipConfig(settings)
        self.config = config
        self.server = SipServer(config, self.store, SECRET)
        self.block = config_block(config, SECRET)
        library = dataplane_linux.open_library()
        path = dataplane_linux.shared_object()
        assert library is not None
        self._answer = _ffi.dlopen(path).sf_answer
        self._work = _ffi.from_buffer("uint8_t[]", mmap.mmap(-1, WORK_BYTES))
        self._out = _ffi.new("uint8_t[]", OUT_BYTES)
        self.result = _ffi.new("uint32_t[4]")

    def in_c(self, message, source):
        """(code, octets) of sf_answer."""
        peer = bytes(int(part) for part in source[0].split(".")) + source[1].to_bytes(2, "big")
        memory = _ffi.from_buffer("uint8_t[]", self.store.memory)
        rc = self._answer(
            self.block, len(self.block), memory, len(self.store.memory), message, len(message),
            peer, NOW_S, self._work, self._out, OUT_BYTES, self.result)
        return rc, bytes(_ffi.buffer(self._out)[:max(0, rc)])

    def in_python(self, message, source):
        """(list of (datagram, address), the counters that moved)."""
        before = dict(self.server.counters)
        self.server.receive_message(bytearray(message), len(message), source, NOW_MS, NOW_S)
        sent = []
        while (item := self.server.to_send()) is not None:
            sent.append((bytes(item[0]), item[1]))
        moved = {name: count - before[name] for name, count in self.server.counters.items()
                 if count != before[name]}
        return sent, moved

    def compare(self, message, source):
        """True when C answered, and then as Python does; False when it was left to Python."""
        rc, octets = self.in_c(message, source)
        did, port, start, length = list(self.result)
        sent, moved = self.in_python(message, source)
        assert rc >= 0 or rc == layout.NOT_PLAIN, (rc, message)
        if rc < 0:
            return False
        wanted = {"received": 1, DID_COUNTERS[did]: 1}
        if rc:
            wanted["answered"] = 1
            assert sent == [(octets, (source[0], port))], message
        else:
            assert sent == [], message
        assert moved == wanted, (message, moved)
        if did in (1, 2) and length:
            via = message[start:start + length]
            assert self.server.redirect.invites.get(via, NOW_MS), message
        is_call = did in (1, 2) and self.server._message.method == b"INVITE"
        assert bool(length) == is_call, message
        return True
