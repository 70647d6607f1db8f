"""Every event in every state of the four machines (RFC 3261 17.1, 17.2; RFC 6026; RFC 4320 4).

The expectations are written from the RFCs' figures, not taken from the tables under test: what has
no line here must send nothing, tell nothing and leave the state as it is.
"""

from firmware.sip import transaction_tables as tables
from sip_bench import request
from transaction_rig import BRANCH, CALLEE, STREAM, STREAM_OUT, CALLER, Rig, reply

STATES = ("calling", "trying", "proceeding", "completed", "confirmed", "accepted", "terminated")
# how a machine is brought into a state: the events that lead there
CLIENT_PATHS = {
    "INVITE": {"calling": (), "proceeding": ("1xx",), "completed": ("failure",),
               "accepted": ("2xx",)},
    "OPTIONS": {"trying": (), "proceeding": ("1xx",), "completed": ("2xx",)}}
SERVER_PATHS = {
    "INVITE": {"proceeding": (), "completed": ("failure",), "confirmed": ("failure", "ack"),
               "accepted": ("2xx",)},
    "OPTIONS": {"trying": (), "proceeding": ("repeat",), "completed": ("2xx",)}}
CLIENT_EVENTS = ("1xx", "2xx", "failure", "repeat", "end", "error")
SERVER_EVENTS = ("request", "ack", "1xx", "2xx", "failure", "repeat", "end", "error")

# state, event: what is sent, what is told (- for nothing), the state after it
INVITE_CLIENT = """
calling 1xx - RESPONSE proceeding
calling 2xx - RESPONSE accepted
calling failure ACK RESPONSE completed
calling repeat INVITE - calling
calling end - TIMEOUT terminated
calling error - ERROR terminated
proceeding 1xx - RESPONSE proceeding
proceeding 2xx - RESPONSE accepted
proceeding failure ACK RESPONSE completed
completed failure ACK - completed
completed end - - terminated
completed error - ERROR terminated
accepted 2xx - RESPONSE accepted
accepted end - - terminated
"""
CLIENT = """
trying 1xx - RESPONSE proceeding
trying 2xx - RESPONSE completed
trying failure - RESPONSE completed
trying repeat OPTIONS - trying
trying end - TIMEOUT terminated
trying error - ERROR terminated
proceeding 1xx - RESPONSE proceeding
proceeding 2xx - RESPONSE completed
proceeding failure - RESPONSE completed
proceeding repeat OPTIONS - proceeding
proceeding end - TIMEOUT terminated
proceeding error - ERROR terminated
completed end - - terminated
"""
INVITE_SERVER = """
proceeding 1xx 180 - proceeding
proceeding 2xx 200 - accepted
proceeding failure 486 - completed
proceeding repeat 100 - proceeding
proceeding error - ERROR proceeding
completed request 486 - completed
completed ack - - confirmed
completed repeat 486 - completed
completed end - TIMEOUT terminated
completed error - ERROR completed
confirmed end - - terminated
accepted ack - ACK accepted
accepted 2xx 200 - accepted
accepted end - - terminated
accepted error - ERROR accepted
"""
SERVER = """
trying 2xx 200 - completed
trying failure 486 - completed
trying repeat 100 - proceeding
trying end - TIMEOUT terminated
proceeding request 100 - proceeding
proceeding 2xx 200 - completed
proceeding failure 486 - completed
proceeding end - TIMEOUT terminated
proceeding error - ERROR proceeding
completed request 200 - completed
completed end - - terminated
completed error - ERROR completed
"""


def wanted(text):
    """{(state, event): (sent, told, state after)} of a table above."""
    rows = {}
    for line in text.strip().split("\n"):
        state, event, sent, told, after = line.split()
        assert (state, event) not in rows
        rows[(state, event)] = (sent, told, after)
    return rows


def apply(rig, transaction, method, event):
    """One event by the public doors; False where the state has no such timer or request."""
    status = {"1xx": 180, "2xx": 200, "failure": 486}.get(event)
    if event in ("repeat", "end"):
        due_ms = transaction.repeat_ms if event == "repeat" else transaction.end_ms
        if due_ms is None:
            return False
        rig.now_ms = due_ms
        rig.layer.handle_timer(due_ms)
        rig.drain()
    elif event == "error":
        rig.layer.handle_error(transaction, rig.now_ms)
        rig.drain()
    elif transaction.is_client():
        rig.give(reply(status, method=method), CALLEE)
    elif status:
        rig.respond(transaction, status)
    elif event == "request":
        rig.give(request(method, "sip:bob@example.com"))
    elif method == "INVITE":
        rig.give(request("ACK", "sip:bob@example.com", to="<sip:bob@example.com>;tag=t1"))
    else:
        return False
    return True


def check(method, client, text):
    """Try every event in every state; returns how many rows of `text` were seen."""
    expected = wanted(text)
    paths = (CLIENT_PATHS if client else SERVER_PATHS)[method]
    seen = 0
    for state in paths:
        for event in CLIENT_EVENTS if client else SERVER_EVENTS:
            rig = Rig()
            transaction = rig.open_client(method) if client else rig.open_server(method)
            for step in paths[state]:
                assert apply(rig, transaction, method, step)
            assert STATES[transaction.state] == state
            rig.take()
            rig.take_told()
            if not apply(rig, transaction, method, event):
                assert (state, event) not in expected, (method, state, event)
                continue
            row = expected.get((state, event))
            sent, told, after = row or ("-", "-", state)
            where = (method, client, state, event)
            assert rig.take() == ([] if sent == "-" else [sent]), where
            assert [kind for kind, _ in rig.take_told()] == ([] if told == "-" else [told]), where
            assert STATES[transaction.state] == after, where
            assert len(rig.layer) == (0 if after == "terminated" else 1), where
            seen += row is not None
    assert seen == len(expected)
    return seen


def test_17_1_1_and_6026_invite_client():
    assert check("INVITE", True, INVITE_CLIENT) == len(tables.ROWS[tables.INVITE_CLIENT])


def test_17_1_2_client():
    assert check("OPTIONS", True, CLIENT) == len(tables.ROWS[tables.CLIENT])


def test_17_2_1_and_6026_invite_server():
    # the table's one row more is the INVITE that comes again before anything was answered: nothing
    assert check("INVITE", False, INVITE_SERVER) == len(tables.ROWS[tables.INVITE_SERVER]) - 1


def test_17_2_2_and_4320_server():
    assert check("OPTIONS", False, SERVER) == len(tables.ROWS[tables.SERVER])


def test_reliable_transports_have_no_repeats_and_end_at_once():
    for method in ("INVITE", "OPTIONS"):
        rig = Rig()
        client = rig.open_client(method, STREAM_OUT)
        assert client.repeat_ms is None
        rig.run(31999)
        assert rig.take() == [method] and rig.take_told() == []
        rig.run(1)
        assert rig.take_told() == [("TIMEOUT", None)] and len(rig.layer) == 0
    # timers D, K, I and J are 0; H, L and M are not
    for method, path, left in (
            ("INVITE", ("failure",), 0), ("INVITE", ("2xx",), 1), ("OPTIONS", ("2xx",), 0)):
        rig = Rig()
        client = rig.open_client(method, STREAM_OUT)
        for step in path:
            apply(rig, client, method, step)
        assert len(rig.layer) == left, (method, path)
        assert rig.take_told() == [("RESPONSE", 486 if path[0] == "failure" else 200)]
    for method, path, left in (
            ("INVITE", ("failure",), 1), ("INVITE", ("failure", "ack"), 0),
            ("INVITE", ("2xx",), 1), ("OPTIONS", ("2xx",), 0)):
        rig = Rig()
        server = rig.open_server(method, STREAM)
        for step in path:
            apply(rig, server, method, step)
        assert server.repeat_ms is None
        assert len(rig.layer) == left, (method, path)
        assert rig.sent[0][2] is STREAM
        rig.run(32000)
        assert len(rig.layer) == 0


def test_timers_d_i_j_k_l_m_on_udp():
    for method, client, path, span_ms in (
            ("INVITE", True, ("failure",), 32000), ("INVITE", True, ("2xx",), 32000),
            ("OPTIONS", True, ("2xx",), 5000), ("INVITE", False, ("failure", "ack"), 5000),
            ("INVITE", False, ("2xx",), 32000), ("OPTIONS", False, ("2xx",), 32000)):
        rig = Rig()
        transaction = rig.open_client(method) if client else rig.open_server(method, CALLER)
        for step in path:
            assert apply(rig, transaction, method, step)
        rig.take()
        rig.take_told()
        rig.run(span_ms - 1)
        assert len(rig.layer) == 1, (method, client, path)
        rig.run(1)
        assert len(rig.layer) == 0 and rig.take() == [] and rig.take_told() == []
        assert rig.layer.next_deadline_ms() is None
    assert BRANCH.startswith(b"z9hG4bK")
