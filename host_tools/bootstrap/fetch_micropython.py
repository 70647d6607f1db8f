"""Put MicroPython's unix port at `build/micropython/micropython`, without root.

Usage: python3 host_tools/bootstrap/fetch_micropython.py [--optional]
Takes the system's own interpreter when it is new enough. Else, on Debian, downloads the packages
of a suite that has it through a private apt configuration made from the system's own Debian
source, and unpacks them beside the project: nothing is installed. With --optional it is no error
when that cannot be done: cards then run on CPython. Standard library only.
"""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "micropython"
WRAPPER = HOME / "micropython"
OLDEST = (1, 25)
SUITE = "trixie"  # the oldest Debian suite whose unix port is new enough
# the interpreter and the libraries it loads: it must not meet the system's older libc
PACKAGES = ("micropython", "libc6", "libffi8", "libmbedcrypto16", "libmbedtls21", "libmbedx509-7")
TIMEOUT_S = 240


class Unavailable(Exception):
    """MicroPython cannot be had here; the text says why."""


def version(command):
    """The (major, minor) that the interpreter `command` reports, or None when it does not run."""
    program = "import sys; print(*sys.implementation[1][:2])"
    try:
        found = subprocess.run([command, "-c", program], capture_output=True, timeout=20)
    except OSError:
        return None
    words = found.stdout.split()
    return (int(words[0]), int(words[1])) if found.returncode == 0 and len(words) == 2 else None


def is_usable(command):
    """Whether `command` is a MicroPython of at least OLDEST."""
    found = version(command)
    return found is not None and found >= OLDEST


def write_wrapper(body):
    """Write the shell script that stands for the interpreter, whole or not at all."""
    fresh = HOME / "micropython.new"
    fresh.write_text("#!/bin/sh\n" + body)
    fresh.chmod(0o755)
    fresh.replace(WRAPPER)


def deb822_stanzas(text):
    """The stanzas of a deb822 source file as dicts of lower-case field name to value."""
    for block in text.split("\n\n"):
        stanza = {}
        field = None
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace() and field:
                stanza[field] += "\n" + line
            elif ":" in line:
                field, _, value = line.partition(":")
                field = field.strip().lower()
                stanza[field] = value.strip()
        if stanza:
            yield stanza


def one_line_stanza(line):
    """A `deb [options] uri suite component...` line as the dict of its stanza, or None."""
    words = line.split()
    if len(words) < 4 or words[0] != "deb":
        return None
    stanza = {"types": "deb"}
    if words[1].startswith("["):
        end = next(i for i, word in enumerate(words) if word.endswith("]"))
        for option in " ".join(words[1 : end + 1]).strip("[]").split():
            name, _, value = option.partition("=")
            stanza[name.lower()] = value
        words = words[:1] + words[end + 1 :]
    stanza.update(uris=words[1], suites=words[2], components=" ".join(words[3:]))
    return stanza


def system_stanzas():
    """Every package source of this system."""
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        yield from deb822_stanzas(Path(path).read_text())
    lists = ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*.list"))]
    for path in filter(os.path.exists, lists):
        yield from filter(None, map(one_line_stanza, Path(path).read_text().splitlines()))


def debian_stanza():
    """The system's source of its own Debian suite; raises Unavailable when there is none."""
    words = Path("/etc/os-release").read_text().splitlines()
    release = dict(word.split("=", 1) for word in words if "=" in word)
    if release.get("ID", "").strip('"') != "debian":
        raise Unavailable(f"this system is not Debian, whose {SUITE} suite has the package")
    codename = release.get("VERSION_CODENAME", "").strip('"')
    for stanza in system_stanzas():
        if codename in stanza.get("suites", "").split() and "deb" in stanza.get("types", ""):
            return stanza
    raise Unavailable(f"no package source of this system names the suite {codename}")


def apt_options():
    """Options that keep apt inside HOME: its sources, lists and cache are ours alone."""
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": HOME / "parts",
        "Dir::State::lists": HOME / "lists",
        "Dir::Cache": HOME / "cache",
        "APT::Sandbox::User": "root",  # the checkout may be closed to apt's own user
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def run_apt(*words):
    """Run apt-get inside HOME; raises Unavailable with its last words when it fails."""
    command = ["apt-get", "-q", *apt_options(), *words]
    try:
        done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=TIMEOUT_S)
    except FileNotFoundError:
        raise Unavailable("this system has no apt-get") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"apt-get {words[0]} gave no answer in {TIMEOUT_S} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unavailable(f"apt-get {words[0]} failed: {last}")


def fetch():
    """Download and unpack PACKAGES and write the wrapper that runs them by their own loader."""
    stanza = debian_stanza()
    for folder in ("parts", "lists/partial", "cache/archives/partial", "sys"):
        (HOME / folder).mkdir(parents=True, exist_ok=True)
    kept = {"Types": "deb", "URIs": stanza["uris"], "Suites": SUITE, "Components": "main"}
    if "signed-by" in stanza:
        kept["Signed-By"] = stanza["signed-by"]
    lines = "".join(f"{name}: {value}\n" for name, value in kept.items())
    (HOME / "parts" / "suite.sources").write_text(lines)
    run_apt("update")
    run_apt("download", *(f"{name}/{SUITE}" for name in PACKAGES))
    for package in HOME.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(HOME / "sys")], check=True)
        package.unlink()
    for folder in ("lists", "cache"):
        shutil.rmtree(HOME / folder)
    loader = next((HOME / "sys").glob("usr/lib*/ld-linux*.so.*")).relative_to(HOME)
    library = next((HOME / "sys").glob("usr/lib/*-linux-gnu*/libc.so.6"))
    libraries = library.parent.relative_to(HOME)
    write_wrapper(
        'H="$(dirname "$(readlink -f "$0")")"\n'
        f'exec "$H/{loader}" --library-path "$H/{libraries}" "$H/sys/usr/bin/micropython" "$@"\n'
    )


def provide():
    """Make WRAPPER a usable interpreter; raises Unavailable when that cannot be."""
    if WRAPPER.exists() and is_usable(WRAPPER):
        return
    HOME.mkdir(parents=True, exist_ok=True)
    system = shutil.which("micropython")
    if system and is_usable(system):
        write_wrapper(f'exec {system} "$@"\n')
        return
    fetch()
    if not is_usable(WRAPPER):
        WRAPPER.unlink()
        raise Unavailable("the interpreter was unpacked but does not run here")


def main():
    try:
        provide()
    except Unavailable as reason:
        consequence = "cards run on CPython instead"
        print(f"setup: no MicroPython 1.25 or newer: {reason}; {consequence}.", file=sys.stderr)
        sys.exit(0 if "--optional" in sys.argv else 1)


if __name__ == "__main__":
    main()
