"""The provisioning log as the distribution task reads it: committed rows, by level.

Rows enter with the commit that makes them (storage) and leave, oldest first, with later commits
once more than `log_levels` are kept. Portable; imports no I/O.
"""


class LevelLog:
    """A window of the log in memory over a storage's reader, shared by all streams.

    reader: `storage.open_log()`.  page: rows fetched at once.
    A row is (level, key, value or None, digest of the whole content at that level).
    """

    def __init__(self, reader, page=512):
        self._reader = reader
        self._page = page
        self._cached = []
        self._cached_after = None

    def rows(self, after_level):
        """Rows that follow `after_level`, dense, at most a page; an empty list at the end.

        Where the log no longer holds the next level the list is empty too: ask `holds`.
        """
        if self._cached_after is not None and self._cached:
            at = after_level - self._cached_after
            if 0 <= at < len(self._cached):
                return self._cached[at:] if at else self._cached
        rows = self._reader.rows(after_level, self._page)
        if not rows or rows[0][0] != after_level + 1:
            return []
        self._cached = rows
        self._cached_after = after_level
        return rows

    def holds(self, after_level, newest_level):
        """True when every row above `after_level` up to `newest_level` is still in the log."""
        if after_level >= newest_level:
            return after_level == newest_level
        oldest = self._reader.oldest()
        return oldest is not None and oldest <= after_level + 1

    def digest_at(self, level):
        """The digest at `level`, or None where the log does not tell."""
        return self._reader.digest_at(level)

    def close(self):
        """Close the reader."""
        self._reader.close()
