"""The provisioning door: one JSON document a line, in and out, for one connection.

Sans-I/O and portable. Requests are executed one after the other; an answer that reports a change
is made after its commit. README.md lists the requests.
"""

import json

from bus.compat import const
from firmware.locserver import requests
from firmware.locserver.errors import ChangeRefused, StorageError

MAX_LINE = const(4 * 1024 * 1024)
EXPORT_RECORDS = const(500)


class ProvisioningDoor:
    """One connection.

    provisioning: the ProvisioningTask.  token: text a client must show (`{"op": "auth", "token":
    ...}` first, or "token" in any request), or None when the door is open.  max_line: octets of
    a request.  page: records in one answer of an export.
    The card offers each result of a commit to `resolve`; requests that come meanwhile wait, a
    bounded number of octets.  `closed`: true when the connection should end after its answers.
    """

    def __init__(self, provisioning, token=None, max_line=MAX_LINE, page=EXPORT_RECORDS):
        self._task = provisioning
        self._storage = provisioning.storage
        self._token = token
        self._max_line = max_line
        self._page = page
        self._permitted = token is None
        self._pieces = []
        self._octets = 0  # of the line that is not whole yet
        self._lines = []
        self._waiting_octets = 0  # of whole lines that wait
        self._ticket = None
        self._answer = None  # what the waiting change adds to its answer
        self._out = []
        self._snapshot = None
        self._cursor = b""
        self.closed = False

    def receive(self, data, now_ms=0):
        """Take octets of the connection."""
        while data and not self.closed:
            end = data.find(b"\n")
            piece = data if end < 0 else data[:end]
            data = b"" if end < 0 else data[end + 1:]
            self._octets += len(piece)
            if self._octets + self._waiting_octets > 2 * self._max_line:
                self._refuse_more("more requests than {} octets wait", 2 * self._max_line)
                return
            if self._octets > self._max_line:
                self._refuse_more("a line is longer than {} octets", self._max_line)
                return
            self._pieces.append(bytes(piece))
            if end >= 0:
                self._lines.append(b"".join(self._pieces))
                self._waiting_octets += self._octets
                self._pieces = []
                self._octets = 0
        self._work()

    def _refuse_more(self, text, octets):
        self._fail(text.format(octets), "syntax")
        self.closed = True

    def resolve(self, ticket, result):
        """Offer one result of ProvisioningTask.commit; True when this connection waited for it."""
        if ticket != self._ticket:
            return False
        self._ticket = None
        self._finish(result)
        self._work()
        return True

    def to_send(self):
        """Octets for the connection, b"" when there are none."""
        out = b"".join(self._out)
        self._out = []
        return out

    def close(self):
        """The connection is gone: let a half-read export go."""
        self.closed = True
        self._end_export()

    def _work(self):
        while self._lines and self._ticket is None and not self.closed:
            line = self._lines.pop(0)
            self._waiting_octets -= len(line)
            if line.strip():
                self._execute(line)

    def _execute(self, line):
        try:
            request = json.loads(line)
        except (ValueError, MemoryError):
            self._fail("the line is no JSON document", "syntax")
            return
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            self._fail('the line must be an object with "op"', "syntax")
            return
        if not self._check_token(request):
            return
        try:
            self._serve(request["op"], request)
        except ChangeRefused as refusal:
            self._fail(refusal.reason, refusal.code, refusal.line)
        except StorageError as error:
            self._fail(str(error), "storage")

    def _check_token(self, request):
        if not self._permitted:
            shown = request.get("token")
            if isinstance(shown, str) and same_text(shown, self._token):
                self._permitted = True
            else:
                self._fail("not permitted: the provisioning token is missing or wrong",
                           "unauthorized")
                self.closed = True
        return self._permitted

    def _serve(self, op, request):
        if op == "auth":
            self._succeed({})
        elif op == "level":
            self._succeed({"birthday": as_hex(self._storage.birthday),
                           "digest": as_hex(self._storage.digest),
                           "records": self._storage.records})
        elif op == "count":
            self._succeed(requests.count(self._storage))
        elif op == "show":
            self._succeed(requests.show(self._storage, request))
        elif op == "export":
            self._export(request)
        else:
            change, self._answer = requests.change_for(op, request)
            self._ticket = self._task.submit(change)
            if self._ticket is None:
                self._fail("the location server has too much to do: try again", "busy")

    def _finish(self, result):
        if result.error is not None:
            self._fail(result.error, result.code, result.line)
            return
        answer = dict(self._answer)
        answer["level"] = result.level
        self._succeed(answer)

    def _export(self, request):
        """One page of the whole content in key order, all pages at the level of the first."""
        cursor = request.get("cursor") or ""
        if not cursor:
            self._end_export()
            self._snapshot = self._storage.open_snapshot()
            self._cursor = b""
        elif self._snapshot is None or cursor != as_hex(self._cursor):
            raise ChangeRefused("the export's cursor is not known: begin again")
        snapshot = self._snapshot
        rows = snapshot.rows(self._cursor, self._page)
        answer = {"level": snapshot.level, "birthday": as_hex(snapshot.birthday),
                  "digest": as_hex(snapshot.digest), "count": snapshot.records,
                  "records": [requests.shown(key, value) for key, value in rows],
                  "cursor": None}
        if len(rows) == self._page:
            self._cursor = rows[-1][0]
            answer["cursor"] = as_hex(self._cursor)
        else:
            self._end_export()
        self._succeed(answer)

    def _end_export(self):
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def _succeed(self, answer):
        answer["ok"] = True
        if "level" not in answer:
            answer["level"] = self._storage.level
        self._out.append(json.dumps(answer).encode() + b"\n")

    def _fail(self, text, code, line=None):
        answer = {"ok": False, "error": text, "code": code, "level": self._storage.level}
        if line is not None:
            answer["line"] = line
        self._out.append(json.dumps(answer).encode() + b"\n")


def as_hex(octets):
    """Octets as lower-case hexadecimal text."""
    return "".join("{:02x}".format(octet) for octet in octets)


def same_text(one, other):
    """Compare two texts in a time that depends on their lengths alone."""
    one = one.encode()
    other = other.encode()
    difference = len(one) ^ len(other)
    for index in range(min(len(one), len(other))):
        difference |= one[index] ^ other[index]
    return difference == 0


