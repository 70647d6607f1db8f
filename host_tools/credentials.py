"""HA1 values of a subscriber: the password itself never leaves the host tool."""

import hashlib


def ha1_of(user, realm, password):
    """{"MD5": hex, "SHA-256": hex} of user-name:realm:password (RFC 7616 3.4.2).

    user: `name@domain`; the user-name of the digest is the part before the @.
    """
    name = user.partition("@")[0]
    text = "{}:{}:{}".format(name, realm, password).encode()
    return {"MD5": hashlib.md5(text, usedforsecurity=False).hexdigest(),
            "SHA-256": hashlib.sha256(text).hexdigest()}
