"""Requests and their answers: idempotent identifiers, retry, a bounded cache of answers.

The asking side repeats a request after 250 ms, doubling, until the answer or the time-out. The
answering side executes an identifier once: a repeat while the answer is pending is only noted
down as one more asker, a repeat after it is answered from the cache. The identifier alone is the
key, not the asker: two cards that pass on the same SIP retransmission ask for the same thing.
Imports no I/O. Runs on both interpreters.
"""

from bus.compat import const, earliest, ticks_add, ticks_diff
from bus.ringqueue import RingQueue

REQUEST_ID_BYTES = const(8)

EXECUTE = const(1)  # new: hand it to the card
PENDING = const(2)  # being executed: the asker will get the answer when it comes
ANSWERED = const(3)  # the cached answer is to be sent again
REFUSED = const(4)  # table full


class Pending:
    """One request of ours without its answer."""

    def __init__(self, request_id, slot, body, transfer, now_ms, timeout_ms, retry_ms):
        self.request_id = request_id
        self.slot = slot
        self.body = body  # identifier and message, as the frame carries them
        self.transfer = transfer
        self.deadline_ms = ticks_add(now_ms, timeout_ms)
        self.retry_span_ms = retry_ms
        self.retry_ms = ticks_add(now_ms, retry_ms)

    def due_ms(self):
        """The next retry or the time-out, whichever is first."""
        return earliest(self.retry_ms, self.deadline_ms)


class Requester:
    """The asking side."""

    def __init__(self, slot, incarnation, limits):
        """limits: BusLimits, fields requests_pending, request_retry_ms."""
        # slot, life and a count: never used twice, without a random source
        self._prefix = bytes((slot,)) + (incarnation & 0xFFFFFF).to_bytes(3, "big")
        self._count = 0
        self._limits = limits
        self._pending = {}
        self._due_ms = None
        self.refused = 0
        self.timed_out = 0
        self.retried = 0
        self.stray = 0
        self.high_water = 0

    def __len__(self):
        return len(self._pending)

    def new_id(self):
        """An identifier nobody else makes (a card wraps after 2**32 requests)."""
        self._count = (self._count + 1) & 0xFFFFFFFF
        return self._prefix + self._count.to_bytes(4, "big")

    def find(self, request_id):
        """The Pending of this identifier, or None."""
        return self._pending.get(request_id)

    def begin(self, request_id, slot, message, transfer, now_ms, timeout_ms):
        """Note a new request down; returns its Pending, or None when the table is full."""
        if len(self._pending) >= self._limits.requests_pending:
            self.refused += 1
            return None
        pending = Pending(request_id, slot, request_id + message, transfer, now_ms, timeout_ms,
                          self._limits.request_retry_ms)
        self._pending[request_id] = pending
        self.high_water = max(self.high_water, len(self._pending))
        self._due_ms = earliest(self._due_ms, pending.due_ms())
        return pending

    def receive(self, slot, request_id):
        """An answer from `slot`; True when it was waited for."""
        pending = self._pending.get(request_id)
        if pending is None or pending.slot != slot:
            self.stray += 1
            return False
        del self._pending[request_id]
        return True

    def next_deadline_ms(self):
        """When to call handle_timer, never later than the first retry; None when idle."""
        return self._due_ms

    def handle_timer(self, now_ms):
        """Returns (list of Pending to send again, list of Pending that timed out)."""
        if self._due_ms is None or ticks_diff(now_ms, self._due_ms) < 0:
            return (), ()
        again = []
        over = []
        self._due_ms = None
        for request_id in list(self._pending):
            pending = self._pending[request_id]
            if ticks_diff(now_ms, pending.deadline_ms) >= 0:
                del self._pending[request_id]
                over.append(pending)
                continue
            if ticks_diff(now_ms, pending.retry_ms) >= 0:
                pending.retry_span_ms *= 2
                pending.retry_ms = ticks_add(now_ms, pending.retry_span_ms)
                again.append(pending)
            self._due_ms = earliest(self._due_ms, pending.due_ms())
        self.timed_out += len(over)
        self.retried += len(again)
        return again, over


class _Execution:
    """A request the card is working on."""

    def __init__(self, slot, expiry_ms):
        self.askers = [slot]
        self.expiry_ms = expiry_ms


class Responder:
    """The answering side."""

    def __init__(self, limits):
        """limits: BusLimits, fields requests_executing, executing_timeout_ms, answer*."""
        self._limits = limits
        self._executing = {}
        self._answers = {}  # request_id -> (body, transfer)
        self._order = RingQueue(limits.answers)
        self._expiry_ms = None
        self.octets = 0
        self.repeated = 0
        self.refused = 0
        self.abandoned = 0

    def __len__(self):
        return len(self._executing)

    def receive(self, slot, request_id, now_ms):
        """What to do with a request: EXECUTE, PENDING, ANSWERED or REFUSED."""
        if request_id in self._answers:
            self.repeated += 1
            return ANSWERED
        execution = self._executing.get(request_id)
        if execution is not None:
            self.repeated += 1
            if slot not in execution.askers:
                execution.askers.append(slot)
            return PENDING
        if len(self._executing) >= self._limits.requests_executing:
            self.refused += 1
            return REFUSED
        expiry = ticks_add(now_ms, self._limits.executing_timeout_ms)
        self._executing[request_id] = _Execution(slot, expiry)
        self._expiry_ms = earliest(self._expiry_ms, expiry)
        return EXECUTE

    def answer(self, request_id):
        """The cached (body, transfer) of an identifier for which `receive` said ANSWERED."""
        return self._answers[request_id]

    def complete(self, slot, request_id, message, transfer):
        """The card's answer; returns (askers, body). `slot` is asked for even if unknown."""
        execution = self._executing.pop(request_id, None)
        askers = [] if execution is None else execution.askers
        if slot not in askers:
            askers.append(slot)
        body = request_id + message
        self._keep(request_id, body, transfer)
        return askers, body

    def _keep(self, request_id, body, transfer):
        """Cache an answer; the oldest give way until count and octets are in bounds."""
        if len(body) > self._limits.answer_octets:
            return
        if request_id in self._answers:
            self.octets += len(body) - len(self._answers[request_id][0])
            self._answers[request_id] = (body, transfer)
        else:
            if not self._order.room():
                self._evict()
            self._order.put(request_id)
            self._answers[request_id] = (body, transfer)
            self.octets += len(body)
        while self.octets > self._limits.answer_octets:
            self._evict()

    def _evict(self):
        body, _ = self._answers.pop(self._order.get())
        self.octets -= len(body)

    def next_deadline_ms(self):
        """When to call handle_timer; None when nothing is being executed."""
        return self._expiry_ms

    def handle_timer(self, now_ms):
        """Forget executions the card never answered, so that a repeat is executed again."""
        if self._expiry_ms is None or ticks_diff(now_ms, self._expiry_ms) < 0:
            return
        self._expiry_ms = None
        for request_id in list(self._executing):
            expiry = self._executing[request_id].expiry_ms
            if ticks_diff(now_ms, expiry) >= 0:
                del self._executing[request_id]
                self.abandoned += 1
            else:
                self._expiry_ms = earliest(self._expiry_ms, expiry)
