"""Load sharing: which cluster card a connection goes to.

A new connection gets the better of two cards (power of two choices): the two with the highest
random weight (rendezvous hash) for this connection; the lower smoothed response time x (active
connections + 1) wins, the higher weight decides a tie. A connection that is older than the table
(after a take-over) goes to the highest weight alone: no state is needed for most of them to land
where they were. Both switch cards use the same seed and therefore the same weights.

Imports no I/O. Runs on both interpreters.
"""

import hashlib

from bus import states
from bus.compat import const

STALENESS_BOUND_MS = const(2000)

# ranks of a card for new connections, best first; a worse rank is used only while no better
# card exists
FRESH = const(0)
STALE = const(1)
LEAVING = const(2)
UNFIT = const(3)


class ResponseTime:
    """Smoothed response time: EWMA with weight 1/8 in 1/16 ms, integers only."""

    def __init__(self):
        self.sixteenths = 0
        self.samples = 0

    def sample(self, elapsed_ms):
        """Take one measurement, 0.. ms."""
        value = elapsed_ms << 4
        if self.samples:
            self.sixteenths += (value - self.sixteenths) // 8
        else:
            self.sixteenths = value
        self.samples += 1

    def milliseconds(self):
        """The smoothed time, rounded; None before the first sample."""
        return (self.sixteenths + 8) >> 4 if self.samples else None


class Card:
    """What a switch card knows of one cluster card.

    up: heard on the bus.  alive: health monitor's verdict.  plane: (host, port) of its relay
    socket or None.  service, database: numbers of bus/states.py.  staleness_ms: as it declares.
    """

    def __init__(self, slot):
        self.slot = slot
        self.up = False
        self.alive = True
        self.plane = None
        self.service = states.OUT_OF_SERVICE
        self.database = states.NO_DATABASE
        self.staleness_ms = 0
        self.response = ResponseTime()

    def serves(self):
        """May connections that it already has stay with it?

        Not while it says itself that it serves nothing (out of service, loading its first copy).
        """
        return (self.up and self.alive and self.plane is not None
                and self.service in (states.IN_SERVICE, states.DRAINING))

    def rank(self):
        """FRESH, STALE, LEAVING or UNFIT: how welcome a new connection is."""
        if not self.serves():
            return UNFIT
        if self.service == states.DRAINING:
            return LEAVING
        whole = self.database in (states.COHERENT, states.RESYNC)
        return FRESH if whole and self.staleness_ms <= STALENESS_BOUND_MS else STALE


def weight(seed, key, slot):
    """The rendezvous weight of `slot` for connection `key`: eight octets, compared as such."""
    return hashlib.sha256(seed + key + bytes((slot,))).digest()[:8]


def cost(card, table):
    """What a further connection costs on `card`; one millisecond is added so that idle cards
    are told apart by their connections."""
    return (card.response.sixteenths + 16) * (table.active(card.slot) + 1)


def choose(cards, table, seed, key, existing):
    """The Card for connection `key`, or None when no card is fit.

    cards: iterable of Card.  table: TupleTable (active connections).  seed: bytes, the same on
    both switch cards.  existing: True when the connection is known to be older than the table.
    Cost O(cards), one SHA-256 for each card.
    """
    rank = UNFIT
    first = second = None
    first_weight = second_weight = b""
    for card in cards:
        own = card.rank()
        if own > rank or own == UNFIT:
            continue
        if own < rank:
            rank = own
            first = second = None
            first_weight = second_weight = b""
        own_weight = weight(seed, key, card.slot)
        if own_weight > first_weight:
            second, second_weight = first, first_weight
            first, first_weight = card, own_weight
        elif own_weight > second_weight:
            second, second_weight = card, own_weight
    if second is None or existing:
        return first
    return second if cost(second, table) < cost(first, table) else first
