"""`provision export`: every record of the location server at one level, through the door."""

from firmware.location import record
from host_tools.dump import json_line
from host_tools.errors import ToolError

ATTEMPTS = 10


def export_records(door, tell):
    """(dict key -> line, stamp with level, birthday and digest) of the whole database.

    All pages must be of one level, else the export begins again; tell(text) hears of that.
    """
    for _ in range(ATTEMPTS):
        found, stamp = _one_pass(door)
        if found is not None:
            return found, stamp
        tell("the level moved while the database was read; reading again")
    raise ToolError("the level moved in each of {} attempts to read the database; try again when "
                    "provisioning pauses".format(ATTEMPTS))


def _one_pass(door):
    found = {}
    cursor = None
    first = None
    while True:
        page = door.ask("export", cursor=cursor)
        first = first or page
        if any(page[name] != first[name] for name in ("level", "birthday", "digest")):
            return None, None
        for document in page["records"]:
            found[record.from_json(document)[0]] = json_line(document)
        cursor = page.get("cursor")
        if cursor is None:
            return found, page
