"""The fast path: location table, SIP scanner and SipHash, in C or as the pure twin.

`NAME` tells which implementation serves: "cffi" (CPython), "ffi" (MicroPython's unix port) or
"pure" (no library built). They give the same bytes for every input, so no caller asks.

    Table(mem)            a location table in a caller's bytearray or mmap (pure_table.py)
    Scanner(max_headers)  SIP messages to spans (layout.py has the numbers, sipfast.h the manual)
    siphash(key16, buf, start, end) -> 8 bytes       SipHash-2-4, octets in the paper's order
    crc32(buf, crc=0) -> int                         IEEE 802.3
    table_size(records, heap_bytes) -> int           octets of a region, or BAD_ARGUMENT
    bucket(key) -> 0..255                            bucket of a key in the database digest

Use them as `fastpath.Table`, ..., not by `from ... import`, where `force()` must be able to
change them. The library is `build/libsipfast.so` beside the tree (`make setup`), or the path in
the environment variable SIPFAST_LIBRARY; the value `pure` there asks for the twin.
"""

import binascii
import os

from bus.compat import MICROPYTHON
from firmware.fastpath.layout import *  # noqa: F403  the numbers are this module's face

crc32 = binascii.crc32


def _library_path():
    """Path of the C library: the environment's, else build/ of the checkout."""
    asked = os.getenv("SIPFAST_LIBRARY") if hasattr(os, "getenv") else None  # boards have none
    if asked:
        return asked
    own = "firmware/fastpath/__init__.py"
    root = __file__[:-len(own)] if __file__.endswith(own) else ""
    return root + "build/libsipfast.so"


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _implementation(name, path):
    """The module that implements `name`, its library opened at `path`."""
    if name == "pure":
        from firmware.fastpath import pure

        return pure
    if name == "ffi":
        from firmware.fastpath import unix_ffi_loader as loader
    elif name == "cffi":
        from firmware.fastpath import cffi_loader as loader
    else:
        raise ValueError("no fast path named {}".format(name))
    loader.open_library(path)
    return loader


def force(name):
    """Use the implementation "cffi", "ffi" or "pure" from now on (for tests and benches).

    Raises ValueError for another name, ImportError or OSError where it is not to be had.
    """
    global NAME, Table, Scanner, siphash, table_size, bucket
    chosen = _implementation(name, _library_path())
    NAME = name
    Table = chosen.Table
    Scanner = chosen.Scanner
    siphash = chosen.siphash
    table_size = chosen.table_size
    bucket = chosen.bucket


force(("ffi" if MICROPYTHON else "cffi") if _exists(_library_path()) else "pure")
