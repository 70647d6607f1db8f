"""One process of the updates bench: a bus node on a link, and a location store.

Usage: python -m tests.bench.update_card server|card GROUP PORT SLOT PACKETS ROWS
The server offers PACKETS messages of ROWS updates on the live channel as fast as the stream takes
them, and ends when every card has them; a card applies them. Both print one JSON object.
"""

import json
import select
import sys
import time

from bus import messages, node, states
from bus.links.udp_multicast import UdpMulticastLink
from bus.wire import ALL, MAX_FRAME
from firmware.location.store import LocationStore
from firmware.runtime import clock

CHANNEL = 1
SERVER_SLOT = 1
CARD_SLOTS = {2, 3, 4, 5}
FULL_ROWS = 12  # updates of this size that fill a packet
BIRTHDAY = b"benchday"
VALUE = bytes(range(70))  # as long as one binding's record
NO_BEAT_DIGEST = bytes(8)
WAIT_MS = 20


class Station:
    """A node and its link, turned by hand."""

    def __init__(self, group, port, slot, role):
        self.link = UdpMulticastLink(group, port)
        self.node = node.BusNode(slot, role, 1)
        self.node.attach(1)
        self.node.heartbeat = messages.encode(
            messages.HEARTBEAT, role, states.M4, 0, states.IN_SERVICE, 0, 0, 0, BIRTHDAY,
            NO_BEAT_DIGEST, 0, 0, 0, bytes(4), 0, 0, b"bench")
        self._frame = bytearray(MAX_FRAME)
        self._poll = select.poll()
        for sock in self.link.sockets():
            self._poll.register(sock, select.POLLIN)

    def turn(self, wait_ms):
        """Wait for frames at most `wait_ms`, take them in, send what is to be sent."""
        self._poll.poll(wait_ms)
        now_ms = clock.now_ms()
        found = self.link.receive_into(self._frame)
        while found:
            self.node.receive_frame(0, self._frame, found[0], found[1], now_ms)
            found = self.link.receive_into(self._frame)
        self.node.handle_timer(now_ms)
        self.flush()

    def flush(self):
        """Send all that the node has ready."""
        found = self.node.to_send(self._frame, clock.now_ms())
        while found:
            self.link.send(self._frame, found[0], found[2])
            found = self.node.to_send(self._frame, clock.now_ms())

    def events(self):
        """Yield the node's events."""
        event = self.node.next_event()
        while event is not None:
            yield event
            event = self.node.next_event()


def make_rows(first, count):
    """`count` updates from number `first` on, each of another address-of-record."""
    rows = bytearray()
    for number in range(first, first + count):
        key = b"asubscriber%08d@example.com" % number
        rows += len(key).to_bytes(2, "big") + len(VALUE).to_bytes(2, "big") + key + VALUE
    return bytes(rows)


def new_store(records):
    """An empty store of the bench's database."""
    store = LocationStore(bytearray, records)
    store.set_identity(BIRTHDAY, 0)
    return store


def prepare(packets, rows):
    """(the UPDATE messages, the digest after the last), so that making them is not measured."""
    store = new_store(packets * rows)
    updates = []
    for packet in range(packets):
        level = packet * rows + 1
        octets = make_rows(level, rows)
        store.apply(level, octets, 0, len(octets), rows)
        updates.append(messages.encode(
            messages.UPDATE, BIRTHDAY, level, rows, store.digest(), octets))
    return updates, store.digest()


def serve(station, packets, rows):
    """Offer everything to the four cards; the server's report."""
    updates, digest = prepare(packets, rows)
    heard = set()
    station.node.open_stream(CHANNEL, ALL, clock.now_ms(), base=True)
    while heard != CARD_SLOTS:
        station.turn(WAIT_MS)
        heard |= {event[1] for event in station.events() if event[0] == node.CARD_UP}
    station.node.stream_roster(CHANNEL, sorted(CARD_SLOTS))
    start_s = time.monotonic()
    offered = 0
    while offered < packets or not all(
            station.node.stream_acked(CHANNEL, slot) for slot in CARD_SLOTS):
        while offered < packets and station.node.stream_offer(CHANNEL, updates[offered]):
            offered += 1
        station.flush()
        station.turn(0 if offered < packets else 1)
        for event in station.events():
            if event[0] in (node.LAGGARD, node.CARD_DOWN):
                raise RuntimeError(f"a card was lost: {event}")
    return {"start_s": start_s, "digest": digest.hex(), "octets": len(updates[-1])}


def follow(station, packets, rows):
    """Apply the server's updates as they come; the card's report."""
    store = new_store(packets * rows)
    while store.level < packets * rows:
        station.turn(WAIT_MS)
        for event in station.events():
            if event[0] == node.CARD_UP and event[1] == SERVER_SLOT:
                station.node.join_stream(SERVER_SLOT, CHANNEL)
            elif event[0] == node.STREAM:
                apply_update(store, event[3])
    end_s = time.monotonic()
    linger(station)
    return {"end_s": end_s, "level": store.level, "digest": store.digest().hex()}


def apply_update(store, payload):
    """One UPDATE into the store, checked as a replica checks it."""
    _, birthday, first_level, count, digest, rows = messages.decode(payload, 0, len(payload))
    if birthday != BIRTHDAY or first_level != store.level + 1:
        raise RuntimeError(f"level {first_level} came after {store.level}")
    store.apply(first_level, rows, 0, len(rows), count)
    if store.digest() != digest:
        raise RuntimeError(f"another digest at level {store.level}")


def linger(station):
    """Go on acknowledging until the server has gone silent."""
    while True:
        station.turn(WAIT_MS)
        for event in station.events():
            if event[0] == node.CARD_DOWN and event[1] == SERVER_SLOT:
                return


def main(role, group, port, slot, packets, rows):
    own_role = states.LOCATION_SERVER if role == "server" else states.SIP_CLUSTER
    station = Station(group, int(port), int(slot), own_role)
    work = serve if role == "server" else follow
    report = work(station, int(packets), int(rows))
    station.link.close()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
