"""`chassis console`: the serial console of a card."""

import click

from host_tools.errors import NOTHING_ANSWERS, WRONG_ARGUMENTS, ToolError
from host_tools.serial_console import SerialConsole, attach_terminal
from host_tools.verbs.common import emit_json, json_option, state_option


@click.command()
@click.argument("slot", required=False, type=click.IntRange(1, 30))
@click.option("--port", metavar="DEV", help="A serial port instead of a slot.")
@click.option("--command", metavar="CMD", help="Run one command, print its answer and end.")
@click.option("--timeout", "timeout_s", default=30, show_default=True, type=click.IntRange(1),
              help="Seconds to wait for the answer of --command.")
@state_option
@json_option
def console(slot, port, command, timeout_s, state, as_json):
    """Attach to the console of the card in SLOT (Ctrl-] leaves).

    With --command the exit code is 1 when the card refuses the command.
    """
    if (slot is None) == (port is None):
        raise ToolError("name either a slot or --port DEV", WRONG_ARGUMENTS)
    with SerialConsole(port or slot_console(state, slot)) as line:
        if command is None:
            attach_terminal(line)
            return 0
        code, answer = line.run(command, timeout_s)
    if as_json:
        emit_json({"status": code, "text": answer})
    else:
        click.echo(answer)
    return code


def slot_console(state, number):
    """The serial port of the card in a slot of the running chassis."""
    slots = state.running()["slots"]
    for slot in slots:
        if slot["slot"] != number:
            continue
        if slot["pid"] is None:
            raise ToolError("slot {} holds no card; `chassis insert {}` puts one in".format(
                number, number), NOTHING_ANSWERS)
        return slot["console"]
    raise ToolError("there is no slot {}; the slots are {}".format(
        number, ", ".join(str(slot["slot"]) for slot in slots)), WRONG_ARGUMENTS)
