"""Sizes of the bounded things on a Linux single-board computer. Runs on both interpreters."""

from bus.compat import const

# records the location table has room for at first; it doubles by itself
STORE_RECORDS = const(16384)
# octets of the largest location table; a million records of usual size
STORE_BYTES = const(512 * 1024 * 1024)
# rows of the connection tuple table
TUPLES = const(65536)
# datagrams that wait to leave a switch card
RELAY_QUEUE = const(1024)
