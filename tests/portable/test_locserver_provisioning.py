"""The provisioning task: levels, groups, batches, idempotence, refusals, expiry."""

from locserver_rig import NOW_S, MemoryStorage, Server

from firmware.location import record
from firmware.locserver.changes import (
    MAX_PROVISIONED_CONTACTS, AddBinding, Batch, Register, RemoveBinding)
from firmware.locserver.digest import record_hash
from firmware.locserver.provisioning import ProvisioningTask
from firmware.locserver.registration import RegisterRequest

ALICE = b"alice@example.com"
KEY = record.aor_key(ALICE)


def binding(contact, expires_s=0, **fields):
    made = record.Binding(contact, 1000, expires_s)
    for name in fields:
        setattr(made, name, fields[name])
    return made


def register(server, bindings, cseq=1, call_id=b"call-1", wildcard=False, request_id=None,
             most=3, now_s=NOW_S):
    request = RegisterRequest(ALICE, call_id, cseq, wildcard, bindings)
    return server.change(Register(request_id or bytes((cseq,)) * 8, request, most), now_s)


def contacts(server, key=KEY):
    value = server.storage.get(key)
    return [] if value is None else [
        one.contact for one in record.decode_aor(value, 0, len(value))]


def test_levels_are_dense_and_the_digest_is_that_of_the_content():
    server = Server()
    assert server.add(b"alice", b"sip:a@192.0.2.1").level == 1
    assert server.add(b"bob", b"sip:b@192.0.2.1").level == 2
    assert server.add(b"alice", b"sip:a@192.0.2.2").level == 3
    assert server.remove(b"bob").level == 4
    total = 0
    for key in server.storage.values:
        total = (total + record_hash(key, server.storage.values[key])) & ((1 << 64) - 1)
    assert server.storage.digest == total.to_bytes(8, "big")
    assert server.storage.records == 1
    assert contacts(server) == [b"sip:a@192.0.2.1", b"sip:a@192.0.2.2"]


def test_what_changes_nothing_mints_no_level():
    server = Server()
    server.add(b"alice", b"sip:a@192.0.2.1")
    again = server.add(b"alice", b"sip:a@192.0.2.1")
    assert again.error is None and again.level == 1
    assert server.storage.level == 1


def test_a_group_is_one_transaction():
    server = Server()
    tickets = [server.task.submit(AddBinding(ALICE, binding(b"sip:%d@192.0.2.1" % n)))
               for n in range(3)]
    results = server.task.commit(NOW_S)
    assert [ticket for ticket, _ in results] == tickets
    assert [result.level for _, result in results] == [1, 2, 3]
    assert server.storage.commits == [3]


def test_a_batch_is_applied_whole_or_not_at_all():
    server = Server()
    server.add(b"alice", b"sip:a@192.0.2.1")
    before = dict(server.storage.values)
    batch = Batch(10, [AddBinding(b"bob@example.com", binding(b"sip:b@192.0.2.1")),
                       RemoveBinding(ALICE),
                       RemoveBinding(b"nobody@example.com"),
                       AddBinding(b"eve@example.com", binding(b"sip:e@192.0.2.1"))])
    good = AddBinding(b"carol@example.com", binding(b"sip:c@192.0.2.1"))
    bad_ticket, good_ticket = server.task.submit(batch), server.task.submit(good)
    results = dict(server.task.commit(NOW_S))
    assert results[bad_ticket].line == 12 and "line 12" in results[bad_ticket].error
    assert results[good_ticket].level == 2
    before[b"acarol@example.com"] = server.storage.get(b"acarol@example.com")
    assert server.storage.values == before


def test_a_storage_failure_refuses_and_keeps_nothing():
    server = Server()
    server.add(b"alice", b"sip:a@192.0.2.1")
    server.storage.failure = "the disk of the location database is full: free some space"
    refused = server.add(b"bob", b"sip:b@192.0.2.1")
    assert refused.code == "storage" and "full" in refused.error and refused.level == 1
    assert register(server, [binding(b"sip:a@192.0.2.9", 60)]).status == 500
    assert server.storage.level == 1
    server.storage.failure = None
    assert server.add(b"bob", b"sip:b@192.0.2.1").level == 2


def test_the_queue_is_bounded_and_a_commit_too():
    task = ProvisioningTask(MemoryStorage(), queue_limit=4, rows_a_commit=2)
    for n in range(4):
        assert task.submit(AddBinding(b"%d@example.com" % n, binding(b"sip:a@192.0.2.1")))
    assert task.submit(AddBinding(ALICE, binding(b"sip:a@192.0.2.1"))) is None
    assert task.counters["busy"] == 1
    assert len(task.commit(NOW_S)) == 2 and task.pending() == 2
    assert len(task.commit(NOW_S)) == 2 and task.pending() == 0


def test_register_adds_refreshes_and_removes():
    server = Server()
    added = register(server, [binding(b"sip:a@192.0.2.1", 3600)])
    assert added.status == 200 and added.level == 1
    stored = record.decode_aor(added.value, 0, len(added.value))[0]
    assert stored.expires_s == NOW_S + 3600 and stored.call_id == b"call-1" and stored.cseq == 1
    refreshed = register(server, [binding(b"sip:a@192.0.2.1", 3600)], 2, now_s=NOW_S + 10)
    assert refreshed.level == 2
    removed = register(server, [binding(b"sip:a@192.0.2.1", 0)], 3)
    assert removed.level == 3 and removed.value is None
    assert server.storage.get(KEY) is None


def test_register_out_of_order_is_refused_and_changes_nothing():
    server = Server()
    register(server, [binding(b"sip:a@192.0.2.1", 3600)], 7)
    for cseq in (7, 6):
        late = register(server, [binding(b"sip:a@192.0.2.1", 60),
                                 binding(b"sip:a@192.0.2.2", 60)], cseq, request_id=b"another!")
        assert late.status == 500 and late.error
    assert server.storage.level == 1 and contacts(server) == [b"sip:a@192.0.2.1"]
    fresh = register(server, [binding(b"sip:a@192.0.2.1", 60)], 1, b"call-2")
    assert fresh.status == 200 and fresh.level == 2


def test_register_wildcard_removes_what_is_registered_only():
    server = Server()
    server.add(b"alice", b"sip:desk@192.0.2.7")
    register(server, [binding(b"sip:a@192.0.2.1", 3600), binding(b"sip:a@192.0.2.2", 3600)], 5)
    assert register(server, [], 5, wildcard=True, request_id=b"retried!").status == 500
    assert len(contacts(server)) == 3
    assert register(server, [binding(b"sip:x@192.0.2.1", 0)], 9, wildcard=True).status == 400
    assert register(server, [], 6, wildcard=True).status == 200
    assert contacts(server) == [b"sip:desk@192.0.2.7"]


def test_register_leaves_a_provisioned_binding_as_it_is():
    server = Server()
    server.add(b"alice", b"sip:desk@192.0.2.7")
    assert register(server, [binding(b"sip:desk@192.0.2.7", 60)], 1).level == 1
    assert register(server, [binding(b"sip:desk@192.0.2.7", 0)], 2).level == 1
    assert contacts(server) == [b"sip:desk@192.0.2.7"]


def test_register_compares_contacts_by_the_uri_rules():
    server = Server()
    register(server, [binding(b"sip:alice@EXAMPLE.net", 3600)], 1)
    register(server, [binding(b"sip:%61lice@example.net", 3600)], 2)
    assert contacts(server) == [b"sip:%61lice@example.net"]
    register(server, [binding(b"sip:alice@example.net:5060", 3600)], 3)
    register(server, [binding(b"sip:alice@example.net;transport=tcp", 3600)], 4)
    assert len(contacts(server)) == 3


def test_register_by_flow_replaces_the_contact():
    server = Server()
    flow = {"instance": b"urn:uuid:1", "reg_id": 1}
    register(server, [binding(b"sip:a@192.0.2.1:1111", 3600, **flow)], 1)
    register(server, [binding(b"sip:a@192.0.2.1:2222", 3600, **flow)], 2)
    assert contacts(server) == [b"sip:a@192.0.2.1:2222"]


def test_register_is_all_or_nothing_at_the_bound_of_contacts():
    server = Server()
    many = [binding(b"sip:a@192.0.2.%d" % n, 60) for n in range(4)]
    assert register(server, many, 1).status == 403
    assert server.storage.level == 0
    assert register(server, many[:3], 2).status == 200


def test_register_repeated_gets_the_answer_of_the_first():
    server = Server()
    wanted = [binding(b"sip:a@192.0.2.1", 3600)]
    first = register(server, wanted, 1)
    server.add(b"alice", b"sip:desk@192.0.2.7")
    server.task = ProvisioningTask(server.storage)  # the server restarted
    again = register(server, wanted, 1, now_s=NOW_S + 5)
    assert (again.status, again.level, again.value) == (200, first.level, first.value)
    assert server.storage.level == 2
    request = RegisterRequest(ALICE, b"call-1", 2, False, wanted)
    tickets = [server.task.submit(Register(b"same-id!", request, 3)) for _ in range(2)]
    results = dict(server.task.commit(NOW_S))
    assert [results[ticket].level for ticket in tickets] == [3, 3]


def test_register_without_contacts_asks_only():
    server = Server()
    server.add(b"alice", b"sip:desk@192.0.2.7")
    asked = register(server, [])
    assert (asked.status, asked.level) == (200, 1)
    assert asked.value == server.storage.get(KEY)


def test_expiry_is_a_committed_change_after_a_grace():
    server = Server()
    server.add(b"alice", b"sip:desk@192.0.2.7")
    register(server, [binding(b"sip:a@192.0.2.1", 60)], 1)
    assert not server.task.expire(NOW_S + 64)
    assert server.task.expire(NOW_S + 66)
    assert not server.task.expire(NOW_S + 66), "one pass at a time"
    assert server.task.commit(NOW_S + 66) == []
    assert server.storage.level == 3 and contacts(server) == [b"sip:desk@192.0.2.7"]
    assert not server.task.expire(NOW_S + 100)


def test_a_refresh_before_the_pass_saves_the_binding():
    server = Server()
    register(server, [binding(b"sip:a@192.0.2.1", 60)], 1)
    refresh = RegisterRequest(ALICE, b"call-1", 2, False, [binding(b"sip:a@192.0.2.1", 60)])
    server.task.submit(Register(b"refresh!", refresh, 3))
    assert server.task.expire(NOW_S + 66)
    server.task.commit(NOW_S + 66)
    assert contacts(server) == [b"sip:a@192.0.2.1"] and server.storage.level == 2


def test_provisioned_contacts_are_bounded():
    server = Server()
    for n in range(MAX_PROVISIONED_CONTACTS):
        assert server.add(b"alice", b"sip:%d@192.0.2.1" % n).error is None
    assert "contacts" in server.add(b"alice", b"sip:more@192.0.2.1").error
    assert server.storage.level == MAX_PROVISIONED_CONTACTS


def test_the_log_is_trimmed_behind_the_bound():
    server = Server(log_levels=5)
    for n in range(12):
        server.add(b"alice", b"sip:a@192.0.2.1", q=n)
    assert [row[0] for row in server.storage.log] == [8, 9, 10, 11, 12]
