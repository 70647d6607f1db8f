"""The status document as a table for people (rich); columns that do not fit are left out."""

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

STATE_STYLES = {"in-service": "green", "loading": "yellow", "draining": "yellow",
                "out-of-service": "red", "absent": "red", "coherent": "green"}
NUMBERS = ("slot", "level", "lag", "connections", "answered", "ping ms", "up s", "pid")
# from left to right, and in the order in which a narrow terminal keeps them
COLUMNS = ("slot", "role", "board", "interpreter", "state", "hot swap", "redundancy", "database",
           "level", "lag", "digest", "connections", "answered", "ping ms", "up s", "pid")
KEPT = ("slot", "role", "state", "database", "level", "redundancy", "interpreter", "hot swap",
        "answered", "pid", "ping ms", "connections", "lag", "digest", "up s", "board")
# a blank on each side and one between columns
PADDING = 3


def status_table(document, width):
    """A rich Table of the `chassis status` document, at most `width` columns wide."""
    rows = [_cells(card) for card in document["cards"]]
    shown = _that_fit(rows, width)
    table = Table(title="chassis {}   VIP {}".format(document["chassis"], document["vip"]),
                  box=box.SIMPLE_HEAD, title_justify="left")
    for name in shown:
        table.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*(Text(cells[name], STATE_STYLES.get(cells[name], "")) for name in shown))
    return table


def plain_table(document, width):
    """status_table as text for pipes and files, without blanks at the ends of lines."""
    console = Console(width=width, file=io.StringIO())
    console.print(status_table(document, width))
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def _that_fit(rows, width):
    """Names of the columns to show, from left to right."""
    left = width - PADDING
    kept = []
    for name in KEPT:
        left -= PADDING + max([len(name)] + [len(cells[name]) for cells in rows])
        if left < 0:
            break
        kept.append(name)
    return [name for name in COLUMNS if name in kept]


def _cells(card):
    database = card["database"] or {}
    health = card["health"] or {}
    swap = card["hot_swap"]
    state = database.get("state")
    if state == "loading" and database.get("load_percent") is not None:
        state = "loading {} %".format(database["load_percent"])
    cells = {
        "slot": card["slot"], "role": card["role"], "board": card["board"],
        "interpreter": card["interpreter"], "state": card["state"],
        "hot swap": "{} ({})".format(swap["state"], swap["previous"]),
        "redundancy": card["redundancy"], "database": state, "level": database.get("level"),
        "lag": database.get("lag_levels"), "digest": (database.get("digest") or "-")[:8],
        "connections": card["connections"], "answered": (card["sip"] or {}).get("answered"),
        "ping ms": health.get("ping_ms"), "up s": card["uptime_s"], "pid": card["pid"]}
    return {name: "-" if value is None else str(value) for name, value in cells.items()}
