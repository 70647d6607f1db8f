"""The verb `chassis sipload`: runs the generator in C and shows what it measured."""

import json
import os
import subprocess
from pathlib import Path

import click

from host_tools.errors import FAILED, NOT_PERMITTED, NOTHING_ANSWERS, WRONG_ARGUMENTS, ToolError

BINARY = Path(__file__).resolve().parents[2] / "build" / "sipload"
SCENARIOS = ("redirect", "proxy", "register")
METHODS = ("OPTIONS", "INVITE", "MESSAGE")
LOOPBACK = "127."


def binary_path():
    """The generator: SIPLOAD_BINARY, else the one `make setup` builds. Raises ToolError."""
    path = Path(os.environ.get("SIPLOAD_BINARY", BINARY))
    if not path.exists():
        raise ToolError(f"the load generator is not built at {path}; run `make setup`")
    return path


def build_arguments(target, aors, **settings):
    """The generator's command line; settings whose value is None or False are left out."""
    command = [str(binary_path()), target, "--aors", str(aors)]
    for name, value in settings.items():
        if value is True:
            command.append("--" + name)
        elif value is not None and value is not False:
            command += ["--" + name, str(value)]
    return command


def run_sipload(target, aors, **settings):
    """Run the generator to its end and return its report, a dict. Raises ToolError.

    target: "HOST:PORT".  aors: path of the AoR file.  settings: the generator's long options
    (scenario, method, rate, window, seconds, warm, timeout, bind, callee, cpu, pids, anywhere).
    """
    command = build_arguments(target, aors, **settings)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, FAILED):
        sentence = done.stderr.strip().removeprefix("sipload: ") or "the generator broke off"
        raise ToolError(sentence, WRONG_ARGUMENTS)
    return json.loads(done.stdout) | {"complaints": done.stderr.strip()}


def show(report):
    """Print a report for people."""
    click.echo(
        "{offered} offered, {answered} answered, {wrong} wrong, {lost} lost\n"
        "{per_second:.0f} answers a second; p50 {p50_us:.0f} us, p99 {p99_us:.0f} us, "
        "p99.9 {p99_9_us:.0f} us".format(**report))
    if report["generator_busy"] > 0.95:
        click.echo("the generator itself was the limit", err=True)


def exit_code(report):
    """0 when every request got its right answer, 3 when none was answered at all, else 1."""
    if report["answered"] == 0 and report["wrong"] == 0:
        return NOTHING_ANSWERS
    return FAILED if report["wrong"] or report["lost"] else 0


@click.command("sipload")
@click.argument("target", metavar="HOST:PORT")
@click.option("--scenario", type=click.Choice(SCENARIOS), default="redirect", show_default=True)
@click.option("--method", type=click.Choice(METHODS), default="OPTIONS", show_default=True,
              help="What a redirect or proxy load sends.")
@click.option("--aors", required=True, type=click.Path(exists=True, dir_okay=False),
              help="CSV: aor[,contact[,password]].")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True),
              help="Exchanges begun a second, whatever the target does.")
@click.option("--window", type=click.IntRange(1, 65536), default=64, show_default=True,
              help="Exchanges kept under way when there is no --rate.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=5.0,
              show_default=True, help="Measured time, after half a second of warming up.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=2.0,
              show_default=True, help="Seconds after which an exchange counts as lost.")
@click.option("--callee", metavar="HOST:PORT", help="Where sipload answers calls that it proxies.")
@click.option("--bind", default="127.0.0.1:0", metavar="HOST:PORT", help="Where it sends from.")
@click.option("--anywhere", is_flag=True, help="Permit a target outside loopback.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def sipload_command(context, target, aors, as_json, **settings):
    """Load HOST:PORT with SIP over UDP and check every answer."""
    if not target.startswith(LOOPBACK) and not settings["anywhere"]:
        raise ToolError(
            f"{target} is not on loopback; add --anywhere if that network is yours to load",
            NOT_PERMITTED)
    report = run_sipload(target, aors, **settings)
    complaints = report.pop("complaints")
    report = {"target": target, "scenario": settings["scenario"], **report}
    if complaints:
        click.echo(complaints, err=True)
    if as_json:
        click.echo(json.dumps(report))
    else:
        show(report)
    context.exit(exit_code(report))
