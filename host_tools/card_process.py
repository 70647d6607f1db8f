"""One card of the emulated chassis: an operating-system process with a serial line.

The line is a pseudo-terminal. The card holds the master end as its standard input and output,
as it would hold its UART; the slave end is the published serial port. This process keeps both
ends open, so that the port outlives the card as a cable does.
"""

import ctypes
import os
import pty
import signal
import subprocess
import termios
import tty

from host_tools.description import ROOT
from host_tools.errors import os_failure

PR_SET_PDEATHSIG = 1


def _die_with(parent):
    """Run in the child before exec: a card never outlives its supervisor (Linux)."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        # elsewhere the card ends when its serial line hangs up
        return
    if os.getppid() != parent:
        os._exit(1)


class CardProcess:
    """The process and the serial line of one slot; the line is there from the beginning."""

    def __init__(self, slot):
        self.slot = slot
        self.interpreter = None
        self._process = None
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.console = os.ttyname(self._slave)

    @property
    def pid(self):
        """The process id of a card that runs, else None."""
        return self._process.pid if self._process is not None else None

    def start(self, command, interpreter, environment, log):
        """Power on: run `command` with the serial line; standard error is added to `log`."""
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        parent = os.getpid()
        try:
            with open(log, "ab") as errors:
                self._process = subprocess.Popen(
                    command, stdin=self._master, stdout=self._master, stderr=errors,
                    cwd=ROOT, env=environment, start_new_session=True,
                    preexec_fn=lambda: _die_with(parent))
        except OSError as error:
            raise os_failure(error, "starting the card in slot {}".format(self.slot)) from None
        self.interpreter = interpreter

    def ended(self):
        """None while the card runs or was never on; else how it ended, told once, as text."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is None:
            return None
        self._process = None
        if code < 0:
            return "process ended by {}".format(signal.Signals(-code).name)
        return "process ended with exit code {}".format(code)

    def send_signal(self, number):
        """Signal a card that runs; nothing otherwise."""
        if self._process is not None:
            self._process.send_signal(number)

    def close(self):
        """Let the serial line go."""
        os.close(self._master)
        os.close(self._slave)
