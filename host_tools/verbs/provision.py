"""`chassis provision`: single changes and questions at the door of the location server."""

import re
import sys
import time

import click

from host_tools.credentials import ha1_of
from host_tools.door import open_door
from host_tools.errors import WRONG_ARGUMENTS, ToolError
from host_tools.records_file import binding_record, canonical_aor, checked_contact
from host_tools.verbs.common import (
    emit_json, finish_change, json_option, state_option, wait_option)

_NUMBER = re.compile(r"^\+?[0-9]{1,15}$")


@click.group()
def provision():
    """Change and read the location database."""


def _argument(function, *values):
    """function(*values), its ValueError as wrong arguments."""
    try:
        return function(*values)
    except ValueError as error:
        raise ToolError(str(error), WRONG_ARGUMENTS) from None


def _change(state, wait, wait_seconds, as_json, words, op, **fields):
    begun = time.monotonic()
    with open_door(state) as door:
        answer = door.ask(op, **fields)
    finish_change(state, answer, begun, wait, wait_seconds, as_json, words)


@provision.command()
@click.argument("aor")
@click.argument("contact")
@click.option("--q", default="", metavar="Q", help="Preference, 0 to 1 (default 1).")
@click.option("--expires", default="", metavar="S", help="Seconds to live (default: for ever).")
@wait_option
@state_option
@json_option
def add(aor, contact, q, expires, wait, wait_seconds, state, as_json):
    """Add the binding AOR -> CONTACT, or replace it."""
    record = _argument(binding_record, aor, contact, q, expires)
    _change(state, wait, wait_seconds, as_json, "added", "add", **record)


@provision.command()
@click.argument("aor")
@click.argument("contact", required=False)
@wait_option
@state_option
@json_option
def remove(aor, contact, wait, wait_seconds, state, as_json):
    """Remove AOR, or its one binding to CONTACT."""
    fields = {"aor": _argument(canonical_aor, aor)}
    if contact is not None:
        fields["contact"] = _argument(checked_contact, contact)
    _change(state, wait, wait_seconds, as_json, "removed", "remove", **fields)


@provision.command()
@click.argument("aor")
@state_option
@json_option
def show(aor, state, as_json):
    """Show what the location server holds of AOR."""
    name = _argument(canonical_aor, aor)
    with open_door(state) as door:
        answer = door.ask("show", aor=name)
    record = answer.get("record")
    if record is None:
        raise ToolError("{} has no contact at level {}: no phone is registered, none was "
                        "provisioned".format(name, answer["level"]))
    if as_json:
        emit_json({"level": answer["level"], "record": record})
        return
    click.echo("{} at level {}".format(name, answer["level"]))
    for binding in record["bindings"]:
        rest = " ".join("{}={}".format(key, binding[key])
                        for key in sorted(binding) if key != "contact")
        click.echo("  {} {}".format(binding["contact"], rest).rstrip())


@provision.command()
@state_option
@json_option
def count(state, as_json):
    """Count the records of the location database."""
    with open_door(state) as door:
        answer = door.ask("count")
    document = {name: value for name, value in answer.items() if name != "ok"}
    if as_json:
        emit_json(document)
        return
    for name in sorted(document):
        click.echo("{}: {}".format(name, document[name]))


@provision.group()
def subscriber():
    """Subscribers: who may register."""


@subscriber.command("add", short_help="Let USER@DOMAIN register with a password.")
@click.argument("user", metavar="USER@DOMAIN")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@wait_option
@state_option
@json_option
def subscriber_add(user, password_stdin, wait, wait_seconds, state, as_json):
    """Let USER@DOMAIN register with a password; only its hashes leave this command."""
    user = _argument(canonical_aor, user)
    domain = user.rpartition("@")[2]
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise ToolError("no terminal to ask for the password; give it with --password-stdin",
                        WRONG_ARGUMENTS)
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not password:
        raise ToolError("the password is empty; give one", WRONG_ARGUMENTS)
    _change(state, wait, wait_seconds, as_json, "subscriber {} set".format(user), "subscriber",
            user=user, realm=domain, ha1=ha1_of(user, domain, password))


@provision.group()
def route():
    """Routes: number prefixes and domains that lead elsewhere."""


@route.command("add", short_help="Route a number prefix or a domain to a SIP URI.")
@click.argument("prefix")
@click.argument("target")
@wait_option
@state_option
@json_option
def route_add(prefix, target, wait, wait_seconds, state, as_json):
    """Route numbers that begin with PREFIX (or the domain PREFIX) to TARGET, a SIP URI."""
    target = _argument(checked_contact, target)
    if _NUMBER.match(prefix):
        fields = {"prefix": prefix.removeprefix("+")}
    elif "." in prefix and "@" not in prefix:
        fields = {"domain": prefix.lower()}
    else:
        raise ToolError("{!r} is neither a number prefix such as 4930 nor a domain such as "
                        "example.com".format(prefix), WRONG_ARGUMENTS)
    _change(state, wait, wait_seconds, as_json, "route set", "route", target=target, **fields)
