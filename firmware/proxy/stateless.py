"""The stateless proxy (RFC 3261 16.11, with 16.3 to 16.6 and the response side of 16.7).

Every card computes the same branch for the same request, so a retransmission, a CANCEL or the ACK
to a failure may come through any of them:

    branch = z9hG4bK | hash of the received branch and sent-by (16 hex)
                     | MAC of that hash, the Call-ID and the address answers go to (16 hex)

The MAC lets a response through only to where its request came from: nobody can make the chassis
send to an address by inventing Via headers. Over UDP only; the next hop must be a numeric IPv4
address, as RFC 3263 is not here yet: 500 otherwise. Pure; both interpreters.
"""

from firmware.fastpath import layout
from firmware.proxy import route_set
from firmware.proxy.config import DEFAULT_PORT
from firmware.sip.builder import edited
from firmware.sip.digest import same
from firmware.sip.errors import Malformed, SipError
from firmware.sip.grammar import parse_uint
from firmware.sip.headers import SentByMemory, Via
from firmware.sip.uri import is_ipv4

MAGIC = b"z9hG4bK"
HASH_CHARS = 16
BRANCH_CHARS = len(MAGIC) + 2 * HASH_CHARS
LARGEST = 65000  # octets of a datagram we send
DEFAULT_MAX_FORWARDS = 70
# requests that open a dialog or refresh its target (16.6 step 4)
_DIALOG = (layout.METHOD_INVITE, layout.METHOD_SUBSCRIBE, layout.METHOD_REFER,
           layout.METHOD_NOTIFY, layout.METHOD_UPDATE)


class Stateless:
    """Forwards requests and responses.

    config: SipConfig.  locator: Locator.  secrets: Secrets.
    """

    def __init__(self, config, locator, secrets):
        self._config = config
        self._locator = locator
        self._secrets = secrets
        self._senders = SentByMemory(config.host_limit)

    def forward(self, request, domain, routes):
        """(datagram, (host text, port)) for a request that passed Request.check.

        domain: the Domain of its Request-URI or None.  routes: RouteSet.
        Raises SipError, Malformed.
        """
        message = request.message
        hops = request.max_forwards()
        if hops == 0:
            raise SipError(483)
        if message.first[layout.H_PROXY_REQUIRE]:
            self._refuse_extensions(message)
        uri, path, parsed = self.target(request, domain, routes)
        route = path + routes.routes
        if route:
            text, hop = route_set.uri_of(route[0])
            if hop.param(b"lr") is None:
                # a strict router next: it wants itself in the Request-URI (16.6 step 6)
                route = route[1:] + [b"<" + uri + b">"]
                uri = text
        else:
            hop = parsed
        address = self.next_hop(hop)
        rewrite = bool(path) or routes.changed or len(route) != len(routes.routes)
        datagram = self._copy(request, uri, hops, route if rewrite or route else None)
        if len(datagram) > LARGEST:
            raise SipError(513)
        return datagram, address

    def _refuse_extensions(self, message):
        """420 for any Proxy-Require: no extension is supported (16.3 step 5)."""
        if message.method_id in (layout.METHOD_ACK, layout.METHOD_CANCEL):
            return
        tags = message.option_tags(layout.H_PROXY_REQUIRE)
        if tags:
            raise SipError(420, headers=b"Unsupported: " + b", ".join(tags) + b"\r\n")

    def target(self, request, domain, routes):
        """(Request-URI bytes, path as list of route elements, Uri) the request goes to (16.5).

        Relaying to what is neither ours nor in our records needs a marked Route of ours or the
        operator's leave: 403 otherwise.
        """
        may_relay = routes.trusted or self._config.relay_allowed
        if routes.routes and not may_relay:
            raise SipError(403, b"Relaying denied")
        uri = request.uri
        if domain is not None and uri.user is not None:
            found = self._locator.resolve(uri, domain, request.call_id, request.now_s)
            return found.uri, split_path(found.path), found.parsed
        if domain is None:
            route = self._locator.domain_route(uri.host)
            if route is not None:
                return uri.request_uri(), [], route
        if not may_relay or self._locator.is_own(uri) and not routes.routes:
            raise SipError(403 if domain is None else 404)
        return uri.request_uri(), [], uri

    def next_hop(self, uri):
        """(host text, port) of the next hop; raises SipError.

        A loop to ourselves is 482; what UDP to a numeric IPv4 address cannot reach is 500, not
        503, since a 503 would make clients shun the whole chassis (16.7 step 6).
        """
        transport = uri.param(b"transport")
        if uri.scheme != b"sip" or transport is not None and transport.lower() != b"udp":
            raise SipError(500, b"Next hop needs another transport")
        host = uri.param(b"maddr") or uri.host
        if not is_ipv4(host):
            raise SipError(500, b"Next hop is not a numeric address")
        port = uri.port or DEFAULT_PORT
        if (host, port) in self._config.own:
            raise SipError(482)
        return str(host, "utf-8"), port

    def branch(self, request):
        """The branch of the forwarded copy (16.11).

        Deviation for RFC 2543 clients (no magic cookie, or nothing behind it: RFC 4475 3.2.1):
        the To tag stays out of the hash, so that the ACK to a failure, which has one, follows
        its INVITE.
        """
        via = request.via
        secrets = self._secrets
        branch = via.branch
        if branch is not None and len(branch) > len(MAGIC) and branch.startswith(MAGIC):
            sent_by = via.host + b":%d" % via.port
            own = secrets.branch_hash(via.branch, sent_by)
        else:
            own = secrets.branch_hash(via.text, request.from_tag, request.call_id,
                                      b"%d" % request.cseq, request.message.request_uri)
        host, port = request.reply_to
        return MAGIC + own + self._mac(own, request.call_id, request.host, port)

    def _mac(self, own, call_id, host, port):
        return self._secrets.branch_hash(own, call_id, host, b"%d" % port)

    def _copy(self, request, uri, hops, route):
        """The forwarded message (16.6): only what must change differs from what came in."""
        message = request.message
        spans = message.spans
        first = message.first
        config = self._config
        top = [message.method, b" ", uri, b" SIP/2.0\r\nVia: SIP/2.0/UDP ", config.vip_text,
               b";branch=", self.branch(request), b"\r\n"]
        if message.method_id in _DIALOG:
            top.append(route_set.record_route(request, config.vip_text, self._secrets))
        if route:
            top.append(b"Route: " + b", ".join(route) + b"\r\n")
        if hops is None:
            top.append(b"Max-Forwards: %d\r\n" % DEFAULT_MAX_FORWARDS)
        changes = [(0, spans[layout.HEAD_ITEMS + 1], b"".join(top))]
        item = first[layout.H_VIA]
        changes.append((spans[item + 3], spans[item + 3] + spans[item + 4], _noted(request)))
        if hops is not None:
            item = first[layout.H_MAX_FORWARDS]
            start = spans[item + 3]
            changes.append((start, start + spans[item + 4], b"%d" % (hops - 1)))
        if first[layout.H_ROUTE]:
            for item in message.items(layout.H_ROUTE):
                changes.append((spans[item + 1], message.line_end(item), b""))
        # offsets differ, so the order does not depend on the sort being stable
        changes.sort()
        return edited(message.data, changes, request.end)

    def response(self, message):
        """(datagram, (host text, port)) of a response on its way back, or None to drop it.

        The topmost Via must be ours with a right branch and another must follow (16.7 steps 1
        and 3, 16.11, 18.1.2); a 100 passes as well, since the request passed without one of ours.
        """
        if message.repeated or not message.answerable():
            return None
        end = message.end()
        item = message.first[layout.H_VIA]
        value = message.via_value
        top = Via(value, self._senders)
        config = self._config
        if top.host != config.vip_host or (top.port or DEFAULT_PORT) != config.vip_port:
            return None
        spans = message.spans
        if top.end < len(value):
            rest = value[top.end + 1:].strip()
            start = spans[item + 3]
            change = (start, start + spans[item + 4], rest)
        elif message.via_count > 1:
            rest = message.value(message.items(layout.H_VIA)[1])
            change = (spans[item + 1], message.line_end(item), b"")
        else:
            return None
        address = self._upstream(top.branch or b"", Via(rest, self._senders), message.call_id)
        if address is None:
            return None
        return edited(message.data, ((0, spans[layout.HEAD_START], b""), change), end), address

    def _upstream(self, branch, via, call_id):
        """Where the next Via says the response goes (18.2.2, RFC 3581), if our MAC agrees."""
        host = via.received or via.host
        port = via.port or DEFAULT_PORT
        if via.rport:
            port = parse_uint(via.rport, 65535)
        if not port or not is_ipv4(host) or len(branch) != BRANCH_CHARS:
            return None
        own = branch[len(MAGIC):len(MAGIC) + HASH_CHARS]
        if not same(branch[len(MAGIC) + HASH_CHARS:], self._mac(own, call_id, host, port)):
            return None
        return str(host, "utf-8"), port


def _noted(request):
    """The topmost Via header's value with received and rport noted in its first element."""
    value = request.message.via_value
    return request.via.answered(request.host, request.port) + value[request.via.end:]


def split_path(path):
    """A stored Path value as a list of route elements; a broken one raises SipError 500."""
    if not path:
        return []
    try:
        return route_set.elements(path)
    except Malformed:
        raise SipError(500, b"Stored Path is malformed")
