"""The redirect server (RFC 3261 8.3): 302 with every live contact in q order.

Stateless but for the INVITEs of the last half minute, so that CANCEL gets 200 or 481 (8.3, 9.2).
Option tags, methods and headers that are not understood are ignored, as 8.3 wants. Pure.
"""

from firmware.fastpath import layout
from firmware.proxy.recent import Recent
from firmware.sip.errors import PHRASES, SipError
from firmware.sip.headers import format_q
from firmware.sip.uri import equal, parse_uri

INVITE_MEMORY_MS = 32000  # 64*T1: as long as an INVITE may be retransmitted (17.1.1.2)
_Q = {}


class Redirect:
    """Answers requests for users of redirect domains.

    locator: Locator.  config: SipConfig.
    """

    def __init__(self, config, locator):
        self._locator = locator
        self.invites = Recent(config.invite_limit, INVITE_MEMORY_MS)

    def answer(self, request, domain):
        """(status, phrase, header lines) for `request`, whose Request-URI is in `domain`.

        Raises SipError. ACK must not come here: it is never answered.
        """
        method = request.message.method_id
        if method == layout.METHOD_CANCEL:
            if self.invites.get(request.via.text, request.now_ms) is None:
                raise SipError(481)
            return 200, PHRASES[200], b""
        if method == layout.METHOD_INVITE:
            # noted before the look-up: a CANCEL of a refused INVITE matches it as well
            self.invites.put(request.via.text, True, request.now_ms)
        _, bindings = self._locator.find(request.uri, domain, request.now_s)
        lines = contact_lines(bindings, request.uri, request.message.request_uri, request.now_s)
        if not lines:
            raise SipError(404)
        return 302, PHRASES[302], lines


def contact_lines(bindings, uri, written, now_s):
    """Contact header lines with q and remaining expires, without the Request-URI itself (8.3).

    uri, written: the Request-URI, parsed and as bytes.
    """
    parts = []
    for binding in bindings:
        contact = binding.contact
        if contact == written or _is_same(contact, uri):
            continue
        q = binding.q
        text = _Q.get(q)
        if text is None:
            text = _Q[q] = b">;q=" + format_q(q)
        parts.append(b"Contact: <")
        parts.append(contact)
        parts.append(text)
        if binding.expires_s:
            parts.append(b";expires=%d\r\n" % (binding.expires_s - now_s))
        else:
            parts.append(b"\r\n")
    return b"".join(parts)


def _is_same(contact, uri):
    """True when contact and Request-URI are equivalent; cheap where the hosts differ."""
    return uri.host in contact.lower() and equal(parse_uri(contact), uri)
