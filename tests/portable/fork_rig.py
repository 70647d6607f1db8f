"""What the forking tests share: a request at a forking proxy, and targets named by letters."""

from firmware.proxy.forking import Forking, Target
from firmware.sip.builder import response_head
from firmware.sip.headers import Via
from firmware.sip.transaction_match import Peer
from sip_bench import request
from transaction_rig import CALLER, Rig, first_word, outgoing, reply

BOB = "sip:bob@example.com"
UPSTREAM = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1"


class ForkRig:
    """A request at a forking proxy whose targets are named by letters, and their peers."""

    def __init__(self, method="INVITE", peer=CALLER, timers=None, limit=64, branch_limit=8):
        self.rig = Rig(limit=limit, timers=timers, user=self.hear)
        self.forking = Forking(self.rig.layer, limit, branch_limit)
        self.method = method
        self.own = []  # server events, which are not the forking's
        self.peers = {}
        text = request(method, BOB)
        self.rig.give(text, peer)
        self.server = self.own[0][1]
        self.server_state = self.server.state

    def hear(self, event):
        if not self.forking.handle_event(event, self.rig.now_ms):
            self.own.append(event)

    def head(self):
        """The lines of our own answers to the message parsed last."""
        parsed = self.rig.parsed
        via = Via(parsed.via_value)
        tag = b"" if b"tag=" in parsed.to_value else b"ours"
        return response_head(parsed, via, via.text, tag)

    def begin(self, names, qs=None, **options):
        """Fork to one target for each letter; what was sent, as "INVITE a"."""
        targets = []
        for number, name in enumerate(names):
            branch = b"z9hG4bK" + name.encode()
            self.peers[name] = Peer(b"192.0.2.20", 6000 + number)
            targets.append(Target(
                qs[number] if qs else 1000, branch,
                outgoing(self.method, branch, "sip:" + name + "@192.0.2.20"), self.peers[name]))
        self.forking.begin(
            self.server, self.method.encode(), targets, self.head(), self.rig.now_ms, **options)
        return self.take()

    def take(self):
        """What was sent since the last call: "INVITE a" to target a, "486" upstream."""
        self.rig.drain()
        words = []
        for _, data, peer in self.rig.sent:
            name = [key for key in self.peers if self.peers[key] is peer]
            words.append(" ".join([first_word(data)] + name))
        return words

    def answer(self, name, code, *extra, **options):
        """Target `name` answers; what is sent because of it."""
        self.rig.sent.clear()
        options["branch"] = b"z9hG4bK" + name.encode()
        options["method"] = options.get("method", self.method)
        options["to"] = options.get("to", "<sip:bob@example.com>;tag=" + name)
        self.rig.give(reply(code, *extra, **options), self.peers[name])
        return self.take()

    def upstream(self):
        """The last message sent to the caller."""
        return [item[1] for item in self.rig.sent
                if item[2].host == b"192.0.2.1"][-1]

    def run(self, span_ms):
        """What is sent while time passes, retransmissions left out."""
        self.rig.sent.clear()
        self.rig.run(span_ms, self.forking)
        seen = []
        for word in self.take():
            if word not in seen:
                seen.append(word)
        return seen

    def cancel(self, via="Via: " + UPSTREAM):
        """The caller cancels; (whether we knew the INVITE, what is sent)."""
        self.rig.sent.clear()
        self.rig.give(request("CANCEL", BOB, via=via))
        transaction = self.own[-1][1]
        known = self.forking.handle_cancel(
            transaction, self.rig.parsed, self.head(), self.rig.now_ms)
        return known, self.take()
