"""Where the location table's regions live: files in the flash folder, mapped where that exists.

CPython on Linux maps a file, so the table survives the death of the process and the card
starts warm. MicroPython keeps the region in memory and starts cold.
"""

from bus.compat import MICROPYTHON

PREFIX = "location."
SUFFIX = ".region"


class MemoryRegions:
    """Regions in memory; nothing survives the card's life."""

    def __init__(self, most_bytes):
        self._most = most_bytes

    def allocate(self, size):
        """A zeroed region of `size` octets, or None above the board's limit."""
        if size > self._most:
            return None
        try:
            return bytearray(size)
        except MemoryError:
            return None

    def earlier(self):
        """Regions of the card's lives before this one: none."""
        return ()

    def keep(self, region):
        """`region` is the one in use; memory of the others is the interpreter's to take back."""


class MappedRegions:
    """Regions as mapped files location.N.region; the highest N is the newest."""

    def __init__(self, flash, most_bytes):
        self._flash = flash
        self._most = most_bytes
        self._paths = {}
        self._number = 0

    def allocate(self, size):
        """A zeroed mapped region of `size` octets, or None above the limit or on a full disk."""
        import mmap
        import os

        if size > self._most:
            return None
        self._number += 1
        path = "{}/{}{:06d}{}".format(self._flash, PREFIX, self._number, SUFFIX)
        try:
            with open(path, "wb+") as file:
                # reserve the blocks now: a store into a hole of a full disk is a bus error
                os.posix_fallocate(file.fileno(), 0, size)
                region = mmap.mmap(file.fileno(), size)
        except OSError:
            if os.path.exists(path):
                os.unlink(path)
            return None
        self._paths[id(region)] = path
        return region

    def earlier(self):
        """The mapped regions that the card's lives before this one left, newest first."""
        import mmap
        import os

        found = []
        for name in sorted(os.listdir(self._flash), reverse=True):
            number = name[len(PREFIX):-len(SUFFIX)]
            if not (name.startswith(PREFIX) and name.endswith(SUFFIX) and number.isdigit()):
                continue
            path = self._flash + "/" + name
            try:
                with open(path, "rb+") as file:
                    region = mmap.mmap(file.fileno(), 0)
            except (OSError, ValueError):
                # an empty or unreadable file holds no table
                os.unlink(path)
                continue
            self._number = max(self._number, int(number))
            self._paths[id(region)] = path
            found.append(region)
        return found

    def keep(self, region):
        """`region` is the one in use: the files of all others go."""
        import os

        kept = self._paths.pop(id(region), None)
        for path in self._paths.values():
            os.unlink(path)
        self._paths = {} if kept is None else {id(region): kept}


def open_regions(flash, most_bytes):
    """The kind of regions this interpreter has."""
    return MemoryRegions(most_bytes) if MICROPYTHON else MappedRegions(flash, most_bytes)
