"""`chassis provision import` and `export`, and `chassis dump`: many records at once."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from host_tools.door import open_door
from host_tools.dump import dump_card, header_line, record_line
from host_tools.errors import WRONG_ARGUMENTS, ToolError, os_failure
from host_tools.export import export_records
from host_tools.importer import DEFAULT_BATCH, MAX_BATCH, run_import
from host_tools.importer import Progress as ImportProgress
from host_tools.records_file import RecordsFile
from host_tools.verbs.common import (
    emit_json, json_option, note, state_option, wait_for_level, wait_option, wait_words)

PLAIN_EVERY_S = 2.0


@click.command("import", short_help="Import many records from a CSV or NDJSON file.")
@click.argument("file", type=click.Path(readable=False))
@click.option("--batch", type=click.IntRange(1, MAX_BATCH), default=DEFAULT_BATCH,
              show_default=True, metavar="N", help="Records committed together.")
@click.option("--resume", is_flag=True, help="Go on after the last committed batch.")
@wait_option
@state_option
@json_option
def import_file(file, batch, resume, wait, wait_seconds, state, as_json):
    """Import FILE: CSV with the header aor,contact,q,expires, or NDJSON (an export too).

    expires is seconds from now; empty or 0 is for ever. A bad line is refused with its number,
    and nothing of its batch is kept.
    """
    begun = time.monotonic()
    result = _run(file, batch, resume, state)
    seconds = time.monotonic() - begun
    document = {"records": result.records, "batches": result.batches, "level": result.level,
                "seconds": round(seconds, 3)}
    rate = result.records / seconds if seconds else 0
    text = "{} records in {} batches committed at level {} in {:.2f} s ({:.0f}/s)".format(
        result.records, result.batches, result.level, seconds, rate)
    if result.skipped_lines:
        text += "; went on behind line {}".format(result.skipped_lines)
    if wait is not None:
        wait_for_level(state, result.level, wait, wait_seconds)
        waited = time.monotonic() - begun
        document["waited_seconds"] = round(waited, 3)
        text += "; {} after {:.2f} s".format(wait_words(wait), waited)
    if as_json:
        emit_json(document)
    else:
        click.echo(text)


def _run(file, batch, resume, state):
    with contextlib.ExitStack() as stack:
        records = RecordsFile(file)
        stack.callback(records.close)
        door = stack.enter_context(open_door(state))
        birthday = door.ask("level")["birthday"]
        progress = ImportProgress(state.path / "import", file, birthday)
        tell = stack.enter_context(_progress(os.path.getsize(file)))
        try:
            return run_import(records, door, progress, batch, resume, tell)
        except ToolError as error:
            raise _with_result(error) from None


def _with_result(error):
    """The same error, with what was committed before it and how to go on."""
    result = getattr(error, "result", None)
    if result is None or not result.records:
        return ToolError(error.message + "; nothing was imported", error.exit_code)
    return ToolError("{}; the {} records before its batch (up to line {}) are committed at level "
                     "{}: mend it and run again with --resume".format(
                         error.message, result.records, result.line, result.level),
                     error.exit_code)


@contextlib.contextmanager
def _progress(total):
    """tell(result, offset): a bar on a terminal, a line now and then elsewhere (to stderr)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_progress(total)
        return
    bar = Progress(TextColumn("importing"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
                   TextColumn("level {task.fields[level]}"), TimeRemainingColumn(),
                   console=console)
    with bar:
        task = bar.add_task("import", total=total, level="-")
        yield lambda result, offset: bar.update(task, completed=offset, level=result.level)


def _plain_progress(total):
    last = [time.monotonic()]

    def tell(result, offset):
        if time.monotonic() - last[0] >= PLAIN_EVERY_S:
            last[0] = time.monotonic()
            note("imported {} records ({} %), level {}".format(
                result.records, 100 * offset // max(1, total), result.level))

    return tell


@click.command("export", short_help="Write the whole database at one level, as NDJSON.")
@click.argument("file", required=False, type=click.Path(readable=False))
@state_option
@json_option
def export_database(file, state, as_json):
    """Write the whole database at one level to FILE (default: standard output), as NDJSON."""
    path = _regular(file) if file is not None else None
    with open_door(state) as door:
        found, stamp = export_records(door, note)
    header = header_line(stamp["level"], stamp["birthday"], stamp["digest"], len(found))
    lines = [header] + [found[key] for key in sorted(found)]
    if path is None:
        if as_json:
            _emit_copy({}, stamp, lines[1:])
        else:
            _write(sys.stdout, lines)
        return
    _replace(path, lines)
    document = {"file": str(path), "records": len(found), "level": stamp["level"],
                "birthday": stamp["birthday"], "digest": stamp["digest"]}
    if as_json:
        emit_json(document)
    else:
        note("{records} records at level {level} written to {file}".format(**document))


def _regular(file):
    """The Path of a file that may be replaced by a rename: a regular one, or none yet.

    Renaming onto a device or a pipe would put a file in its place; a link is followed to its end.
    """
    path = Path(file).resolve()
    try:
        if path.exists() and not path.is_file():
            raise ToolError("{} is not a regular file; name one, or write to standard output and "
                            "send that there".format(file), WRONG_ARGUMENTS)
    except OSError as error:
        raise os_failure(error, "writing {}".format(file)) from None
    return path


def _replace(path, lines):
    """Write `lines` to `path` whole or not at all, by a file of our own beside it."""
    fresh = path.with_name("{}.{}.new".format(path.name, os.getpid()))
    try:
        with open(fresh, "x", encoding="utf-8") as output:
            try:
                _write(output, lines)
                os.fsync(output.fileno())
                if path.exists():
                    fresh.chmod(path.stat().st_mode & 0o777)
                fresh.replace(path)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise os_failure(error, "writing {}".format(path)) from None


@click.command(short_help="Print the copy of the database that the card in SLOT holds.")
@click.argument("slot", type=click.IntRange(1, 30))
@state_option
@json_option
def dump(slot, state, as_json):
    """Print the copy of the database that the card in SLOT holds, in the export's form.

    At the same level all dumps are byte-equal. With --json: one document with the stamp.
    """
    found, stamp = dump_card(state, slot, note)
    lines = [record_line(key, found[key]) for key in sorted(found)]
    if as_json:
        _emit_copy({"slot": slot}, stamp, lines)
        return
    _write(sys.stdout, lines)
    note("slot {}: {} records at level {}, digest {}".format(
        slot, len(lines), stamp["level"], stamp["digest"]))


def _emit_copy(document, stamp, lines):
    """One document: the stamp, and the records as objects."""
    emit_json({**document, "level": stamp["level"], "birthday": stamp["birthday"],
               "digest": stamp["digest"], "records": [json.loads(line) for line in lines]})


def _write(output, lines):
    for line in lines:
        output.write(line)
        output.write("\n")
    output.flush()
