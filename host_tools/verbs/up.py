"""`chassis up` and `chassis down`."""

import time

import click

from host_tools.chassis_file import read_chassis_file
from host_tools.control import ask_once
from host_tools.description import DEMO_FILE
from host_tools.errors import ToolError
from host_tools.power import power_up_detached, power_up_foreground
from host_tools.verbs.common import emit_json, json_option, state_option

DOWN_TIMEOUT_S = 30


@click.command(short_help="Power on every card (default: the demo chassis).")
@click.argument("chassis_file", required=False, metavar="[CHASSIS.toml]",
                type=click.Path(dir_okay=False, readable=False))
@state_option
@click.option("--detach", is_flag=True,
              help="Return when every card is in service, leaving the chassis running.")
@click.option("--wait", "seconds", type=click.IntRange(1), default=30, show_default=True,
              metavar="SECONDS", help="How long the cards may take.")
@click.option("--demo", type=click.IntRange(0, 1000), default=0, metavar="N",
              help="Provision N demo subscribers and tell how to place a call.")
def up(chassis_file, state, detach, seconds, demo):
    """Power on every card of CHASSIS.toml (default: the demo chassis)."""
    description = read_chassis_file(chassis_file or DEMO_FILE)
    start = power_up_detached if detach else power_up_foreground
    start(description, state, seconds, demo)


@click.command()
@state_option
@json_option
def down(state, as_json):
    """Power off every card and end the chassis."""
    pid = state.running()["pid"]
    ask_once(state, "down")
    end = time.monotonic() + DOWN_TIMEOUT_S
    while state.in_use():
        if time.monotonic() > end:
            raise ToolError("the chassis in {} (pid {}) has not ended within {} s".format(
                state.path, pid, DOWN_TIMEOUT_S))
        time.sleep(0.02)
    if as_json:
        emit_json({"down": True})
    else:
        click.echo("chassis down")
