"""The state folder of one emulated chassis: who holds it, its keys, its flash folders.

    STATE/lock          held (flock) by the supervisor for its life
    STATE/chassis.json  what runs: pid, VIP, door, slots; written last, removed first
    STATE/control.sock  the control socket
    STATE/key, secret   chassis key and digest secret, hexadecimal, mode 0600
    STATE/slotN/        the flash folder of the card in slot N
"""

import fcntl
import json
import os
import secrets
import signal
from pathlib import Path

from host_tools.errors import NOTHING_ANSWERS, ToolError, os_failure

DEFAULT_STATE = ".chassis"
STATE_VARIABLE = "CHASSIS_STATE"
KEY_BYTES = 32
SECRET_BYTES = 16
# enough for the folders and logs of a chassis just switched on
PROBE_BYTES = 4 << 20


class StateDir:
    """Paths below one state folder, and the operations on them that verbs share."""

    def __init__(self, path):
        self.path = Path(path).absolute()
        self._lock = None

    @property
    def chassis_file(self):
        return self.path / "chassis.json"

    @property
    def socket(self):
        return self.path / "control.sock"

    def flash(self, slot):
        """The flash folder of the card in `slot`."""
        return self.path / "slot{}".format(slot)

    def create(self):
        """Make the folder and see that it can be written and has room; ToolError otherwise."""
        doing = "writing to the state folder {}".format(self.path)
        probe = self.path / "probe"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with open(probe, "wb") as file:
                try:
                    file.write(bytes(PROBE_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                finally:
                    probe.unlink()
        except (FileExistsError, NotADirectoryError):
            raise ToolError("{} is not a folder; name another one with --state".format(
                self.path)) from None
        except OSError as error:
            raise os_failure(error, doing) from None

    def acquire(self):
        """Hold the folder for this process's life; ToolError when a chassis runs in it."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise os_failure(error, "writing to the state folder {}".format(self.path)) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ToolError("a chassis already runs in {}; end it with `chassis down` or name "
                            "another folder with --state".format(self.path)) from None
        self._lock = descriptor

    def release(self):
        """Let others have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def in_use(self):
        """True while a supervisor holds the folder."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def clean_up_after_crash(self):
        """End cards that a crashed supervisor left behind and drop what it published.

        To be called while the folder is held. Returns the pids that were ended.
        """
        ended = []
        for slot in self.read_published().get("slots", []):
            pid = slot.get("pid")
            if pid and self._is_our_card(pid, slot["slot"]):
                os.kill(pid, signal.SIGKILL)
                ended.append(pid)
        self.withdraw()
        return ended

    def _is_our_card(self, pid, slot):
        """Pids are reused: the command line must name the slot's flash folder."""
        try:
            words = Path("/proc/{}/cmdline".format(pid)).read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.flash(slot)) in words

    def publish(self, document):
        """Write chassis.json whole or not at all."""
        fresh = self.chassis_file.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            fresh.rename(self.chassis_file)
        except OSError as error:
            raise os_failure(error, "writing {}".format(self.chassis_file)) from None

    def withdraw(self):
        """Remove what tells others that a chassis runs here."""
        for path in (self.chassis_file, self.socket):
            path.unlink(missing_ok=True)

    def read_published(self):
        """chassis.json as a dict; empty when there is none."""
        try:
            return json.loads(self.chassis_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def running(self):
        """chassis.json of the chassis that runs here; ToolError (3) when none does."""
        published = self.read_published() if self.in_use() else {}
        if not published:
            raise self.nobody()
        return published

    def nobody(self):
        """The error that says that no chassis runs here."""
        return ToolError("no chassis runs in {}; start one with `chassis up` or name its folder "
                         "with --state".format(self.path), NOTHING_ANSWERS)

    def key(self, key_file=None):
        """The chassis key as bytes: from `key_file`, else this folder's own, made when missing."""
        if key_file is not None:
            return bytes.fromhex(key_file.read_text(encoding="ascii").strip())
        return self._random("key", KEY_BYTES)

    def secret(self):
        """The chassis-wide digest secret as bytes."""
        return self._random("secret", SECRET_BYTES)

    def _random(self, name, size):
        path = self.path / name
        try:
            found = bytes.fromhex(path.read_text(encoding="ascii").strip())
            if len(found) == size:
                return found
        except (FileNotFoundError, ValueError):
            pass
        made = secrets.token_bytes(size)
        write_private(path, made.hex() + "\n")
        return made


def write_private(path, text):
    """Write `text` to `path` with mode 0600 from the first moment, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError as error:
        raise os_failure(error, "writing {}".format(path)) from None
