"""What the emulated microcontroller card has; board.json says the same to host tools."""

NAME = "unix"
DIGESTS = ("SHA-256", "MD5")
STORAGE = "flash"
