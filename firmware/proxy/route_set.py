"""Route headers on arrival (RFC 3261 16.4) and the Record-Route value we put in.

A Record-Route value of ours carries `m`, a MAC of Call-ID and the opener's tag: only requests of
dialogs that came through this chassis may use it to reach addresses that are not ours.
Pure; both interpreters.
"""

from firmware.fastpath import layout
from firmware.sip.digest import same
from firmware.sip.errors import Malformed
from firmware.sip.grammar import split_list
from firmware.sip.headers import parse_name_addr
from firmware.sip.uri import parse_uri

MARK = b"m"


class RouteSet:
    """What is left of the Route headers when those naming us are gone.

    routes: list of route elements as written (`<sip:...;lr>`), the next first.
    changed: True when the headers must be rewritten.  trusted: True when a value of ours with
    a right mark was among them.  uri: the Request-URI after a strict router's rewriting
    (bytes), or None when it stays.
    """

    def __init__(self):
        self.routes = []
        self.changed = False
        self.trusted = False
        self.uri = None


def read(request, locator, secrets):
    """The RouteSet of a request with Route headers; raises Malformed."""
    result = RouteSet()
    routes = request.message.list_of(layout.H_ROUTE)
    uri = request.uri
    if locator.is_own(uri) and uri.param(MARK) is not None and routes:
        # a strict router put our value into the Request-URI (16.4)
        result.trusted = is_marked(request, uri, secrets)
        result.uri = parse_name_addr(routes.pop())[0]
        result.changed = True
    while routes:
        first = parse_uri(parse_name_addr(routes[0])[0])
        if not locator.is_own(first):
            break
        if is_marked(request, first, secrets):
            result.trusted = True
        routes.pop(0)
        result.changed = True
    result.routes = routes
    return result


def is_marked(request, uri, secrets):
    """True when a Uri carries the mark of this request's dialog, opened by either side."""
    mark = uri.param(MARK)
    if not mark:
        return False
    if same(mark, secrets.route_mac(request.call_id, request.from_tag)):
        return True
    tag = request.to_tag
    return tag is not None and same(mark, secrets.route_mac(request.call_id, tag))


def record_route(request, vip_text, secrets):
    """Our Record-Route header line (16.6 step 4)."""
    return b"".join((b"Record-Route: <sip:", vip_text, b";lr;", MARK, b"=",
                     secrets.route_mac(request.call_id, request.from_tag), b">\r\n"))


def uri_of(route):
    """(URI bytes, Uri) of a route element; raises Malformed."""
    text = parse_name_addr(route)[0]
    parsed = parse_uri(text)
    if parsed.scheme not in (b"sip", b"sips"):
        raise Malformed("Route is no SIP URI")
    return text, parsed


def elements(value):
    """The elements of a Route or Path value, each checked; raises Malformed."""
    routes = split_list(value)
    for route in routes:
        if route.find(b"<") < 0:
            raise Malformed("Route without angle brackets")
        uri_of(route)
    return routes
