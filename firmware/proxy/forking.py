"""The forking proxy: response contexts over client transactions (RFC 3261 16.6 to 16.10).

    begin          a request and its targets as ready-made copies: parallel at equal q, else serial
    handle_event   what Transactions.next_event gave; False when it is the caller's own
    handle_cancel  a CANCEL from upstream
    next_deadline_ms, handle_timer: Timer C

A 2xx goes upstream at once; of the failures the best one when every branch has ended, with the
challenges of all; a 6xx stops new branches and cancels the others. CANCEL waits for a provisional
response. A non-INVITE request that nobody answered gets nothing (RFC 4320 4.2).

Not here: recursion on 3xx, and failover among the addresses of one target (RFC 3263).
Contexts live as long as the transactions that refer to them, so the transaction table bounds
them. Both interpreters; imports no I/O.
"""

from bus.compat import const, ticks_add, ticks_diff
from firmware.proxy.best_response import (
    CHALLENGES, challenge_lines, rank, with_lines, without_top_via)
from firmware.sip import timers
from firmware.sip import transaction as layer
from firmware.sip import transaction_tables as tables
from firmware.sip.builder import response
from firmware.sip.errors import PHRASES
from firmware.sip.timer_queue import TimerQueue

_BATCH = const(64)  # timers that one handle_timer serves
# reason phrases of our own final answers
_PHRASES = {408: PHRASES[408], 487: b"Request Terminated", 500: PHRASES[500],
            502: b"Bad Gateway"}


class Target:
    """One place the request goes to.

    q: 0..1000, higher first.  data: the whole request for it (16.6 steps 1 to 9), whose topmost
    Via has `branch`.  peer: Peer.
    """

    __slots__ = ("q", "branch", "data", "peer")

    def __init__(self, q, branch, data, peer):
        self.q = q
        self.branch = branch
        self.data = data
        self.peer = peer


class Branch:
    """A target that was tried.  client: its transaction until the final response came."""

    __slots__ = ("context", "client", "due_ms", "armed_ms", "wants_cancel", "cancelled")

    def __init__(self, context):
        self.context = context
        self.client = None
        self.due_ms = None
        self.armed_ms = None
        self.wants_cancel = False
        self.cancelled = False


class Context:
    """The response context of one request (16.7).

    head: lines of our own answers.  waiting: Targets not yet tried, the next group last.
    branches: those without final response.  best: (rank, status, response or None for our own).
    challenges: (response, its challenge lines).  final: the status sent upstream, 0 before.
    """

    __slots__ = ("server", "method", "head", "waiting", "branches", "best", "challenges", "final",
                 "cancelled")

    def __init__(self, server, method, head):
        self.server = server
        self.method = method
        self.head = head
        self.waiting = []
        self.branches = []
        self.best = None
        self.challenges = []
        self.final = 0
        self.cancelled = False

    def add(self, status, data):
        """Keep a failure if it is better than those before it (16.7 steps 4 and 6)."""
        place = rank(status)
        if self.best is None or place < self.best[0]:
            self.best = (place, status, data)


class Forking:
    """Response contexts over one Transactions."""

    def __init__(self, transactions, limit, branch_limit):
        """limit: that of transactions.  branch_limit: targets of one request.

        With more targets the ones of lowest q are left out and counted.
        """
        self._transactions = transactions
        self._timers = transactions.timers
        self._branch_limit = branch_limit
        self._queue = TimerQueue(limit)
        self.counters = {name: 0 for name in (
            "contexts", "branches", "branches_dropped", "cancels", "timer_c", "bad_responses",
            "unsent")}

    def begin(self, server, method, targets, head, now_ms, parallel=True):
        """Forward a request (16.6).

        server: its transaction, not yet answered.  method: bytes.  targets: list of Target, not
        empty.  head: response_head with a To tag, for our own answers.  parallel: False tries
        one target after another even at equal q.
        """
        context = Context(server, method, head)
        server.user = context
        self.counters["contexts"] += 1
        order = [(-target.q, number) for number, target in enumerate(targets)]
        order.sort()
        self.counters["branches_dropped"] += max(0, len(order) - self._branch_limit)
        group = None
        for place, number in order[:self._branch_limit]:
            if group is None or place != group or not parallel:
                context.waiting.insert(0, [])
                group = place
            context.waiting[0].append(targets[number])
        self._advance(context, now_ms)

    def _advance(self, context, now_ms):
        """When no branch is pending: try the next group, or answer with the best (16.7 step 6)."""
        while not context.branches and not context.final:
            if not context.waiting:
                self._answer_best(context, now_ms)
                return
            for target in context.waiting.pop():
                self._try(context, target, now_ms)

    def _try(self, context, target, now_ms):
        branch = Branch(context)
        branch.client = self._transactions.send_request(
            target.data, target.branch, context.method, target.peer, now_ms, branch)
        if branch.client is None:
            context.add(503, None)  # no room for a transaction: as a transport error (16.9)
            return
        self.counters["branches"] += 1
        context.branches.append(branch)
        if branch.client.is_invite():
            self._set_timer(branch, timers.TIMER_C, now_ms)

    def _set_timer(self, branch, timer, now_ms):
        branch.due_ms = ticks_add(now_ms, self._timers.span_ms(timer, False))
        self._queue.arm(branch, branch.due_ms)

    # what the transactions tell

    def handle_event(self, event, now_ms):
        """Take (kind, transaction, message) of Transactions.next_event.

        False: a server transaction's event, which is the caller's.
        """
        kind, transaction, message = event
        if not transaction.is_client():
            return False
        branch = transaction.user
        if branch is None:
            return True  # our CANCEL's own answer has only our Via: not forwarded (16.7 step 3)
        if kind == layer.RESPONSE and message.status < 200:
            self._provisional(branch, message, now_ms)
        else:
            self._final(branch, kind, message, now_ms)
        return True

    def _provisional(self, branch, message, now_ms):
        context = branch.context
        if branch.wants_cancel:
            self._send_cancel(branch, now_ms)
        elif branch.client.is_invite() and message.status > 100:
            self._set_timer(branch, timers.TIMER_C, now_ms)  # 16.7 step 2
        if message.status > 100 and not context.final and context.server.is_invite():
            data = without_top_via(message, context.server.peer.reliable)
            if data is None:
                self.counters["bad_responses"] += 1
            else:
                self._send(context, message.status, data, now_ms)

    def _final(self, branch, kind, message, now_ms):
        context = branch.context
        self._close(branch)
        if kind == layer.ERROR:
            context.add(503, None)  # 16.9
        elif kind == layer.RESPONSE:
            status = message.status
            data = without_top_via(message, context.server.peer.reliable)
            if data is None:
                self.counters["bad_responses"] += 1
                context.add(502, None)
            elif status < 300:
                self._succeed(context, status, data, now_ms)
            else:
                self._fail(context, message, data, now_ms)
        # a timeout leaves nothing in the context (16.6 step 7)
        self._advance(context, now_ms)

    def _succeed(self, context, status, data, now_ms):
        """A 2xx goes up at once; to an INVITE every one does (16.7 step 5)."""
        if context.final and not context.server.is_invite():
            return
        self._send(context, status, data, now_ms)
        if not context.final:
            context.final = status
            self._stop(context, now_ms)

    def _fail(self, context, message, data, now_ms):
        status = message.status
        if status == 408 and not context.server.is_invite():
            return  # never passed on, RFC 4320 4.2
        if status in CHALLENGES:
            context.challenges.append((data, challenge_lines(message)))
        context.add(status, data)
        if status >= 600:
            self._stop(context, now_ms)  # 16.7 step 5

    def _close(self, branch):
        if branch.client is not None:
            branch.client = None
            branch.armed_ms = None  # nothing is due any more
            branch.context.branches.remove(branch)

    def _answer_best(self, context, now_ms):
        if context.best is not None:
            _, status, data = context.best
        else:
            status, data = (487 if context.cancelled else 408), None
        context.final = status
        if status == 408 and not context.server.is_invite():
            return
        if status == 503:
            # the next one may well be served: upstream must not shun us (16.7 step 6)
            status, data = 500, None
        if data is None:
            data = response(status, _PHRASES[status], context.head)
        elif status in CHALLENGES:
            others = [lines for source, lines in context.challenges if source is not data]
            data = with_lines(data, b"".join(others))
        self._send(context, status, data, now_ms)

    def _send(self, context, status, data, now_ms):
        server = context.server
        if self._transactions.send_response(server, status, data, now_ms):
            return
        if server.is_invite() and server.state == tables.TERMINATED and status < 300:
            # a 2xx later than 64*T1 after the first one goes on without it (16.7 step 9)
            self._transactions.send_stateless(data, server.peer)
        else:
            self.counters["unsent"] += 1

    # CANCEL and Timer C

    def handle_cancel(self, cancel, message, head, now_ms):
        """Answer a CANCEL and pass it on (16.10).

        cancel: its server transaction.  message: the CANCEL.  head: response_head for its 200.
        An INVITE that has not begun is not touched: whoever holds it answers it.
        False: its INVITE is unknown; the transaction is gone, the caller forwards statelessly.
        """
        invite = self._transactions.find_invite(message)
        if invite is None:
            self._transactions.abandon(cancel, now_ms)
            return False
        self._transactions.send_response(cancel, 200, response(200, PHRASES[200], head), now_ms)
        context = invite.user
        if context is not None and not context.final:
            context.cancelled = True
            self._stop(context, now_ms)
        return True

    def _stop(self, context, now_ms):
        """No new branches, and CANCEL to the pending ones (16.7 step 10)."""
        context.waiting = []
        if context.server.is_invite():
            for branch in context.branches:
                branch.wants_cancel = True
                self._send_cancel(branch, now_ms)

    def _send_cancel(self, branch, now_ms):
        """CANCEL, once, and only after a provisional response (9.1)."""
        if branch.cancelled or self._transactions.send_cancel(branch.client, now_ms) is None:
            return
        branch.cancelled = True
        self.counters["cancels"] += 1
        # an INVITE without final response 64*T1 after its CANCEL is given up (9.1)
        self._set_timer(branch, timers.TIMER_B, now_ms)

    def next_deadline_ms(self):
        """Tick at which handle_timer wants to be called; it may find nothing to do."""
        return self._queue.next_deadline_ms()

    def handle_timer(self, now_ms):
        """Serve Timer C of some branches; call until none is due."""
        for _ in range(_BATCH):
            branch = self._queue.pop_due(now_ms)
            if branch is None:
                return
            if ticks_diff(now_ms, branch.due_ms) < 0:
                self._queue.arm(branch, branch.due_ms)
            else:
                self._fire(branch, now_ms)

    def _fire(self, branch, now_ms):
        """Timer C (16.8), or the end of the wait after a CANCEL."""
        self.counters["timer_c"] += 1
        client = branch.client
        if client.state == tables.PROCEEDING and not branch.cancelled:
            branch.wants_cancel = True
            self._send_cancel(branch, now_ms)
            if branch.cancelled:
                return
        self._transactions.abandon(client, now_ms)
        self._close(branch)
        self._advance(branch.context, now_ms)
