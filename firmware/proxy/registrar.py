"""The registrar front (RFC 3261 10.3): checks a REGISTER whole, hands it to the location server,
and answers 200 only with what was committed. Pure; both interpreters.

    REGISTER ──checks 1-6──► event ("register", id, bus message) ──► location server
    200/4xx/5xx ◄── register_result(id, ...) or register_timeout(id)

A retransmission while the answer is pending is absorbed, after it is answered from memory. A 200
waits until this card's own copy shows what was committed, so that a call that follows it at once
finds the new contact.
"""

from bus import messages
from bus.compat import ticks_add, ticks_diff
from firmware.fastpath import layout
from firmware.location import record
from firmware.proxy.recent import Recent
from firmware.proxy.route_set import elements
from firmware.sip.builder import http_date, response
from firmware.sip.errors import PHRASES, Malformed, SipError
from firmware.sip.headers import format_q, parse_contacts, parse_expires, parse_name_addr
from firmware.sip.uri import parse_uri

ANSWER_MEMORY_MS = 32000  # 64*T1, as long as a request may be retransmitted (17.1.2.2)
PENDING_MS = 10000  # longer than the bus waits: a lost result must not hold memory
HOLD_MS = 200  # a 200 waits no longer for the copy: below T1, when the client asks again
# octets of what goes over the bus and into a record
AOR_LIMIT = 255
CALL_ID_LIMIT = 255
CONTACT_LIMIT = 512
PATH_LIMIT = 1024
USER_AGENT_LIMIT = 64
HOUR_S = 3600  # 10.3 step 7: never 423 for an hour or more
_SUPPORTED = (b"path",)
REGISTER = "register"


class Pending:
    """A REGISTER on its way to the location server: all that its answer needs.

    datagram: the 200 that waits for the copy to show `record`, None before the result is there.
    """

    def __init__(self, request, aor, head, path):
        self.aor = aor
        self.head = head
        self.path = path
        self.reply_to = request.reply_to
        self.deadline_ms = ticks_add(request.now_ms, PENDING_MS)
        self.datagram = None
        self.record = b""


class Registrar:
    """One card's registrar front.

    config: SipConfig.  locator: Locator.  secrets: Secrets.  authenticator: Authenticator.
    """

    def __init__(self, config, locator, secrets, authenticator):
        self._config = config
        self._locator = locator
        self._secrets = secrets
        self._authenticator = authenticator
        self._pending = {}
        self.answers = Recent(config.answer_limit, ANSWER_MEMORY_MS)
        self._seen = Recent(config.answer_limit, ANSWER_MEMORY_MS)
        self._events = []
        self._held = []
        self.absorbed = 0

    def __len__(self):
        return len(self._pending)

    def receive(self, request):
        """(datagram, address) to send now, or None while the location server decides.

        Raises SipError and Malformed for what is refused.
        """
        identity = self._identity(request)
        answer = self.answers.get(identity, request.now_ms)
        if answer is not None or identity in self._pending:
            self.absorbed += 1
            return answer
        message = request.message
        self._refuse_extensions(message)
        aor, domain = self._address_of_record(message)
        if len(aor) > AOR_LIMIT or len(request.call_id) > CALL_ID_LIMIT:
            raise Malformed("To or Call-ID too long")
        merge_key = self._refuse_merged(request, identity)
        if domain.auth:
            self._authenticator.check(request, domain, aor)
        if merge_key is not None:
            self._seen.put(merge_key, identity, request.now_ms)
        contacts = parse_contacts(message.headers(layout.H_CONTACT))
        path = self._path(message)
        pending = Pending(request, aor, request.head(self._secrets), path)
        if not contacts:
            return self._fetch(pending, request.now_s)
        wanted = self._bindings(request, contacts, path)
        if len(self._pending) >= self._config.pending_limit:
            raise SipError(503, headers=self._retry_after())
        body = messages.encode(
            messages.REGISTER, aor, request.call_id, request.cseq, request.now_s,
            1 if contacts == b"*" else 0, record.encode_aor(wanted))
        self._pending[identity] = pending
        self._events.append((REGISTER, identity, body))
        return None

    def _identity(self, request):
        branch = request.via.branch or request.via.text
        return self._secrets.request_id(request.call_id, b"%d" % request.cseq,
                                        request.from_tag, branch)

    def _refuse_extensions(self, message):
        """420 for a Require we do not know (8.2.2.3, 10.3 step 2)."""
        unknown = [tag for tag in message.option_tags(layout.H_REQUIRE)
                   if tag not in _SUPPORTED]
        if unknown:
            raise SipError(420, headers=b"Unsupported: " + b", ".join(unknown) + b"\r\n")

    def _address_of_record(self, message):
        """(canonical AoR, Domain) of the To (10.3 step 5); 404 outside our domains."""
        uri = parse_uri(parse_name_addr(message.to_value)[0])
        domain = self._locator.domain_of(uri)
        if domain is None or uri.scheme != b"sip":
            raise SipError(404)
        uri.validate()
        aor = self._locator.aor(uri, domain)
        if aor is None:
            raise SipError(404)
        return aor, domain

    def _refuse_merged(self, request, identity):
        """482 for the same request by another way (8.2.2.2); else the key to remember it by.

        Looked up before authentication, which would call the second copy a replay; only a
        request that passes authentication is remembered. None within a dialog.
        """
        if request.to_tag is not None:
            return None
        same = self._secrets.request_id(request.call_id, b"%d" % request.cseq,
                                        request.from_tag)
        seen = self._seen.get(same, request.now_ms)
        if seen is not None and seen != identity:
            raise SipError(482)
        return same

    def _path(self, message):
        """The Path header's value on one line, b"" when absent (RFC 3327 5.3)."""
        values = message.headers(layout.H_PATH)
        path = b", ".join(values)
        if len(path) > PATH_LIMIT:
            raise Malformed("Path too long")
        if values:
            elements(path)
        return path

    def _bindings(self, request, contacts, path):
        """The requested bindings with relative expires (10.3 steps 6 and 7); all or none."""
        message = request.message
        header = message.header(layout.H_EXPIRES)
        if contacts == b"*":
            if header is None or header != b"0":
                raise Malformed("wildcard needs Expires 0")
            return []
        if len(contacts) > self._config.max_contacts:
            raise SipError(403, b"Too Many Contacts")
        agent = (message.header(layout.H_USER_AGENT) or b"")[:USER_AGENT_LIMIT]
        default_s = self._config.default_expires_s if header is None else parse_expires(header)
        wanted = []
        for contact in contacts:
            if len(contact.uri) > CONTACT_LIMIT:
                raise Malformed("Contact too long")
            expires_s = default_s if contact.expires_s is None else contact.expires_s
            wanted.append(record.Binding(
                contact.uri, contact.q, self._granted(expires_s), request.call_id, request.cseq,
                path, b"", agent, contact.instance, contact.reg_id))
        return wanted

    def _granted(self, expires_s):
        """The expiry we give for the one asked; 423 when it is too brief (10.3 step 7)."""
        config = self._config
        if 0 < expires_s < config.min_expires_s and expires_s < HOUR_S:
            raise SipError(423, headers=b"Min-Expires: %d\r\n" % config.min_expires_s)
        return min(expires_s, config.max_expires_s)

    def _fetch(self, pending, now_s):
        """The current bindings from the card's own copy: no change, so no commit (10.2.3)."""
        bindings = self._locator.bindings(pending.aor, now_s) or []
        return self._ok(pending, bindings, now_s), pending.reply_to

    def _ok(self, pending, bindings, now_s):
        lines = []
        for binding in bindings:
            lines.append(contact_line(binding, now_s))
        if pending.path:
            lines.append(b"Path: " + pending.path + b"\r\n")
        lines.append(b"Date: " + http_date(now_s) + b"\r\n")
        return response(200, PHRASES[200], pending.head, b"".join(lines))

    def _retry_after(self):
        return b"Retry-After: %d\r\n" % self._config.retry_after_s

    def register_result(self, identity, status, record_bytes, now_ms, now_s):
        """(datagram, address) for the location server's answer, or None when nobody waits.

        status: SIP status.  record_bytes: the committed record, b"" when it is gone.
        A status that a registrar must not send (6xx, 10.3) becomes 500. A 200 whose record the
        copy does not show yet is held: None now, and `release` gives it.
        """
        pending = self._pending.get(identity)
        if pending is None or pending.datagram is not None:
            return None
        if status == 200:
            bindings = []
            if record_bytes:
                bindings = record.decode_aor(record_bytes, 0, len(record_bytes))
            datagram = self._ok(pending, bindings, now_s)
            if not self._locator.shows(pending.aor, record_bytes):
                pending.datagram = datagram
                pending.record = record_bytes
                pending.deadline_ms = ticks_add(now_ms, HOLD_MS)
                self._held.append(identity)
                return None
        else:
            status = status if 300 <= status < 600 and status in PHRASES else 500
            extra = self._retry_after() if status in (500, 503) else b""
            datagram = response(status, PHRASES[status], pending.head, extra)
        return self._remember(identity, pending, datagram, now_ms)

    def release(self):
        """The held answers whose change the copy shows by now, as (datagram, address).

        Results come in the order of the commits: what shows proves the earlier ones of its AoR.
        """
        shown = []
        ready = []
        for identity in reversed(self._held):
            pending = self._pending[identity]
            if pending.aor in shown or self._locator.shows(pending.aor, pending.record):
                shown.append(pending.aor)
                ready.append(identity)
        return [self._release(identity) for identity in reversed(ready)]

    def _release(self, identity):
        pending = self._pending[identity]
        self._held.remove(identity)
        return self._remember(identity, pending, pending.datagram,
                              ticks_add(pending.deadline_ms, -HOLD_MS))

    def register_timeout(self, identity, now_ms):
        """(datagram, address) of the 503 when the location server did not answer, or None.

        503 and not 504: with Retry-After the client tries again soon; what may still be
        committed is found by the same request id then.
        """
        pending = self._pending.get(identity)
        if pending is None or pending.datagram is not None:
            return None
        datagram = response(503, PHRASES[503], pending.head, self._retry_after())
        return self._remember(identity, pending, datagram, now_ms)

    def _remember(self, identity, pending, datagram, now_ms):
        del self._pending[identity]
        answer = (datagram, pending.reply_to)
        self.answers.put(identity, answer, now_ms)
        return answer

    def next_event(self):
        """("register", request id, bus message) in order, or None."""
        return self._events.pop(0) if self._events else None

    def reply_to(self, identity):
        """The address that the answer to a pending REGISTER will have, or None."""
        pending = self._pending.get(identity)
        return None if pending is None else pending.reply_to

    def next_deadline_ms(self):
        """When the oldest pending REGISTER is given up, or None."""
        deadline_ms = None
        for pending in self._pending.values():
            if deadline_ms is None or ticks_diff(pending.deadline_ms, deadline_ms) < 0:
                deadline_ms = pending.deadline_ms
        return deadline_ms

    def handle_timer(self, now_ms):
        """The answers of those whose time is up, as a list of (datagram, address)."""
        late = [identity for identity in self._pending
                if ticks_diff(now_ms, self._pending[identity].deadline_ms) >= 0]
        return [self._release(identity) if identity in self._held
                else self.register_timeout(identity, now_ms) for identity in late]


def contact_line(binding, now_s):
    """A Contact header line of a 200 to REGISTER: every binding has its expires (10.3 step 8).

    A provisioned binding never ends; the largest value of 20.19 says so.
    """
    left_s = max(0, binding.expires_s - now_s) if binding.expires_s else 0xFFFFFFFF
    parts = [b"Contact: <", binding.contact, b">;q=", format_q(binding.q),
             b";expires=%d" % left_s]
    if binding.instance:
        parts.append(b';+sip.instance="<' + binding.instance + b'>"')
    if binding.reg_id:
        parts.append(b";reg-id=%d" % binding.reg_id)
    parts.append(b"\r\n")
    return b"".join(parts)
