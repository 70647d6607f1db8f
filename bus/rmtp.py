"""RMTP: what sender and receiver share: frame types, parameters, layouts of the payloads.

After Lin and Paul (INFOCOM 1996) and Paul, Sabnani, Lin, Bhattacharyya (IEEE JSAC 15(3), 1997).
Flat: the sender is the acknowledgement processor of every card. The papers fix no octets; these
are ours. Imports no I/O. Runs on both interpreters.

All integers are big-endian; a sequence number (seq) counts packets modulo 2**32, a stamp is the
sender's clock in ms (bus.compat ticks).

    DATA, DATA_EOF     seq 4 | base 4 | stamp 4 | body     base: lowest seq the sender still keeps
    NULL, RESET        next 4 | base 4 | stamp 4           next: one past the last seq sent
    ACK, ACK_TXNOW     L 4 | highest 4 | echo 4 | dwell_ms 2 | nbits 2 | V in whole octets
    RTT_MEASURE, _ACK  stamp 4                             the receiver's clock, returned as it is

L is the lowest seq not yet received in sequence, highest the highest one received (L-1 when there
is no hole), nbits = highest-L+1. Bit i of V, counted from the most significant bit of its first
octet, tells that L+i is held. echo is the stamp of the newest packet, each used once (NO_ECHO:
none), dwell_ms how long the receiver held it back.

NULL also carries the liveness for which the papers have SND_ACK_TOME: with one hop and one
acknowledgement processor there is nothing to choose.
"""

import struct

from bus.compat import const
from bus.wire import (  # noqa: F401 - who uses a connection finds its frame types here
    ACK, ACK_TXNOW, ALL, DATA, DATA_EOF, NULL, RESET, RTT_ACK, RTT_MEASURE, SND_ACK_TOME)

# events: the first three are a receiver's, the last a sender's
OPENED = const(1)
LOST = const(2)
ENDED = const(3)
LAGGARD = const(4)

DATA_HEAD_BYTES = const(12)
ACK_HEAD_BYTES = const(16)
STAMP_BYTES = const(4)
NO_ECHO = const(0xFFFFFFFF)

SEQ_MASK = const(0xFFFFFFFF)
SEQ_HALF = const(0x80000000)


class RmtpParams:
    """The connection parameters by the papers' names; a session manager hands them out.

    Wr: receive window, packets, a power of two.  Ws: most new packets in one cycle (paper mode)
    or outstanding (event mode), and most repairs in a Tretx.  Tsend, Tack, Tretx, Trtt, Tdally:
    ms; Tsend 0 is event mode: packets leave whenever the window allows.  Tsap: ms between NULL
    frames of an idle stream.  packet_size: largest body, octets.  cache_size: packets kept for
    repairs and late joiners, a power of two, at least Wr.  CONGthresh: acknowledgements asking for
    repairs in one Tsend above which the network counts as congested, 0: half of the roster.
    MCASTthresh: requesters above which a repair is multicast.  ack_every: packets, 0: no event
    acknowledgements.  null_first_ms: silence before the first NULL.  laggard_ms: how long a card
    may block the others.
    """

    def __init__(self, *, Wr=1024, Ws=128, Tsend=0, Tack=1, Tretx=0, Trtt=1000, Tsap=200,
                 Tdally=2000, packet_size=1400, cache_size=2048, CONGthresh=0, MCASTthresh=1,
                 ack_every=32, null_first_ms=50, laggard_ms=1000):
        for size in (Wr, cache_size):
            if size < 8 or size & (size - 1):
                raise ValueError("RMTP windows are powers of two from 8, not {}".format(size))
        if cache_size < Wr:
            raise ValueError("RMTP cache_size {} is below Wr {}".format(cache_size, Wr))
        if Wr > 8192 or not 1 <= Ws <= Wr:
            raise ValueError("RMTP wants Wr <= 8192 and 1 <= Ws <= Wr")
        self.Wr = Wr
        self.Ws = Ws
        self.Tsend = Tsend
        self.Tack = Tack
        self.Tretx = Tretx
        self.Trtt = Trtt
        self.Tsap = Tsap
        self.Tdally = Tdally
        self.packet_size = packet_size
        self.cache_size = cache_size
        self.CONGthresh = CONGthresh
        self.MCASTthresh = MCASTthresh
        self.ack_every = ack_every
        self.null_first_ms = null_first_ms
        self.laggard_ms = laggard_ms


def paper_params(**changes):
    """The papers' own timing: cycles of Tsend, Tack and Tretx, no event acknowledgements."""
    values = {"Tsend": 2, "Tack": 1, "Tretx": 1, "ack_every": 0}
    values.update(changes)
    return RmtpParams(**values)


def unwrap(wire_seq, reference):
    """The full number nearest to `reference` that equals `wire_seq` modulo 2**32.

    Both ends count without wrapping inside (Python's ints do not overflow), so that comparing
    sequence numbers is plain.
    """
    ahead = (wire_seq - reference) & SEQ_MASK
    return reference + ahead if ahead < SEQ_HALF else reference + ahead - SEQ_MASK - 1


def encode_ack(out, start, low, held, echo, dwell_ms):
    """Write an ACK payload at out[start:].

    low: L.  held: sequence of booleans for L, L+1 .. highest; empty when there is no hole.
    Returns the length, ACK_HEAD_BYTES and V.
    """
    struct.pack_into(">IIIHH", out, start, low & SEQ_MASK, (low + len(held) - 1) & SEQ_MASK,
                     echo, dwell_ms, len(held))
    at = start + ACK_HEAD_BYTES
    octet = 0
    bit = 0x80
    for flag in held:
        if flag:
            octet |= bit
        bit >>= 1
        if not bit:
            out[at] = octet
            at += 1
            octet = 0
            bit = 0x80
    if bit != 0x80:
        out[at] = octet
        at += 1
    return at - start
