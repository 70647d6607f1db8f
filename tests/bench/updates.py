"""Location updates that four cards take a second by RMTP, beside bare multicast, in turns."""

import json
import os
import subprocess
import sys

from tests.bench.measure import ROOT, Samples, compile_c, free_port

CARDS = 4
PACKETS = 2000
RAW_PACKETS = 100000
GROUP = "239.255.71.22"
TIMEOUT_S = 60
BUS, RAW = "IMT bus to 4 cards", "bare multicast to 4"


def start_card(role, port, slot, rows):
    """One process of update_card.py."""
    command = [sys.executable, "-m", "tests.bench.update_card", role, GROUP, port, slot, PACKETS,
               rows]
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)})


def run_bus(port, rows):
    """Updates a second until the last card has applied the last one; `rows` in each packet.

    All four must end at the sender's level with its digest. Raises RuntimeError.
    """
    slots = range(2, 2 + CARDS)
    processes = [start_card("card", port, slot, rows) for slot in slots]
    processes.append(start_card("server", port, 1, rows))
    try:
        reports = [json.loads(process.communicate(timeout=TIMEOUT_S)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    server = reports[-1]
    for report in reports[:-1]:
        if (report["level"], report["digest"]) != (PACKETS * rows, server["digest"]):
            raise RuntimeError(f"a card ended elsewhere: {report} but the sender {server}")
    seconds = max(report["end_s"] for report in reports[:-1]) - server["start_s"]
    return PACKETS * rows / seconds, server["octets"]


def run_raw(program, port, octets, rows):
    """What bare multicast carries, in updates a second, with packets of `octets`."""
    command = [program, GROUP, port, CARDS, RAW_PACKETS, octets]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=True,
                          timeout=TIMEOUT_S)
    return float(done.stdout) * rows


def run(rounds):
    """Measure with one update a packet and with full packets; return Samples."""
    from tests.bench.update_card import FULL_ROWS

    samples = Samples([BUS])
    program = compile_c("multicast")
    for _ in range(rounds):
        for measure, rows in (("single_per_second", 1), ("full_per_second", FULL_ROWS)):
            rate, octets = run_bus(free_port(), rows)
            samples.add(BUS, **{measure: rate})
            samples.add(RAW, **{measure: run_raw(program, free_port(), octets, rows)})
    return samples
