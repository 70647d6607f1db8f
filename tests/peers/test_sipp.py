"""Standard peer: SIPp's stock user agents call through the VIP, and are redirected by it."""

import contextlib
import pathlib
import subprocess

from rig import wait_for

HERE = pathlib.Path(__file__).resolve().parent
CALLS = 100


@contextlib.contextmanager
def callee(sipp, folder, port, *scenario):
    """A SIPp that answers on `port`, by default its stock UAS; ended by its id."""
    process = subprocess.Popen(
        [sipp, *(scenario or ("-sn", "uas")), "-i", "127.0.0.1", "-p", str(port), "-nostdin"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def caller(sipp, folder, chassis, port, *words, calls=CALLS, rate=50):
    """Start a calling SIPp towards the VIP; communicate() gives its screen."""
    return subprocess.Popen(
        [sipp, *words, "{}:{}".format(*chassis.vip), "-i", "127.0.0.1", "-p", str(port),
         "-m", str(calls), "-r", str(rate), "-nostdin", "-timeout", "60s", "-timeout_error",
         "-trace_err"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, folder, code=0):
    """Wait for a calling SIPp; it must end with `code`. Its screen."""
    screen = process.communicate(timeout=120)[0][-4000:]
    errors = "".join(path.read_text() for path in folder.glob("*errors.log"))[:4000]
    assert process.returncode == code, screen + errors
    return screen


def provision(chassis, aor, port, *words):
    """Provision the callee's contact and wait until every card has it."""
    user = aor.split("@")[0]
    chassis.run("provision", "add", aor, "sip:{}@127.0.0.1:{}".format(user, port), *words,
                "--wait", "coherent")


def test_stock_caller_reaches_stock_callee_by_proxy(chassis, tmp_path, free_port, tool):
    sipp, port = tool("sipp"), free_port()
    provision(chassis, "service@127.0.0.1", port)
    with callee(sipp, tmp_path, port):
        finish(caller(sipp, tmp_path, chassis, free_port(), "-sn", "uac", "-d", "50"), tmp_path)
    forwarded = sum(card["sip"]["forwarded"] for card in chassis.cards().values() if card["sip"])
    # INVITE, ACK, BYE and the answers to INVITE (180, 200) and BYE (200)
    assert forwarded >= 6 * CALLS


def test_unknown_callee_is_404(chassis, tmp_path, free_port, tool):
    calling = caller(tool("sipp"), tmp_path, chassis, free_port(), "-sn", "uac", "-s", "nobody",
                     calls=1)
    calling.communicate(timeout=120)
    errors = "".join(path.read_text() for path in tmp_path.glob("*errors.log"))
    assert calling.returncode == 1 and "SIP/2.0 404 Not Found" in errors


def test_redirect_domain_answers_302_with_both_contacts(chassis, tmp_path, free_port, tool):
    provision(chassis, "bob@redirect.example", 7002, "--q", "0.5")
    provision(chassis, "bob@redirect.example", 7001, "--q", "0.9")
    finish(caller(tool("sipp"), tmp_path, chassis, free_port(), "-sf",
                  str(HERE / "scenario_302.xml"), "-s", "bob", "-key", "domain",
                  "redirect.example", calls=30), tmp_path)


def test_calls_go_on_when_the_primary_switch_card_is_killed(chassis, tmp_path, free_port, tool):
    sipp, port = tool("sipp"), free_port()
    provision(chassis, "late@127.0.0.1", port)
    primary = chassis.primary()
    with callee(sipp, tmp_path, port, "-sf", str(HERE / "scenario_uas.xml")):
        calls = caller(sipp, tmp_path, chassis, free_port(), "-sn", "uac", "-s", "late",
                       "-d", "100", calls=250)
        wait_for(lambda: chassis.cards()[primary]["connections"] >= 2, "calls pass the switch")
        chassis.kill(primary)
        finish(calls, tmp_path)
    chassis.insert(primary)
    assert chassis.cards()[primary]["redundancy"] == "secondary"
