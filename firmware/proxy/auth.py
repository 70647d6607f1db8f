"""Who may register: digest authentication from subscriber records (RFC 3261 22, 7616, 8760).

An unknown user, a wrong password and an algorithm the record lacks all get the same 401, after
the same work, so that nobody can list subscribers. Pure; both interpreters.
"""

from firmware.fastpath import layout
from firmware.location import record
from firmware.sip import digest
from firmware.sip.errors import Malformed, SipError
from firmware.sip.grammar import unquote
from firmware.sip.headers import parse_credentials
from firmware.sip.uri import parse_uri

# stands in for the HA1 of a user that is not there; no hash gives it
_NOBODY = b"-"


class Authenticator:
    """Challenges and checks.

    store: LocationStore.  nonces: digest.Nonces.  hashes: list of (algorithm number, hash
    function as in hashlib), the preferred first (RFC 8760 2.4); what a board lacks is left out.
    md5_only_agents: prefixes of User-Agent values that are challenged with MD5 alone.
    """

    def __init__(self, store, nonces, counts, hashes, md5_only_agents=()):
        self._store = store
        self._nonces = nonces
        self._counts = counts
        self._hashes = hashes
        self._md5_only_agents = md5_only_agents
        self.failures = 0

    def check(self, request, domain, aor):
        """Return when the request is by the subscriber `aor` (canonical bytes) of `domain`.

        Raises SipError 401 with a challenge for each algorithm, 403 when the user is another,
        Malformed for credentials that cannot be read.
        """
        credentials = self._credentials(request, domain)
        if credentials is None:
            raise self._challenge(request, domain, False)
        state = self._nonces.check(credentials.nonce, request.now_s, request.host)
        right = self._is_right(credentials, request, domain)
        if not right or state == digest.FORGED:
            self.failures += 1
            raise self._challenge(request, domain, False)
        if state == digest.STALE:
            raise self._challenge(request, domain, True)
        if not self._counts.accept(credentials.nonce, int(credentials.nc, 16)):
            # a replay, or a client whose count another card has not seen: it starts afresh
            self.failures += 1
            raise self._challenge(request, domain, True)
        if _subscriber(credentials.username, domain) != aor:
            raise SipError(403)

    def _credentials(self, request, domain):
        """The digest credentials for our realm, or None; their URI must name our host."""
        for value in request.message.headers(layout.H_AUTHORIZATION):
            scheme, fields = parse_credentials(value)
            if scheme != b"digest" or unquote(fields.get(b"realm", b"")) != domain.realm:
                continue
            credentials = digest.Credentials(fields)
            if parse_uri(credentials.uri).host != request.uri.host:
                raise Malformed("digest uri names another host")
            return credentials
        return None

    def _is_right(self, credentials, request, domain):
        ha1 = _NOBODY
        key = record.subscriber_key(_subscriber(credentials.username, domain))
        value = self._store.get(key)
        if value is not None:
            realm, secrets = record.decode_subscriber(value, 0, len(value))
            for algorithm, secret in secrets:
                if algorithm == credentials.algorithm and realm == domain.realm:
                    ha1 = secret
        # an algorithm this board lacks costs the same work and never fits
        hash_function = self._hashes[0][1]
        supported = False
        for algorithm, function in self._hashes:
            if algorithm == credentials.algorithm:
                hash_function = function
                supported = True
        expected = digest.response(
            hash_function, ha1, credentials.nonce, credentials.nc, credentials.cnonce,
            request.message.method, credentials.uri)
        right = digest.same(expected, credentials.response.lower())
        return right and supported and ha1 is not _NOBODY

    def _offered(self, message):
        """Algorithms to challenge with. Some clients refuse a 401 that has a challenge they do not
        know beside one they do, against RFC 8760 2.4; those named by the operator see MD5 alone.
        """
        algorithms = [item[0] for item in self._hashes]
        agent = message.header(layout.H_USER_AGENT) or b""
        if digest.MD5 in algorithms:
            for prefix in self._md5_only_agents:
                if agent.startswith(prefix):
                    return [digest.MD5]
        return algorithms

    def _challenge(self, request, domain, stale):
        salt = request.call_id + b" %d" % request.cseq
        nonce = self._nonces.mint(request.now_s, request.host, salt)
        lines = []
        for algorithm in self._offered(request.message):
            lines.append(b"WWW-Authenticate: "
                         + digest.challenge(domain.realm, nonce, algorithm, stale) + b"\r\n")
        return SipError(401, headers=b"".join(lines))


def _subscriber(username, domain):
    """The AoR a username stands for: `alice` and `alice@domain` are the same subscriber."""
    if username.endswith(b"@" + domain.name):
        return username
    return username + b"@" + domain.name


def platform_hashes():
    """What this interpreter's hashlib has, strongest first."""
    import hashlib

    hashes = [(digest.SHA256, hashlib.sha256)]
    if hasattr(hashlib, "md5"):
        hashes.append((digest.MD5, hashlib.md5))
    return hashes
