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

    def newest(self):
        """The region of the card's life before this one: none."""
        return None

    def release(self, region):
        """The caller holds `region` no longer; memory is the interpreter's to take back."""


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

    def newest(self):
        """The mapped region that the card's last life left, or None. Older files are removed."""
        import mmap
        import os

        names = sorted(
            name for name in os.listdir(self._flash)
            if name.startswith(PREFIX) and name.endswith(SUFFIX))
        region = None
        while names and region is None:
            path = self._flash + "/" + names.pop()
            try:
                with open(path, "rb+") as file:
                    region = mmap.mmap(file.fileno(), 0)
                self._number = int(path[-len(SUFFIX) - 6:-len(SUFFIX)])
                self._paths[id(region)] = path
            except (OSError, ValueError):
                os.unlink(path)
        for name in names:
            os.unlink(self._flash + "/" + name)
        return region

    def release(self, region):
        """The caller holds `region` no longer: its file goes; the mapping goes with its users."""
        import os

        path = self._paths.pop(id(region), None)
        if path is not None:
            os.unlink(path)


def open_regions(flash, most_bytes):
    """The kind of regions this interpreter has."""
    return MemoryRegions(most_bytes) if MICROPYTHON else MappedRegions(flash, most_bytes)
