"""What one cluster card's SIP is told: domains, addresses, limits. Pure; both interpreters."""

from firmware.sip.uri import is_ipv4

PROXY = "proxy"
REDIRECT = "redirect"
DEFAULT_PORT = 5060  # RFC 3261 19.1.2

# setting, default; times in seconds unless the name says otherwise
_NUMBERS = (
    ("min_expires_s", 60), ("default_expires_s", 3600), ("max_expires_s", 7200),
    ("max_contacts", 10), ("nonce_lifetime_s", 300), ("retry_after_s", 5),
    # bounds of tables (entries)
    ("pending_limit", 256), ("answer_limit", 512), ("invite_limit", 2048), ("nonce_limit", 1024),
    ("queue_limit", 256), ("host_limit", 1024), ("max_headers", 64),
)


def octets(text):
    """Text or bytes as bytes (UTF-8)."""
    return text if isinstance(text, bytes) else bytes(text, "utf-8")


# baresip with libre before 3.0 gives up on a 401 that offers SHA-256 beside MD5 (seen with 1.0.0)
MD5_ONLY_AGENTS = ("baresip v0.", "baresip v1.", "baresip v2.")


class Domain:
    """One domain the chassis is responsible for.

    name: bytes, lower case.  mode: PROXY or REDIRECT.  auth: False lets anyone register there.
    realm: bytes, of the digest challenge; subscribers' HA1 are made with it.  by_address: True
    when the name is an IPv4 address.
    """

    def __init__(self, name, mode, auth, realm):
        if mode not in (PROXY, REDIRECT):
            raise ValueError("domain {}: mode must be proxy or redirect".format(name))
        self.name = name
        self.by_address = is_ipv4(name)
        self.mode = mode
        self.auth = auth
        self.realm = realm


class SipConfig:
    """The settings of SipServer, from a dict.

    vip: (host, port), the address clients use.  addresses: further (host, port) pairs that are
    this card itself (default none).  domains: a list of {"name", "mode", "auth", "realm"} or a
    dict name -> mode or such a dict; the first of a list is the default domain, whose users
    are also found by the VIP's address.  mode: default of domains (proxy).  relay_allowed:
    forward for domains that are not ours (default False).  realm: default of domains (their
    name).  md5_only_agents: User-Agent prefixes that are challenged with MD5 alone.  And the
    numbers above.  Raises ValueError naming what is wrong.
    """

    def __init__(self, settings):
        host, port = settings["vip"]
        self.vip_host = octets(host)
        self.vip_port = port
        self.vip_text = self.vip_host + b":%d" % port
        self.own = {(self.vip_host, port): True}
        for host, port in settings.get("addresses", ()):
            self.own[(octets(host), port)] = True
        self.md5_only_agents = [
            octets(prefix) for prefix in settings.get("md5_only_agents", MD5_ONLY_AGENTS)]
        self.relay_allowed = bool(settings.get("relay_allowed", False))
        self.domains = {}
        self.default_domain = None
        mode = settings.get("mode", PROXY)
        realm = settings.get("realm")
        for entry in _entries(settings.get("domains", ())):
            name = octets(entry["name"]).lower()
            domain = Domain(name, entry.get("mode") or mode, bool(entry.get("auth", True)),
                            octets(entry.get("realm") or realm or name))
            self.domains[name] = domain
            if self.default_domain is None:
                self.default_domain = domain
        self.min_expires_s = self.default_expires_s = self.max_expires_s = 0
        for name, default in _NUMBERS:
            value = settings.get(name, default)
            if not isinstance(value, int) or value < 1:
                raise ValueError("{} must be a positive integer".format(name))
            setattr(self, name, value)
        if not self.min_expires_s <= self.default_expires_s <= self.max_expires_s:
            raise ValueError("expires: min, default and max must rise")


def _entries(domains):
    """Both forms of `domains` as a list of dicts; a dict form goes by name, to be the same
    on both interpreters."""
    if not isinstance(domains, dict):
        return domains
    entries = []
    for name in sorted(domains, key=octets):
        value = domains[name]
        entry = dict(value) if isinstance(value, dict) else {"mode": value}
        entry["name"] = name
        entries.append(entry)
    return entries
