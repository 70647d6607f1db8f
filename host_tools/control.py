"""The control socket of a running chassis: one line of JSON asked, one line answered.

Asked: {"op": NAME, ...}. Answered: {"ok": true, ...} or {"ok": false, "error": sentence,
"code": exit code}. The socket has mode 0600: who may not open it may not control.
"""

import asyncio
import json
import os
import socket

from host_tools.errors import FAILED, NOT_PERMITTED, ToolError

LINE_LIMIT = 64 << 20


class _ShortPath:
    """A name of the socket that fits a socket address (108 octets) however deep STATE is."""

    def __init__(self, path):
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        self.name = str(path)
        if len(os.fsencode(self.name)) > 100:
            self.name = "/proc/self/fd/{}/{}".format(self._folder, path.name)

    def close(self):
        os.close(self._folder)


class ControlServer:
    """Serves STATE/control.sock; `operations` is a dict op -> coroutine function(request)."""

    def __init__(self, path, operations):
        self._path = path
        self._operations = operations
        self._server = None

    async def start(self):
        """Bind and listen."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        short = _ShortPath(self._path)
        before = os.umask(0o177)
        try:
            listener.bind(short.name)
        finally:
            os.umask(before)
            short.close()
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=LINE_LIMIT)

    async def stop(self):
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader, writer):
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _answer(self, line):
        try:
            request = json.loads(line)
            operation = self._operations[request["op"]]
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "error": "not a known operation", "code": FAILED}
        try:
            return {"ok": True, **(await operation(request) or {})}
        except ToolError as error:
            return {"ok": False, "error": error.message, "code": error.exit_code}


class Control:
    """The asking end, for the verbs; waits for each answer."""

    def __init__(self, state):
        self._state = state
        self._stream = None

    def __enter__(self):
        self._state.running()
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            short = _ShortPath(self._state.socket)
            try:
                stream.connect(short.name)
            finally:
                short.close()
        except PermissionError:
            stream.close()
            raise ToolError("not permitted: the chassis in {} belongs to another user".format(
                self._state.path), NOT_PERMITTED) from None
        except OSError:
            stream.close()
            raise self._state.nobody() from None
        self._stream = stream
        self._file = stream.makefile("rwb")
        return self

    def __exit__(self, *problem):
        self._file.close()
        self._stream.close()

    def ask(self, op, timeout_s=30, **fields):
        """The answer as a dict; ToolError when the chassis refuses or is gone."""
        self._stream.settimeout(timeout_s)
        try:
            self._file.write(json.dumps({"op": op, **fields}).encode() + b"\n")
            self._file.flush()
            line = self._file.readline()
        except TimeoutError:
            raise ToolError("the chassis in {} did not answer within {} s".format(
                self._state.path, timeout_s)) from None
        except OSError:
            line = b""
        if not line:
            raise self._state.nobody()
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise ToolError(answer["error"], answer["code"])
        return answer


def ask_once(state, op, timeout_s=30, **fields):
    """One question to the chassis in `state`."""
    with Control(state) as control:
        return control.ask(op, timeout_s, **fields)
