"""Make `.venv` in the checkout and install the project into it, editable.

Usage: python3 host_tools/bootstrap/make_venv.py [EXTRA]   (EXTRA: an extra of pyproject.toml)
Needs the venv module with pip, or failing that a system pip that can install into another
environment. Standard library only.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
OLDEST = (3, 11)


def fail(sentence):
    """End with one sentence for people."""
    sys.exit(f"setup: {sentence}")


def pip_command():
    """The pip to install with: the environment's own, else the system's pointed at it."""
    python = str(VENV / "bin" / "python")
    if subprocess.run([python, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0:
        return [python, "-m", "pip"]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--python", python]
    return None


def create():
    """Create the environment if it is not there; without ensurepip the system's pip serves it."""
    if (VENV / "bin" / "python").exists() and pip_command():
        return
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    remedy = f"install it (on Debian and Ubuntu: apt-get install python3-venv, or {name})"
    if not importlib.util.find_spec("venv"):
        fail(f"this Python has no venv module: {remedy}, then run make again.")
    command = [sys.executable, "-m", "venv", "--clear"]
    if not importlib.util.find_spec("ensurepip"):
        command.append("--without-pip")
    if subprocess.run([*command, str(VENV)]).returncode or not pip_command():
        fail(f"could not make .venv, venv is incomplete: {remedy}, then run make again.")


def install(extra):
    """Install the project editable with its dependencies, and those of `extra` if given."""
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    quiet = ["--quiet", "--disable-pip-version-check"]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    command = [*pip_command(), "install", *quiet, "--editable", target]
    if subprocess.run(command, env=environment).returncode:
        fail("pip could not install the project; see its words above, then run make again.")


def main():
    if sys.version_info < OLDEST:
        fail("Python 3.11 or newer is needed: name one with `make PYTHON=python3.11`.")
    create()
    install(sys.argv[1] if len(sys.argv) > 1 else "")


if __name__ == "__main__":
    main()
