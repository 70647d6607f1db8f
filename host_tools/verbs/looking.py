"""`chassis status`, `level` and `whereto`."""

import click
from rich.console import Console

from host_tools.control import ask_once
from host_tools.errors import WRONG_ARGUMENTS, ToolError
from host_tools.tables import plain_table, status_table
from host_tools.verbs.common import emit_json, json_option, state_option

# wide enough that a pipe gets every column whole
PLAIN_WIDTH = 200
# from the question to where the request goes
WHERETO_ORDER = ("method", "uri", "card", "domain", "mode", "record", "contacts", "status",
                 "target", "next_hop")
# the first octet of a record's key (firmware/location/record.py)
RECORD_KINDS = {"a": "address", "n": "number", "d": "domain", "s": "subscriber"}


@click.command()
@state_option
@json_option
def status(state, as_json):
    """Show every card: state, database, health, counters."""
    document = ask_once(state, "status")
    if as_json:
        emit_json(document)
        return
    console = Console()
    if console.is_terminal:
        console.print(status_table(document, console.width))
    else:
        click.echo(plain_table(document, PLAIN_WIDTH))


@click.command()
@click.option("--percent", type=click.IntRange(1, 100),
              help="The level that this share of the cluster cards has reached (default 100).")
@click.option("--at", "at", type=click.IntRange(0), metavar="LEVEL",
              help="The percent of the cluster cards that have reached LEVEL.")
@state_option
@json_option
def level(percent, at, state, as_json):
    """Show which database level the cluster cards have reached."""
    if percent is not None and at is not None:
        raise ToolError("--percent and --at exclude each other; give one", WRONG_ARGUMENTS)
    answer = ask_once(state, "level", percent=percent, at=at)
    if as_json:
        emit_json(answer)
        return
    if at is not None:
        click.echo("{percent} % of the cluster cards have reached level {level}".format(**answer))
    elif answer["level"] is None:
        click.echo("no level is reached by {percent} % of the cluster cards".format(**answer))
    else:
        click.echo("{percent} % of the cluster cards have reached level {level}; committed is "
                   "{committed}".format(**answer))
    for exception in answer["exceptions"]:
        click.echo("  except slot {slot}: {reason}".format(**exception))


@click.command()
@click.argument("uri")
@click.option("--method", default="INVITE", show_default=True, help="SIP method.")
@click.option("--slot", type=click.IntRange(1, 30), help="Ask this cluster card.")
@state_option
@json_option
def whereto(uri, method, slot, state, as_json):
    """Tell where a request to URI would go, without sending anything."""
    answer = ask_once(state, "whereto", method=method.upper(), uri=uri, slot=slot)
    if as_json:
        emit_json(answer)
        return
    key = answer.get("record")
    if key:
        answer["record"] = "{} {}".format(RECORD_KINDS.get(key[0], "key"), key[1:])
    names = [name for name in WHERETO_ORDER if name in answer]
    for name in names + sorted(set(answer) - set(names)):
        click.echo("{:<10}{}".format(name, _words(answer[name])))


def _words(value):
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value) or "-"
    if isinstance(value, dict):
        return " ".join("{}={}".format(name, _words(value[name])) for name in sorted(value))
    return str(value)
