"""The network provisioning task: new log rows to all cluster cards, catch-up to each that asks.

Finds new rows by its own reading of the log; the provisioning task never calls it. Never waits
for a card: the live stream's window is bounded and a laggard is dropped from its roster; it falls
back to a catch-up stream of its own. Portable, sans-I/O: the card's loop feeds events and calls
`step`.
"""

from bus import messages, states
from bus.compat import const, ticks_add, ticks_diff
from bus.messages import BEAT_DATABASE, BEAT_LEVEL, BEAT_ROLE, CATCH_UP_CHANNEL, LIVE_CHANNEL
from firmware.locserver.catchup import DRAINING, CatchUp
from firmware.locserver.errors import StorageError
from firmware.locserver.log import LevelLog
from firmware.locserver.packing import packets, update

ALL = const(0xFF)
STREAMS = const(5)
SLOTS = const(31)
STALL_MS = const(3000)
STEP_PACKETS = const(64)


class DistributionTask:
    """Multicasts the log on channel 1 and serves at most five catch-up streams at once.

    storage: see README.md; read only.  node: a BusNode.  reload_threshold: levels behind up to
    which the log is replayed; beyond it a full reload is sent.
    """

    def __init__(self, storage, node, reload_threshold=10000, stall_ms=STALL_MS):
        self._storage = storage
        self._node = node
        self._log = LevelLog(storage.open_log())
        self.reload_threshold = reload_threshold
        self._stall_ms = stall_ms
        self.sent_level = storage.level
        self._started = False
        self._waiting = []  # packets of the live message under way
        self._waiting_rows = 0
        self._roster = ()
        self._heard = {}  # slot -> True for each cluster card that is up
        self._lagging = {}  # slot -> True: dropped from the live roster, not yet at the level
        self._streams = {}  # slot -> CatchUp
        self._queue = []  # [slot, level, birthday, digest, reason]: asked, not yet served
        self.counters = {"live_packets": 0, "live_rows": 0, "incremental": 0, "full": 0,
                         "queued_high": 0, "laggards": 0, "stalled": 0, "bad_messages": 0,
                         "storage_errors": 0}

    def observe_card(self, slot, beat):
        """A card came up or beat; beat: the decoded HEARTBEAT list, or None when not known."""
        if beat is None or beat[BEAT_ROLE] != states.SIP_CLUSTER:
            return
        self._heard[slot] = True
        if slot in self._lagging and (beat[BEAT_DATABASE] == states.COHERENT
                                      or beat[BEAT_LEVEL] >= self.sent_level):
            del self._lagging[slot]

    def lose_card(self, slot):
        """A card is gone: its streams and its place in the queue go with it."""
        self._heard.pop(slot, None)
        self._lagging.pop(slot, None)
        self._end(slot)
        self._queue = [asked for asked in self._queue if asked[0] != slot]

    def laggard(self, channel, slot):
        """The bus dropped `slot` from the roster of a stream (event LAGGARD)."""
        self.counters["laggards"] += 1
        if channel == LIVE_CHANNEL:
            self._lagging[slot] = True
        elif channel == CATCH_UP_CHANNEL + slot:
            self._end(slot)

    def receive_message(self, slot, message):
        """A bus message from card `slot`; True when it was a CATCH_UP (even a refused one).

        message: bytes.  A request while a stream to the card runs is ignored when it is a mere
        reminder (messages.REASON_BEHIND); any other reason starts again.
        """
        if not message or message[0] != messages.CATCH_UP:
            return False
        asked = messages.decode(message, 0, len(message))
        if asked is None or not 0 <= slot < SLOTS:
            self.counters["bad_messages"] += 1
            return True
        _, birthday, level, digest, reason = asked
        if reason == messages.REASON_BEHIND and slot in self._streams:
            return True
        self._end(slot)
        entry = [slot, level, birthday, digest, reason]
        for index, waiting in enumerate(self._queue):
            if waiting[0] == slot:
                self._queue[index] = entry
                return True
        self._queue.append(entry)
        self.counters["queued_high"] = max(self.counters["queued_high"], len(self._queue))
        return True

    def step(self, now_ms):
        """Offer what the windows take, a bounded amount; True when there is more to do at once."""
        if not self._started:
            self._node.open_stream(LIVE_CHANNEL, ALL, now_ms)
            self._started = True
        self._set_roster()
        try:
            more = self._step_live()
        except StorageError:
            self.counters["storage_errors"] += 1
            more = False
        self._admit(now_ms)
        for slot in sorted(self._streams):
            more = self._step_stream(self._streams[slot], now_ms) or more
        return more

    def next_deadline_ms(self, now_ms):
        """When a step is due though nothing arrives: the stall check of running streams."""
        return ticks_add(now_ms, self._stall_ms) if self._streams or self._queue else None

    def status(self):
        """The task as a dict for the console: level sent, streams, queue, laggards."""
        return {"sent_level": self.sent_level, "roster": list(self._roster),
                "streams": {slot: ("full" if stream.full else "incremental", stream.level)
                            for slot, stream in self._streams.items()},
                "queued": [asked[0] for asked in self._queue],
                "lagging": sorted(self._lagging)}

    def close(self):
        """End all streams and the reader of the log."""
        for slot in list(self._streams):
            self._end(slot)
        self._log.close()

    def _set_roster(self):
        roster = tuple(sorted(slot for slot in self._heard if slot not in self._lagging))
        if roster != self._roster:
            self._roster = roster
            self._node.stream_roster(LIVE_CHANNEL, roster)

    def _step_live(self):
        node = self._node
        for _ in range(STEP_PACKETS):
            if not self._waiting:
                rows = self._log.rows(self.sent_level)
                if not rows:
                    if self.sent_level < self._storage.level:
                        # trimmed while the window was shut: cards see the gap and catch up
                        self.sent_level = self._storage.level
                    return False
                message, count = update(self._storage.birthday, rows)
                self._waiting = packets(message)
                self._waiting_rows = count
            if not node.stream_room(LIVE_CHANNEL):
                return False
            if not node.stream_offer(LIVE_CHANNEL, self._waiting[0]):
                return False
            self.counters["live_packets"] += 1
            self._waiting = self._waiting[1:]
            if not self._waiting:
                self.sent_level += self._waiting_rows
                self.counters["live_rows"] += self._waiting_rows
        return True

    def _admit(self, now_ms):
        while self._queue and len(self._streams) < STREAMS:
            slot, level, birthday, digest, reason = self._queue[0]
            try:
                stream = self._stream_for(slot, level, birthday, digest, reason, now_ms)
            except StorageError:
                self.counters["storage_errors"] += 1
                return
            channel = CATCH_UP_CHANNEL + slot
            if stream is not None and not self._node.open_stream(channel, slot, now_ms):
                stream.close()
                return
            self._queue = self._queue[1:]
            if stream is not None:
                self.counters["full" if stream.full else "incremental"] += 1
                self._node.stream_roster(channel, (slot,))
                self._streams[slot] = stream

    def _stream_for(self, slot, level, birthday, digest, reason, now_ms):
        """The stream that mends a card, or None where it lacks nothing."""
        storage = self._storage
        whole = (birthday == storage.birthday and reason < messages.FORCE_FULL
                 and level <= storage.level)
        if whole and level == storage.level and digest == storage.digest:
            return None
        if whole and 0 < storage.level - level <= self.reload_threshold:
            known = self._log.digest_at(level) if level else bytes(8)
            if self._log.holds(level, storage.level) and known in (None, digest):
                return CatchUp(slot, level, None, now_ms)
        return CatchUp(slot, 0, storage.open_snapshot(), now_ms)

    def _step_stream(self, stream, now_ms):
        """Offer packets of one stream; True when it stopped for its budget only."""
        node = self._node
        channel = CATCH_UP_CHANNEL + stream.slot
        try:
            for _ in range(STEP_PACKETS):
                if not node.stream_room(channel):
                    break
                packet = stream.next_packet(self._log, self._storage.birthday, self.sent_level)
                if packet is None:
                    break
                if not node.stream_offer(channel, packet):
                    break
                stream.offered(now_ms)
            else:
                return True
        except (StorageError, LookupError):
            # the card asks again and gets what the log or a fresh snapshot can give
            self.counters["storage_errors"] += 1
            self._end(stream.slot)
            return False
        if stream.phase == DRAINING and node.stream_acked(channel, stream.slot):
            self._end(stream.slot)
        elif ticks_diff(now_ms, stream.progress_ms) > self._stall_ms:
            self.counters["stalled"] += 1
            self._end(stream.slot)
        return False

    def _end(self, slot):
        stream = self._streams.pop(slot, None)
        if stream is not None:
            stream.close()
            self._node.close_stream(CATCH_UP_CHANNEL + slot)
