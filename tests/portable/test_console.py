"""The console's line discipline and command table, on both interpreters."""

from firmware.runtime.console import OUTPUT_LIMIT, Console
from firmware.runtime.log import Log, clean
from firmware.runtime.management import Commands, render
from firmware.runtime.repl import Repl


def _typed(octets):
    console = Console("slot3")
    console.receive(octets)
    return console


def test_a_line_is_echoed_and_delivered_once():
    console = _typed(b"status\r\n")
    assert console.next_line() == "status"
    assert console.next_line() is None
    assert bytes(console.to_send()) == b"status\r\n"


def test_line_ends_of_every_terminal():
    for end in (b"\r", b"\n", b"\r\n"):
        console = _typed(b"a" + end + b"b" + end)
        assert console.next_line() == "a"
        assert console.next_line() == "b"
        assert console.next_line() is None


def test_backspace_rubs_out_and_stops_at_the_prompt():
    console = _typed(b"hx\x7felp\x08\x08\x08\x08\x08\x08ok\n")
    assert console.next_line() == "ok"


def test_control_c_drops_the_line():
    console = _typed(b"reboot\x03log\n")
    assert console.next_line() == "log"


def test_line_is_bounded_and_control_octets_are_ignored():
    console = _typed(b"a" * 1000 + b"\x00\x1b\xff\n")
    assert console.next_line() == "a" * 256


def test_answer_ends_with_the_prompt():
    console = _typed(b"")
    console.answer("one\ntwo")
    assert bytes(console.to_send()) == b"one\r\ntwo\r\nslot3> "
    console.sent(5)
    assert bytes(console.to_send()) == b"two\r\nslot3> "


def test_prompt_shows_the_status_of_a_failure():
    console = _typed(b"")
    console.prompt("slot3", 1)
    console.answer("no")
    console.prompt("slot3")
    console.answer("")
    assert bytes(console.to_send()) == b"no\r\nslot3 [1]> slot3> "


def test_output_nobody_reads_is_bounded_and_counted():
    console = _typed(b"")
    console.answer("x" * (OUTPUT_LIMIT + 1))
    assert console.dropped == OUTPUT_LIMIT + 3
    assert len(console.to_send()) <= OUTPUT_LIMIT


def test_commands_answer_unknown_words_without_raw_text():
    commands = Commands()
    assert commands.execute("") == (0, "")
    status, text = commands.execute("\x1b[2Jrm")
    assert status == 1 and "\x1b" not in text and "type help" in text


def test_commands_status_and_error():
    commands = Commands()
    commands.add("fine", "says so", lambda words: "fine " + " ".join(words))
    commands.add("bad", "fails", lambda words: (1, "no"))
    commands.add("number", "wants one", lambda words: str(int(words[0])))
    assert commands.execute("fine a  b") == (0, "fine a b")
    assert commands.execute("bad") == (1, "no")
    assert commands.execute("number x")[0] == 1
    assert commands.execute("help")[1].split("\n")[0].startswith("help")


def test_render_is_sorted_and_indented():
    text = render({"b": None, "a": {"y": 1, "x": True}})
    assert text == "a:\n  x: yes\n  y: 1\nb: -"


class _Stream:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


class _FullDisk:
    def write(self, text):
        raise OSError(28, "No space left on device")


def test_log_keeps_the_newest_lines():
    stream = _Stream()
    log = Log("slot3", lambda: 7, lines=2, stream=stream)
    for name in ("a", "b", "c"):
        log.note(name)
    assert log.recent() == ["7 slot3 b", "7 slot3 c"]
    assert stream.text == "7 slot3 a\n7 slot3 b\n7 slot3 c\n"


def test_log_survives_a_full_disk():
    log = Log("slot3", lambda: 7, stream=_FullDisk())
    log.note("still here")
    assert log.recent() == ["7 slot3 still here"]


def test_clean_escapes_what_could_forge_a_log_line():
    assert clean(b"a\nb\\c\xff") == "a\\x0ab\\x5cc\\xff"
    assert clean("x" * 200) == "x" * 120 + "..."


def test_repl_shows_values_runs_statements_and_survives_mistakes():
    repl = Repl("the card")
    assert repl.execute("card") == "'the card'"
    assert repl.execute("x = 6 * 7") == ""
    assert repl.execute("x") == "42"
    assert repl.execute("x / 0").startswith("ZeroDivisionError")
    assert repl.execute("def").startswith("SyntaxError")
    assert repl.execute("None") == ""
