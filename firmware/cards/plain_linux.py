"""Joins the C data plane to a SIP server: what C may answer, and what must be counted after it.

The plain requests (sipfast.h) are answered without Python; the rest comes to the server as ever.
CPython on Linux only.
"""

import struct

from firmware.fastpath import dataplane_linux as dataplane
from firmware.proxy.config import REDIRECT
from firmware.proxy.secrets import derive
from firmware.runtime.datagrams import BatchHandler
from firmware.sip.uri import is_ipv4

# flags of an entry of the configuration block (sipfast.h)
_DOMAIN = 1
_REDIRECT = 2
_NUMERIC = 4
_DEFAULT = 8
_LONGEST_NAME = 255
_COUNTED = (
    ("received", dataplane.ANSWERED), ("answered", dataplane.SENT),
    ("redirected", dataplane.REDIRECTS), ("errors", dataplane.ERRORS),
    ("options", dataplane.OPTIONS), ("acks", dataplane.ACKS))


def config_block(config, secret16):
    """The configuration block of sf_answer, as bytes, or None where a name is too long for it.

    config: SipConfig.  secret16: the chassis secret, 16 octets.
    """
    entries = [(0, name, port) for name, port in config.own]
    for name, domain in config.domains.items():
        flags = _DOMAIN | (_REDIRECT if domain.mode == REDIRECT else 0)
        flags |= (_NUMERIC if is_ipv4(name) else 0)
        flags |= (_DEFAULT if domain is config.default_domain else 0)
        entries.append((flags, name, 0))
    block = derive(secret16, b"to-tag")
    block += struct.pack(
        "<HHHH", config.vip_port, min(config.max_headers, 0xFFFF), len(entries), 0)
    for flags, name, port in entries:
        if len(name) > _LONGEST_NAME:
            return None
        block += struct.pack("<BBH", flags, len(name), port) + name
    return block


def batch_handler(port, relay_port, take, sip, store, secret16, clock, sources=bytes):
    """A handler for the reactor that serves `port` by batches, or None where C is not there.

    relay_port: the VIP's port for the relay plane, 0 for plain UDP.  take: as for PortHandler.
    sip: SipServer.  store: its LocationStore.  clock: gives now_s().  sources: gives
    IPv4 and port, 6 octets each, of those whose relayed datagrams C may answer.
    """
    library = dataplane.open_library()
    block = config_block(sip.config, secret16)
    if library is None or block is None:
        return None
    plane = dataplane.Dataplane(library, port.socket.fileno(), relay_port, block)
    return BatchHandler(port, PlainAnswers(
        plane, port, relay_port, sip, store, clock, sources), take)


def _host(number):
    return "%d.%d.%d.%d" % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255)


class PlainAnswers:
    """One socket's plain requests, answered in C on behalf of a SipServer.

    plane: Dataplane.  port: the port whose `malformed` and `send_errors` it counts for.
    """

    def __init__(self, plane, port, relay_port, sip, store, clock, sources):
        self._plane = plane
        self._port = port
        self._relay_port = relay_port
        self._sip = sip
        self._store = store
        self._clock = clock
        self._sources = sources

    def turn(self):
        """Serve what waits; the number of items for `item`.

        A card that does not serve, or is to look out of service, answers in Python.
        """
        sip = self._sip
        items = self._plane.turn(
            self._store.memory, self._sources(), self._clock.now_s(),
            not sip.serving or sip.drain)
        report = self._plane.report
        counters = sip.counters
        for name, place in _COUNTED:
            counters[name] += report[place]
        if self._relay_port:
            self._port.malformed += report[dataplane.MALFORMED]
        self._port.send_errors += report[dataplane.REFUSED]
        return items

    def item(self, index, body, now_ms):
        """(octets, peer, via) of a datagram that is Python's, copied to `body`; or None.

        None: C answered it, and only the INVITE had to be remembered, for its CANCEL.
        """
        at = dataplane.REPORT + index * dataplane.ITEM
        kind, start, count, host, port, via_host, via_port = self._plane.report[
            at:at + dataplane.ITEM]
        octets = self._plane.octets(start, count)
        if kind == dataplane.INVITE:
            self._sip.redirect.invites.put(octets, True, now_ms)
            return None
        body[:count] = octets
        via = (_host(via_host), via_port) if self._relay_port else None
        return count, (_host(host), port), via
