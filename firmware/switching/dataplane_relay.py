"""The user-space data plane: datagrams between the VIP and the cards' relay sockets.

The reference for every other data plane. A datagram from outside gets the relay header and goes
to the card of its connection tuple; one from a card loses the header and leaves from the VIP.
A card's datagram to a new peer makes the tuple by which the peer's answers find the same card.

Imports no I/O. Runs on both interpreters. Bounded: at most `queue_limit` datagrams wait for
to_send; further ones are dropped and counted (`queue_full`).
"""

from collections import deque

from bus.compat import const, ticks_diff
from firmware.switching import balance, dialog, encapsulation
from firmware.switching.encapsulation import HEADER_BYTES
from firmware.switching.tuples import UDP, flow_key

VIP = const(0)
PLANE = const(1)

MAX_DATAGRAM = const(65535 - 28)
# A longer time from a request to the first answer tells more of the far end than of the card; a
# card that slow fails its health check instead.
PASSIVE_LIMIT_MS = const(500)


class RelayForwarder:
    """Forwards by the tuple table; owns neither table nor cards.

    vip: (host, port).  cards: dict slot -> balance.Card, changed by the owner.  table: TupleTable.
    sender: replication.TableSender, told of each use.
    """

    def __init__(self, vip, seed, cards, table, sender, queue_limit=256):
        self.counters = {
            "from_clients": 0, "from_cards": 0, "to_clients": 0, "to_cards": 0, "no_card": 0,
            "rechosen": 0, "malformed": 0, "too_long": 0, "queue_full": 0, "queue_high": 0,
            "vip_given_up": 0}
        self._vip_ip = encapsulation.ip_bytes(vip[0])
        self._vip_port = vip[1]
        self._seed = seed
        self._cards = cards
        self._table = table
        self._sender = sender
        self.queue_limit = queue_limit
        self._queue = deque((), queue_limit)

    def from_client(self, buf, n, source, now_ms):
        """A datagram of n octets came to the VIP from `source`, (host, port)."""
        self.counters["from_clients"] += 1
        if n <= 0 or n > MAX_DATAGRAM - HEADER_BYTES:
            self.counters["too_long" if n > 0 else "malformed"] += 1
            return
        key = self._key(source)
        entry = self._table.find(key)
        if entry is None:
            card = self._choose(key, dialog.belongs_to_dialog(buf, 0, n))
            if card is None:
                return
            entry = self._table.add(key, card.slot, now_ms)
        else:
            card = self._cards.get(entry.slot)
            if card is None or not card.serves():
                card = self._choose(key, False)
                if card is None:
                    return
                self.counters["rechosen"] += 1
                self._table.move(entry, card.slot)
        self._table.touch(entry, n, now_ms)
        self._sender.used(entry, now_ms)
        if dialog.wants_answer(buf, 0):
            entry.asked_ms = now_ms
        self.to_card(card.plane, source, buf, n)

    def from_card(self, slot, buf, n, now_ms):
        """A relay datagram of n octets came from the card in `slot`."""
        self.counters["from_cards"] += 1
        header = encapsulation.decode(buf, n)
        if header is None or n == HEADER_BYTES:
            self.counters["malformed"] += 1
            return
        peer = (header[0], header[1])
        key = self._key(peer)
        entry = self._table.find(key)
        if entry is None:
            entry = self._table.add(key, slot, now_ms)
        elif entry.slot == slot:
            self._measure(entry, now_ms)
        else:
            owner = self._cards.get(entry.slot)
            if owner is None or not owner.serves():
                self._table.move(entry, slot)
        self._table.touch(entry, n - HEADER_BYTES, now_ms)
        self._sender.used(entry, now_ms)
        self.to_client(peer, buf, n)

    def to_client(self, peer, buf, n):
        """Queue what follows the relay header in buf[:n] for `peer`, from the VIP."""
        if self._put(VIP, peer, bytes(buf[HEADER_BYTES:n])):
            self.counters["to_clients"] += 1

    def to_card(self, plane, peer, buf, n):
        """Queue buf[:n] behind a relay header naming `peer` for a card's plane address.

        False when the queue is full.
        """
        header = bytearray(HEADER_BYTES)
        encapsulation.encode_into(header, peer[0], peer[1], self._vip_port)
        if not self._put(PLANE, plane, bytes(header) + bytes(buf[:n])):
            return False
        self.counters["to_cards"] += 1
        return True

    def pass_on(self, plane, buf, n):
        """Queue a relay datagram unchanged for the mate's plane address."""
        self._put(PLANE, plane, bytes(buf[:n]))

    def to_send(self, out):
        """Copy the next datagram to the start of `out` (65,507 octets): (n, where, address).

        where: VIP or PLANE, the socket it leaves from.  None when nothing waits.
        """
        if not self._queue:
            return None
        where, address, octets = self._queue.popleft()
        out[:len(octets)] = octets
        return len(octets), where, address

    def waiting(self):
        """How many datagrams wait for to_send."""
        return len(self._queue)

    def drop_outside(self):
        """Drop and count what waits for the VIP: it is no longer ours (`vip_given_up`)."""
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            if item[0] == VIP:
                self.counters["vip_given_up"] += 1
            else:
                self._queue.append(item)

    def _key(self, peer):
        return flow_key(self._vip_ip, self._vip_port, encapsulation.ip_bytes(peer[0]), peer[1],
                        UDP)

    def _choose(self, key, existing):
        card = balance.choose(self._cards.values(), self._table, self._seed, key, existing)
        if card is None:
            self.counters["no_card"] += 1
        return card

    def _measure(self, entry, now_ms):
        if entry.asked_ms is None:
            return
        elapsed_ms = ticks_diff(now_ms, entry.asked_ms)
        entry.asked_ms = None
        card = self._cards.get(entry.slot)
        if card is not None and 0 <= elapsed_ms <= PASSIVE_LIMIT_MS:
            card.response.sample(elapsed_ms)

    def _put(self, where, address, octets):
        if len(self._queue) >= self.queue_limit:
            self.counters["queue_full"] += 1
            return False
        self._queue.append((where, address, octets))
        if len(self._queue) > self.counters["queue_high"]:
            self.counters["queue_high"] = len(self._queue)
        return True
