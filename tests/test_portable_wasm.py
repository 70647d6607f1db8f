"""The suite portable-wasm: what its fetcher refuses and its runner finds."""

import runpy
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUNNER = Path("tests/tools/portable_wasm.mjs")
INTERPRETER = Path("build/micropython-wasm")


@pytest.fixture
def fetch():
    return runpy.run_path(str(ROOT / "host_tools" / "bootstrap" / "fetch_micropython_wasm.py"))


@pytest.fixture
def suites():
    return runpy.run_path(str(ROOT / "tests" / "tools" / "run_suites.py"))


def test_a_package_of_other_octets_is_refused(fetch, tmp_path):
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name in fetch["FILES"]:
            (tmp_path / name).write_bytes(b"other octets")
            archive.add(tmp_path / name, f"package/{name}")
    with pytest.raises(fetch["Unavailable"], match="other octets"):
        fetch["unpack"](package, tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_without_node_it_is_left_out(suites, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert suites["wasm_lacks"]() == "node is not installed"


def test_what_is_left_out_is_told_and_fails_not_even_in_ci(suites, monkeypatch, capsys):
    outcomes = {"c": suites["Outcome"](passed=3)}
    monkeypatch.setenv("CI", "true")
    assert suites["sum_up"](outcomes, [("portable-wasm", "node is not installed")]) == 0
    told, closing = capsys.readouterr().out.splitlines()[-2:]
    assert told.startswith("SKIPPED portable-wasm: node is not installed")
    assert closing == "3 passed, 0 failed"


def run_tree(folder, **tests):
    """Run the runner over a checkout in `folder` with only these test files; (code, output)."""
    portable = folder / "tests" / "portable"
    for name in ("bus", "firmware", "boards", "build", "tests/tools", "tests/vectors"):
        (folder / name).mkdir(parents=True)
    portable.mkdir()
    shutil.copy(ROOT / RUNNER, folder / RUNNER)
    shutil.copy(ROOT / "tests" / "portable" / "run.py", portable)
    (folder / INTERPRETER).symlink_to(ROOT / INTERPRETER)
    for name, text in tests.items():
        (portable / f"{name}.py").write_text(text)
    command = ["node", folder / RUNNER, *(f"{name}.py" for name in tests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


if shutil.which("node") and (ROOT / INTERPRETER).exists():

    def test_the_runner_passes_what_passes(tmp_path):
        code, said = run_tree(tmp_path, test_a="def test_a(): pass\ndef test_b(): pass\n")
        assert (code, said.splitlines()[-1]) == (0, "2 passed, 0 failed")

    @pytest.mark.parametrize("text, closing, reason", [
        ("def test_a(): assert 0\ndef test_b(): pass\n", "1 passed, 1 failed", "AssertionError"),
        ("def test_a():\n    raise SystemExit(0)\n", "0 passed, 1 failed", "SystemExit"),
        ("import nothing_of_this_name\n", "0 passed, 1 failed", "nothing_of_this_name"),
        ("def test_a(: pass\n", "0 passed, 1 failed", "SyntaxError"),
        # only 32-bit interpreters fail this one
        ("def test_a(): assert [n for n in range(1 << 31, (1 << 31) + 1)]\n",
         "0 passed, 1 failed", "OverflowError"),
        ("X = 1\n", "0 passed, 0 failed", ""),
    ])  # fmt: skip
    def test_the_runner_fails_what_fails(tmp_path, text, closing, reason):
        code, said = run_tree(tmp_path, test_a=text)
        assert (code, said.splitlines()[-1]) == (1, closing)
        assert reason in said

    def test_a_cluster_card_fits_a_heap_of_one_megabyte():
        """With room for the garbage of six calls between two collections."""
        command = ["node", RUNNER, "--script", "tests/tools/card_heap.py"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        word, total = done.stdout.splitlines()[-1].split()
        assert word == "total" and 200_000 < int(total) < 640 * 1024, done.stdout
