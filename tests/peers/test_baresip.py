"""Standard peer: two baresip softphones register with a password, and one calls the other."""

import contextlib
import re
import subprocess

from rig import wait_for

CONFIG = """\
sip_listen 127.0.0.1:0
audio_player aubridge,nothing
audio_source aubridge,nothing
module_path /usr/lib/baresip/modules
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
"""


@contextlib.contextmanager
def phone(program, folder, user, password, vip, *words):
    """A baresip registered as `user`; gives a function that reads its log so far."""
    folder.mkdir()
    (folder / "config").write_text(CONFIG)
    (folder / "contacts").write_text("")
    (folder / "accounts").write_text(
        "<sip:{}@{}:{};transport=udp>;auth_pass={};regint=60;answermode=auto\n".format(
            user, vip[0], vip[1], password))
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-f", str(folder), "-s", *words], stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT)
    try:
        yield lambda: log.read_text(errors="replace")
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def registered(chassis, aor):
    """The contacts that the database holds for `aor`."""
    done = chassis.run("provision", "show", aor, check=False)
    return re.findall(r"sip:\S+", done.stdout)


def test_two_softphones_register_and_call(chassis, tmp_path, tool):
    baresip, vip = tool("baresip"), chassis.vip
    for user in ("alice", "bob"):
        chassis.run("provision", "subscriber", "add", user + "@127.0.0.1", "--password-stdin",
                    "--wait", "coherent", text="secret-of-{}\n".format(user))
    with phone(baresip, tmp_path / "bob", "bob", "secret-of-bob", vip) as bob:
        wait_for(lambda: registered(chassis, "bob@127.0.0.1"), "bob is registered")
        callee = "/dial sip:bob@{}:{}".format(*vip)
        with phone(baresip, tmp_path / "alice", "alice", "secret-of-alice", vip,
                   "-e", callee) as alice:
            wait_for(lambda: "Call established" in alice(), "alice's call is answered")
            wait_for(lambda: "Call established" in bob(), "bob has the call")
            wait_for(lambda: registered(chassis, "alice@127.0.0.1"), "alice is registered")


def test_a_wrong_password_registers_nothing(chassis, tmp_path, tool):
    chassis.run("provision", "subscriber", "add", "carol@127.0.0.1", "--password-stdin",
                "--wait", "coherent", text="right\n")
    with phone(tool("baresip"), tmp_path / "carol", "carol", "wrong", chassis.vip) as carol:
        wait_for(lambda: "401" in carol() or "403" in carol(), "carol is refused")
    assert registered(chassis, "carol@127.0.0.1") == []
