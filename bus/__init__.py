"""IMT bus: the interprocessor message transport. README.md has the files in reading order."""
