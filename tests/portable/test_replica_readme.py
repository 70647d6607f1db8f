"""The table in firmware/replica/README.md is the one the code walks."""

from bus.states import DATABASE
from firmware.replica import table


def test_the_readme_shows_the_table():
    path = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    with open(path + "/../../firmware/replica/README.md") as file:
        text = file.read()
    for event, row in zip(table.EVENTS, table.TABLE):
        cells = ["-" if state is None else DATABASE[state] for state in row]
        assert "| " + " | ".join([event] + cells) + " |" in text, event
