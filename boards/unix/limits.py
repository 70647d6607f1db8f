"""Sizes of the bounded things on the emulated microcontroller card. Runs on both interpreters."""

from bus.compat import const

# records the location table has room for at first; it doubles by itself
STORE_RECORDS = const(1024)
# octets of the largest location table, of which two exist while it grows or reloads
STORE_BYTES = const(64 * 1024 * 1024)
# rows of the connection tuple table
TUPLES = const(4096)
# datagrams that wait to leave a switch card
RELAY_QUEUE = const(256)
