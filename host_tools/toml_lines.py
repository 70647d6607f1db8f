"""Where each key of a TOML file stands, because tomllib tells values but no lines.

A key's path is a tuple of names and, below an array of tables, indices:
("slot", 2, "role") is `role` of the third `[[slot]]`.
"""

import re

_ARRAY = re.compile(r"^\s*\[\[\s*([^\]]+?)\s*\]\]")
_TABLE = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(r"""^\s*([A-Za-z0-9_.-]+|"[^"]*"|'[^']*')\s*=""")
_LONG_QUOTE = re.compile(r'"""|' + r"'''")


def _names(dotted):
    return tuple(name.strip().strip("\"'") for name in dotted.split("."))


def key_lines(text):
    """dict path -> line number (from 1) of each table header and key in `text`.

    Keys inside inline tables and arrays are found under the key that holds them.
    """
    lines = {}
    arrays = {}
    here = ()
    in_long_string = False
    for number, line in enumerate(text.splitlines(), 1):
        was_in_string = in_long_string
        if len(_LONG_QUOTE.findall(line)) % 2:
            in_long_string = not in_long_string
        if was_in_string:
            continue
        array = _ARRAY.match(line)
        table = None if array else _TABLE.match(line)
        if array:
            name = _names(array.group(1))
            arrays[name] = arrays.get(name, -1) + 1
            here = name + (arrays[name],)
            lines.setdefault(name, number)
            lines[here] = number
        elif table:
            here = _below_array(_names(table.group(1)), arrays)
            lines.setdefault(here, number)
        else:
            key = _KEY.match(line)
            if key:
                lines.setdefault(here + _names(key.group(1)), number)
    return lines


def _below_array(name, arrays):
    """`[slot.settings]` belongs to the last `[[slot]]`."""
    if name[:1] in arrays and len(name) > 1:
        return name[:1] + (arrays[name[:1]],) + name[1:]
    return name


def line_of(lines, path):
    """The line of `path`, or of its nearest holder that has one; 1 when nothing does."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1
