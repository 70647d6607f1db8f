"""The transaction layer (RFC 3261 17, RFC 6026, RFC 4320): messages and time in, messages out.

    receive_message    a parsed message from the network -> TAKEN, STRAY or FULL
    send_request       the transaction user's request: a client transaction
    send_response      its answer to a server transaction
    to_send            what must leave now;  next_event: what the transaction user must hear
    next_deadline_ms, handle_timer

The machines are the tables of transaction_tables; this file only walks them. Servers are found by
branch, sent-by and method (17.2.3), an ACK as its INVITE; clients by branch and method of CSeq
(17.1.3). A request of an RFC 2543 client, whose branch lacks the magic cookie, is found by its
topmost Via, Request-URI, From tag, Call-ID and CSeq number; the To tag stays out, since the ACK
has one and its INVITE has not.

Not done here: the ACK to a 2xx (its branch is new, so it is STRAY: the proxy forwards it), and
failover to another address. An INVITE client in Proceeding and an INVITE server in Proceeding
have no timer in the RFC: the transaction user's Timer C ends the one and its answer the other.

Full: a new request is refused (FULL; the caller answers 503 without a transaction) while a quarter
of the table is left to the client transactions of what was accepted before. Both interpreters;
imports no I/O.
"""

from collections import deque

from bus.compat import MICROPYTHON, const, earliest, ticks_add, ticks_diff
from firmware import fastpath
from firmware.fastpath import layout
from firmware.sip import timers as timer_table
from firmware.sip import transaction_tables as tables
from firmware.sip.builder import response, response_head
from firmware.sip.errors import PHRASES, Malformed
from firmware.sip.headers import Via, parse_cseq
from firmware.sip.hop import Hop
from firmware.sip.message import SipMessage
from firmware.sip.timer_queue import TimerQueue
from firmware.sip.transaction_match import Transaction, client_key, server_key

# what receive_message says
TAKEN = const(0)  # a transaction has it; see next_event
STRAY = const(1)  # an ACK or a response that belongs to no transaction
FULL = const(2)  # no room for a new transaction

# kinds of events
REQUEST = const(0)  # a new server transaction, which wants an answer
GOT_ACK = const(1)  # an ACK to a 2xx by the INVITE's own branch
RESPONSE = const(2)
TIMEOUT = const(3)  # client: counts as 408 (8.1.3.1); server: no ACK came, or nobody waits
ERROR = const(4)  # the transport failed; client: counts as 503 (8.1.3.1)

# bytes hashes have 16 bits on MicroPython: a dict with more keys than this turns slow
LARGEST_TABLE = const(16384) if MICROPYTHON else const(1 << 22)
_BATCH = const(64)  # timers that one handle_timer serves


class Transactions:
    """All transactions of one card."""

    def __init__(self, limit, queue_limit, max_headers=64, timers=None):
        """limit: transactions, 4..LARGEST_TABLE.  queue_limit: messages that wait to be sent.

        max_headers: what the door lets through.  timers: Timers, the RFC's values by default.
        """
        if not 4 <= limit <= LARGEST_TABLE:
            raise ValueError("transaction limit out of range")
        self.timers = timers or timer_table.Timers()
        self._limit = limit
        self._servers = {}
        self._clients = {}
        self._queue = TimerQueue(limit)
        self._to_send = deque((), queue_limit)
        self._queue_limit = queue_limit
        self._events = deque((), _BATCH)
        # room for the Via, Record-Route and Route that a proxy adds
        self._own = SipMessage(fastpath.Scanner(max_headers + 8))
        self.high_water = 0
        self.counters = {name: 0 for name in (
            "servers", "clients", "retransmissions", "repeats", "stray_acks", "stray_responses",
            "bad_responses", "full", "queue_full", "timeouts", "errors", "ignored", "refused")}

    def __len__(self):
        return len(self._servers) + len(self._clients)

    # what comes from the network

    def receive_message(self, message, peer, now_ms):
        """Take a message; returns TAKEN, STRAY or FULL.

        message: an answerable SipMessage; a request has passed the door's checks (first Via and
        CSeq are well-formed), a response's first Via has our sent-by (18.1.2).  peer: Peer it came
        from.  Drain next_event before the next call: events refer to `message`.
        """
        if message.kind == layout.KIND_RESPONSE:
            return self._receive_response(message, now_ms)
        via = Via(message.via_value)
        method = message.method
        transaction = self._servers.get(server_key(message, via, method))
        if method == b"ACK":
            if transaction is None:
                self.counters["stray_acks"] += 1
                return STRAY
            self._step(transaction, tables.GOT_ACK, now_ms, message)
            return TAKEN
        if transaction is not None:
            self.counters["retransmissions"] += 1
            self._step(transaction, tables.GOT_REQUEST, now_ms)
            return TAKEN
        if len(self) >= self._limit - self._limit // 4:
            self.counters["full"] += 1
            return FULL
        self._open_server(message, via, method, peer, now_ms)
        return TAKEN

    def _open_server(self, message, via, method, peer, now_ms):
        invite = method == b"INVITE"
        transaction = Transaction(
            tables.INVITE_SERVER if invite else tables.SERVER, server_key(message, via, method),
            peer.reply_to(via), b"", now_ms)
        transaction.trying = (
            response_head(message, via, via.answered(peer.host, peer.port), b""),
            message.header(layout.H_TIMESTAMP))
        self.counters["servers"] += 1
        self._add(self._servers, transaction)
        self._enter(transaction, tables.PROCEEDING if invite else tables.TRYING, now_ms)
        self._events.append((REQUEST, transaction, message))

    def _receive_response(self, message, now_ms):
        """A response without a transaction is dropped, not forwarded (RFC 6026 7.3)."""
        try:
            branch = Via(message.via_value).branch or b""
            method = parse_cseq(message.cseq_value)[1]
        except Malformed:
            self.counters["bad_responses"] += 1
            return STRAY
        transaction = self._clients.get(client_key(branch, method))
        if transaction is None:
            self.counters["stray_responses"] += 1
            return STRAY
        status = message.status
        self._step(transaction, tables.GOT_1XX if status < 200 else tables.GOT_2XX
                   if status < 300 else tables.GOT_FAILURE, now_ms, message)
        return TAKEN

    def find_invite(self, message):
        """The INVITE server transaction that the CANCEL `message` is for (9.2), or None."""
        return self._servers.get(server_key(message, Via(message.via_value), b"INVITE"))

    # what the transaction user wants

    def send_request(self, data, branch, method, peer, now_ms, user=None):
        """Send a request in a new client transaction; returns it, or None when the table is full.

        data: the request whose topmost Via has `branch`, unique by 8.1.1.7.  method: bytes, not
        ACK.  Raises ValueError for a branch in use or an INVITE that cannot be read.
        """
        key = client_key(branch, method)
        if key in self._clients:
            raise ValueError("branch in use")
        invite = method == b"INVITE"
        hop = self._read(data) if invite else None
        if len(self) >= self._limit:
            self.counters["full"] += 1
            return None
        transaction = Transaction(
            tables.INVITE_CLIENT if invite else tables.CLIENT, key, peer, data, now_ms)
        transaction.hop = hop
        transaction.branch = branch
        transaction.user = user
        self.counters["clients"] += 1
        self._add(self._clients, transaction)
        self._put(data, transaction)
        self._enter(transaction, tables.CALLING if invite else tables.TRYING, now_ms)
        return transaction

    def _read(self, data):
        own = self._own
        if own.parse(data, len(data)) < 0 or not own.answerable():
            raise ValueError("INVITE cannot be read")
        return Hop(own)

    def send_cancel(self, client, now_ms):
        """Send the CANCEL of an INVITE client; returns its transaction or None.

        None: there was no provisional response yet, or a final one (9.1), or the table is full.
        """
        if client.machine != tables.INVITE_CLIENT or client.state != tables.PROCEEDING:
            return None
        data = client.hop.build(b"CANCEL", client.hop.to_value)
        return self.send_request(data, client.branch, b"CANCEL", client.peer, now_ms)

    def send_response(self, server, status, data, now_ms):
        """Send the response `data` (a whole message); False when the machine drops it.

        A non-INVITE transaction takes no provisional response, since it sends its 100 itself
        when RFC 4320 4.1 wants one, and no 408 (4.2).
        """
        if not server.is_invite() and (status < 200 or status == 408):
            self.counters["refused"] += 1
            return False
        event = (tables.SEND_1XX if status < 200 else tables.SEND_2XX
                 if status < 300 else tables.SEND_FAILURE)
        return self._step(server, event, now_ms, None, data)

    def send_stateless(self, data, peer):
        """Send a message that belongs to no transaction, in turn with the others."""
        self._put(data, None, peer)

    def abandon(self, transaction, now_ms):
        """End a transaction without a word, as when its Timer C has fired (16.8)."""
        if transaction.state != tables.TERMINATED:
            self._enter(transaction, tables.TERMINATED, now_ms)

    def handle_error(self, transaction, now_ms):
        """The transport could not send what to_send gave for `transaction` (17.1.4, 17.2.4)."""
        self.counters["errors"] += 1
        self._step(transaction, tables.TRANSPORT_ERROR, now_ms)

    # what comes out

    def to_send(self):
        """(message bytes, Peer, Transaction or None) that must leave now, or None."""
        return self._to_send.popleft() if len(self._to_send) else None

    def next_event(self):
        """(kind, Transaction, SipMessage or None) for the transaction user, or None."""
        return self._events.popleft() if len(self._events) else None

    def next_deadline_ms(self):
        """Tick at which handle_timer wants to be called; it may find nothing to do."""
        return self._queue.next_deadline_ms()

    def handle_timer(self, now_ms):
        """Fire what is due, at most as many as the events have room for; call until none is due.

        Drain next_event after each call.
        """
        for _ in range(_BATCH - len(self._events)):
            transaction = self._queue.pop_due(now_ms)
            if transaction is None:
                return
            if _is_due(transaction.end_ms, now_ms):
                self._step(transaction, tables.TIMER_END, now_ms)
            elif _is_due(transaction.repeat_ms, now_ms):
                self._fire_repeat(transaction, now_ms)
            self._arm(transaction)

    def _fire_repeat(self, transaction, now_ms):
        span_ms = self.timers.again_ms(transaction.repeat, transaction.repeat_span_ms)
        if transaction.machine == tables.CLIENT and transaction.state == tables.PROCEEDING:
            span_ms = self.timers.t2_ms  # 17.1.2.2
        transaction.repeat_span_ms = span_ms
        transaction.repeat_ms = None if span_ms is None else ticks_add(now_ms, span_ms)
        self._step(transaction, tables.TIMER_REPEAT, now_ms)

    # the machine

    def _step(self, transaction, event, now_ms, message=None, data=None):
        """Walk one row of the machine's table; False when it has none for this event."""
        row = tables.STEPS[transaction.machine].get(
            transaction.state * tables.EVENT_COUNT + event)
        if row is None:
            self.counters["ignored"] += 1
            return False
        for action in row[0]:
            if action == tables.PASS:
                kind = GOT_ACK if event == tables.GOT_ACK else RESPONSE
                self._events.append((kind, transaction, message))
            elif action == tables.SEND:
                transaction.data = data
                transaction.trying = None
                self._put(data, transaction)
            elif action == tables.REPEAT:
                self._repeat(transaction)
            elif action == tables.ACK:
                self._put(transaction.hop.build(b"ACK", message.to_value), transaction)
            elif action == tables.SEND_100:
                self._send_100(transaction, now_ms)
            else:
                self._tell(transaction, action)
        if row[1] != transaction.state:
            self._enter(transaction, row[1], now_ms)
        return True

    def _tell(self, transaction, action):
        timeout = action == tables.TELL_TIMEOUT
        if timeout:
            self.counters["timeouts"] += 1
        self._events.append((TIMEOUT if timeout else ERROR, transaction, None))

    def _repeat(self, transaction):
        if transaction.data:
            self.counters["repeats"] += 1
            self._put(transaction.data, transaction)

    def _send_100(self, transaction, now_ms):
        """100 Trying with the request's Timestamp and our delay (8.2.6.1), if none went before."""
        if transaction.data:
            return
        head, timestamp = transaction.trying
        extra = b""
        if timestamp:
            delay_ms = ticks_diff(now_ms, transaction.created_ms)
            extra = b"Timestamp: %s %d.%03d\r\n" % (
                timestamp.split()[0], delay_ms // 1000, delay_ms % 1000)
        transaction.data = response(100, PHRASES[100], head, extra)
        self._put(transaction.data, transaction)

    def _enter(self, transaction, state, now_ms):
        transaction.state = state
        if state == tables.TERMINATED:
            self._end(transaction)
            return
        repeat, end = tables.STATE_TIMERS[transaction.machine][state]
        reliable = transaction.peer.reliable
        if repeat != tables.KEEP:
            span_ms = None if repeat == tables.STOP else self.timers.span_ms(repeat, reliable)
            transaction.repeat = repeat
            transaction.repeat_span_ms = span_ms
            transaction.repeat_ms = None if span_ms is None else ticks_add(now_ms, span_ms)
        if end != tables.KEEP:
            span_ms = None if end == tables.STOP else self.timers.span_ms(end, reliable)
            if span_ms == 0:
                self._enter(transaction, tables.TERMINATED, now_ms)
                return
            transaction.end_ms = None if span_ms is None else ticks_add(now_ms, span_ms)
        self._arm(transaction)

    def _arm(self, transaction):
        if transaction.state != tables.TERMINATED:
            self._queue.arm(transaction, earliest(transaction.repeat_ms, transaction.end_ms))

    def _add(self, table, transaction):
        table[transaction.key] = transaction
        if len(self) > self.high_water:
            self.high_water = len(self)

    def _end(self, transaction):
        """Forget the transaction; what a dead timer entry still holds of it is small."""
        client = transaction.is_client()
        del (self._clients if client else self._servers)[transaction.key]
        transaction.armed_ms = None
        transaction.data = b""
        transaction.trying = transaction.hop = None
        if not client:
            transaction.user = None

    def _put(self, data, transaction, peer=None):
        """Queue a message; one that finds no room is lost, as on the network."""
        if len(self._to_send) >= self._queue_limit:
            self.counters["queue_full"] += 1
        else:
            self._to_send.append((data, peer or transaction.peer, transaction))


def _is_due(due_ms, now_ms):
    return due_ms is not None and ticks_diff(now_ms, due_ms) >= 0
