"""The database provisioning task: queues changes, commits them in groups, mints levels.

Knows nothing of the bus: the distribution task finds the rows in the log by itself. Portable,
imports no I/O; the storage (README.md) and the time are given.
"""

from collections import deque

from firmware.locserver.changes import Expire, bindings_of
from firmware.locserver.digest import replaced
from firmware.locserver.errors import ChangeRefused, StorageError

MAX_LEVEL = 0xFFFFFFFF
AOR_KIND = 0x61  # b"a", the first octet of an AoR record's key


class Result:
    """What became of one change.

    error: None when applied, else one sentence.  code: "ok", "refused", "not-found", "storage" or
    "busy".  line: the offending line of a batch, or None.  level: the level at which the change
    is committed (for a change that changed nothing: the level it was found true at), or the
    present level when refused.  status: SIP status.  value: for a REGISTER the resulting value of
    the AoR's record, None where there is none.
    """

    def __init__(self, level, status=200, value=None, error=None, code="ok", line=None):
        self.level = level
        self.status = status
        self.value = value
        self.error = error
        self.code = code
        self.line = line


class View:
    """The content as the change under way sees it: storage, the group before it, itself."""

    def __init__(self, storage):
        self._storage = storage
        self._values = {}
        self.rows = []  # (key, old value, new value, request_id)
        self.request_id = None

    def get(self, key):
        """The value of `key` or None."""
        if key in self._values:
            return self._values[key]
        return self._storage.get(key)

    def put(self, key, value):
        """Set `key`, or remove it with None. What changes nothing leaves no row."""
        old = self.get(key)
        if old != value:
            self.rows.append((key, old, value, self.request_id))
            self._values[key] = value

    def undo(self, count):
        """Take back all rows after the first `count`."""
        while len(self.rows) > count:
            key, old, _, _ = self.rows.pop()
            self._values[key] = old


class ProvisioningTask:
    """The one writer of the location database.

    storage: see README.md.  log_levels: rows the log keeps at least.  queue_limit: changes that
    may wait; `submit` refuses beyond it and counts.  grace_s: how long past its expiry a binding
    stays in the database (cards stop using it at once).
    """

    def __init__(self, storage, log_levels=100000, queue_limit=4096, rows_a_commit=4000,
                 grace_s=5, expire_keys=500):
        self.storage = storage
        self.log_levels = log_levels
        self.queue_limit = queue_limit
        self.rows_a_commit = rows_a_commit
        self.grace_s = grace_s
        self.expire_keys = expire_keys
        self._queue = deque((), queue_limit + 1)
        self._next_ticket = 1
        self._expire_ticket = None
        self.counters = {"submitted": 0, "applied": 0, "refused": 0, "repeated": 0, "busy": 0,
                         "commits": 0, "storage_errors": 0, "expiry_passes": 0, "queue_high": 0}

    def pending(self):
        """The number of changes that wait for `commit`."""
        return len(self._queue)

    def submit(self, change):
        """Queue a change (firmware.locserver.changes); a ticket, or None when full."""
        if len(self._queue) >= self.queue_limit:
            self.counters["busy"] += 1
            return None
        return self._enqueue(change)

    def _enqueue(self, change):
        ticket = self._next_ticket
        self._next_ticket = ticket + 1
        self._queue.append((ticket, change))
        self.counters["submitted"] += 1
        if len(self._queue) > self.counters["queue_high"]:
            self.counters["queue_high"] = len(self._queue)
        return ticket

    def expire(self, now_s):
        """Queue the removal of bindings past expiry and grace, a bounded number a pass.

        Returns True when there was something to remove.  Does nothing while an earlier pass
        still waits.  Raises StorageError.
        """
        if self._expire_ticket is not None:
            return False
        before_s = now_s - self.grace_s
        keys = self.storage.expired_keys(before_s, self.expire_keys)
        if not keys:
            return False
        self._expire_ticket = self._enqueue(Expire(keys, before_s))
        self.counters["expiry_passes"] += 1
        return True

    def commit(self, now_s):
        """Apply and commit queued changes in one transaction; list of (ticket, Result).

        A group ends after `rows_a_commit` rows; what remains waits for the next call, so one
        call blocks for a bounded time.  The results are true on return: on stable storage.
        """
        view = View(self.storage)
        group = []
        while self._queue and len(view.rows) < self.rows_a_commit:
            ticket, change = self._queue.popleft()
            group.append((ticket, self._apply(view, change, now_s), len(view.rows)))
        if not group:
            return []
        first_level = self.storage.level
        if view.rows:
            try:
                self._store(view.rows, now_s)
                self.counters["commits"] += 1
            except StorageError as error:
                self.counters["storage_errors"] += 1
                return self._finish(group, first_level, str(error))
        return self._finish(group, first_level, None)

    def _apply(self, view, change, now_s):
        """The Result of one change on the view; `_finish` fills in levels after the commit."""
        count = len(view.rows)
        view.request_id = change.request_id
        try:
            if change.request_id is not None:
                answered = self._answered(view, change.request_id)
                if answered is not None:
                    self.counters["repeated"] += 1
                    return answered
            return Result(None, 200, change.apply(view, now_s))
        except ChangeRefused as refusal:
            view.undo(count)
            return Result(None, refusal.status, None, refusal.reason, refusal.code, refusal.line)
        except ValueError as error:
            # a field out of the range that the record's bytes can hold
            view.undo(count)
            return Result(None, 400, None, str(error), "refused")
        except StorageError as error:
            view.undo(count)
            return Result(None, 500, None, str(error), "storage")

    def _answered(self, view, request_id):
        """The Result an earlier REGISTER with this id got, from this group or from the log."""
        for index in range(len(view.rows) - 1, -1, -1):
            if view.rows[index][3] == request_id:
                return Result(self.storage.level + index + 1, 200, view.rows[index][2])
        row = self.storage.logged_request(request_id)
        return None if row is None else Result(row[0], 200, row[2])

    def _store(self, changed, now_s):
        """Mint levels and digests for the rows of a view and commit them."""
        storage = self.storage
        level = storage.level
        if level + len(changed) > MAX_LEVEL:
            raise StorageError("the database level is used up: export into a new database")
        total = int.from_bytes(storage.digest, "big")
        records = storage.records
        rows = []
        for key, old, new, request_id in changed:
            level += 1
            total = replaced(total, key, old, new)
            records += (new is not None) - (old is not None)
            rows.append((level, key, new, total.to_bytes(8, "big"), request_id,
                         next_expiry_s(key, new)))
        storage.commit(rows, records, now_s, max(0, level - self.log_levels))

    def _finish(self, group, first_level, failure):
        """The answers of a group: `failure` is None or the storage's sentence."""
        done = []
        for ticket, result, rows_so_far in group:
            if failure is not None and result.error is None and (
                    result.level is None or result.level > first_level):
                result = Result(None, 500, None, failure, "storage")
            if result.error is not None:
                self.counters["refused"] += 1
                result.level = self.storage.level
            else:
                self.counters["applied"] += 1
                if result.level is None:
                    result.level = first_level + rows_so_far
            if ticket == self._expire_ticket:
                self._expire_ticket = None
                continue
            done.append((ticket, result))
        return done


def next_expiry_s(key, value):
    """The earliest expiry among the bindings of an AoR record, or None."""
    if value is None or key[0] != AOR_KIND:
        return None
    earliest_s = None
    for binding in bindings_of(value):
        if binding.expires_s and (earliest_s is None or binding.expires_s < earliest_s):
            earliest_s = binding.expires_s
    return earliest_s
