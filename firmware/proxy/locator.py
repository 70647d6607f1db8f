"""Whom a Request-URI means: our domains, the local copy's records, the choice of one target.

RFC 3261 16.5 and 8.3; every answer comes from the card's own copy. Pure; both interpreters.
"""

from firmware.location import number, record
from firmware.proxy.config import DEFAULT_PORT, PROXY
from firmware.sip.errors import Malformed, SipError
from firmware.sip.uri import parse_uri, telephone_digits

MAX_STEPS = 8  # records that lead to records of ours, before it counts as a loop


class Target:
    """Where a request goes.

    uri: bytes, the new Request-URI.  parsed: the same as Uri.  path: bytes, a Route list to go
    through or b"".  record: bytes, the key of the record that decided, b"" for none.
    """

    def __init__(self, uri, parsed, path, key):
        self.uri = uri
        self.parsed = parsed
        self.path = path
        self.record = key


class Locator:
    """Looks into the local copy.

    config: SipConfig.  store: LocationStore.  secrets: Secrets, for the even spread of calls.
    """

    def __init__(self, config, store, secrets):
        self.config = config
        self.store = store
        self._secrets = secrets

    def is_own(self, uri):
        """True when the host and port of a Uri are the VIP or this card."""
        return (uri.host, uri.port or DEFAULT_PORT) in self.config.own

    def domain_of(self, uri, is_hop=False):
        """The Domain responsible for a Uri, or None.

        is_hop: the Uri is where to send (a contact, the target of a dialog), not whom to find.
        A domain named by text is ours without a port, at 5060 and at the VIP's port. One named by
        an address is ours at the VIP's port, since other servers live at other ports there, and
        without a port: an address of record has none (10.3 step 5), but a hop without one means
        5060 (19.1.2). The VIP's own address stands for the default domain.
        """
        config = self.config
        if uri.scheme == b"tel":
            return config.default_domain
        domain = config.domains.get(uri.host)
        if domain is not None:
            port = uri.port
            if port == config.vip_port:
                return domain
            if port == 0:
                if not (is_hop and domain.by_address) or config.vip_port == DEFAULT_PORT:
                    return domain
            elif port == DEFAULT_PORT and not domain.by_address:
                return domain
        return config.default_domain if self.is_own(uri) else None

    def aor(self, uri, domain):
        """The canonical AoR of a Uri within `domain`: its users by the VIP's address too."""
        aor = uri.aor()
        if uri.host == domain.name or aor is None:
            return aor
        return aor[:len(aor) - len(uri.host)] + domain.name

    def bindings(self, aor, now_s):
        """Live bindings of a canonical AoR in canonical order, or None when it is unknown."""
        value = self.store.get(record.aor_key(aor))
        if value is None:
            return None
        return [binding for binding in record.decode_aor(value, 0, len(value))
                if binding.expires_s == 0 or binding.expires_s > now_s]

    def shows(self, aor, record_bytes):
        """True when the copy holds exactly this record of a canonical AoR; b"": none."""
        value = self.store.get(record.aor_key(aor))
        return (b"" if value is None else bytes(value)) == record_bytes

    def find(self, uri, domain, now_s):
        """(record key, live bindings in canonical order) for a Uri in `domain`.

        Raises SipError 404 for an unknown user, 480 for one without a live contact, and Malformed
        for a user part that no user can have. To a proxy a subscriber who has not registered is
        known (RFC 3261 21.4.18); a redirect server says 404, as the C fast path does.
        """
        aor = uri.aor() if uri.scheme != b"tel" else None
        found = None if aor is None else self.bindings(aor, now_s)
        if found is None and aor is not None and uri.host != domain.name:
            aor = self.aor(uri, domain)
            found = self.bindings(aor, now_s)
        if found is None:
            return self._number(uri, domain, aor)
        if not found:
            raise SipError(480)
        return record.aor_key(aor), found

    def _number(self, uri, domain, aor):
        uri.validate()
        digits = telephone_digits(uri.user or b"")
        found = number.longest_prefix(self.store, digits) if digits else None
        if found is None:
            raise SipError(480 if domain.mode == PROXY and self._subscribes(aor) else 404)
        prefix, target = found
        contact = route_uri(target)
        if contact.user is None:
            contact.user = uri.user.partition(b";")[0]
        return b"n" + prefix, [record.Binding(contact.request_uri(), 1000, 0)]

    def _subscribes(self, aor):
        return aor is not None and self.store.get(record.subscriber_key(aor)) is not None

    def domain_route(self, host):
        """The Uri a provisioned domain route names for a foreign host, or None."""
        target = number.domain_route(self.store, host)
        return None if target is None else route_uri(target)

    def choose(self, bindings, call_id):
        """The one binding a stateless proxy takes (16.11): the highest q, ties by Call-ID.

        Every card and every retransmission choose alike while the record stands.
        """
        best = [binding for binding in bindings if binding.q == bindings[0].q]
        if len(best) == 1:
            return best[0]
        return best[int(self._secrets.branch_hash(call_id)[:4], 16) % len(best)]

    def resolve(self, uri, domain, call_id, now_s):
        """The Target for a Uri in `domain`, through records that lead to records of ours.

        Raises SipError 404, 480 or 482.
        """
        key = b""
        for _ in range(MAX_STEPS):
            step_key, bindings = self.find(uri, domain, now_s)
            key = key or step_key
            binding = self.choose(bindings, call_id)
            parsed = parse_uri(binding.contact)
            domain = self.domain_of(parsed, True)
            if domain is None or binding.path or parsed.user is None:
                return Target(parsed.request_uri(), parsed, binding.path, key)
            uri = parsed
        raise SipError(482)


def route_uri(target):
    """A provisioned target (`sip:host:port` or `host:port`) as Uri; raises SipError 500."""
    try:
        return parse_uri(target if target[:4] == b"sip:" else b"sip:" + target)
    except Malformed:
        raise SipError(500, b"Route target is no SIP URI")
