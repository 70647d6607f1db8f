"""One cluster card's SIP over UDP: the door every message comes through.

Datagrams and the time in; datagrams, events and the next deadline out. Nothing that arrives
raises out of `receive_message`. Responses are never answered, ACK is never answered, and what
cannot be answered is dropped and counted. Pure; both interpreters.
"""

from bus.ringqueue import RingQueue
from firmware import fastpath
from firmware.fastpath import layout
from firmware.proxy import route_set
from firmware.proxy.auth import Authenticator, platform_hashes
from firmware.proxy.config import REDIRECT, SipConfig
from firmware.proxy.locator import Locator
from firmware.proxy.redirect import Redirect
from firmware.proxy.registrar import Registrar
from firmware.proxy.request import Request
from firmware.proxy.secrets import Secrets
from firmware.proxy.stateless import Stateless
from firmware.proxy.whereto import whereto
from firmware.sip.builder import response
from firmware.sip.digest import NonceCounts, Nonces
from firmware.sip.errors import PHRASES, Malformed, SipError
from firmware.sip.message import SipMessage
from firmware.sip.uri import parse_uri

_ALLOWED = b"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER\r\n"
# answers to OPTIONS about ourselves (RFC 3261 11.2)
_ABILITIES = (_ALLOWED + b"Accept: application/sdp\r\nAccept-Encoding: identity\r\n"
              b"Accept-Language: en\r\nSupported: path\r\n")
_SCHEMES = (b"sip", b"tel")
_COUNTERS = (
    "received", "answered", "forwarded", "errors", "dropped", "redirected", "responses",
    "registers", "options", "keepalives", "unparsed", "unanswerable", "acks",
    "bad_responses", "queue_full", "faults")
_KEEPALIVE_BYTES = 4  # RFC 5626 3.5.1: CRLF CRLF


class SipServer:
    """The SIP of one card.

    config: SipConfig or its dict.  store: LocationStore, read only.  secret16: the
    chassis-wide secret, 16 octets.  hashes: as for Authenticator; None takes the platform's.
    serving: False answers every request with 503.  drain: True makes OPTIONS about the card
    itself (the switch cards' check) 503 while all else goes on.
    counters: name -> int.
    """

    def __init__(self, config, store, secret16, hashes=None):
        self.config = config if isinstance(config, SipConfig) else SipConfig(config)
        config = self.config
        self._message = SipMessage(fastpath.Scanner(config.max_headers))
        self._request = Request(self._message, config.host_limit)
        self._secrets = Secrets(secret16)
        self.locator = Locator(config, store, self._secrets)
        self.redirect = Redirect(config, self.locator)
        self.stateless = Stateless(config, self.locator, self._secrets)
        nonces = Nonces(self._secrets.nonce, fastpath.siphash, config.nonce_lifetime_s)
        self.authenticator = Authenticator(
            store, nonces, NonceCounts(config.nonce_limit), hashes or platform_hashes(),
            config.md5_only_agents)
        self.registrar = Registrar(config, self.locator, self._secrets, self.authenticator)
        self._queue = RingQueue(config.queue_limit)
        self._hosts = {}
        self.serving = True
        self.drain = False
        self.counters = {}
        for name in _COUNTERS:
            self.counters[name] = 0

    def receive_message(self, buf, n, source, now_ms, now_s):
        """Take the datagram buf[:n] from `source` (host text, port).

        now_ms: ticks.  now_s: Unix seconds.  The buffer may be reused after the return.
        """
        counters = self.counters
        counters["received"] += 1
        self._request.ready = False
        error = None
        try:
            self._receive(buf, n, source, now_ms, now_s)
        except SipError as refusal:
            error = refusal
        except Malformed as refusal:
            error = SipError(400, b"Bad Request - " + refusal.args[0].encode())
        except Exception:
            # a fault of ours must not let one datagram stop the card; the count is an alarm
            counters["faults"] += 1
            error = SipError(500)
        if error is not None:
            self._refuse(error)

    def _receive(self, buf, n, source, now_ms, now_s):
        message = self._message
        if message.parse(buf, n) < 0:
            if n <= _KEEPALIVE_BYTES and not bytes(buf[:n]).strip():
                self.counters["keepalives"] += 1
            else:
                self.counters["unparsed"] += 1
                self.counters["dropped"] += 1
            return
        if message.kind == layout.KIND_RESPONSE:
            self._response()
            return
        request = self._request
        request.open(source, self._host(source[0]), now_ms, now_s)
        request.check()
        if not self.serving:
            raise SipError(503, headers=b"Retry-After: %d\r\n" % self.config.retry_after_s)
        self._dispatch(request)

    def _dispatch(self, request):
        """Hand a checked request to whom it concerns (RFC 3261 16.3 to 16.5)."""
        message = request.message
        method = message.method_id
        uri = request.uri = parse_uri(message.request_uri)
        if uri.scheme not in _SCHEMES:
            raise SipError(416)
        if method == layout.METHOD_ACK and self._is_for_us(request):
            self.counters["acks"] += 1
            return
        routes = _NO_ROUTES
        if message.first[layout.H_ROUTE]:
            routes = route_set.read(request, self.locator, self._secrets)
            if routes.uri is not None:
                uri = request.uri = parse_uri(routes.uri)
        domain = self.locator.domain_of(uri, routes.trusted)
        ours = domain is not None or self.locator.is_own(uri)
        if ours and not routes.routes:
            if method == layout.METHOD_REGISTER:
                self.counters["registers"] += 1
                self._send(self.registrar.receive(request), "answered")
                return
            if uri.user is None:
                self._own(request)
                return
        if domain is not None and domain.mode == REDIRECT and not routes.routes:
            self._redirect(request, domain)
            return
        self._send(self.stateless.forward(request, domain, routes), "forwarded")

    def _redirect(self, request, domain):
        if request.message.method_id == layout.METHOD_ACK:
            self.counters["acks"] += 1
            return
        status, phrase, lines = self.redirect.answer(request, domain)
        if status == 302:
            self.counters["redirected"] += 1
        self._answer(status, phrase, lines)

    def _own(self, request):
        """A request about the card or the VIP itself (RFC 3261 8.2.1, 11.2)."""
        method = request.message.method_id
        if method == layout.METHOD_OPTIONS:
            self.counters["options"] += 1
            if self.drain:
                raise SipError(503, headers=b"Retry-After: %d\r\n" % self.config.retry_after_s)
            unknown = request.message.option_tags(layout.H_REQUIRE)
            if unknown:
                raise SipError(
                    420, headers=b"Unsupported: " + b", ".join(unknown) + b"\r\n")
            self._answer(200, PHRASES[200], _ABILITIES)
        elif method == layout.METHOD_CANCEL:
            raise SipError(481)
        elif method == layout.METHOD_OTHER:
            raise SipError(501, headers=_ALLOWED)
        elif method == layout.METHOD_ACK:
            self.counters["acks"] += 1
        else:
            raise SipError(405, headers=_ALLOWED)

    def _is_for_us(self, request):
        """True for the ACK to a failure of our own: its To carries our tag (17.1.1.3)."""
        return request.to_tag == self._secrets.to_tag(request.call_id)

    def _response(self):
        self.counters["responses"] += 1
        try:
            sent = self.stateless.response(self._message)
        except (Malformed, SipError):
            sent = None
        if sent is None:
            self.counters["bad_responses"] += 1
            self.counters["dropped"] += 1
            return
        self._send(sent, "forwarded")

    def _refuse(self, error):
        """Answer with an error, or drop: ACK and what has no readable head get silence.

        Builds the answer from values that Request.open has read, so it raises nothing.
        """
        request = self._request
        if not request.ready:
            self.counters["unanswerable"] += 1
            self.counters["dropped"] += 1
        elif self._message.method_id == layout.METHOD_ACK:
            self.counters["acks"] += 1
            self.counters["dropped"] += 1
        else:
            self.counters["errors"] += 1
            self._answer(error.status, error.phrase, error.headers)

    def _answer(self, status, phrase, lines):
        request = self._request
        head = request.head(self._secrets)
        self._send((response(status, phrase, head, lines), request.reply_to), "answered")

    def _send(self, item, counter):
        """Queue (datagram, address); None is nothing to send."""
        if item is None:
            return
        if self._queue.put(item):
            self.counters[counter] += 1
        else:
            self.counters["queue_full"] += 1

    def _host(self, text):
        """The source address as bytes, from a bounded memory."""
        host = self._hosts.get(text)
        if host is None:
            if len(self._hosts) >= self.config.host_limit:
                self._hosts.clear()
            host = self._hosts[text] = text.encode()
        return host

    def to_send(self):
        """(datagram, (host text, port)) or None when nothing is left."""
        if not len(self._queue):
            for item in self.registrar.release():
                self._send(item, "answered")
            if not len(self._queue):
                return None
        return self._queue.get()

    def next_event(self):
        """("register", request id, REGISTER bus message) or None."""
        return self.registrar.next_event()

    def register_result(self, request_id, status, record_bytes, now_ms, now_s):
        """The location server's answer to a "register" event; late ones are ignored."""
        self._send(self.registrar.register_result(
            request_id, status, record_bytes, now_ms, now_s), "answered")

    def register_timeout(self, request_id, now_ms):
        """The location server did not answer a "register" event in time: 503."""
        self._send(self.registrar.register_timeout(request_id, now_ms), "answered")

    def next_deadline_ms(self):
        """The tick at which handle_timer has work, or None."""
        return self.registrar.next_deadline_ms()

    def handle_timer(self, now_ms):
        """Give up what waited too long."""
        for item in self.registrar.handle_timer(now_ms):
            self._send(item, "answered")

    def whereto(self, method, uri, now_s):
        """Where a request would go, as a dict, without sending anything (see whereto.py)."""
        return whereto(self, method, uri, now_s)


_NO_ROUTES = route_set.RouteSet()
