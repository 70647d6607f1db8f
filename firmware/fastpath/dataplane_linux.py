"""The batch data plane on CPython through cffi: one C call for many datagrams of one socket.

sipplane.h is the manual, dataplane_linux.c the code. Linux only. Opens the library and anonymous
memory, no other I/O.
"""

import mmap
import os
from array import array

import cffi

# sipplane.h
BATCH = 64
REPORT = 9
ITEM = 7
SOURCE_OCTETS = 6
HANDED = 1
INVITE = 2
ANSWERED, SENT, REDIRECTS, ERRORS, OPTIONS, ACKS, MALFORMED, REFUSED = range(1, REPORT)

_ffi = cffi.FFI()
_ffi.cdef("""
int32_t sp_size(void);
int32_t sp_turn(uint32_t, uint32_t, const uint8_t *, uint32_t, const void *, uint32_t,
                const uint8_t *, uint32_t, uint32_t, uint32_t, void *, uint32_t *);
""")


def shared_object():
    """Path of the library: build/libsipplane.so of the checkout, or as SIPPLANE_LIBRARY says.

    Where that environment variable names nothing that exists, Python answers everything.
    """
    own = "firmware/fastpath/dataplane_linux.py"
    root = __file__[:-len(own)] if __file__.endswith(own) else ""
    return os.getenv("SIPPLANE_LIBRARY") or root + "build/libsipplane.so"


def open_library():
    """The library, or None where it was not built. Raises OSError if the file is no library."""
    path = shared_object()
    return _ffi.dlopen(path) if os.path.exists(path) else None


class Dataplane:
    """The batches of one socket.

    library: of open_library.  descriptor: int, of a non-blocking UDP socket, open as long as this
    object is used.  relay_port: the VIP's port where datagrams carry the relay header, else 0.
    config: bytes, the configuration block of sf_answer.
    report: array('I'), of the last turn, as sipplane.h draws it.
    """

    def __init__(self, library, descriptor, relay_port, config):
        self._turn = library.sp_turn
        self._descriptor = descriptor
        self._relay_port = relay_port
        self._config = config
        self._plane = mmap.mmap(-1, library.sp_size())
        self._memory = _ffi.from_buffer("uint8_t[]", self._plane)
        self.report = array("I", bytes(4 * (REPORT + BATCH * ITEM)))
        self._out = _ffi.from_buffer("uint32_t[]", self.report)

    def turn(self, region, sources, now_s, hand_all):
        """Serve what waits on the socket; the number of items that Python must see.

        region: the location table's memory.  sources: bytes, IPv4 and port (6 octets) of each
        whose relayed datagrams are answered; others' go to Python.  now_s: Unix seconds.
        hand_all: True gives every datagram to Python.
        """
        # bound for this call only: a bound mmap cannot be closed
        with _ffi.from_buffer("uint8_t[]", region) as table:
            return self._turn(
                self._descriptor, self._relay_port, self._config, len(self._config), table,
                len(region), sources, len(sources) // SOURCE_OCTETS, now_s, hand_all,
                self._memory, self._out)

    def octets(self, start, length):
        """The octets of an item, as bytes."""
        return self._plane[start:start + length]
