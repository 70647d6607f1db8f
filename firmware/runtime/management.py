"""What every card answers to its managers, on the console and over the bus alike.

`Commands` executes one console line; bus COMMAND requests run through the same table. The
card's wiring registers what only its role knows. Runs on both interpreters.
"""

import json

from firmware.runtime.log import clean


class Commands:
    """The command table of one card: name -> help text and function(words).

    A function gives its text, or (status, text), or raises ValueError with a
    sentence. Unknown commands and failures give status 1 and one sentence.
    """

    def __init__(self):
        self._table = {}
        self._order = []
        self.add("help", "list the commands", self._help)

    def add(self, name, text, function):
        """Register `function(words)`; words are what followed the name, split at blanks."""
        if name not in self._table:
            self._order.append(name)
        self._table[name] = (text, function)

    def execute(self, line):
        """(status, text) of one line; status 0 done, 1 refused or unknown."""
        words = line.split()
        if not words:
            return 0, ""
        found = self._table.get(words[0])
        if found is None:
            return 1, "unknown command {}; type help".format(clean(words[0], 32))
        try:
            answer = found[1](words[1:])
        except ValueError as error:
            return 1, "{}: {}".format(words[0], error)
        if isinstance(answer, tuple):
            return answer
        return 0, answer

    def _help(self, words):
        return "\n".join("{:<16} {}".format(name, self._table[name][0]) for name in self._order)


def render(value, indent=0):
    """A JSON-like value as indented lines for a person at the console."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for name in sorted(value):
            inner = value[name]
            if isinstance(inner, (dict, list)) and inner:
                lines.append("{}{}:".format(pad, name))
                lines.append(render(inner, indent + 1))
            else:
                lines.append("{}{}: {}".format(pad, name, _plain(inner)))
        return "\n".join(lines)
    if isinstance(value, list):
        return "\n".join(render(inner, indent) for inner in value)
    return pad + _plain(value)


def _plain(value):
    if value is None:
        return "-"
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, (dict, list)):
        return "-"
    return str(value)


def as_json(value):
    """`value` as one line of JSON, as bytes for a bus answer."""
    return json.dumps(value).encode()
