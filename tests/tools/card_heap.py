"""What the pure objects of a sip-cluster card take of the heap, in octets, once garbage is gone.

    node tests/tools/portable_wasm.mjs --script tests/tools/card_heap.py
    build/micropython/micropython tests/tools/card_heap.py      (64 bits: objects twice as large)

The sizes are those of the board `unix`. Code counts too, since it is compiled from source here; a
board that freezes its firmware keeps most of that in flash. Sockets and console are not in it.
"""

import gc
import sys

if "tests/portable" not in sys.path:
    sys.path[:0] = [".", "tests/portable"]

CALLS = 300
_before = [0]


def tell(what):
    """Print what has been added since the last call; the part before it ended by collecting."""
    now = gc.mem_alloc()
    print("{:34s} {:8d} {:8d}".format(what, now - _before[0], now))
    _before[0] = now


gc.collect()
# %%
tell("interpreter")
from bus import node, states  # noqa: E402

gc.collect()
# %%
tell("code of bus/")
from boards.unix import limits  # noqa: E402
from firmware import fastpath  # noqa: E402
from firmware.location import record  # noqa: E402
from firmware.location.store import LocationStore  # noqa: E402
from firmware.replica.replica import Replica  # noqa: E402

gc.collect()
# %%
tell("code of the store and the replica")
import sip_bench  # noqa: E402

from firmware.proxy.server import SipServer  # noqa: E402

gc.collect()
# %%
tell("code of sip/ and proxy/")
bus = node.BusNode(4, states.SIP_CLUSTER, 1, bytes(32))
bus.attach(2)
gc.collect()
# %%
tell("BusNode of two links")
store = LocationStore(bytearray, limits.STORE_RECORDS, bytes(16))
gc.collect()
# %%
tell("LocationStore of %d records" % limits.STORE_RECORDS)
replica = Replica(store, 4)
gc.collect()
# %%
tell("Replica")
server = SipServer(
    {"vip": sip_bench.VIP, "domains": sip_bench.DOMAINS}, store, sip_bench.SECRET)
gc.collect()
# %%
tell("SipServer")
datagram = bytearray(65535)
gc.collect()
# %%
tell("one datagram")
for number in range(CALLS):
    name = b"user%d@example.com" % number
    store.put(record.aor_key(name), record.encode_aor([sip_bench.binding(b"sip:u@192.0.2.9")]))
gc.collect()
# %%
tell("%d records in the store" % CALLS)
for number in range(CALLS):
    sent = sip_bench.exchange(server, sip_bench.request(
        "INVITE", "sip:user%d@example.com" % number,
        via="Via: SIP/2.0/UDP 192.0.2.%d;branch=z9hG4bKa%d" % (number % 250, number)))
    assert sip_bench.only(sent)[0].startswith(b"INVITE sip:u@192.0.2.9")
sent = None
gc.collect()
# %%
tell("what %d calls left behind" % CALLS)
held = gc.mem_alloc()
sip_bench.exchange(server, sip_bench.request("INVITE", "sip:user1@example.com"))
if fastpath.NAME == "pure":
    print("garbage of one call", gc.mem_alloc() - held)
print("total", held)
