"""`provision import`: cuts a file into batches, each committed whole or not at all.

After each commit the offset behind the batch is remembered in STATE/import/, under the digest
of the octets imported so far. So `--resume` finds its place whatever the file is called now,
also when the line that was refused has been mended since; and never in another database.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from host_tools.door import DoorRefusal
from host_tools.errors import ToolError
from host_tools.records_file import BadLine
from host_tools.state_dir import write_private

DEFAULT_BATCH = 1000
MAX_BATCH = 10000
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Place:
    """How far a file is imported: octets and lines behind the last committed batch."""

    offset: int = 0
    line: int = 0


class Progress:
    """Remembers the place of one file in the database with `birthday` (hexadecimal)."""

    def __init__(self, folder, path, birthday):
        self._folder = folder
        self._path = Path(path)
        self._birthday = birthday
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._kept = None

    def find(self):
        """The furthest Place whose octets this file begins with; Place() when there is none."""
        best = Place()
        for note in sorted(self._folder.glob("*.json")):
            try:
                told = json.loads(note.read_text(encoding="utf-8"))
                place = Place(told["offset"], told["line"])
                fits = told["birthday"] == self._birthday and place.offset > best.offset
            except (ValueError, KeyError, TypeError):
                continue
            if fits and self._digest_of(place.offset).hexdigest() == told["sha256"]:
                best, self._kept = place, note
        self._digest = self._digest_of(best.offset)
        self._hashed = best.offset
        return best

    def committed(self, place):
        """A batch that ends at `place` is committed."""
        self._digest = self._digest_of(place.offset, self._digest, self._hashed)
        self._hashed = place.offset
        self._folder.mkdir(exist_ok=True)
        name = hashlib.sha256(str(self._path.resolve()).encode()).hexdigest()[:16] + ".json"
        note = self._folder / name
        write_private(note, json.dumps({
            "offset": place.offset, "line": place.line, "birthday": self._birthday,
            "sha256": self._digest.hexdigest()}) + "\n")
        if self._kept is not None and self._kept != note:
            self._kept.unlink(missing_ok=True)
        self._kept = note

    def done(self):
        """The whole file is imported: nothing is left to resume."""
        if self._kept is not None:
            self._kept.unlink(missing_ok=True)

    def _digest_of(self, end, digest=None, start=0):
        digest = digest or hashlib.sha256()
        with open(self._path, "rb") as file:
            file.seek(start)
            left = end - start
            while left > 0 and (chunk := file.read(min(left, CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
        return digest


@dataclass
class ImportResult:
    """What an import has done: records and batches committed, level after the last of them."""

    records: int = 0
    batches: int = 0
    level: int | None = None
    skipped_lines: int = 0
    line: int = 0


def batches(items, size):
    """Lists of at most `size` items; a BadLine comes only after the whole batches before it."""
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def run_import(records, door, progress, size, resume, tell):
    """Import `records` (RecordsFile) through `door`; ImportResult.

    tell(result, offset) is called after each committed batch. Raises BadLine or ToolError;
    `result` of the exception is what was committed before.
    """
    place = progress.find() if resume else Place()
    result = ImportResult(skipped_lines=place.line, line=place.line)
    try:
        for batch in batches(records.items(place.offset, place.line), size):
            result.level = _commit(records, door, batch)
            result.records += len(batch)
            result.batches += 1
            result.line = batch[-1].line
            progress.committed(Place(batch[-1].end, batch[-1].line))
            tell(result, batch[-1].end)
    except ToolError as error:
        error.result = result
        raise
    progress.done()
    if result.level is None:
        result.level = door.ask("level")["level"]
    return result


def _commit(records, door, batch):
    """Commit one batch; the level it has. A refusal names the line of the file."""
    first = batch[0].line
    try:
        answer = door.ask("batch", first_line=first, records=[item.record for item in batch])
    except DoorRefusal as refusal:
        if refusal.line is None:
            raise
        # the door counts records, the file may have blank lines between them
        index = min(max(refusal.line - first, 0), len(batch) - 1)
        reason = refusal.message.removeprefix("line {}: ".format(refusal.line))
        raise BadLine(records.name, batch[index].line, reason) from None
    return answer["level"]
