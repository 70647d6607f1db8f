"""A card's serial console from the host's side: one command and its answer, or a terminal."""

import os
import re
import secrets
import select
import sys
import termios
import tty

import serial

from host_tools.errors import NOT_PERMITTED, NOTHING_ANSWERS, ToolError

BAUD = 115200
ESCAPE = 0x1D
KILL_LINE = b"\x15"
SYNC_TIMEOUT_S = 5.0
DRAIN_S = 0.5
# firmware/runtime/console.py: `slot4> `, after a command that failed `slot4 [1]> `, `>>> ` in repl
PROMPT = re.compile(rb"\n(slot\d+(?: \[(\d+)\])?> |>>> )$")


class SerialConsole:
    """A console line. `port` is a serial device, the PTY of an emulated card among them."""

    def __init__(self, port):
        self.port = port
        try:
            self._line = serial.Serial(port, BAUD, timeout=0.05, exclusive=True)
        except serial.SerialException as error:
            raise _cannot_open(port, error) from None

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self._line.close()

    def run(self, command, timeout_s):
        """(exit code, text) of one command; ToolError (3) when no prompt comes."""
        self._synchronise()
        self._line.write(command.encode("ascii", "replace") + b"\r")
        octets = self._until(PROMPT.search, timeout_s)
        found = PROMPT.search(octets)
        text = octets[:found.start(1)].decode("utf-8", "replace").replace("\r\n", "\n")
        # the card echoes what was typed
        echo, _, answer = text.partition("\n")
        if echo.strip() != command.strip():
            answer = text
        return int(found.group(2) or 0), answer.rstrip("\n")

    def _synchronise(self):
        """Pass over whatever the line still holds.

        A word nobody typed before is echoed, then taken back: what follows is a fresh prompt.
        """
        marker = ("sync-" + secrets.token_hex(4)).encode()
        self._line.write(KILL_LINE + marker + KILL_LINE)
        pattern = re.compile(re.escape(marker) + rb"\r\n[^\r\n]*> $")
        self._until(pattern.search, SYNC_TIMEOUT_S)

    def _until(self, complete, timeout_s):
        octets = b""
        left = int(timeout_s / self._line.timeout)
        while not complete(octets):
            try:
                fresh = self._line.read(max(1, self._line.in_waiting))
            except (serial.SerialException, OSError):
                fresh, left = b"", 0
            octets += fresh
            if not fresh:
                left -= 1
            if left < 0:
                raise ToolError("the card at {} does not answer on its console".format(
                    self.port), NOTHING_ANSWERS)
        return octets

    def attach(self, source, sink):
        """Join the line with two descriptors until Ctrl-] (or the end of `source`)."""
        restore = termios.tcgetattr(source) if os.isatty(source) else None
        if restore:
            tty.setraw(source)
        try:
            self._join(source, sink)
        except (serial.SerialException, OSError):
            raise ToolError("the console of {} went away".format(self.port),
                            NOTHING_ANSWERS) from None
        finally:
            if restore:
                termios.tcsetattr(source, termios.TCSADRAIN, restore)

    def _join(self, source, sink):
        line = self._line.fileno()
        waiting = [source, line]
        while True:
            ready, _, _ = select.select(waiting, [], [], None if source in waiting else DRAIN_S)
            if not ready:
                return
            if line in ready:
                os.write(sink, os.read(line, 4096))
            if source in ready:
                typed = os.read(source, 256)
                if ESCAPE in typed:
                    return
                if not typed:
                    waiting.remove(source)
                self._line.write(typed.replace(b"\n", b"\r"))


def _cannot_open(port, error):
    text = str(error)
    if "exclusively lock" in text:
        return ToolError("the console {} is in use by another program".format(port))
    if isinstance(error.__context__, PermissionError) or "Permission" in text:
        return ToolError("not permitted: opening the serial port {}".format(port), NOT_PERMITTED)
    return ToolError("there is no serial port {}".format(port),
                     NOTHING_ANSWERS)


def attach_terminal(console):
    """Attach this process's terminal."""
    sys.stderr.write("attached to {}; Ctrl-] leaves\r\n".format(console.port))
    console.attach(sys.stdin.fileno(), sys.stdout.fileno())
    sys.stderr.write("\r\n")
