"""`provision import`: lines read exactly, batches whole or not at all, resumed exactly."""

import pytest

from host_tools.door import DoorRefusal
from host_tools.errors import ToolError
from host_tools.importer import Place, Progress, run_import
from host_tools.records_file import BadLine, RecordsFile

BIRTHDAY = "0102030405060708"


class FakeDoor:
    """Commits batches in memory; refuses the AoR `refused` and goes away after `batches`."""

    def __init__(self, refused=None, batches=None):
        self.level = 0
        self.committed = []
        self._refused = refused
        self._left = batches

    def ask(self, op, **fields):
        if op == "level":
            return {"ok": True, "level": self.level, "birthday": BIRTHDAY}
        if self._left is not None:
            if self._left == 0:
                raise ToolError("the location server went away", 3)
            self._left -= 1
        for index, record in enumerate(fields["records"]):
            if record["aor"] == self._refused:
                line = fields["first_line"] + index
                raise DoorRefusal({"error": "line {}: no such thing".format(line), "line": line})
        self.committed += fields["records"]
        self.level += len(fields["records"])
        return {"ok": True, "level": self.level}


def csv_file(tmp_path, lines, name="people.csv"):
    path = tmp_path / name
    path.write_text("aor,contact,q,expires\n" + "".join(line + "\n" for line in lines),
                    encoding="utf-8")
    return path


def people(count):
    return ["u{0}@a.example,sip:u{0}@192.0.2.1,,".format(n) for n in range(count)]


def run(tmp_path, path, door, batch=2, resume=False, birthday=BIRTHDAY):
    records = RecordsFile(path)
    try:
        progress = Progress(tmp_path / "import", path, birthday)
        return run_import(records, door, progress, batch, resume, lambda result, offset: None)
    finally:
        records.close()


def names(door):
    return [record["aor"].partition("@")[0] for record in door.committed]


def test_csv_fields_become_records(tmp_path):
    path = csv_file(tmp_path, [
        'sip:Alice@A.Example , <sip:alice@192.0.2.1>,0.5,3600', '',
        'bob@a.example,"sip:bob@192.0.2.2;lr,x",,', 'carol@a.example,sip:carol@192.0.2.3'])
    items = list(RecordsFile(path).items())
    assert [item.line for item in items] == [2, 4, 5]
    assert items[0].record == {"aor": "Alice@a.example", "contact": "sip:alice@192.0.2.1",
                               "q": 0.5, "expires": 3600}
    assert items[1].record == {"aor": "bob@a.example", "contact": "sip:bob@192.0.2.2;lr,x"}
    assert items[2].end == path.stat().st_size


BAD_LINES = (
    ("alice,sip:a@192.0.2.1,,", "address-of-record"),
    ("alice@a.example,192.0.2.1,,", "contact"),
    ("alice@a.example,sip:a@192.0.2.1,1.5,", "q "),
    ("alice@a.example,sip:a@192.0.2.1,nan,", "q "),
    ("alice@a.example,sip:a@192.0.2.1,,-1", "expires"),
    ("alice@a.example,sip:a@192.0.2.1,,soon", "expires"),
    ("alice@a.example", "fields"),
    ("a@b.example,sip:a@b,1,2,3", "fields"),
    ('a@b.example,"sip:a@b,1,2', "CSV"),
)


@pytest.mark.parametrize(("line", "word"), BAD_LINES)
def test_a_bad_line_is_named_and_nothing_of_its_batch_is_kept(tmp_path, line, word):
    path = csv_file(tmp_path, people(5)[:3] + [line] + people(5)[3:])
    door = FakeDoor()
    with pytest.raises(BadLine) as refused:
        run(tmp_path, path, door)
    assert refused.value.line == 5
    assert word in refused.value.message and "line 5" in refused.value.message
    assert names(door) == ["u0", "u1"]
    assert refused.value.result.level == 2


@pytest.mark.parametrize("text", [b"name,contact\n", b"aor,contact,q\n", b"\xff\xfe\n"])
def test_a_file_of_another_form_is_refused_at_line_1(tmp_path, text):
    path = tmp_path / "x"
    path.write_bytes(text)
    with pytest.raises(BadLine) as refused:
        RecordsFile(path)
    assert refused.value.line == 1


def test_ndjson_and_the_header_of_an_export(tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_text('{"kind":"database","level":9,"records":1}\n{"aor":"a@b","bindings":[]}\n\n'
                    '[1]\n', encoding="utf-8")
    records = RecordsFile(path)
    found = []
    with pytest.raises(BadLine) as refused:
        found.extend(records.items())
    assert refused.value.line == 4
    assert records.header["level"] == 9


def test_resume_goes_on_after_the_line_was_mended(tmp_path):
    lines = people(7)
    path = csv_file(tmp_path, lines[:5] + ["broken"] + lines[5:])
    door = FakeDoor()
    with pytest.raises(BadLine):
        run(tmp_path, path, door)
    mended = csv_file(tmp_path, lines, "mended.csv")
    result = run(tmp_path, mended, door, resume=True)
    assert names(door) == ["u{}".format(n) for n in range(7)]
    assert (result.records, result.skipped_lines, result.level) == (3, 5, 7)
    assert list((tmp_path / "import").glob("*.json")) == []


def test_resume_after_the_server_went_away(tmp_path):
    path = csv_file(tmp_path, people(9))
    door = FakeDoor(batches=3)
    with pytest.raises(ToolError) as gone:
        run(tmp_path, path, door)
    assert gone.value.exit_code == 3
    assert gone.value.result.records == 6
    door._left = None
    run(tmp_path, path, door, resume=True)
    assert names(door) == ["u{}".format(n) for n in range(9)]


def test_resume_begins_anew_in_another_database_or_when_the_begun_part_changed(tmp_path):
    path = csv_file(tmp_path, people(6))
    with pytest.raises(ToolError):
        run(tmp_path, path, FakeDoor(batches=2))
    other = FakeDoor()
    run(tmp_path, path, other, resume=True, birthday="ff" * 8)
    assert len(other.committed) == 6
    with pytest.raises(ToolError):
        run(tmp_path, path, FakeDoor(batches=2))
    changed = csv_file(tmp_path, ["x" + people(6)[0]] + people(6)[1:])
    assert Progress(tmp_path / "import", changed, BIRTHDAY).find() == Place()


def test_without_resume_all_lines_are_taken(tmp_path):
    path = csv_file(tmp_path, people(4))
    with pytest.raises(ToolError):
        run(tmp_path, path, FakeDoor(batches=1))
    door = FakeDoor()
    run(tmp_path, path, door)
    assert len(door.committed) == 4


def test_a_refusal_of_the_door_names_the_line_of_the_file(tmp_path):
    lines = people(4)
    # blank lines: the third record of the batch stands in line 7
    path = csv_file(tmp_path, ["", lines[0], "", lines[1], "", lines[2], lines[3]])
    with pytest.raises(BadLine) as refused:
        run(tmp_path, path, FakeDoor(refused="u2@a.example"), batch=10)
    assert refused.value.line == 7
    assert refused.value.message.endswith("line 7: no such thing")


def test_a_file_without_records_gives_the_present_level(tmp_path):
    door = FakeDoor()
    door.level = 12
    assert run(tmp_path, csv_file(tmp_path, []), door).level == 12
