"""The location database in SQLite: durability under SIGKILL, failures, readers, restart."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.location import record
from firmware.locserver.changes import AddBinding, Register
from firmware.locserver.digest import record_hash
from firmware.locserver.errors import StorageError
from firmware.locserver.provisioning import ProvisioningTask
from firmware.locserver.registration import RegisterRequest
from firmware.locserver.storage_sqlite import SNAPSHOT_LIMIT, SqliteStorage

ROOT = Path(__file__).parents[2]
BIRTHDAY = b"BIRTHDAY"
NOW_S = 1800000000

# commits for ever; writes each acknowledged (name, level) to standard output after the commit
WRITER = """
import sys
from firmware.location import record
from firmware.locserver.changes import AddBinding
from firmware.locserver.provisioning import ProvisioningTask
from firmware.locserver.storage_sqlite import SqliteStorage
storage = SqliteStorage(sys.argv[1], b"BIRTHDAY")
task = ProvisioningTask(storage, log_levels=40)
number = storage.level
while True:
    names = {}
    for _ in range(1 + number % 3):
        number += 1
        name = b"u%d@example.com" % number
        names[task.submit(AddBinding(name, record.Binding(b"sip:x@192.0.2.1")))] = name
    for ticket, result in task.commit(1800000000):
        assert result.error is None
        sys.stdout.write("%s %d\\n" % (names[ticket].decode(), result.level))
    sys.stdout.flush()
"""


def whole_digest(storage):
    snapshot = storage.open_snapshot()
    total = 0
    records = 0
    after = b""
    while rows := snapshot.rows(after, 1000):
        for key, value in rows:
            total += record_hash(key, value)
        records += len(rows)
        after = rows[-1][0]
    snapshot.close()
    assert records == storage.records
    return (total % (1 << 64)).to_bytes(8, "big")


def add(task, name, contact=b"sip:x@192.0.2.1"):
    ticket = task.submit(AddBinding(name, record.Binding(contact)))
    return dict(task.commit(NOW_S))[ticket]


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    path = str(tmp_path / "location.sqlite")
    acknowledged = []
    for life in range(6):
        child = subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT,
                                 stdout=subprocess.PIPE, text=True)
        try:
            for _ in range(5 + 37 * life):
                acknowledged.append(child.stdout.readline().split())
        finally:
            os.kill(child.pid, signal.SIGKILL)
        acknowledged += [line.split() for line in child.stdout if line.endswith("\n")]
        child.stdout.close()
        child.wait()
        storage = SqliteStorage(path, b"OTHERONE")
        assert storage.birthday == BIRTHDAY
        assert storage.level >= int(acknowledged[-1][1])
        for name, _ in acknowledged:
            assert storage.get(record.aor_key(name.encode())) is not None, name
        assert whole_digest(storage) == storage.digest
        storage.close()
    levels = [int(level) for _, level in acknowledged]
    assert levels == sorted(levels) and len(set(levels)) == len(levels) > 200


def test_a_full_database_refuses_whole_and_reads_go_on(tmp_path):
    path = str(tmp_path / "location.sqlite")
    storage = SqliteStorage(path, BIRTHDAY)
    task = ProvisioningTask(storage)
    add(task, b"first@example.com")
    pages = storage._db.execute("PRAGMA page_count").fetchone()[0]
    storage._db.execute("PRAGMA max_page_count={}".format(pages + 4))
    level, digest = storage.level, storage.digest
    for number in range(1000):
        level, digest = storage.level, storage.digest
        result = add(task, b"u%d@example.com" % number, b"sip:" + b"x" * 400 + b"@192.0.2.1")
        if result.error:
            break
    assert result.code == "storage" and "full" in result.error and result.level == level
    assert (storage.level, storage.digest) == (level, digest)
    assert storage.get(b"au%d@example.com" % number) is None
    assert storage.get(b"afirst@example.com") is not None
    assert whole_digest(storage) == digest
    storage._db.execute("PRAGMA max_page_count=1000000")
    assert add(task, b"u%d@example.com" % number).level == level + 1
    storage.close()


def test_a_locked_database_refuses_and_recovers(tmp_path):
    path = str(tmp_path / "location.sqlite")
    storage = SqliteStorage(path, BIRTHDAY)
    task = ProvisioningTask(storage)
    add(task, b"first@example.com")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = add(task, b"second@example.com")
    assert "locked by another program" in refused.error and storage.level == 1
    other.execute("ROLLBACK")
    other.close()
    assert add(task, b"second@example.com").level == 2
    storage.close()


def test_a_second_writer_is_noticed(tmp_path):
    path = str(tmp_path / "location.sqlite")
    first = ProvisioningTask(SqliteStorage(path, BIRTHDAY))
    second = ProvisioningTask(SqliteStorage(path, BIRTHDAY))
    assert add(first, b"a@example.com").level == 1
    assert "another program changed" in add(second, b"b@example.com").error
    assert first.storage.get(b"ab@example.com") is None


@pytest.mark.parametrize("damage", ["noise", "foreign", "newer", "folder", "level"])
def test_a_file_that_is_not_ours_or_damaged_is_one_sentence(tmp_path, damage):
    path = tmp_path / "location.sqlite"
    if damage == "noise":
        path.write_bytes(b"no database " * 1000)
    elif damage == "folder":
        path.mkdir()
    else:
        SqliteStorage(str(path), BIRTHDAY).close()
        with sqlite3.connect(path) as db:
            if damage == "foreign":
                db.execute("PRAGMA application_id=1")
            elif damage == "newer":
                db.execute("PRAGMA user_version=99")
            else:
                db.execute("DELETE FROM meta WHERE name='level'")
        db.close()
    with pytest.raises(StorageError) as caught:
        SqliteStorage(str(path), BIRTHDAY)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) > len(str(path)) + 10


def test_a_read_only_database_refuses(tmp_path):
    storage = SqliteStorage(str(tmp_path / "location.sqlite"), BIRTHDAY)
    storage._db.execute("PRAGMA query_only=1")
    refused = add(ProvisioningTask(storage), b"a@example.com")
    assert "read-only" in refused.error and storage.level == 0
    assert storage.get(b"aa@example.com") is None


def test_snapshots_stay_at_their_level_and_are_bounded(tmp_path):
    storage = SqliteStorage(str(tmp_path / "location.sqlite"), BIRTHDAY)
    task = ProvisioningTask(storage)
    add(task, b"a@example.com")
    snapshot = storage.open_snapshot()
    add(task, b"b@example.com")
    assert [key for key, _ in snapshot.rows(b"", 10)] == [b"aa@example.com"]
    assert (snapshot.level, snapshot.records, snapshot.birthday) == (1, 1, BIRTHDAY)
    others = [storage.open_snapshot() for _ in range(SNAPSHOT_LIMIT - 1)]
    with pytest.raises(StorageError, match="too many readers"):
        storage.open_snapshot()
    others.clear()
    storage.open_snapshot().close()
    snapshot.close()
    snapshot.close()


def test_the_log_reads_committed_rows_and_is_trimmed(tmp_path):
    storage = SqliteStorage(str(tmp_path / "location.sqlite"), BIRTHDAY)
    log = storage.open_log()
    task = ProvisioningTask(storage, log_levels=10)
    for number in range(100):
        add(task, b"u%d@example.com" % number)
    rows = log.rows(95, 3)
    assert [(row[0], row[1]) for row in rows] == [
        (96, b"au95@example.com"), (97, b"au96@example.com"), (98, b"au97@example.com")]
    assert log.oldest() == 91 and log.digest_at(100) == storage.digest
    assert log.digest_at(90) is None


def test_a_repeated_register_is_answered_after_a_restart(tmp_path):
    path = str(tmp_path / "location.sqlite")
    answers = []
    for life in range(2):
        storage = SqliteStorage(path, BIRTHDAY)
        task = ProvisioningTask(storage)
        request = RegisterRequest(b"alice@example.com", b"call", 1, False,
                                  [record.Binding(b"sip:a@192.0.2.1", 1000, 60)])
        ticket = task.submit(Register(b"12345678", request, 5))
        result = dict(task.commit(NOW_S + life))[ticket]
        answers.append((result.status, result.level, result.value))
        assert storage.level == 1
        assert storage.expired_keys(NOW_S + 61, 10) == [b"aalice@example.com"]
        assert storage.expired_keys(NOW_S + 60, 10) == []
        storage.close()
    assert answers[0] == answers[1] and answers[0][0] == 200
