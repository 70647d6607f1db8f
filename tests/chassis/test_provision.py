"""Provisioning through the command: levels, dumps, bad lines, resume, many subscribers."""

import json
import subprocess
import sys

import pytest
from rig import CLUSTER, ROOT, wait_for
from streams import door


def write_csv(path, numbers, bad=None):
    """A CSV file of subscribers; `bad` is a line of its own put after the first half."""
    lines = ["aor,contact,q,expires"]
    lines += ["u{0}@proxy.example,sip:u{0}@127.0.0.1:9,0.5,".format(number) for number in numbers]
    if bad is not None:
        lines.insert(1 + len(numbers) // 2, bad)
    path.write_text("\n".join(lines) + "\n")
    return path


def counted(chassis):
    """What the location server counts, asked as `chassis provision count` asks it."""
    with door(chassis) as client:
        return client.ask("count")


def records(chassis):
    return counted(chassis)["records"]


def test_add_show_remove_count(chassis):
    before = counted(chassis)
    first = chassis.ask("provision", "add", "ann@proxy.example", "sip:ann@127.0.0.1:7", "--q",
                        "0.7", "--wait", "coherent")
    assert first["level"] == before["level"] + 1
    for slot in CLUSTER:
        assert chassis.cards()[slot]["database"]["level"] >= first["level"]
    shown = chassis.ask("provision", "show", "ann@proxy.example")
    assert shown["record"]["bindings"] == [{"contact": "sip:ann@127.0.0.1:7", "q": 0.7}]
    second = chassis.ask("provision", "add", "ann@proxy.example", "sip:ann@127.0.0.1:8")
    assert second["level"] == first["level"] + 1
    assert len(chassis.ask("provision", "show", "ann@proxy.example")["record"]["bindings"]) == 2
    chassis.ask("provision", "remove", "ann@proxy.example", "sip:ann@127.0.0.1:7")
    shown = chassis.ask("provision", "show", "ann@proxy.example")
    assert [one["contact"] for one in shown["record"]["bindings"]] == ["sip:ann@127.0.0.1:8"]
    chassis.ask("provision", "remove", "ann@proxy.example", "--wait", "coherent")
    done = chassis.run("provision", "show", "ann@proxy.example", expect=1)
    assert "ann@proxy.example" in done.stderr and done.stdout == ""
    assert chassis.ask("provision", "count")["records"] == before["records"]
    assert "ann@proxy.example" not in chassis.equal_dump()


def test_subscriber_and_route_reach_every_card(chassis):
    chassis.run("provision", "subscriber", "add", "sue@proxy.example", "--password-stdin",
                text="secret word\n")
    chassis.run("provision", "route", "add", "+4930", "sip:gw@127.0.0.1:9", "--wait", "coherent")
    dumps = [chassis.run("dump", slot).stdout for slot in CLUSTER]
    text = dumps[2]
    assert dumps == [text] * 3
    assert "sue@proxy.example" in text and "4930" in text
    assert "secret word" not in text


def test_level_and_whereto(chassis):
    level = chassis.ask("provision", "add", "way@proxy.example", "sip:way@127.0.0.1:7",
                        "--wait", "coherent")["level"]
    assert chassis.ask("level", "--percent", "100")["level"] == level
    assert chassis.ask("level", "--at", level)["percent"] == 100
    assert chassis.ask("level", "--at", level + 1)["percent"] == 0
    assert "sip:way@127.0.0.1:7" in json.dumps(chassis.ask("whereto", "sip:way@proxy.example"))


@pytest.mark.parametrize("words", [
    ("add", "no-at-sign", "sip:x@127.0.0.1"),
    ("add", "a@proxy.example", "not a uri"),
    ("add", "a@proxy.example", "sip:x@127.0.0.1", "--q", "2"),
    ("add", "a@proxy.example", "sip:x@127.0.0.1", "--expires", "-1"),
])
def test_wrong_arguments_change_nothing(chassis, words):
    before = counted(chassis)
    done = chassis.run("provision", *words, check=False)
    assert done.returncode in (1, 2) and len(done.stderr.strip().splitlines()) == 1
    assert counted(chassis) == before


@pytest.mark.parametrize("bad", [
    "no-at-sign,sip:x@127.0.0.1,0.5,", "x@proxy.example,,0.5,", "x@proxy.example,sip:x@h,7,",
    "x@proxy.example,sip:x@h,0.5,soon", "x@proxy.example,sip:x@h,0.5,1,2", "\"x"])
def test_bad_csv_line_is_named_and_its_batch_dropped(chassis, tmp_path, bad):
    before = counted(chassis)
    path = write_csv(tmp_path / "bad.csv", range(8), bad)
    done = chassis.run("provision", "import", path, expect=1)
    assert "line 6" in done.stderr and "nothing was imported" in done.stderr, done.stderr
    assert counted(chassis) == before


def test_import_goes_on_after_a_bad_line(chassis, tmp_path):
    numbers = range(1000, 1100)
    before = records(chassis)
    path = write_csv(tmp_path / "many.csv", numbers, "x@proxy.example,nonsense,0.5,")
    done = chassis.run("provision", "import", path, "--batch", 20, expect=1)
    assert "line 52" in done.stderr and "--resume" in done.stderr, done.stderr
    assert records(chassis) == before + 40
    write_csv(path, numbers)
    resumed = chassis.ask("provision", "import", path, "--batch", 20, "--resume",
                          "--wait", "coherent")
    assert resumed["records"] == 60
    assert records(chassis) == before + 100
    found = chassis.equal_dump()
    assert all("u{}@proxy.example".format(number) in found for number in numbers)


def test_export_comes_back_with_the_same_digest(chassis, fresh, tmp_path):
    chassis.ask("provision", "add", "out@proxy.example", "sip:out@127.0.0.1:7")
    path = tmp_path / "all.ndjson"
    stamp = chassis.ask("provision", "export", path)
    fresh.up()
    fresh.ask("provision", "import", path, "--wait", "coherent")
    assert fresh.cards()[3]["database"]["digest"] == stamp["digest"]


def test_full_disk_or_missing_file(chassis, tmp_path):
    before = counted(chassis)
    done = chassis.run("provision", "import", tmp_path / "none.csv", check=False)
    assert done.returncode in (1, 2) and "none.csv" in done.stderr
    path = tmp_path / "all.ndjson"
    chassis.ask("provision", "add", "full@proxy.example", "sip:full@127.0.0.1:7")
    # a limit on the size of files stands for the full disk
    words = ["bash", "-c", "ulimit -f 0; exec \"$@\"", "-", sys.executable, "-m", "host_tools",
             "provision", "export", path, "--state", chassis.state]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done
    assert list(tmp_path.iterdir()) == []
    assert records(chassis) == before["records"] + 1


def test_hundred_thousand_subscribers(chassis, tmp_path):
    path = write_csv(tmp_path / "large.csv", range(200000, 300000))
    before = records(chassis)
    done = chassis.ask("provision", "import", path, "--batch", 2000, "--wait", "coherent")
    print("100,000 subscribers: committed in {seconds} s, coherent in {waited_seconds} s".format(
        **done))
    assert done["records"] == 100000
    assert records(chassis) == before + 100000
    assert chassis.ask("level", "--percent", "100")["level"] == done["level"]
    chassis.whole()
    assert len(chassis.equal_copies()) == before + 100000
    wait_for(lambda: chassis.primary(), "a primary switch card")
