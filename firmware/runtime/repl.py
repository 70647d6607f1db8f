"""The console's `repl` on MicroPython cards: Python lines on the running card, for its engineers.

A line is an expression (its value is shown) or a statement. `exit` goes back to the commands.
Only the serial console has it; the bus never does.
"""

LEAVE = "exit"
PROMPT = ">>"


class Repl:
    """Executes lines in a namespace that holds the running `card`."""

    def __init__(self, card):
        self._names = {"card": card}

    def execute(self, line):
        """The value of an expression as text, "" for a statement, or what it raised."""
        try:
            try:
                value = eval(line, self._names)
            except SyntaxError:
                exec(line, self._names)
                return ""
        except Exception as error:  # an engineer's mistake must not stop the card
            return "{}: {}".format(type(error).__name__, error)
        return "" if value is None else repr(value)
