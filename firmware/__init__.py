"""The one firmware tree of every card. README.md has the files in reading order."""
