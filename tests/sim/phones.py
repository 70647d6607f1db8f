"""Simulated phones: REGISTER with digest, INVITE, ACK and BYE by RFC 3261's timers over UDP.

A phone is caller and callee. It sends everything to the VIP and believes nothing but what it is
told: `registration` is what the last 200 promised, `calls` is how each call went.
"""

from bus.compat import earliest, ticks_add, ticks_diff
from tests.sim.sip_cards import DOMAIN, VIP
from tests.sim.sip_text import Text, answer, authorization, bare_uri, build

T1_MS = 500
T2_MS = 4000
LIFE_MS = 64 * T1_MS  # timers B, F and H (17.1.1.2, 17.1.2.2, 13.3.1.4)
PATIENCE_MS = LIFE_MS + 8000  # a caller hangs up later than a callee gives up
CHALLENGES_MOST = 4
REALM = DOMAIN.decode()

CALLING = "calling"
TALKING = "talking"
ENDING = "ending"
DONE = "done"
REFUSED = "refused"
TIMED_OUT = "timed out"


class Transaction:
    """A request that is sent again until it is answered (17.1.1 for INVITE, else 17.1.2)."""

    def __init__(self, phone, octets, now_ms, ended):
        self.text = Text(octets)
        self.octets = octets
        self.ended = ended  # called with the final response, or None when its time is up
        self._phone = phone
        self._interval_ms = T1_MS
        self._invite = self.text.method == "INVITE"
        self.again_ms = ticks_add(now_ms, T1_MS)
        self.deadline_ms = ticks_add(now_ms, LIFE_MS)
        self.last_sent_ms = now_ms
        phone.send(octets, now_ms)

    def provisional(self, now_ms):
        """A 1xx: an INVITE is not sent again and has no timer B any more (17.1.1.2)."""
        if self._invite and self.again_ms is not None:
            self.again_ms = None
            self.deadline_ms = ticks_add(now_ms, PATIENCE_MS)
        self._interval_ms = T2_MS

    def next_deadline_ms(self):
        """When step has something to do."""
        return earliest(self.again_ms, self.deadline_ms)

    def step(self, now_ms):
        """Send again when due; True when the time is up."""
        if ticks_diff(now_ms, self.deadline_ms) >= 0:
            return True
        if self.again_ms is not None and ticks_diff(now_ms, self.again_ms) >= 0:
            self._interval_ms = self._interval_ms * 2 if self._invite else min(
                self._interval_ms * 2, T2_MS)
            self.again_ms = ticks_add(now_ms, self._interval_ms)
            self.last_sent_ms = now_ms
            self._phone.send(self.octets, now_ms)
        return False


class Registration:
    """What the 200s promised, and what may have happened beside it.

    acked: (cseq, until_s) of the last 200, the contact lives at least so long; until_s 0 after
    a removal; None before any.
    maybe: cseq -> (seconds asked, Unix s when), of requests without a 200 since.
    """

    def __init__(self):
        self.acked = None
        self.acked_at = 0  # elapsed ms of the world
        self.maybe = {}
        self.count = 0


class Call:
    """One call as its caller sees it."""

    def __init__(self, call_id, started_ms):
        self.call_id = call_id
        self.started_ms = started_ms
        self.state = CALLING
        self.status = None
        self.ack = None
        self.bye_ms = None
        self.dialog = None


class Served:
    """One call as its callee sees it: the 200 is repeated until the ACK comes (13.3.1.4)."""

    def __init__(self, octets, now_ms, ring_ms):
        self.octets = octets
        self.ring_ms = ring_ms
        self.answered = False
        self.over = False
        self.interval_ms = T1_MS
        self.again_ms = ticks_add(now_ms, ring_ms)
        self.deadline_ms = None


class Phone:
    """number: its host and port.  user: the AoR's user part, which other phones may share."""

    def __init__(self, world, number, user):
        self.world = world
        self.random = world.random
        self.user = user
        self.password = "secret of " + user
        self.aor = "sip:{}@{}".format(user, REALM)
        self.address = ("192.0.2.{}".format(number), 5060)
        self.contact = "sip:{}@{}:5060".format(user, self.address[0])
        self.registration = Registration()
        self.registering = False
        self.calls = []
        self.transactions = {}
        self.calm_ms = None  # ticks since which nothing is lost any more
        self._served = {}
        self._serial = 0
        self._cseq = 0
        world.open_door(self.address, self, self.receive)
        world.people.append(self)

    def send(self, octets, now_ms):
        """To the VIP."""
        self.world.net.send(self.address, VIP, octets, len(octets), now_ms)

    def _new(self):
        self._serial += 1
        return "{}x{}".format(self.address[0].replace(".", "-"), self._serial)

    def _request(self, method, uri, to, tag, call_id, cseq, lines):
        return build("{} {} SIP/2.0".format(method, uri), [
            "Via: SIP/2.0/UDP {}:5060;branch=z9hG4bK{};rport".format(self.address[0], self._new()),
            "Max-Forwards: 70", "From: <{}>;tag={}".format(self.aor, tag), "To: " + to,
            "Call-ID: " + call_id, "CSeq: {} {}".format(cseq, method), *lines])

    def _begin(self, octets, now_ms, ended):
        transaction = Transaction(self, octets, now_ms, ended)
        self.transactions[transaction.text.branch(), transaction.text.method] = transaction

    # registering

    def register(self, expires_s, now_ms, authorized=(), tries=0):
        """Register for expires_s seconds; 0 removes the contact."""
        self.registering = True
        self._cseq += 1
        cseq = self._cseq
        octets = self._request(
            "REGISTER", "sip:" + REALM, "<{}>".format(self.aor), "reg", "reg-" + self.address[0],
            cseq, ["Contact: <{}>;expires={}".format(self.contact, expires_s), *authorized])
        if authorized:
            self.registration.maybe[cseq] = (expires_s, self.world.now_s)

        def ended(text, now_ms):
            self._registered(text, cseq, expires_s, now_ms, tries)

        self._begin(octets, now_ms, ended)

    def _registered(self, text, cseq, expires_s, now_ms, tries):
        status = text.status if text is not None else None
        if status == 401 and tries < CHALLENGES_MOST:
            challenge = next(value for value in text.values("www-authenticate")
                             if "SHA-256" in value)
            line = authorization(challenge, self.user, self.password, "REGISTER", "sip:" + REALM)
            self.register(expires_s, now_ms, [line], tries + 1)
            return
        self.registering = False
        self.world.require(status in (None, 200, 401, 503), "REGISTER was answered {}".format(
            text and text.start))
        if status == 200:
            self._promised(text, cseq, expires_s)

    def _promised(self, text, cseq, expires_s):
        listed = [value for value in text.values("contact") if bare_uri(value) == self.contact]
        self.world.require(len(listed) == (expires_s > 0), "a 200 to {} lists {}".format(
            expires_s, text.values("contact")))
        mine = self.registration
        _, asked_s = mine.maybe.get(cseq, (0, self.world.now_s))
        mine.acked = (cseq, expires_s and asked_s + expires_s)
        mine.acked_at = self.world.elapsed_ms
        mine.maybe = {number: mine.maybe[number] for number in mine.maybe if number > cseq}
        mine.count += 1

    # calling

    def call(self, callee_aor, now_ms, talk_ms):
        """Call an AoR; hang up talk_ms after it was answered."""
        call = Call(self._new() + "-call", self.world.elapsed_ms)
        self.calls.append(call)
        octets = self._request(
            "INVITE", callee_aor, "<{}>".format(callee_aor), "c" + call.call_id, call.call_id, 1,
            ["Contact: <{}>".format(self.contact)])

        def ended(text, now_ms):
            self._answered(call, text, now_ms, talk_ms)

        call.invite = Text(octets)
        self._begin(octets, now_ms, ended)
        return call

    def _answered(self, call, text, now_ms, talk_ms):
        if text is None:
            call.state = TIMED_OUT
            return
        call.status = text.status
        if text.status < 300:
            self._confirm(call, text, now_ms)
            call.bye_ms = ticks_add(now_ms, talk_ms)
            return
        # the ACK to a failure is of the INVITE's own transaction (17.1.1.3)
        call.state = REFUSED
        invite = call.invite
        call.ack = build("ACK {} SIP/2.0".format(invite.uri), [
            "Via: " + invite.value("via"), "Max-Forwards: 70", "From: " + invite.value("from"),
            "To: " + text.value("to"), "Call-ID: " + call.call_id, "CSeq: 1 ACK"])
        self.send(call.ack, now_ms)

    def _confirm(self, call, text, now_ms):
        """A 200 makes the dialog and gets an ACK of its own, each time it comes (13.2.2.4)."""
        call.state = TALKING
        routes = ["Route: " + value for value in reversed(text.values("record-route"))]
        call.dialog = (bare_uri(text.value("contact")), text.value("to"), routes)
        call.ack = self._in_dialog("ACK", call, 1)
        self.send(call.ack, now_ms)

    def _in_dialog(self, method, call, cseq):
        target, to, routes = call.dialog
        return self._request(
            method, target, to, "c" + call.call_id, call.call_id, cseq, routes)

    def _hang_up(self, call, now_ms):
        call.state = ENDING
        call.bye_ms = None

        def ended(text, now_ms):
            call.state = TIMED_OUT if text is None else DONE
            if text is not None:
                call.status = text.status

        self._begin(self._in_dialog("BYE", call, 2), now_ms, ended)

    # what comes in

    def receive(self, source, octets, now_ms):
        """A datagram from the chassis."""
        text = Text(octets)
        if text.status is None:
            self._serve(text, octets, now_ms)
            return
        transaction = self.transactions.get((text.branch(), text.method))
        if transaction is None:
            self._late(text, now_ms)
        elif text.status < 200:
            transaction.provisional(now_ms)
        else:
            del self.transactions[text.branch(), text.method]
            transaction.ended(text, now_ms)

    def _late(self, text, now_ms):
        """A final response to an INVITE once more: the ACK was lost, or we had given up."""
        if text.method != "INVITE" or text.status < 200:
            return
        for call in self.calls:
            if call.call_id == text.value("call-id"):
                if call.ack is not None:
                    self.send(call.ack, now_ms)
                elif text.status < 300:
                    self._confirm(call, text, now_ms)
                    self._hang_up(call, now_ms)

    def _serve(self, text, octets, now_ms):
        call_id = text.value("call-id")
        served = self._served.get(call_id)
        if text.method == "INVITE":
            self.world.require(bare_uri(text.value("to")) == self.aor and
                               text.uri == self.contact, "{} got a call for {}".format(
                                   self.contact, text.start))
            if served is None:
                served = self._served[call_id] = Served(
                    octets, now_ms, self.random.pick((20, 100, 700)))
            if not served.over:
                self._reply(served, now_ms)
        elif text.method == "ACK" and served is not None:
            served.over = True
        elif text.method == "BYE":
            if served is not None:
                served.over = True
            self.send(answer(text, 200 if served else 481, "-", "t"), now_ms)

    def _reply(self, served, now_ms):
        lines = ["Contact: <{}>".format(self.contact)]
        status = (200, "OK") if served.answered else (180, "Ringing")
        self.send(answer(Text(served.octets), status[0], status[1], "t" + self.user, lines),
                  now_ms)

    # time

    def next_deadline_ms(self, now_ms):
        """When step has something to do."""
        deadline = None
        for transaction in self.transactions.values():
            deadline = earliest(deadline, transaction.next_deadline_ms())
        for call in self.calls:
            deadline = earliest(deadline, call.bye_ms)
        for served in self._served.values():
            if not served.over:
                deadline = earliest(deadline, served.again_ms)
        return deadline

    def step(self, now_ms):
        """Timers; True when something was sent."""
        before = self.world.net.sent
        for key in list(self.transactions):
            transaction = self.transactions[key]
            if transaction.step(now_ms):
                lost = self.calm_ms is not None and ticks_diff(
                    transaction.last_sent_ms, self.calm_ms) >= 0
                self.world.require(not lost, "no answer to {!r}".format(transaction.octets))
                del self.transactions[key]
                transaction.ended(None, now_ms)
        for call in self.calls:
            if call.bye_ms is not None and ticks_diff(now_ms, call.bye_ms) >= 0:
                self._hang_up(call, now_ms)
        for served in self._served.values():
            if not served.over and ticks_diff(now_ms, served.again_ms) >= 0:
                self._repeat(served, now_ms)
        return self.world.net.sent != before

    def busy(self):
        """Is anything under way that ends by itself?"""
        return bool(self.transactions) or any(
            not served.over for served in self._served.values()) or any(
            call.bye_ms is not None for call in self.calls)

    def _repeat(self, served, now_ms):
        if not served.answered:
            served.answered = True
            served.deadline_ms = ticks_add(now_ms, LIFE_MS)
        elif ticks_diff(now_ms, served.deadline_ms) >= 0:
            served.over = True
            return
        else:
            served.interval_ms = min(2 * served.interval_ms, T2_MS)
        served.again_ms = ticks_add(now_ms, served.interval_ms)
        self._reply(served, now_ms)
