"""Where a request would go, told without sending anything. Pure; both interpreters."""

from firmware.proxy.config import PROXY, REDIRECT, octets
from firmware.proxy.redirect import contact_lines
from firmware.proxy.route_set import uri_of
from firmware.proxy.stateless import split_path
from firmware.sip.errors import Malformed, SipError
from firmware.sip.uri import parse_uri

_PROBE_CALL_ID = b"whereto"  # picks among contacts of equal q as this Call-ID would


def text(data):
    """Bytes as text for people; octets that are no printable ASCII become `?`."""
    return "".join([chr(char) if 32 <= char < 127 else "?" for char in data])


def whereto(server, method, uri, now_s):
    """What `server` (SipServer) would do with a request outside any dialog.

    method, uri: bytes or text.  now_s: Unix seconds.  Returns {"uri", "method", "mode" "proxy",
    "redirect" or "local", "domain", "status", "record", "contacts", "target", "next_hop"};
    status is what the sender would get at once, None when the request is forwarded.
    """
    result = {"uri": text(octets(uri)), "method": text(octets(method)), "mode": None,
              "domain": None, "status": None, "record": None, "contacts": [], "target": None,
              "next_hop": None}
    try:
        parsed = parse_uri(octets(uri))
        if parsed.scheme not in (b"sip", b"tel"):
            raise SipError(416)
        _fill(result, server, parsed, octets(uri), octets(method), now_s)
    except SipError as error:
        result["status"] = error.status
    except Malformed:
        result["status"] = 400
    return result


def _fill(result, server, uri, written, method, now_s):
    locator = server.locator
    domain = locator.domain_of(uri)
    result["mode"] = PROXY
    if domain is not None:
        result["domain"] = text(domain.name)
        result["mode"] = domain.mode
    if uri.user is None and (domain is not None or locator.is_own(uri)):
        result["mode"] = "local"
        result["status"] = 200 if method in (b"OPTIONS", b"REGISTER") else 405
        return
    if domain is None:
        hop = locator.domain_route(uri.host)
        if hop is None:
            if not server.config.relay_allowed:
                raise SipError(403)
            hop = uri
        else:
            result["record"] = text(b"d" + uri.host)
        result["target"] = text(uri.request_uri())
        result["next_hop"] = _address(server.stateless.next_hop(hop))
        return
    key, bindings = locator.find(uri, domain, now_s)
    result["record"] = text(key)
    result["contacts"] = [text(binding.contact) for binding in bindings]
    if domain.mode == REDIRECT:
        found = contact_lines(bindings, uri, written, now_s)
        result["status"] = 302 if found else 404
        return
    target = locator.resolve(uri, domain, _PROBE_CALL_ID, now_s)
    result["target"] = text(target.uri)
    path = split_path(target.path)
    hop = uri_of(path[0])[1] if path else target.parsed
    result["next_hop"] = _address(server.stateless.next_hop(hop))


def _address(pair):
    return "{}:{}".format(pair[0], pair[1])
