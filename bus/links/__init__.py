"""One file per kind of backplane; each owns exactly one I/O module."""
