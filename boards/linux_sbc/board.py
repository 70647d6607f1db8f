"""What the Linux single-board computer has; board.json says the same to host tools."""

NAME = "linux_sbc"
DIGESTS = ("SHA-256", "MD5")
STORAGE = "sqlite"
