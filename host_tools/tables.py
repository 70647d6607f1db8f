"""The status document as a table for people (rich)."""

from rich import box
from rich.table import Table

STATE_STYLES = {"in-service": "green", "loading": "yellow", "draining": "yellow",
                "out-of-service": "red", "absent": "red", "coherent": "green"}
COLUMNS = ("slot", "role", "board", "interpreter", "state", "hot swap", "redundancy", "database",
           "level", "lag", "digest", "connections", "answered", "ping ms", "up s", "pid")
NUMBERS = ("slot", "level", "lag", "connections", "answered", "ping ms", "up s", "pid")


def status_table(document):
    """A rich Table of the `chassis status` document."""
    table = Table(title="chassis {}   VIP {}".format(document["chassis"], document["vip"]),
                  box=box.SIMPLE_HEAD, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=True)
    for card in document["cards"]:
        table.add_row(*_cells(card))
    return table


def _cells(card):
    database = card["database"] or {}
    health = card["health"] or {}
    sip = card["sip"] or {}
    swap = "{} ({})".format(card["hot_swap"]["state"], card["hot_swap"]["previous"])
    loading = database.get("state")
    if loading == "loading" and database.get("load_percent") is not None:
        loading = "loading {} %".format(database["load_percent"])
    return (_text(card["slot"]), card["role"], card["board"], card["interpreter"],
            _styled(card["state"]), swap, _text(card["redundancy"]), _styled(loading),
            _text(database.get("level")), _text(database.get("lag_levels")),
            (database.get("digest") or "-")[:8], _text(card["connections"]),
            _text(sip.get("answered")), _text(health.get("ping_ms")),
            _text(card["uptime_s"]), _text(card["pid"]))


def _styled(text):
    if text is None:
        return "-"
    style = STATE_STYLES.get(text)
    return "[{}]{}[/]".format(style, text) if style else text


def _text(value):
    return "-" if value is None else str(value)
