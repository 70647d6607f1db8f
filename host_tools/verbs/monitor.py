"""`chassis monitor`: the status as a live table."""

import time

import click
from rich.console import Console
from rich.live import Live

from host_tools.control import Control
from host_tools.tables import plain_table, status_table
from host_tools.verbs.common import emit_json, json_option, state_option
from host_tools.verbs.looking import PLAIN_WIDTH


@click.command(short_help="Watch the chassis until Ctrl-C: the status as a live table.")
@click.option("--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True,
              help="Seconds between two looks.")
@click.option("--count", type=click.IntRange(1), help="End after this many looks.")
@state_option
@json_option
def monitor(interval, count, state, as_json):
    """Watch the chassis until Ctrl-C; plain tables, one after another, off a terminal.

    --json prints one status document and ends.
    """
    with Control(state) as control:
        if as_json:
            emit_json(control.ask("status"))
            return
        console = Console()
        try:
            if console.is_terminal:
                _live(control, console, interval, count)
            else:
                _plain(control, interval, count)
        except KeyboardInterrupt:
            return


def _looks(control, interval, count):
    done = 0
    while count is None or done < count:
        if done:
            time.sleep(interval)
        done += 1
        yield control.ask("status")


def _live(control, console, interval, count):
    with Live(console=console, auto_refresh=False) as live:
        for document in _looks(control, interval, count):
            live.update(status_table(document, console.width), refresh=True)


def _plain(control, interval, count):
    for document in _looks(control, interval, count):
        click.echo(plain_table(document, PLAIN_WIDTH))
