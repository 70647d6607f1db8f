"""SIP as bytes and spans (RFC 3261); pure, no I/O."""
