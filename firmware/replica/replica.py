"""A card's copy of the location database and its six states (table.py). Portable, sans-I/O.

Takes the streams of the location server (live multicast on channel 1, its own catch-up stream on
channel 32 + slot) and the server's heartbeats; applies every update that carries its next level;
asks for what it lacks; trusts nothing it has not compared with the server's digest. It never
changes a record by itself.
"""

from collections import deque

from bus import messages, states
from bus.compat import const, earliest, ticks_add, ticks_diff
from bus.messages import BEAT_BIRTHDAY, BEAT_DIGEST, BEAT_LEVEL, CATCH_UP_CHANNEL
from firmware import fastpath
from firmware.location.store import StoreFull
from firmware.replica import table
from firmware.replica.ahead import Ahead
from firmware.replica.fragments import Fragments
from firmware.replica.limits import ReplicaLimits

STATE = "state"  # the event (STATE, old, new, cause)

NO_BIRTHDAY = bytes(8)
STALENESS_MAX_MS = const(0x0FFFFFFF)  # 3.1 days: from there on it is only "very stale"

_REASONS = {table.MISMATCH: messages.REASON_MISMATCH,
            table.WRITE_FAILED: messages.REASON_WRITE_FAILED,
            table.BAD_RECORD: messages.REASON_BAD_RECORD}


class Replica:
    """One card's replica.

    store: a LocationStore; what it holds at start is served until the server disagrees.
    own_slot: int.  limits: see ReplicaLimits.  Attributes `state` (bus/states.py), `counters`.
    """

    def __init__(self, store, own_slot, limits=ReplicaLimits, now_ms=0):
        self.store = store
        self.counters = {"updates": 0, "rows": 0, "duplicates": 0, "ahead_kept": 0,
                         "ahead_dropped": 0, "foreign": 0, "bad_messages": 0, "asked": 0,
                         "reloads": 0, "mismatches": 0, "write_errors": 0, "bad_records": 0}
        self._limits = limits
        self._own_channel = CATCH_UP_CHANNEL + own_slot
        self._whole = store.birthday != NO_BIRTHDAY  # a trusted whole copy stands
        self.state = states.RESYNC if self._whole else states.LOADING
        self._events = deque((), limits.events)
        self._fragments = Fragments(limits.fragment_octets)
        self._ahead = Ahead(limits.ahead_updates, limits.ahead_octets)
        self._load = None  # [birthday, level, records expected, records received]
        self._server = None  # (level, birthday, digest) of the newest heartbeat
        self._behind = None  # (level, since ms): told by a heartbeat, not yet reached
        self._older_since_ms = None  # since when the server looks older than this card
        self._older_than = 0  # the level this card had then
        self._verified_ms = None
        self._progress_ms = now_ms
        self._reason = None if self._whole else messages.REASON_EMPTY
        self._ask_at_ms = now_ms
        self._ask_span_ms = limits.ask_ms
        self._message = None  # the CATCH_UP to send
        self._audit_at_ms = now_ms

    @property
    def load_percent(self):
        """How much of a full copy has arrived, 0..100; 100 when none is awaited."""
        if self._load is not None:
            _, _, expected, received = self._load
            return min(99, received * 100 // expected) if expected else 99
        return 100 if self.state != states.LOADING else 0

    @property
    def lag_levels(self):
        """How many levels the location server was ahead at its last heartbeat."""
        if self._server is None or self._server[1] != self.store.birthday:
            return 0
        return max(0, self._server[0] - self.store.level)

    def staleness_ms(self, now_ms):
        """Milliseconds since level and digest last equalled the server's; capped."""
        if self._verified_ms is None:
            return STALENESS_MAX_MS
        return min(STALENESS_MAX_MS, max(0, ticks_diff(now_ms, self._verified_ms)))

    def serves(self):
        """True when SIP may be answered from the store."""
        if self.state == states.LOADING:
            return self._whole
        return self.state in (states.RESYNC, states.COHERENT)

    def next_event(self):
        """(STATE, old, new, cause) or None."""
        return self._events.popleft() if self._events else None

    def observe_server(self, beat, now_ms):
        """Take the location server's heartbeat (the decoded list of bus/messages.py)."""
        level, birthday, digest = beat[BEAT_LEVEL], beat[BEAT_BIRTHDAY], beat[BEAT_DIGEST]
        if birthday == NO_BIRTHDAY:
            return
        self._server = (level, birthday, digest)
        if self._load is not None:
            if self._load[0] != birthday:
                self._drop_load("another birthday")
        elif self.state not in (states.RESYNC, states.COHERENT):
            self._want(messages.REASON_EMPTY)
        elif birthday != self.store.birthday:
            self._step(table.MISMATCH, "the location server has another birthday")
        elif level < self.store.level:
            self._server_older(level, now_ms)
        elif level == self.store.level:
            self._compare(digest, now_ms)
        else:
            self._server_newer(level, now_ms)
        self._ask(now_ms)

    def _server_older(self, level, now_ms):
        """A heartbeat tells a level that updates may have passed: under a steady stream each looks
        older. The server is older for good when it does not reach what this card had in time.
        """
        if self._older_since_ms is None or level >= self._older_than:
            self._older_than = self.store.level
            self._older_since_ms = now_ms
        elif ticks_diff(now_ms, self._older_since_ms) >= self._limits.ahead_ms:
            self._step(table.MISMATCH, "level {} is ahead of the location server's {}".format(
                self.store.level, level))

    def _server_newer(self, level, now_ms):
        self._older_since_ms = None
        behind = self._behind
        if behind is None or self.store.level >= behind[0]:
            self._behind = (level, now_ms)
        elif ticks_diff(now_ms, behind[1]) >= self._limits.behind_ms:
            self._step(table.BEHIND, "behind by {} levels".format(level - self.store.level))
            if ticks_diff(now_ms, self._progress_ms) >= self._limits.behind_ms:
                self._want(messages.REASON_BEHIND)

    def _compare(self, digest, now_ms):
        """The server is at this card's level: is its content the same?"""
        self._older_since_ms = None
        self._behind = None
        if digest == self.store.digest():
            self._verified(now_ms)
        else:
            self.counters["mismatches"] += 1
            self._step(table.MISMATCH, "digest differs at level {}".format(self.store.level))

    def _verified(self, now_ms):
        self._verified_ms = now_ms
        self._reason = None
        self._step(table.VERIFIED, "verified at level {}".format(self.store.level))

    def server_lost(self, now_ms):
        """No location server is heard any more."""
        self._server = None
        self._behind = None
        self._older_since_ms = None
        self._step(table.SERVER_LOST, "location server not heard")
        if self._load is not None:
            self._drop_load("location server lost")

    def stream_lost(self, channel, now_ms):
        """The bus can not mend a gap in a stream, or its sender started anew."""
        self._fragments.drop(channel)
        if channel != self._own_channel:
            return
        if self._load is not None:
            self._drop_load("stream lost")
        elif self.lag_levels:
            self._want(messages.REASON_STREAM_LOST)
        self._ask(now_ms)

    def receive_stream(self, channel, payload, now_ms):
        """One packet of a stream, in the stream's order."""
        message = messages.decode(payload, 0, len(payload))
        if message is not None and message[0] == messages.FRAGMENT:
            whole = self._fragments.add(channel, message[1], message[2], message[3])
            if whole is None:
                return
            message = messages.decode(whole, 0, len(whole))
        if message is None:
            self.counters["bad_messages"] += 1
        elif message[0] == messages.UPDATE:
            self._take_update(message, now_ms)
        elif channel != self._own_channel:
            self.counters["bad_messages"] += 1
        elif message[0] == messages.RELOAD_BEGIN:
            self._begin_load(message, now_ms)
        elif message[0] == messages.RELOAD_ROWS:
            self._load_rows(message, now_ms)
        elif message[0] == messages.RELOAD_END:
            self._end_load(message, now_ms)
        else:
            self.counters["bad_messages"] += 1
        self._ask(now_ms)

    def _take_update(self, message, now_ms):
        """An UPDATE of any stream: apply it, keep it for later, or drop it."""
        _, birthday, first, count, _, _ = message
        self.counters["updates"] += 1
        holder = self._load if self._load is not None else (self.store.birthday, self.store.level)
        if birthday != holder[0] or not count or (
                self._load is None and self.state not in (states.RESYNC, states.COHERENT)):
            self.counters["foreign"] += 1
        elif first + count - 1 <= holder[1]:
            self.counters["duplicates"] += 1
        elif self._load is not None or first > holder[1] + 1:
            kept = self._ahead.keep(message)
            self.counters["ahead_kept" if kept else "ahead_dropped"] += 1
        elif self._apply(message, now_ms):
            self._apply_ahead(now_ms)

    def _apply_ahead(self, now_ms):
        """Apply what was kept and has its turn now."""
        message = self._ahead.take(self.store.level)
        while message is not None and self._apply(message, now_ms):
            message = self._ahead.take(self.store.level)

    def _apply(self, message, now_ms):
        """Apply the rows of an UPDATE above the store's level; True when the digest agrees."""
        _, birthday, first, count, digest, rows = message
        applied = self._write("update", self.store.apply, first, rows, 0, len(rows), count)
        if applied is None:
            return False
        if applied == fastpath.BAD_ARGUMENT:
            self.counters["bad_messages"] += 1
            return False
        self.counters["rows"] += applied
        self._progress(now_ms)
        if digest != self.store.digest():
            self.counters["mismatches"] += 1
            self._step(table.MISMATCH, "digest differs at level {}".format(self.store.level))
            return False
        server = self._server
        if server is not None and server[1] == birthday and self.store.level >= server[0]:
            self._verified(now_ms)
        return True

    def _write(self, what, function, *arguments):
        """Call a writing function of the store: its result, or None (and INCOHERENT) if it failed.

        BAD_ARGUMENT is a result: the rows were malformed and nothing was written.
        """
        try:
            result = function(*arguments)
        except (StoreFull, OSError, MemoryError) as error:
            cause = "{} failed: {}".format(what, error)
        else:
            if result is None or result >= 0 or result == fastpath.BAD_ARGUMENT:
                return 0 if result is None else result
            cause = "{} failed: code {}".format(what, result)
        self.counters["write_errors"] += 1
        self._step(table.WRITE_FAILED, cause)
        return None

    def _begin_load(self, message, now_ms):
        _, birthday, level, digest, records = message
        self._abort_load()
        self._ahead.forget()
        if birthday != self.store.birthday:
            self._whole = False
        elif self._whole and level <= self.store.level:
            # the live stream was faster: a trusted copy never goes back
            self.counters["foreign"] += 1
            return
        if self._write("reload", self.store.replace_begin, birthday, level, records) is None:
            return
        self._load = [birthday, level, records, 0]
        self.counters["reloads"] += 1
        self._progress(now_ms)
        self._step(table.RELOAD_BEGUN, "full copy of level {}".format(level))

    def _load_rows(self, message, now_ms):
        if self._load is None:
            self.counters["foreign"] += 1
            return
        _, count, rows = message
        written = self._write("reload", self.store.replace_rows, rows, count)
        if written is None:
            return
        if written == fastpath.BAD_ARGUMENT:
            # the copy will not be whole: its digest shows it at RELOAD_END
            self.counters["bad_messages"] += 1
            return
        self._load[3] += count
        self._progress(now_ms)

    def _end_load(self, message, now_ms):
        if self._load is None or message[1] != self._load[1]:
            self.counters["foreign"] += 1
            return
        self._load = None
        if not self.store.replace_commit(message[2]):
            self.counters["mismatches"] += 1
            self._step(table.MISMATCH, "the full copy's digest differs")
            return
        self._whole = True
        self._reason = None
        self._behind = None
        self._older_since_ms = None
        self._progress(now_ms)
        self._step(table.LOADED, "loaded at level {}".format(self.store.level))
        server = self._server
        if server is not None and server[0] == self.store.level:
            self._compare(server[2], now_ms)
        self._apply_ahead(now_ms)

    def _abort_load(self):
        if self._load is not None:
            self._load = None
            self.store.replace_abort()

    def _drop_load(self, cause):
        """The full copy under way will not be whole."""
        self._abort_load()
        self._ahead.forget()
        if self._whole:
            self._step(table.LOAD_LOST, cause)
            self._want(messages.REASON_STREAM_LOST)
        else:
            self._want(messages.REASON_EMPTY)

    def _step(self, event, cause):
        """Walk the state table; distrust the copy and ask for a new one where it says so."""
        if event in table.DISTRUST:
            self._whole = False
            self._abort_load()
            self._ahead.forget()
            self._want(_REASONS[event])
        old = self.state
        self.state = table.after(old, event)
        if self.state != old:
            self._events.append((STATE, old, self.state, cause))

    def _progress(self, now_ms):
        """Something useful arrived: while an answer to a CATCH_UP flows none is asked again."""
        self._progress_ms = now_ms
        self._ask_span_ms = self._limits.ask_ms
        if self._reason is not None:
            self._ask_at_ms = ticks_add(now_ms, self._limits.ask_ms)

    def _want(self, reason):
        """Note that the server must be asked; the gravest reason stands."""
        if self._reason is None or reason > self._reason:
            self._reason = reason

    def _ask(self, now_ms):
        """Make the CATCH_UP when one is wanted, due, and there is a server to ask."""
        if (self._reason is None or self._server is None
                or ticks_diff(now_ms, self._ask_at_ms) < 0):
            return
        store = self.store
        self._message = messages.encode(messages.CATCH_UP, store.birthday, store.level,
                                        store.digest(), self._reason)
        self.counters["asked"] += 1
        self._ask_at_ms = ticks_add(now_ms, self._ask_span_ms)
        self._ask_span_ms = min(self._limits.ask_most_ms, 2 * self._ask_span_ms)

    def next_message(self):
        """The CATCH_UP message to send to the location server, or None."""
        message = self._message
        self._message = None
        return message

    def audit(self, now_ms):
        """Check the CRC of the next few records, when a step is due and the copy is in use."""
        if ticks_diff(now_ms, self._audit_at_ms) < 0:
            return
        self._audit_at_ms = ticks_add(now_ms, self._limits.audit_ms)
        if self.state not in (states.RESYNC, states.COHERENT):
            return
        if not self.store.audit_step(self._limits.audit_records):
            self.counters["bad_records"] += 1
            self._step(table.BAD_RECORD, "a record fails its CRC")
            self._ask(now_ms)

    def next_deadline_ms(self):
        """When to call handle_timer."""
        if self._reason is None or self._server is None:
            return self._audit_at_ms
        return earliest(self._audit_at_ms, self._ask_at_ms)

    def handle_timer(self, now_ms):
        """Run the audit, ask again, age the staleness."""
        if self.staleness_ms(now_ms) >= STALENESS_MAX_MS:
            self._verified_ms = None
        self.audit(now_ms)
        self._ask(now_ms)
