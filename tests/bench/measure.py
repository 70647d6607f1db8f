"""What all benchmarks share: processors, C programs, samples by round, and the table of ratios."""

import os
import shutil
import socket
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "bench"
C_FLAGS = "-std=c99 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -pedantic -Wconversion".split()
PROCESSORS = sorted(os.sched_getaffinity(0))
GENERATOR_CPU = PROCESSORS[0]
TARGET_CPU = PROCESSORS[-1]


class Skipped(Exception):
    """A subject that cannot be measured here; the text says why."""


class Samples:
    """Figures of one part: subject -> measure -> one figure a round."""

    def __init__(self, ours):
        """ours: names of the subjects that are this project's."""
        self.ours = ours
        self.rounds = {}
        self.skipped = {}

    def add(self, subject, **figures):
        """Keep what one round gave for `subject`."""
        for measure, figure in figures.items():
            self.rounds.setdefault(subject, {}).setdefault(measure, []).append(figure)

    def skip(self, subject, reason):
        """Note that `subject` could not be measured."""
        self.skipped[subject] = reason

    def ratio(self, subject, other, measure):
        """Median over the rounds of subject / other, taken within each round."""
        pairs = zip(self.rounds[subject][measure], self.rounds[other][measure])
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def rows(self):
        """Yield (subject, measure, median, least, most, {our subject: our ratio to it})."""
        for subject, measures in self.rounds.items():
            for measure, figures in measures.items():
                ratios = {
                    own: self.ratio(own, subject, measure)
                    for own in self.ours
                    if subject not in self.ours and measure in self.rounds.get(own, {})
                }
                middle = statistics.median(figures)
                yield subject, measure, middle, min(figures), max(figures), ratios

    def as_json(self):
        """The samples, the medians and the ratios as plain data."""
        medians = [
            {"subject": subject, "measure": measure, "median": middle, "ratios": ratios}
            for subject, measure, middle, _, _, ratios in self.rows()
        ]
        return {"medians": medians, "samples": self.rounds, "skipped": self.skipped}


def compile_c(name, *sources, include=None):
    """Build tests/bench/NAME.c with `sources` and return the program's path."""
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    options = ["-I", str(include)] if include else []
    files = [str(HERE / f"{name}.c"), *map(str, sources)]
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, *C_FLAGS, *options, "-o", str(program), *files], check=True)
    return program


def need_command(name):
    """The path of an installed program, also from the system folders. Raises Skipped."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Skipped(f"{name} is not installed")
    return found


def free_port():
    """A port of loopback that no UDP or TCP socket uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", port))
        return port


def start(command, cpu=TARGET_CPU, **options):
    """Start a process bound to one processor."""
    return subprocess.Popen(
        [str(word) for word in command],
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}), **options)


def stop(process):
    """End a process that start() began, and wait for it."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def pids_below(pid):
    """`pid` and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [each for child in children for each in pids_below(int(child))]
