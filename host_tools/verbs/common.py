"""What the verbs share: options, the state folder, output for people and for scripts."""

import json
import time

import click

from host_tools.control import Control
from host_tools.errors import ToolError
from host_tools.levels import CardLevel, parse_wait, reached
from host_tools.state_dir import DEFAULT_STATE, STATE_VARIABLE, StateDir

WAIT_POLL_S = 0.02
DEFAULT_WAIT_S = 60


def state_option(function):
    """--state DIR, given to the verb as a StateDir `state`."""
    return click.option(
        "--state", "state", default=DEFAULT_STATE, envvar=STATE_VARIABLE, show_envvar=True,
        metavar="DIR", show_default=True, callback=lambda c, p, value: StateDir(value),
        help="State folder of the chassis.")(function)


def json_option(function):
    """--json, given to the verb as `as_json`."""
    return click.option("--json", "as_json", is_flag=True,
                        help="One JSON document on standard output.")(function)


def wait_option(function):
    """--wait coherent|PERCENT and its bound, given as `wait` (parsed) and `wait_seconds`."""
    function = click.option(
        "--wait-seconds", default=DEFAULT_WAIT_S, show_default=True,
        type=click.IntRange(1), help="How long --wait waits at most.")(function)
    return click.option(
        "--wait", "wait", metavar="coherent|PERCENT",
        callback=lambda c, p, value: parse_wait(value) if value else None,
        help="Return when that share of the cluster cards has reached the level.")(function)


def emit_json(document):
    """The one JSON document of a verb."""
    click.echo(json.dumps(document, ensure_ascii=False))


def note(text):
    """People's words while a verb works; never on standard output."""
    click.echo(text, err=True)


def wait_for_level(state, level, wanted, seconds):
    """Wait until `wanted` (parse_wait) holds at `level`; the seconds it took.

    ToolError naming the cards that are behind after `seconds`.
    """
    begun = time.monotonic()
    with Control(state) as control:
        while True:
            told = control.ask("level", at=level)
            cards = [CardLevel(**card) for card in told["cards"]]
            taken = time.monotonic() - begun
            if reached(cards, level, wanted):
                return taken
            if taken > seconds:
                behind = ", ".join("slot {} {}".format(e["slot"], e["reason"])
                                   for e in told["exceptions"])
                raise ToolError("level {} is committed, but not every card asked for reached it "
                                "within {} s: {}".format(level, seconds, behind or "no card"))
            time.sleep(WAIT_POLL_S)


def finish_change(state, answer, begun, wait, wait_seconds, as_json, words):
    """Report a committed change: its level, the time, and what --wait waited for.

    answer: the door's answer with `level`.  begun: time.monotonic() before the question.
    """
    seconds = time.monotonic() - begun
    document = {"level": answer["level"], "seconds": round(seconds, 4)}
    text = "{} at level {} in {:.3f} s".format(words, answer["level"], seconds)
    if wait is not None:
        waited = wait_for_level(state, answer["level"], wait, wait_seconds)
        document["waited_seconds"] = round(waited, 4)
        text += "; {} after another {:.3f} s".format(wait_words(wait), waited)
    if as_json:
        emit_json(document)
    else:
        click.echo(text)


def wait_words(wait):
    """What --wait has seen, for people."""
    if wait == "coherent":
        return "every card coherent"
    return "{} % of the cards there".format(wait)
