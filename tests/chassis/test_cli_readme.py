"""What a newcomer meets first: the README's commands and links, and what make says."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from host_tools import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^ {4}\$ (?:.*; )?(chassis .*)$", README, re.MULTILINE)))


def parsed(words):
    """The verb that these words reach; click.UsageError when they cannot be typed so."""
    command, rest = cli.cli, list(words)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    return command.make_context(command.name, rest).info_name


def test_there_are_commands():
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_can_be_typed(line):
    words = shlex.split(line.partition("|")[0], comments=True)
    assert words[0] == "chassis"
    assert parsed(words[1:])


def test_a_wrong_command_would_be_found():
    with pytest.raises(click.UsageError):
        parsed(["level", "--wait", "coherent"])


def test_links_and_files_are_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    files = re.findall(r"tests/[\w/.]+\.xml", README)
    assert len(links) > 5 and files
    for target in links + files:
        assert (ROOT / target).exists(), target


def make(*words):
    return subprocess.run(["make", "-s", *words], cwd=ROOT, capture_output=True, text=True,
                          timeout=60)


def test_make_help_lists_what_the_readme_names():
    listed = {line.split()[0] for line in make("help").stdout.splitlines()}
    assert set(re.findall(r"^ {4}make ([a-z-]+)", README, re.MULTILINE)) <= listed
    assert {"run", "test", "setup", "bench", "lint", "fuzz", "sim", "clean"} <= listed


def test_a_missing_compiler_is_one_sentence():
    # -B: as if it were not built yet; nothing is touched before the compiler is looked for
    done = make("-B", "CC=no-such-compiler", "build/sipload")
    assert done.returncode == 2
    words = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(words) == 1 and "no C compiler no-such-compiler" in words[0]
