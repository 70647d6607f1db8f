"""The serial console: lines in, answers and a prompt out.

`Console` is the line discipline without I/O; `ConsolePort` puts it on a card's UART (standard
input and output of the process in the emulated chassis). Runs on both interpreters.
"""

from bus.compat import MICROPYTHON, const
from firmware.runtime.repl import LEAVE, PROMPT

LINE_LIMIT = const(256)
OUTPUT_LIMIT = const(65536)
HUNG_UP = "hung-up"  # why the reactor stopped: the other end of the serial line is gone


class Console:
    """Line editing (echo, backspace, Ctrl-C, Ctrl-U) and the answer queue of one serial line.

    The prompt is `NAME> `, and `NAME [STATUS]> ` behind a command that failed, so that a script
    on the line sees it as a person does.

    Output beyond OUTPUT_LIMIT octets is dropped and counted: nobody may be listening, and a
    card never waits for a terminal.
    """

    def __init__(self, name):
        self._prompt = name.encode() + b"> "
        self._line = bytearray()
        self._lines = []
        self._out = bytearray()
        self._last = 0
        self.dropped = 0

    def receive(self, octets):
        """Take what was typed; complete lines come out of `next_line`."""
        for code in octets:
            if code == 10 and self._last == 13:
                self._last = code
                continue
            self._last = code
            if code in (10, 13):
                self._write(b"\r\n")
                self._lines.append(bytes(self._line).decode())
                self._line = bytearray()
            elif code in (8, 127):
                if self._line:
                    self._line = self._line[:-1]
                    self._write(b"\b \b")
            elif code in (3, 21):
                self._line = bytearray()
                self._write(b"\r\n" + self._prompt)
            elif 32 <= code < 127 and len(self._line) < LINE_LIMIT:
                self._line.append(code)
                self._write(bytes((code,)))

    def next_line(self):
        """The oldest line typed and not yet answered, or None."""
        return self._lines.pop(0) if self._lines else None

    def answer(self, text):
        """Queue the answer to a line, and the prompt behind it."""
        if text:
            self._write(text.replace("\n", "\r\n").encode() + b"\r\n")
        self._write(self._prompt)

    def prompt(self, name, status=0):
        """Prompt with `name`, and with `status` when it is not 0."""
        text = name if not status else "{} [{}]".format(name, status)
        self._prompt = text.encode() + b"> "

    def greet(self, text):
        """Queue a line that nobody asked for (power-on) and the first prompt."""
        self._write(b"\r\n" + text.encode() + b"\r\n" + self._prompt)

    def _write(self, octets):
        if len(self._out) + len(octets) > OUTPUT_LIMIT:
            self.dropped += len(octets)
            return
        self._out.extend(octets)

    def to_send(self):
        """Octets that wait for the line (the caller says with `sent` how many it took)."""
        return self._out

    def sent(self, count):
        """The line took `count` octets."""
        self._out = self._out[count:]


class ConsolePort:
    """The card's UART: standard input and output, never waited for.

    `commands.execute(line)` gives (status, text); `repl`, where the card has one, takes the
    lines between `repl` and `exit`.
    """

    def __init__(self, name, commands, reactor, repl=None):
        self.console = Console(name)
        self._name = name
        self._commands = commands
        self._repl = repl
        self._in_repl = False
        self._reactor = reactor
        self._in, self._read, self._write = _streams()
        self._open = True
        reactor.register(self._in, self, True)

    def readable(self, now_ms):
        """Take the typed octets and answer the complete lines."""
        octets = self._read()
        if octets is None:
            return
        if not octets:
            self._leave()
            return
        self.console.receive(octets)
        while True:
            line = self.console.next_line()
            if line is None:
                break
            self.console.answer(self._execute(line.strip()))
        self.flush()

    def hung_up(self):
        """Nobody holds the other end any more (the emulated chassis is gone): power off."""
        self._leave()
        self._reactor.stop(HUNG_UP)

    def _leave(self):
        self._open = False
        self._reactor.unregister(self._in)

    def _execute(self, line):
        if not line:
            return ""
        if self._in_repl:
            if line != LEAVE:
                return self._repl.execute(line)
            self._in_repl = False
            self.console.prompt(self._name)
            return ""
        if line == "repl" and self._repl is not None:
            self._in_repl = True
            self.console.prompt(PROMPT)
            return "Python on the running card; {} goes back".format(LEAVE)
        status, text = self._commands.execute(line)
        self.console.prompt(self._name, status)
        return text

    def flush(self):
        """Give the line what it takes now; the rest waits for the next step."""
        while self._open:
            waiting = self.console.to_send()
            if not waiting:
                return
            taken = self._write(bytes(waiting[:512]))
            if not taken:
                return
            self.console.sent(taken)


def _streams():
    """(stream to poll, read() -> bytes or None, write(bytes) -> octets taken) of this process."""
    if MICROPYTHON:
        return _unix_port_streams()
    import os

    def read():
        try:
            return os.read(0, 256)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def write(octets):
        try:
            return os.write(1, octets)
        except OSError:
            return 0

    class _StandardInput:
        @staticmethod
        def fileno():
            return 0

    return _StandardInput(), read, write


def _unix_port_streams():
    """The same through libc: MicroPython's own streams wait when the line is full."""
    import ffi
    import sys

    libc = ffi.open(None)
    libc_read = libc.func("l", "read", "ipL")
    libc_write = libc.func("l", "write", "iPL")
    buffer = bytearray(256)

    def read():
        count = libc_read(0, buffer, len(buffer))
        if count < 0:
            return None
        return bytes(buffer[:count])

    def write(octets):
        count = libc_write(1, octets, len(octets))
        return count if count > 0 else 0

    return sys.stdin, read, write
