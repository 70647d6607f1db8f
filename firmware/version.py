"""The firmware's version, as heartbeats, `status` and images show it."""

VERSION = "0.1.0"
