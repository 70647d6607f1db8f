"""Whole copies of the location database as lines: one record each, ordered by key."""

import base64
import json
import struct

from firmware.location import record
from host_tools.control import Control
from host_tools.errors import ToolError
from host_tools.records_file import HEADER_KIND

ATTEMPTS = 10
LAST_CURSORS = (0, 0xFFFFFFFF)
REMOVED = 0xFFFF


def record_line(key, value):
    """One record in the export's form, without the line's end."""
    return json_line(record.to_json(key, value))


def json_line(document):
    """One JSON document in the one form that exports and dumps share."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def header_line(level, birthday, digest, count):
    """The stamp on an export's first line."""
    return json_line({"kind": HEADER_KIND, "level": level, "birthday": birthday,
                      "digest": digest, "records": count})


def rows(octets):
    """(key, value) of each row in `octets`: klen u16 | vlen u16 | key | value."""
    at = 0
    while at + 4 <= len(octets):
        key_length, value_length = struct.unpack_from(">HH", octets, at)
        at += 4
        key = octets[at:at + key_length]
        at += key_length
        size = 0 if value_length == REMOVED else value_length
        yield key, octets[at:at + size]
        at += size


def dump_card(state, slot, tell):
    """(records dict key -> value, stamp) of the copy that the card in `slot` holds.

    The level must stand still from the first page to the last, else the dump begins again;
    tell(text) hears of that. stamp: the last page's answer. ToolError when it never stands still.
    """
    with Control(state) as control:
        for _ in range(ATTEMPTS):
            found, stamp = _one_pass(control, slot)
            if found is not None:
                return found, stamp
            tell("the level of slot {} moved while it was read; reading again".format(slot))
    raise ToolError("the level of slot {} moved in each of {} attempts to read its copy; try "
                    "again when provisioning pauses".format(slot, ATTEMPTS))


def _one_pass(control, slot):
    found = {}
    cursor = 0
    first = None
    while True:
        page = control.ask("dump", slot=slot, cursor=cursor)
        first = first or page
        if any(page[name] != first[name] for name in ("level", "birthday", "digest")):
            return None, None
        found.update(rows(base64.b64decode(page["rows"])))
        cursor = page["cursor"]
        if cursor in LAST_CURSORS:
            return found, page
