"""The client of the provisioning door: one line of JSON asked, one answered after the commit."""

import json
import socket

from host_tools.control import ask_once
from host_tools.errors import NOTHING_ANSWERS, NOT_PERMITTED, ToolError

CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_S = 60


class DoorRefusal(ToolError):
    """The location server refused a change. line: the line of a batch it is about, or None."""

    def __init__(self, answer):
        self.line = answer.get("line")
        code = answer.get("code")
        denied = code == "denied"
        super().__init__(answer.get("error", "refused without a reason"),
                         NOT_PERMITTED if denied else 1)


class DoorClient:
    """One connection to the door of the location server that is active.

    doors: list of (host, port), tried in turn.  token: text or None.
    """

    def __init__(self, doors, token=None):
        self._doors = doors
        self._token = token
        self._file = None

    def __enter__(self):
        for host, port in self._doors:
            try:
                stream = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
            except OSError:
                continue
            stream.settimeout(ANSWER_TIMEOUT_S)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = stream.makefile("rwb")
            stream.close()
            return self
        raise ToolError("the location server does not answer at {}; see `chassis status`".format(
            " or ".join("{}:{}".format(*door) for door in self._doors) or "any address"),
            NOTHING_ANSWERS)

    def __exit__(self, *problem):
        try:
            self._file.close()
        except OSError:
            # octets of a question whose answer failed already
            return

    def ask(self, op, **fields):
        """The answer as a dict; DoorRefusal when refused, ToolError (3) when the door is gone."""
        self.put(op, **fields)
        return self.take()

    def put(self, op, **fields):
        """Send a question; its answer comes from `take`, in the order asked."""
        question = {"op": op, **fields}
        if self._token is not None:
            question["token"] = self._token
        try:
            self._file.write(json.dumps(question, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
        except OSError:
            raise self._lost() from None

    def take(self):
        """The next answer, as `ask` gives it."""
        try:
            line = self._file.readline()
        except TimeoutError:
            raise ToolError("the location server did not answer within {} s; whether the change "
                            "is committed is not known".format(ANSWER_TIMEOUT_S)) from None
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise self._lost()
        answer = json.loads(line)
        if not answer.get("ok"):
            raise DoorRefusal(answer)
        return answer

    @staticmethod
    def _lost():
        return ToolError("the location server went away before it answered; whether the change is "
                         "committed is not known", NOTHING_ANSWERS)


def open_door(state):
    """A DoorClient for the active location server of the chassis that runs in `state`."""
    doors = {int(slot): tuple(door) for slot, door in state.running()["doors"].items()}
    if len(doors) > 1:
        active = ask_once(state, "door")["slot"]
        # nobody heard: whichever door answers tells more than silence
        doors = {active: doors[active]} if active is not None else doors
    return DoorClient([doors[slot] for slot in sorted(doors)])
