"""The pure implementation of the fast path: the reference, and the fallback without a library.

Runs on both interpreters. Imports no I/O.
"""

from firmware.fastpath.pure_scan import Scanner
from firmware.fastpath.pure_siphash import bucket, siphash
from firmware.fastpath.pure_table import Table, table_size

__all__ = ("Scanner", "Table", "bucket", "siphash", "table_size")
