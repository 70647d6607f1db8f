"""The host side: the `chassis` command, the emulated chassis, its shelf manager. CPython only."""
