"""The timers of SIP transactions as one table (RFC 3261 Appendix A table 4; RFC 6026, RFC 4320).

Runs on both interpreters; imports no I/O. All spans are milliseconds.
"""

from bus.compat import const

T1_MS = const(500)  # estimate of the round trip (17.1.1.1)
T2_MS = const(4000)  # longest gap between retransmissions of requests and of INVITE responses
T4_MS = const(5000)  # longest a message stays in the network (17.1.2.2)

TIMER_A = const(0)
TIMER_B = const(1)
TIMER_C = const(2)
TIMER_D = const(3)
TIMER_E = const(4)
TIMER_F = const(5)
TIMER_G = const(6)
TIMER_H = const(7)
TIMER_I = const(8)
TIMER_J = const(9)
TIMER_K = const(10)
TIMER_L = const(11)
TIMER_M = const(12)
TIMER_TRYING = const(13)
TIMER_LATE_TRYING = const(14)
TIMER_NO_ANSWER = const(15)

# how a span is counted
_MS = const(0)
_T1 = const(1)
_T4 = const(2)
_UNTIL_T2 = const(3)  # the time a client's Timer E takes to be reset to T2

# on reliable transports
_SAME = const(0)
_AT_ONCE = const(1)
_NEVER = const(2)

# after it fires
_ONCE = const(0)
_DOUBLES = const(1)
_DOUBLES_TO_T2 = const(2)

# (id, letter, counted in, how many, on reliable transports, after it fires); what it limits
TABLE = (
    (TIMER_A, "A", _T1, 1, _NEVER, _DOUBLES),  # gap between INVITEs, 17.1.1.2
    (TIMER_B, "B", _T1, 64, _SAME, _ONCE),  # an INVITE without any answer, 17.1.1.2
    # a proxied INVITE without a final answer: more than 3 minutes, 16.6 step 11
    (TIMER_C, "C", _MS, 181000, _SAME, _ONCE),
    (TIMER_D, "D", _MS, 32000, _AT_ONCE, _ONCE),  # repeats of the failure to an INVITE, 17.1.1.2
    (TIMER_E, "E", _T1, 1, _NEVER, _DOUBLES_TO_T2),  # gap between other requests, 17.1.2.2
    (TIMER_F, "F", _T1, 64, _SAME, _ONCE),  # another request without a final answer, 17.1.2.2
    (TIMER_G, "G", _T1, 1, _NEVER, _DOUBLES_TO_T2),  # gap between failures sent, 17.2.1
    (TIMER_H, "H", _T1, 64, _SAME, _ONCE),  # a failure without its ACK, 17.2.1
    (TIMER_I, "I", _T4, 1, _AT_ONCE, _ONCE),  # repeats of the ACK, 17.2.1
    (TIMER_J, "J", _T1, 64, _AT_ONCE, _ONCE),  # repeats of another request, 17.2.2
    (TIMER_K, "K", _T4, 1, _AT_ONCE, _ONCE),  # repeats of its answer, 17.1.2.2
    (TIMER_L, "L", _T1, 64, _SAME, _ONCE),  # repeats of an INVITE that got 2xx, RFC 6026 7.1
    (TIMER_M, "M", _T1, 64, _SAME, _ONCE),  # further 2xx to an INVITE, RFC 6026 7.2
    # the three below have no letter
    (TIMER_TRYING, "", _MS, 200, _SAME, _ONCE),  # an INVITE without our 100, 17.2.1
    (TIMER_LATE_TRYING, "", _UNTIL_T2, 1, _SAME, _ONCE),  # another request, RFC 4320 4.1
    # nobody waits for the answer any more once the client's Timer F has fired (RFC 4320 4.2)
    (TIMER_NO_ANSWER, "", _T1, 64, _SAME, _ONCE),
)


class Timers:
    """The table worked out for one T1, T2 and T4, in milliseconds."""

    def __init__(self, t1_ms=T1_MS, t2_ms=T2_MS, t4_ms=T4_MS):
        if not 0 < t1_ms <= t2_ms:
            raise ValueError("T1 must be above 0 and at most T2")
        self.t2_ms = t2_ms
        until_t2_ms = 0
        gap_ms = t1_ms
        while gap_ms < t2_ms:
            until_t2_ms += gap_ms
            gap_ms *= 2
        units = (1, t1_ms, t4_ms, until_t2_ms)
        self._spans = []
        self._reliable = []
        for _, _, unit, count, reliable, _ in TABLE:
            span_ms = units[unit] * count
            self._spans.append(span_ms)
            self._reliable.append((span_ms, 0, None)[reliable])

    def span_ms(self, timer, reliable):
        """How long `timer` (TIMER_...) first runs; 0: fires at once; None: never started."""
        return self._reliable[timer] if reliable else self._spans[timer]

    def again_ms(self, timer, span_ms):
        """How long `timer` runs after it fired at the end of `span_ms`; None: not again."""
        growth = TABLE[timer][5]
        if growth == _ONCE:
            return None
        return 2 * span_ms if growth == _DOUBLES else min(2 * span_ms, self.t2_ms)
