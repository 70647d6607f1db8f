"""`chassis insert` and `chassis extract`: hot swap of one card."""

import click

from host_tools.control import ask_once
from host_tools.errors import ToolError
from host_tools.verbs.common import emit_json, json_option, state_option

MARGIN_S = 20


@click.command(short_help="Put a card into SLOT and power it on.")
@click.argument("slot", type=click.IntRange(1, 30))
@click.option("--wait", "seconds", type=click.IntRange(0), default=30, show_default=True,
              metavar="SECONDS", help="Wait until the card is in service; 0 does not wait.")
@state_option
@json_option
def insert(slot, seconds, state, as_json):
    """Put a card into SLOT and power it on, on the flash folder it had."""
    answer = ask_once(state, "insert", seconds + MARGIN_S, slot=slot, seconds=seconds)
    if answer["missing"]:
        raise ToolError("the card is in, but not ready within {} s: {}; see {}".format(
            seconds, "; ".join(answer["missing"]), state.flash(slot) / "log.txt"))
    if as_json:
        emit_json({"slot": slot, "pid": answer["pid"], "in_service": bool(seconds)})
    else:
        click.echo("slot {}: {}".format(slot, "in service" if seconds else "powered on"))


@click.command()
@click.argument("slot", type=click.IntRange(1, 30))
@click.option("--now", is_flag=True, help="Pull the card as a hand would (SIGKILL).")
@click.option("--drain-seconds", "seconds", type=click.IntRange(0), default=10, show_default=True,
              help="How long the card may drain.")
@state_option
@json_option
def extract(slot, now, seconds, state, as_json):
    """Take the card out of SLOT; it drains first unless --now."""
    answer = ask_once(state, "extract", seconds + MARGIN_S, slot=slot, now=now, seconds=seconds)
    if as_json:
        emit_json({"slot": slot, "drained": answer["drained"]})
    elif now:
        click.echo("slot {}: pulled".format(slot))
    else:
        click.echo("slot {}: {}, taken out".format(
            slot, "drained" if answer["drained"] else "not drained in time"))
