"""RMTP: what sender and receiver share: frame types, parameters, the layouts of the payloads.

After Lin and Paul (INFOCOM 1996) and Paul, Sabnani, Lin, Bhattacharyya (IEEE JSAC 15(3), 1997). Flat: the
sender is the acknowledgement processor of every card. Differences from the papers are listed in
bus/README.md. Imports no I/O. Runs on both interpreters.

All integers big-endian; a sequence number counts packets modulo 2**32, a stamp is the sender's
clock in ms (bus.compat ticks).

    DATA, DATA_EOF   seq 4 | base 4 | stamp 4 | body          base: lowest seq the sender still keeps
    NULL, RESET      next 4 | base 4 | stamp 4                next: one past the last seq sent
    ACK, ACK_TXNOW   L 4 | highest 4 | echo 4 | dwell_ms 2 | nbits 2 | V, nbits rounded up to octets
    RTT_MEASURE/ACK  stamp 4                                  the receiver's clock, sent back unchanged

L is the lowest seq not yet received in sequence, highest the highest seq received (L-1 when there is no
hole). Bit i of V, counted from the most significant bit of the first octet, tells that L+i is held. echo is
the stamp of the newest packet, each used once (NO_ECHO: none), dwell_ms how long the receiver held it.
"""

import struct

from bus.compat import const

DATA = const(16)
DATA_EOF = const(17)
RESET = const(18)
ACK = const(19)
ACK_TXNOW = const(20)
RTT_MEASURE = const(21)
RTT_ACK = const(22)
SND_ACK_TOME = const(23)
NULL = const(24)

ALL = const(0xFF)

# receiver events
OPENED = const(1)
LOST = const(2)
ENDED = const(3)
# sender event
LAGGARD = const(4)

DATA_HEAD_BYTES = const(12)
ACK_HEAD_BYTES = const(16)
NO_ECHO = const(0xFFFFFFFF)

SEQ_MASK = const(0xFFFFFFFF)
SEQ_HALF = const(0x80000000)


class RmtpParams:
    """The connection parameters, by the papers' names. The session manager hands them out.

    Wr: receive window, packets, a power of two.  Ws: most new packets in one cycle (paper mode) or
    outstanding (event mode).  Tsend, Tack, Tretx, Trtt, Tdally: ms; Tsend 0: event mode, no cycle.
    Tsap: ms between NULL frames of an idle stream (they carry the liveness that SND_ACK_TOME has
    in the papers).  packet_size: largest body, octets.  cache_size: packets kept for repairs and
    late joiners, a power of two, at least Wr.  CONGthresh: acknowledgements asking for repairs in one
    cycle above which the network counts as congested.  MCASTthresh: requesters above which a
    repair is multicast.  ack_every: packets, 0 turns event acknowledgements off.  null_first_ms: silence
    before the first NULL.  laggard_ms: how long a card may block a full window.
    """

    def __init__(self, *, Wr=1024, Ws=128, Tsend=0, Tack=1, Tretx=0, Trtt=1000, Tsap=200,
                 Tdally=2000, packet_size=1400, cache_size=2048, CONGthresh=2, MCASTthresh=1,
                 ack_every=32, null_first_ms=50, laggard_ms=1000):
        for size in (Wr, cache_size):
            if size < 8 or size & (size - 1):
                raise ValueError("RMTP window and cache are powers of two from 8: {}".format(size))
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
    """The parameters of the papers' own timing: cycles of Tsend, Tack and Tretx, no event ACKs."""
    values = {"Tsend": 2, "Tack": 1, "Tretx": 1, "ack_every": 0}
    values.update(changes)
    return RmtpParams(**values)


def unwrap(wire_seq, reference):
    """The full sequence number nearest to `reference` that is `wire_seq` modulo 2**32.

    Inside, both ends count without wrapping (ints do not overflow), so that comparisons are plain.
    """
    ahead = (wire_seq - reference) & SEQ_MASK
    return reference + ahead - (0 if ahead < SEQ_HALF else SEQ_MASK + 1)


def encode_ack(out, start, low, highest, echo, dwell_ms, held):
    """Write an ACK body at out[start:].  held: iterable of flags for low, low+1, .. highest.

    Returns its length in octets: ACK_HEAD_BYTES and V.
    """
    nbits = max(0, highest - low + 1)
    struct.pack_into(">IIIHH", out, start, low & SEQ_MASK, highest & SEQ_MASK, echo,
                     dwell_ms, nbits)
    at = start + ACK_HEAD_BYTES
    octet = 0
    count = 0
    for flag in held:
        octet = (octet << 1) | (1 if flag else 0)
        count += 1
        if not count & 7:
            out[at] = octet
            at += 1
            octet = 0
    if count & 7:
        out[at] = octet << (8 - (count & 7))
        at += 1
    return at - start
