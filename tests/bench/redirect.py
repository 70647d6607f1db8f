"""Redirect answers: one sip-cluster card beside a UDP echo and beside Kamailio, in turns."""

import hashlib
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from host_tools.sipload.command import run_sipload
from tests.bench.cards import CardPair, wait_for_redirect
from tests.bench.measure import (
    GENERATOR_CPU, HERE, Samples, Skipped, compile_c, free_port, need_command, pids_below, start,
    stop)

DOMAIN = "example.com"
SUBSCRIBERS = 20000
HASH_BITS = 15  # of Kamailio's table: more places than subscribers
WINDOW = 64
CARD, ECHO, KAMAILIO = "cluster card", "UDP echo", "Kamailio"


def make_subscribers(count):
    """(AoR, contact) pairs; hashed names, because Kamailio's hash collides on sequential ones."""
    names = ("u" + hashlib.sha256(b"%d" % i).hexdigest()[:10] for i in range(count))
    return [(f"{name}@{DOMAIN}", f"sip:{name}@127.0.0.1:5090") for name in names]


@contextmanager
def echo_server(folder, subscribers, aors):
    """Yield (HOST:PORT, pids, scenario) of the C echo."""
    port = free_port()
    process = start([compile_c("echo"), port])
    try:
        yield f"127.0.0.1:{port}", str(process.pid), "echo"
    finally:
        stop(process)


@contextmanager
def kamailio_server(folder, subscribers, aors):
    """Yield the same of a Kamailio whose location table holds the subscribers."""
    program = need_command("kamailio")
    redirect_port, register_port = free_port(), free_port()
    text = (HERE / "kamailio.cfg").read_text()
    for word, value in (("REDIRECT_PORT", redirect_port), ("REGISTER_PORT", register_port),
                        ("HASH_BITS", HASH_BITS), ("DOMAIN", DOMAIN)):
        text = text.replace(word, str(value))
    config = folder / "kamailio.cfg"
    config.write_text(text)
    with open(folder / "kamailio.log", "w") as log:
        process = start(
            [program, "-f", config, "-DD", "-E", "-Y", folder, "-P", folder / "kamailio.pid",
             "-m", 256, "-M", 32, "-b", 4194304, "-x", "tlsf", "-X", "tlsf"],
            stdout=log, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        address = f"127.0.0.1:{redirect_port}"
        wait_for_redirect(("127.0.0.1", redirect_port), subscribers[0][0], b"SIP/2.0 404")
        fill_by_registering(f"127.0.0.1:{register_port}", aors)
        yield address, ",".join(map(str, pids_below(process.pid))), "redirect"
    finally:
        stop(process)


def fill_by_registering(target, aors):
    """Register every subscriber of the file; sipload goes through it in order."""
    seconds = SUBSCRIBERS / 5000 + 1
    report = run_sipload(target, aors, scenario="register", rate=5000, seconds=seconds, warm=0)
    if report["wrong"] or report["lost"] or report["answered"] < SUBSCRIBERS:
        raise RuntimeError(f"Kamailio did not take all registrations: {report}")


@contextmanager
def card_server(folder, subscribers, aors):
    """Yield the same of a cluster card that is coherent with its location server."""
    pair = CardPair(folder, DOMAIN)
    try:
        pair.fill(subscribers)
        yield "%s:%d" % pair.address, str(pair.pid), "redirect"
    finally:
        pair.close()


def measure(target, aors, pids, scenario, seconds):
    """One sample: every answer must be right. Raises RuntimeError."""
    report = run_sipload(target, aors, scenario=scenario, window=WINDOW, seconds=seconds,
                         warm=0.3, pids=pids, cpu=GENERATOR_CPU)
    if report["wrong"] or not report["answered"]:
        raise RuntimeError(f"{target} gave wrong answers: {report}")
    return {"cpu_us": report["target_cpu_us"], "per_second": report["per_second"],
            "p50_us": report["p50_us"], "p99_us": report["p99_us"]}


def run(rounds, seconds=1.5):
    """Measure all three in turns; return Samples."""
    samples = Samples([CARD])
    subscribers = make_subscribers(SUBSCRIBERS)
    servers = {ECHO: echo_server, KAMAILIO: kamailio_server, CARD: card_server}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        aors = folder / "aors.csv"
        aors.write_text("".join(f"{aor},{contact}\n" for aor, contact in subscribers))
        with ExitStack() as stack:
            targets = {}
            for subject, server in servers.items():
                try:
                    targets[subject] = stack.enter_context(server(folder, subscribers, aors))
                except Skipped as reason:
                    samples.skip(subject, str(reason))
            for _ in range(rounds):
                for subject, (target, pids, scenario) in targets.items():
                    samples.add(subject, **measure(target, aors, pids, scenario, seconds))
    return samples
