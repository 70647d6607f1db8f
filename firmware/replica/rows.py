"""Walks the rows of an UPDATE: `klen u16 | vlen u16 (0xFFFF: removed) | key | value`. Portable."""

from bus.compat import const

ROW_HEAD = const(4)
REMOVED = const(0xFFFF)


def skip_rows(rows, count):
    """The offset behind the first `count` rows of `rows` (bytes), or -1 where they end early."""
    at = 0
    end = len(rows)
    for _ in range(count):
        if end - at < ROW_HEAD:
            return -1
        key = rows[at] << 8 | rows[at + 1]
        value = rows[at + 2] << 8 | rows[at + 3]
        at += ROW_HEAD + key + (0 if value == REMOVED else value)
        if at > end:
            return -1
    return at
