"""What the transaction tests share: a layer on a fake clock that starts before the tick wrap."""

from bus.compat import ticks_add, ticks_diff
from firmware import fastpath
from firmware.sip import transaction as layer
from firmware.sip.message import SipMessage
from firmware.sip.transaction_match import Peer
from sip_bench import message, request

START_MS = (1 << 30) - 5000  # five seconds before the ticks wrap
CALLER = Peer(b"192.0.2.1", 5060)
CALLEE = Peer(b"192.0.2.4", 5070)
STREAM = Peer(b"192.0.2.1", 40000, True, "c1")
STREAM_OUT = Peer(b"192.0.2.4", 5070, True, "c2")
BRANCH = b"z9hG4bKp1"
KINDS = ("REQUEST", "ACK", "RESPONSE", "TIMEOUT", "ERROR")


def first_word(data):
    """What a message is in short: its method, or its status."""
    words = data.split(b" ")
    return words[1].decode() if words[0] == b"SIP/2.0" else words[0].decode()


def reply(status, *extra, **options):
    """A response to a request that went out with our branch; options: method, branch, to, via.

    via: the Via behind ours, None for none.
    """
    below = options.get("via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1")
    lines = [
        "SIP/2.0 {} Fine".format(status),
        b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=" + options.get("branch", BRANCH)]
    if below:
        lines.append("Via: " + below)
    lines += ["From: <sip:caller@example.net>;tag=f1",
              "To: " + options.get("to", "<sip:bob@example.com>;tag=t1"),
              "Call-ID: c1@192.0.2.1", "CSeq: 1 " + options.get("method", "INVITE")]
    return message(*(lines + list(extra)), body=options.get("body", b""))


def outgoing(method="INVITE", branch=BRANCH, uri="sip:bob@192.0.2.4:5070", *extra):
    """The request as a proxy forwards it."""
    return request(
        method, uri, "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1", *extra,
        via=b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=" + branch, to="<sip:bob@example.com>")


class Rig:
    """A transaction layer, the time, and what it sent and told so far."""

    def __init__(self, limit=64, queue_limit=64, timers=None, user=None):
        """user: called with each event that nobody reads here, e.g. a proxy's own handler."""
        self.layer = layer.Transactions(limit, queue_limit, 64, timers)
        self.parsed = SipMessage(fastpath.Scanner(64))
        self.now_ms = START_MS
        self.sent = []  # (milliseconds since the start, bytes, Peer)
        self.told = []  # (kind, Transaction, status or method or None)
        self.user = user

    def drain(self):
        """Take what the layer has to send and to tell."""
        event = self.layer.next_event()
        while event is not None:
            kind, transaction, about = event
            if about is not None:
                about = about.status or about.method.decode()
            self.told.append((KINDS[kind], transaction, about))
            if self.user is not None:
                self.user(event)
            event = self.layer.next_event()
        item = self.layer.to_send()
        while item is not None:
            self.sent.append((self.elapsed(), item[0], item[1]))
            item = self.layer.to_send()

    def elapsed(self):
        """Milliseconds since the start."""
        return ticks_diff(self.now_ms, START_MS)

    def give(self, data, peer=CALLER):
        """One message from the network; what the layer said to it."""
        assert self.parsed.parse(data, len(data)) == 0
        assert self.parsed.answerable()
        verdict = self.layer.receive_message(self.parsed, peer, self.now_ms)
        self.drain()
        return verdict

    def open_server(self, method="INVITE", peer=CALLER, **options):
        """Receive a request; its server transaction."""
        assert self.give(request(method, "sip:bob@example.com", **options), peer) == layer.TAKEN
        assert self.told[-1][0] == "REQUEST" and self.told[-1][2] == method
        return self.told[-1][1]

    def open_client(self, method="INVITE", peer=CALLEE, branch=BRANCH):
        """Send a request; its client transaction."""
        client = self.layer.send_request(
            outgoing(method, branch), branch, method.encode(), peer, self.now_ms)
        self.drain()
        return client

    def respond(self, server, status):
        """Answer; whether the layer took it."""
        taken = self.layer.send_response(
            server, status, message("SIP/2.0 {} Fine".format(status)), self.now_ms)
        self.drain()
        return taken

    def run(self, span_ms, *others):
        """Let time pass, firing timers at their own instants; others: more objects with timers."""
        end_ms = ticks_add(self.now_ms, span_ms)
        while True:
            first_ms = end_ms
            for timed in (self.layer,) + others:
                due_ms = timed.next_deadline_ms()
                if due_ms is not None and ticks_diff(due_ms, first_ms) <= 0:
                    first_ms = due_ms
            if ticks_diff(first_ms, self.now_ms) > 0:
                self.now_ms = first_ms
            for timed in (self.layer,) + others:
                timed.handle_timer(self.now_ms)
                self.drain()
            if self.now_ms == end_ms and not self._due(others):
                return

    def _due(self, others):
        for timed in (self.layer,) + others:
            due_ms = timed.next_deadline_ms()
            if due_ms is not None and ticks_diff(self.now_ms, due_ms) >= 0:
                return True
        return False

    def take(self):
        """What was sent since the last call as words: methods and statuses."""
        words = [first_word(item[1]) for item in self.sent]
        self.sent.clear()
        return words

    def take_told(self):
        """What was told since the last call as (kind, status or method)."""
        told = [(item[0], item[2]) for item in self.told]
        self.told.clear()
        return told

    def instants(self, word):
        """When a message with this first word was sent, milliseconds since the start."""
        return [item[0] for item in self.sent if first_word(item[1]) == word]
