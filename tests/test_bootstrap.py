"""The scripts that make runs before anything is installed, and the summing up of make test."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def fetch():
    return runpy.run_path(str(ROOT / "host_tools" / "bootstrap" / "fetch_micropython.py"))


@pytest.fixture
def suites():
    return runpy.run_path(str(ROOT / "tests" / "tools" / "run_suites.py"))


def test_stanzas_of_a_deb822_file(fetch):
    text = (
        "# a comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian\n"
        "Suites: bookworm\n bookworm-updates\nSigned-By: /usr/share/keyrings/a.gpg\n\n"
        "Types: deb\nURIs: http://other.example/\nSuites: stable\n")
    first, second = fetch["deb822_stanzas"](text)
    assert first["suites"].split() == ["bookworm", "bookworm-updates"]
    assert first["uris"] == "http://mirror.example/debian"
    assert first["signed-by"] == "/usr/share/keyrings/a.gpg"
    assert second["suites"] == "stable" and "signed-by" not in second


@pytest.mark.parametrize("line, expected", [
    ("deb http://mirror.example/debian bookworm main contrib",
     {"types": "deb", "uris": "http://mirror.example/debian", "suites": "bookworm",
      "components": "main contrib"}),
    ("deb [arch=amd64 signed-by=/k.gpg] http://m.example/ bookworm main",
     {"types": "deb", "arch": "amd64", "signed-by": "/k.gpg", "uris": "http://m.example/",
      "suites": "bookworm", "components": "main"}),
    ("deb [ signed-by=/k.gpg ] http://m.example/ bookworm main",
     {"types": "deb", "signed-by": "/k.gpg", "uris": "http://m.example/", "suites": "bookworm",
      "components": "main"}),
    ("deb-src http://mirror.example/debian bookworm main", None),
    ("# deb http://mirror.example/debian bookworm main", None),
    ("", None),
])  # fmt: skip
def test_a_line_of_sources_list(fetch, line, expected):
    assert fetch["one_line_stanza"](line) == expected


def test_an_interpreter_that_is_none_is_not_usable(fetch):
    assert not fetch["is_usable"]("/bin/true")
    assert not fetch["is_usable"]("/nowhere/micropython")


def test_a_skip_is_told_and_fails_only_in_ci(suites, monkeypatch, capsys):
    outcomes = {"peers": suites["Outcome"](passed=3, skips=["sipp is not installed"])}
    monkeypatch.setenv("CI", "false")
    assert suites["sum_up"](outcomes) == 0
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last == ["SKIPPED peers: sipp is not installed", "3 passed, 0 failed"]
    monkeypatch.setenv("CI", "true")
    assert suites["sum_up"](outcomes) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 1 failed"


def test_a_failure_fails(suites, monkeypatch):
    monkeypatch.setenv("CI", "false")
    assert suites["sum_up"]({"c": suites["Outcome"](passed=1, failed=1)}) == 1


@pytest.mark.parametrize("body, passed, failed, skips", [
    ("def test_a(): pass", 1, 0, 0),
    ("def test_a(): assert 0", 0, 1, 0),
    ("import pytest\ndef test_a(): pytest.skip('why')", 0, 0, 1),
    ("import nothing_of_this_name", 0, 1, 0),
])  # fmt: skip
def test_a_report_of_pytest_is_read(suites, tmp_path, body, passed, failed, skips):
    source, report = tmp_path / "test_it.py", tmp_path / "report.xml"
    source.write_text(body)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", str(source)]
    code = subprocess.run(command, capture_output=True).returncode
    outcome = suites["read_report"](report, code)
    assert (outcome.passed, outcome.failed, len(outcome.skips)) == (passed, failed, skips)
