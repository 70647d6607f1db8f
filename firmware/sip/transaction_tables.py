"""The four transaction state machines as tables (RFC 3261 17 as corrected by RFC 6026).

A row is (state, event, actions, next state); what has no row is ignored in that state. ENTER
tells which two timers a state starts. Both interpreters; imports no I/O.

RFC 3261 figures 5 to 8 with RFC 6026 7 and 8: 2xx to an INVITE leads to Accepted, where the
server absorbs the INVITE's retransmissions and the client lets every further 2xx pass; a server
whose response the transport could not deliver stays in its state (RFC 6026 8.8).
Ours beside them: a non-INVITE server sends 100 by itself and only when RFC 4320 4.1 says, and
ends without a word when nobody can wait for its answer any more (RFC 4320 4.2).
"""

from bus.compat import const
from firmware.sip import timers

INVITE_CLIENT = const(0)
CLIENT = const(1)
INVITE_SERVER = const(2)
SERVER = const(3)

CALLING = const(0)
TRYING = const(1)
PROCEEDING = const(2)
COMPLETED = const(3)
CONFIRMED = const(4)
ACCEPTED = const(5)
TERMINATED = const(6)

# events of clients and servers
TIMER_REPEAT = const(0)  # A, E, G; in a server without response: time for the 100
TIMER_END = const(1)  # B, D, F, H, I, J, K, L, M
TRANSPORT_ERROR = const(2)
# of clients: a response came
GOT_1XX = const(3)
GOT_2XX = const(4)
GOT_FAILURE = const(5)  # 300-699
# of servers: a request came, or the transaction user answers
GOT_REQUEST = const(6)
GOT_ACK = const(7)
SEND_1XX = const(8)
SEND_2XX = const(9)
SEND_FAILURE = const(10)
EVENT_COUNT = const(11)

# actions
PASS = const(0)  # the message goes to the transaction user
REPEAT = const(1)  # the request, or the last response if any, once more
ACK = const(2)  # the ACK to a failure
SEND = const(3)  # the transaction user's response
SEND_100 = const(4)  # unless a response went before
TELL_TIMEOUT = const(5)
TELL_ERROR = const(6)

ROWS = (
    (  # INVITE_CLIENT: RFC 3261 17.1.1, RFC 6026 7.2
        (CALLING, GOT_1XX, (PASS,), PROCEEDING),
        (CALLING, GOT_2XX, (PASS,), ACCEPTED),
        (CALLING, GOT_FAILURE, (ACK, PASS), COMPLETED),
        (CALLING, TIMER_REPEAT, (REPEAT,), CALLING),
        (CALLING, TIMER_END, (TELL_TIMEOUT,), TERMINATED),
        (CALLING, TRANSPORT_ERROR, (TELL_ERROR,), TERMINATED),
        (PROCEEDING, GOT_1XX, (PASS,), PROCEEDING),
        (PROCEEDING, GOT_2XX, (PASS,), ACCEPTED),
        (PROCEEDING, GOT_FAILURE, (ACK, PASS), COMPLETED),
        (COMPLETED, GOT_FAILURE, (ACK,), COMPLETED),
        (COMPLETED, TIMER_END, (), TERMINATED),
        (COMPLETED, TRANSPORT_ERROR, (TELL_ERROR,), TERMINATED),
        (ACCEPTED, GOT_2XX, (PASS,), ACCEPTED),
        (ACCEPTED, TIMER_END, (), TERMINATED),
    ),
    (  # CLIENT: RFC 3261 17.1.2
        (TRYING, GOT_1XX, (PASS,), PROCEEDING),
        (TRYING, GOT_2XX, (PASS,), COMPLETED),
        (TRYING, GOT_FAILURE, (PASS,), COMPLETED),
        (TRYING, TIMER_REPEAT, (REPEAT,), TRYING),
        (TRYING, TIMER_END, (TELL_TIMEOUT,), TERMINATED),
        (TRYING, TRANSPORT_ERROR, (TELL_ERROR,), TERMINATED),
        (PROCEEDING, GOT_1XX, (PASS,), PROCEEDING),
        (PROCEEDING, GOT_2XX, (PASS,), COMPLETED),
        (PROCEEDING, GOT_FAILURE, (PASS,), COMPLETED),
        (PROCEEDING, TIMER_REPEAT, (REPEAT,), PROCEEDING),
        (PROCEEDING, TIMER_END, (TELL_TIMEOUT,), TERMINATED),
        (PROCEEDING, TRANSPORT_ERROR, (TELL_ERROR,), TERMINATED),
        (COMPLETED, TIMER_END, (), TERMINATED),
    ),
    (  # INVITE_SERVER: RFC 3261 17.2.1, RFC 6026 7.1
        (PROCEEDING, GOT_REQUEST, (REPEAT,), PROCEEDING),
        (PROCEEDING, SEND_1XX, (SEND,), PROCEEDING),
        (PROCEEDING, SEND_2XX, (SEND,), ACCEPTED),
        (PROCEEDING, SEND_FAILURE, (SEND,), COMPLETED),
        (PROCEEDING, TIMER_REPEAT, (SEND_100,), PROCEEDING),
        (PROCEEDING, TRANSPORT_ERROR, (TELL_ERROR,), PROCEEDING),
        (COMPLETED, GOT_REQUEST, (REPEAT,), COMPLETED),
        (COMPLETED, GOT_ACK, (), CONFIRMED),
        (COMPLETED, TIMER_REPEAT, (REPEAT,), COMPLETED),
        (COMPLETED, TIMER_END, (TELL_TIMEOUT,), TERMINATED),
        (COMPLETED, TRANSPORT_ERROR, (TELL_ERROR,), COMPLETED),
        (CONFIRMED, TIMER_END, (), TERMINATED),
        (ACCEPTED, GOT_ACK, (PASS,), ACCEPTED),
        (ACCEPTED, SEND_2XX, (SEND,), ACCEPTED),
        (ACCEPTED, TIMER_END, (), TERMINATED),
        (ACCEPTED, TRANSPORT_ERROR, (TELL_ERROR,), ACCEPTED),
    ),
    (  # SERVER: RFC 3261 17.2.2, RFC 4320
        (TRYING, SEND_2XX, (SEND,), COMPLETED),
        (TRYING, SEND_FAILURE, (SEND,), COMPLETED),
        (TRYING, TIMER_REPEAT, (SEND_100,), PROCEEDING),
        (TRYING, TIMER_END, (TELL_TIMEOUT,), TERMINATED),
        (PROCEEDING, GOT_REQUEST, (REPEAT,), PROCEEDING),
        (PROCEEDING, SEND_2XX, (SEND,), COMPLETED),
        (PROCEEDING, SEND_FAILURE, (SEND,), COMPLETED),
        (PROCEEDING, TIMER_END, (TELL_TIMEOUT,), TERMINATED),
        (PROCEEDING, TRANSPORT_ERROR, (TELL_ERROR,), PROCEEDING),
        (COMPLETED, GOT_REQUEST, (REPEAT,), COMPLETED),
        (COMPLETED, TIMER_END, (), TERMINATED),
        (COMPLETED, TRANSPORT_ERROR, (TELL_ERROR,), COMPLETED),
    ),
)

# instead of a timer: the one that runs goes on, or none runs
KEEP = const(-1)
STOP = const(-2)
# (machine, state, timer of TIMER_REPEAT, timer of TIMER_END)
ENTER = (
    (INVITE_CLIENT, CALLING, timers.TIMER_A, timers.TIMER_B),
    # no timer of its own here: the transaction user's Timer C bounds it
    (INVITE_CLIENT, PROCEEDING, STOP, STOP),
    (INVITE_CLIENT, COMPLETED, STOP, timers.TIMER_D),
    (INVITE_CLIENT, ACCEPTED, STOP, timers.TIMER_M),
    (CLIENT, TRYING, timers.TIMER_E, timers.TIMER_F),
    (CLIENT, PROCEEDING, KEEP, KEEP),
    (CLIENT, COMPLETED, STOP, timers.TIMER_K),
    # nor here: the transaction user owes an answer
    (INVITE_SERVER, PROCEEDING, timers.TIMER_TRYING, STOP),
    (INVITE_SERVER, COMPLETED, timers.TIMER_G, timers.TIMER_H),
    (INVITE_SERVER, CONFIRMED, STOP, timers.TIMER_I),
    (INVITE_SERVER, ACCEPTED, STOP, timers.TIMER_L),
    (SERVER, TRYING, timers.TIMER_LATE_TRYING, timers.TIMER_NO_ANSWER),
    (SERVER, PROCEEDING, STOP, KEEP),
    (SERVER, COMPLETED, STOP, timers.TIMER_J),
)


def _by_event():
    """For each machine {state * EVENT_COUNT + event: (actions, next state)}."""
    machines = []
    for rows in ROWS:
        machines.append({state * EVENT_COUNT + event: (actions, after)
                         for state, event, actions, after in rows})
    return machines


def _by_state():
    """For each machine {state: (timer of TIMER_REPEAT, timer of TIMER_END)}."""
    machines = [{} for _ in ROWS]
    for machine, state, repeat, end in ENTER:
        machines[machine][state] = (repeat, end)
    return machines


STEPS = _by_event()
STATE_TIMERS = _by_state()
