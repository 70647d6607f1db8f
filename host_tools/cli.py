"""The `chassis` command: collects the verbs, turns every failure into one sentence and a code."""

import os
import sys

import click

from firmware.version import VERSION
from host_tools.errors import FAILED, WRONG_ARGUMENTS, ToolError, os_failure
from host_tools.verbs.bus import bus
from host_tools.verbs.console import console
from host_tools.verbs.hot_swap import extract, insert
from host_tools.verbs.looking import level, status, whereto
from host_tools.verbs.monitor import monitor
from host_tools.verbs.provision import provision
from host_tools.verbs.transfer import dump, export_database, import_file
from host_tools.verbs.up import down, up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="chassis")
def cli():
    """A SIP signalling router in a chassis: run it, look at it, provision it.

    Exit codes: 0 done, 1 tried and failed, 2 wrong arguments, 3 nothing answers, 4 not permitted.
    """


provision.add_command(import_file)
provision.add_command(export_database)
for _verb in (up, down, status, level, insert, extract, provision, dump, whereto, console,
              monitor, bus):
    cli.add_command(_verb)


def _add_sipload():
    """The load generator is a part of its own that an installation may leave out."""
    try:
        from host_tools.sipload.command import sipload_command
    except ModuleNotFoundError:
        return
    cli.add_command(sipload_command, "sipload")


_add_sipload()


def run(arguments=None):
    """Run one verb; its exit code."""
    try:
        outcome = cli.main(arguments, prog_name="chassis", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        return WRONG_ARGUMENTS
    except click.UsageError as error:
        place = error.ctx.command_path if error.ctx else "chassis"
        click.echo("{}: {} See `{} --help`.".format(place, error.format_message(), place),
                   err=True)
        return WRONG_ARGUMENTS
    except ToolError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo("chassis: " + error.format_message(), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("chassis: interrupted", err=True)
        return FAILED
    except BrokenPipeError:
        # whoever read our output has seen enough; keep the interpreter's last flush quiet
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        failure = os_failure(error, "working on {}".format(error.filename or "a file"))
        failure.show()
        return failure.exit_code


def main():
    """Entry point of the command."""
    sys.exit(run())
