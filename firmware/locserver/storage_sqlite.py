"""The location database in SQLite (CPython only): records, provisioning log and meta in one file.

The contract that every storage of the location server fulfils is in README.md. WAL with
synchronous=FULL: `commit` returns after the transaction is on stable storage. One object is the
one writer; readers (the log, snapshots) have connections of their own and see committed rows.
"""

import pathlib
import sqlite3

from firmware.locserver.errors import StorageError

APPLICATION_ID = 0x53495052  # "SIPR": marks the file as ours
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 0.25  # the card's loop waits this long at most for a foreign lock
SNAPSHOT_LIMIT = 16  # open snapshots: five reload streams, exports, and room
TRIM_SLACK = 64  # log rows a commit may trim beyond twice its own rows

SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE record(key BLOB PRIMARY KEY, value BLOB NOT NULL, level INTEGER NOT NULL,
                    expires_s INTEGER) WITHOUT ROWID;
CREATE INDEX record_expiry ON record(expires_s) WHERE expires_s IS NOT NULL;
CREATE TABLE log(level INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB, digest BLOB NOT NULL,
                 request_id BLOB, time_s INTEGER NOT NULL);
CREATE INDEX log_request ON log(request_id) WHERE request_id IS NOT NULL;
"""

_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk of the location database is full: free some space",
    sqlite3.SQLITE_READONLY: "the location database is read-only: make its folder writable",
    sqlite3.SQLITE_BUSY: "the location database is locked by another program: end that program",
    sqlite3.SQLITE_LOCKED: "the location database is locked by another program: end that program",
    sqlite3.SQLITE_IOERR: "the disk of the location database fails: check it",
    sqlite3.SQLITE_CANTOPEN: "the location database cannot be opened: check path and rights",
    sqlite3.SQLITE_CORRUPT: "the location database file is damaged: restore it from an export",
    sqlite3.SQLITE_NOTADB: "the location database file is no database: restore it from an export",
}


def explain(error):
    """One sentence for an sqlite3.Error, by its primary result code."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return "the location database refused: {}".format(error)
    return _SENTENCES.get(code & 0xFF, "the location database refused: {}".format(error))


def _connect(path, read_only=False):
    uri = pathlib.Path(path).absolute().as_uri() + ("?mode=ro" if read_only else "?mode=rwc")
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)


class SqliteStorage:
    """Owns the database file; the only writer.

    path: str.  birthday: 8 random bytes for a file that does not exist yet; an existing database
    keeps its own.  Attributes `birthday`, `level`, `digest` (8 bytes), `records` follow commits.
    Raises StorageError with one sentence where the file is damaged, foreign or not writable.
    """

    def __init__(self, path, birthday):
        self.path = str(path)
        self._snapshots = set()  # numbers of the open ones
        self._next_snapshot = 0
        try:
            self._db = _connect(self.path)
            self._open(birthday)
        except sqlite3.Error as error:
            raise StorageError("{}: {}".format(self.path, explain(error)))

    def _open(self, birthday):
        db = self._db
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if application == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._create(birthday)
        elif application != APPLICATION_ID:
            raise StorageError("{}: not a location database".format(self.path))
        elif version != SCHEMA_VERSION:
            raise StorageError("{}: schema {} is not known to this firmware (it knows {})".format(
                self.path, version, SCHEMA_VERSION))
        else:
            damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise StorageError("{}: {}".format(
                    self.path, _SENTENCES[sqlite3.SQLITE_CORRUPT]))
        self._load_meta()

    def _create(self, birthday):
        if len(birthday) != 8:
            raise ValueError("birthday must be 8 octets")
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.execute("PRAGMA application_id={}".format(APPLICATION_ID))
        db.execute("PRAGMA user_version={}".format(SCHEMA_VERSION))
        db.execute("INSERT INTO meta VALUES('birthday', ?)", (bytes(birthday),))
        self._store_meta(0, bytes(8), 0)
        db.execute("COMMIT")

    def _store_meta(self, level, digest, records):
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", (
            ("level", level), ("digest", digest), ("records", records)))

    def _load_meta(self):
        meta = dict(self._db.execute("SELECT name, value FROM meta"))
        newest = self._db.execute("SELECT max(level) FROM log").fetchone()[0]
        try:
            self.birthday = bytes(meta["birthday"])
            self.level = int(meta["level"])
            self.digest = bytes(meta["digest"])
            self.records = int(meta["records"])
        except (KeyError, TypeError, ValueError):
            raise StorageError("{}: {}".format(self.path, _SENTENCES[sqlite3.SQLITE_CORRUPT]))
        if newest is not None and newest != self.level:
            raise StorageError("{}: log and level disagree: restore it from an export".format(
                self.path))

    def get(self, key):
        """The committed value of `key`, or None."""
        try:
            row = self._db.execute("SELECT value FROM record WHERE key=?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise StorageError(explain(error))
        return None if row is None else row[0]

    def commit(self, rows, records, time_s, trim_to=0):
        """Write log rows and the records they result in; returns when on stable storage.

        rows: list of (level, key, value or None, digest, request_id or None, expires_s or None),
        levels dense from self.level + 1.  records: count of records after the last row.
        trim_to: rows of the log up to this level may go (a bounded number with each commit).
        Raises StorageError; nothing of the rows is kept then.
        """
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            stored = db.execute("SELECT value FROM meta WHERE name='level'").fetchone()[0]
            if stored != self.level:
                raise StorageError("another program changed the location database: restart")
            self._write(rows, records, time_s)
            if trim_to:
                self._trim(trim_to, 2 * len(rows) + TRIM_SLACK)
            db.execute("COMMIT")
        except (sqlite3.Error, StorageError) as error:
            self._abandon()
            if isinstance(error, StorageError):
                raise
            raise StorageError(explain(error))
        self.level = rows[-1][0]
        self.digest = rows[-1][3]
        self.records = records

    def _write(self, rows, records, time_s):
        newest = {row[1]: row for row in rows}
        db = self._db
        db.executemany(
            "INSERT INTO log VALUES(?, ?, ?, ?, ?, ?)",
            [(level, key, value, digest, request_id, time_s)
             for level, key, value, digest, request_id, _ in rows])
        db.executemany(
            "INSERT OR REPLACE INTO record VALUES(?, ?, ?, ?)",
            [(row[1], row[2], row[0], row[5]) for row in newest.values() if row[2] is not None])
        db.executemany("DELETE FROM record WHERE key=?",
                       [(row[1],) for row in newest.values() if row[2] is None])
        self._store_meta(rows[-1][0], rows[-1][3], records)

    def _trim(self, trim_to, limit):
        oldest = self._db.execute("SELECT min(level) FROM log").fetchone()[0]
        if oldest is not None and oldest <= trim_to:
            self._db.execute("DELETE FROM log WHERE level <= ?",
                             (min(trim_to, oldest + limit - 1),))

    def _abandon(self):
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._load_meta()
        except (sqlite3.Error, StorageError):
            # the failure that led here is reported; a dead file keeps refusing by itself
            return

    def logged_request(self, request_id):
        """(level, key, value or None) of the log row that answered `request_id`, or None."""
        try:
            return self._db.execute(
                "SELECT level, key, value FROM log WHERE request_id=?", (request_id,)).fetchone()
        except sqlite3.Error as error:
            raise StorageError(explain(error))

    def expired_keys(self, before_s, limit):
        """Up to `limit` keys with a binding that expired before `before_s` (Unix seconds)."""
        try:
            return [row[0] for row in self._db.execute(
                "SELECT key FROM record WHERE expires_s < ? ORDER BY expires_s LIMIT ?",
                (before_s, limit))]
        except sqlite3.Error as error:
            raise StorageError(explain(error))

    def count(self, first_octet):
        """The number of records whose key begins with `first_octet` (an int below 255)."""
        try:
            return self._db.execute(
                "SELECT count(*) FROM record WHERE key >= ? AND key < ?",
                (bytes((first_octet,)), bytes((first_octet + 1,)))).fetchone()[0]
        except sqlite3.Error as error:
            raise StorageError(explain(error))

    def open_log(self):
        """A SqliteLog: the reader of the provisioning log, with its own connection."""
        try:
            return SqliteLog(_connect(self.path, True))
        except sqlite3.Error as error:
            raise StorageError(explain(error))

    def open_snapshot(self):
        """A SqliteSnapshot of the newest committed level.  Raises StorageError at the bound."""
        if len(self._snapshots) >= SNAPSHOT_LIMIT:
            raise StorageError("too many readers of the location database: try again later")
        try:
            snapshot = SqliteSnapshot(
                self._snapshots, self._next_snapshot, _connect(self.path, True))
        except sqlite3.Error as error:
            raise StorageError(explain(error))
        self._next_snapshot += 1
        return snapshot

    def close(self):
        """Close the writer's connection."""
        self._db.close()


class SqliteLog:
    """Reads the provisioning log on a connection of its own: committed rows only."""

    def __init__(self, db):
        self._db = db

    def _query(self, text, values):
        try:
            return self._db.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(explain(error))

    def rows(self, after_level, limit):
        """Up to `limit` rows (level, key, value or None, digest) that follow `after_level`."""
        return self._query("SELECT level, key, value, digest FROM log WHERE level > ? "
                           "ORDER BY level LIMIT ?", (after_level, limit))

    def oldest(self):
        """The lowest level the log holds, or None when it holds none."""
        return self._query("SELECT min(level) FROM log", ())[0][0]

    def digest_at(self, level):
        """The digest of the content at `level`, or None where the log holds no such row."""
        rows = self._query("SELECT digest FROM log WHERE level=?", (level,))
        return rows[0][0] if rows else None

    def close(self):
        """Close the connection."""
        self._db.close()


class SqliteSnapshot:
    """The whole content at one level: a read transaction on a connection of its own."""

    def __init__(self, places, number, db):
        self._places = places
        self._number = number
        self._db = db
        db.execute("BEGIN")
        meta = dict(db.execute("SELECT name, value FROM meta"))
        self.level = meta["level"]
        self.digest = meta["digest"]
        self.birthday = meta["birthday"]
        self.records = meta["records"]
        places.add(number)

    def rows(self, after_key, limit):
        """Up to `limit` pairs (key, value) in key order that follow `after_key` (b"" begins)."""
        try:
            return self._db.execute("SELECT key, value FROM record WHERE key > ? ORDER BY key "
                                    "LIMIT ?", (after_key, limit)).fetchall()
        except sqlite3.Error as error:
            raise StorageError(explain(error))

    def close(self):
        """End the read transaction; a second call does nothing."""
        if self._db is not None:
            self._db.close()
            self._db = None
            self._places.discard(self._number)

    def __del__(self):
        # a reader whose connection vanished in the middle of an export frees its place
        self.close()
