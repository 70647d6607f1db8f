"""The provisioning door: one JSON document a line, answers after the commit, bounds, the token."""

import json

from locserver_rig import NOW_S, Server

from firmware.locserver.door import ProvisioningDoor


class Client:
    """One connection to the door of a server; commits until an answer is there."""

    def __init__(self, server=None, token=None, **door):
        self.server = server or Server()
        self.door = ProvisioningDoor(self.server.task, token, **door)

    def send(self, octets):
        self.door.receive(octets)
        for ticket, result in self.server.task.commit(NOW_S):
            self.door.resolve(ticket, result)
        return [json.loads(line) for line in self.door.to_send().split(b"\n") if line]

    def ask(self, op, **fields):
        fields["op"] = op
        answers = self.send(json.dumps(fields).encode() + b"\n")
        assert len(answers) == 1, answers
        return answers[0]

    def ok(self, op, **fields):
        answer = self.ask(op, **fields)
        assert answer["ok"], answer
        return answer

    def refused(self, op, **fields):
        answer = self.ask(op, **fields)
        assert answer["ok"] is False and answer["error"]
        return answer


def test_add_show_remove():
    client = Client()
    assert client.ok("add", aor="alice@EXAMPLE.com", contact="sip:a@192.0.2.1", q=0.5,
                     expires=60)["level"] == 1
    shown = client.ok("show", aor="alice@example.com")
    assert shown["record"] == {
        "kind": "aor", "aor": "alice@example.com",
        "bindings": [{"contact": "sip:a@192.0.2.1", "q": 0.5, "expires": NOW_S + 60}]}
    assert client.refused("remove", aor="alice@example.com",
                          contact="sip:b@192.0.2.1")["code"] == "not-found"
    assert client.ok("remove", aor="alice@example.com", contact="sip:a@192.0.2.1")["level"] == 2
    assert client.ok("show", aor="alice@example.com")["record"] is None
    assert client.refused("remove", aor="alice@example.com")["code"] == "not-found"


def test_the_answer_comes_after_the_commit():
    client = Client()
    client.door.receive(b'{"op":"add","aor":"a@example.com","contact":"sip:a@192.0.2.1"}\n')
    assert client.door.to_send() == b""
    assert client.send(b"")[0]["level"] == 1


def test_requests_of_one_connection_are_executed_in_order():
    client = Client()
    lines = (b'{"op":"add","aor":"a@example.com","contact":"sip:a@192.0.2.1"}\n'
             b'\n{"op":"show","aor":"a@example.com"}\n')
    answers = []
    for at in range(len(lines)):
        answers += client.send(lines[at:at + 1])
    assert answers[0]["level"] == 1
    assert answers[1]["record"]["bindings"][0]["contact"] == "sip:a@192.0.2.1"


def test_subscribers_and_routes():
    client = Client()
    md5 = "0123456789abcdef0123456789abcdef"
    assert client.ok("subscriber", user="bob@example.com", realm="example.com",
                     ha1={"MD5": md5})["level"] == 1
    assert "never the password" in client.refused(
        "subscriber", user="bob@example.com", password="secret")["error"]
    assert client.ok("route", prefix="4930", target="sip:gw@192.0.2.9")["level"] == 2
    assert client.ok("route", domain="example.net", target="sip:192.0.2.8")["level"] == 3
    assert client.ok("count") == {
        "ok": True, "level": 3, "records": 3, "aors": 0, "subscribers": 1, "numbers": 1,
        "domains": 1}
    assert client.ok("subscriber", user="bob@example.com", remove=True)["level"] == 4
    assert client.ok("route", prefix="4930", remove=True)["level"] == 5
    assert client.refused("route", prefix="4930", remove=True)["code"] == "not-found"
    assert client.ok("count")["records"] == 1


def test_a_batch_with_a_bad_line_keeps_nothing_and_names_the_line():
    client = Client()
    records = [{"aor": "u%d@example.com" % n, "contact": "sip:u@192.0.2.1"} for n in range(5)]
    answer = client.ok("batch", first_line=2, records=records)
    assert (answer["level"], answer["count"]) == (5, 5)
    for bad in ({"aor": "no-at-sign", "contact": "sip:u@192.0.2.1"}, 7,
                {"aor": "x@example.com", "contact": "sip:u@192.0.2.1", "q": 7},
                {"aor": "x@example.com"},
                {"aor": "x@example.com", "contact": "sip:with space"},
                {"aor": "x@example.com", "contact": "sip:u@192.0.2.1", "expires": 4294967295}):
        fresh = [{"aor": "new@example.com", "contact": "sip:u@192.0.2.1"}]
        refused = client.refused("batch", first_line=100, records=fresh + [bad] + fresh)
        assert refused["line"] == 101 and "line 101" in refused["error"], refused
    assert client.ok("level")["level"] == 5


def test_an_export_is_of_one_level_and_its_import_has_the_same_digest():
    client = Client(page=20)
    count = 27
    records = [{"aor": "u%04d@example.com" % n, "contact": "sip:u@192.0.2.1", "q": 0.25}
               for n in range(count)]
    client.ok("batch", first_line=1, records=records)
    level = client.ok("level")
    first = client.ok("export")
    client.ok("add", aor="later@example.com", contact="sip:u@192.0.2.1")
    second = client.ok("export", cursor=first["cursor"])
    assert first["level"] == second["level"] == level["level"] == count
    assert second["cursor"] is None and second["digest"] == level["digest"]
    exported = first["records"] + second["records"]
    aors = [one["aor"] for one in exported]
    assert aors == sorted(aors) and len(aors) == count == first["count"]
    assert client.server.storage.snapshots == 0
    assert "begin again" in client.refused("export", cursor="00")["error"]
    other = Client()
    other.ok("batch", first_line=1, records=exported)
    assert other.ok("level")["digest"] == level["digest"]


def test_a_broken_off_export_lets_its_snapshot_go():
    client = Client(page=20)
    records = [{"aor": "u%d@example.com" % n, "contact": "sip:u@192.0.2.1"} for n in range(20)]
    client.ok("batch", records=records)
    assert client.ok("export")["cursor"]
    assert client.server.storage.snapshots == 1
    client.door.close()
    assert client.server.storage.snapshots == 0


def test_bad_lines_get_one_clear_sentence():
    client = Client()
    for line in (b"hello", b"[]", b'{"op":7}', b'{"op":"fly"}', b'{"op":"show"}', b"\xff\xfe",
                 b'{"op":"batch"}', b'{"op":"add","aor":"a@b","contact":7}'):
        answer = client.send(line + b"\n")[0]
        assert answer["ok"] is False and answer["code"] in ("syntax", "refused"), line
    assert not client.door.closed and client.ok("level")["level"] == 0


def test_a_long_line_ends_the_connection():
    client = Client(max_line=100)
    answer = client.send(b"x" * 101)[0]
    assert "longer than 100 octets" in answer["error"] and client.door.closed
    assert client.send(b'{"op":"level"}\n') == []


def test_waiting_requests_are_bounded():
    client = Client(max_line=100)
    client.door.receive(b'{"op":"add","aor":"a@example.com","contact":"sip:a@192.0.2.1"}\n')
    for _ in range(20):
        client.door.receive(b'{"op":"level"}\n')
    assert client.door.closed and b"wait" in client.door.to_send()


def test_the_token():
    client = Client(token="open sesame")
    for attempt in ({}, {"token": "open sesam"}, {"token": 7}, {"token": ""}):
        attempt["op"] = "level"
        refused = Client(client.server, "open sesame").send(
            json.dumps(attempt).encode() + b'\n{"op":"level"}\n')
        assert len(refused) == 1 and refused[0]["code"] == "unauthorized"
    assert client.ok("auth", token="open sesame")
    assert client.ok("level")["level"] == 0


def test_a_full_disk_is_told():
    client = Client()
    client.server.storage.failure = "the disk of the location database is full: free some space"
    refused = client.refused("add", aor="a@example.com", contact="sip:a@192.0.2.1")
    assert refused["code"] == "storage" and "full" in refused["error"]


def test_a_full_queue_is_told():
    client = Client()
    client.server.task.queue_limit = 0
    assert client.refused("add", aor="a@example.com",
                          contact="sip:a@192.0.2.1")["code"] == "busy"
