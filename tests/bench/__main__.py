"""`make bench`: run the parts, print a table of ratios, write bench.json.

Usage: python -m tests.bench [--only PART]... [--rounds N] [--json FILE]
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

PARTS = ("redirect", "updates", "lookup")
MEASURES = {
    "cpu_us": "processor µs an answer",
    "per_second": "answers/s",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
    "single_per_second": "updates/s, one a packet",
    "full_per_second": "updates/s, full packets",
    "ns": "ns a lookup",
}


def show(console, part, samples):
    """Print one part: medians, the spread over the rounds, and our ratios to each subject."""
    table = Table(title=part, title_justify="left")
    for heading in ("subject", "measure", "median", "least to most", "ours is"):
        table.add_column(heading, justify="left" if heading in ("subject", "measure") else "right")
    for subject, measure, middle, least, most, ratios in samples.rows():
        beside = "\n".join(
            f"{ratio:.2f} x" + (f" ({own})" if len(samples.ours) > 1 else "")
            for own, ratio in ratios.items())
        table.add_row(subject, MEASURES[measure], f"{middle:,.1f}",
                      f"{least:,.1f} to {most:,.1f}", beside)
    console.print(table)
    for subject, reason in samples.skipped.items():
        console.print(f"SKIPPED {part}: {subject}: {reason}")


def machine():
    """What the absolute figures belong to."""
    return {"processors": os.cpu_count(), "machine": platform.machine(),
            "python": platform.python_version(), "kernel": platform.release()}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    results = {"machine": machine(), "rounds": options.rounds, "parts": {}}
    skipped = False
    for part in options.only or PARTS:
        start = time.monotonic()
        samples = importlib.import_module(f"tests.bench.{part}").run(options.rounds)
        show(console, f"{part} ({time.monotonic() - start:.0f} s)", samples)
        results["parts"][part] = samples.as_json()
        skipped = skipped or bool(samples.skipped)
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    console.print(f"every sample is in {options.json}")
    return 1 if skipped and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
