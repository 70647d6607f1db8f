"""Reads what `provision import` takes: CSV `aor,contact,q,expires`, or NDJSON (an export too).

Both give Item objects with the number of their line and the offset behind it, so that a batch
can be cut, named and resumed exactly.
"""

import csv
import json
from dataclasses import dataclass

from host_tools.errors import ToolError, os_failure

CSV_HEADER = ["aor", "contact", "q", "expires"]
HEADER_KIND = "database"
MAX_LINE_BYTES = 1 << 20


class BadLine(ToolError):
    """A line of the file that is refused: its number (from 1) and the reason."""

    def __init__(self, name, line, reason):
        self.line = line
        super().__init__("{} line {}: {}".format(name, line, reason))


@dataclass(frozen=True)
class Item:
    """One record to import. line: its number from 1. end: octets of the file up to behind it."""

    line: int
    end: int
    record: dict


class RecordsFile:
    """One file to import, opened once; its form is told by its first line."""

    def __init__(self, path):
        self.path = path
        self.name = str(path)
        self.header = None
        try:
            self._file = open(path, "rb")
        except FileNotFoundError:
            raise ToolError("there is no file {}".format(path), 2) from None
        except OSError as error:
            raise os_failure(error, "reading {}".format(path)) from None
        first = self._file.readline(MAX_LINE_BYTES)
        self.is_csv = not first.lstrip().startswith((b"{", b"\xef\xbb\xbf{"))
        self._first_end = len(first)
        if self.is_csv:
            self._check_csv_header(first)
        else:
            self._file.seek(0)
            self._first_end = 0

    def close(self):
        """Let the file go."""
        self._file.close()

    def _check_csv_header(self, first):
        text = self._text(first, 1).lstrip("\ufeff")
        names = [name.strip().lower() for name in text.strip().split(",")]
        if names != CSV_HEADER:
            raise BadLine(self.name, 1, "the header must be `{}` (or the file NDJSON)".format(
                ",".join(CSV_HEADER)))

    def items(self, offset=0, line=0):
        """Items behind `offset` octets and `line` lines read before; BadLine ends it."""
        number = line or (1 if self.is_csv else 0)
        at = offset or self._first_end
        self._file.seek(at)
        while raw := self._file.readline(MAX_LINE_BYTES):
            number += 1
            at += len(raw)
            if not raw.endswith(b"\n") and len(raw) >= MAX_LINE_BYTES:
                raise BadLine(self.name, number, "longer than {} octets".format(MAX_LINE_BYTES))
            text = self._text(raw, number).strip()
            if not text:
                continue
            record = self._csv(text, number) if self.is_csv else self._json(text, number)
            if record is not None:
                yield Item(number, at, record)

    def _text(self, raw, number):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise BadLine(self.name, number, "not UTF-8 text") from None

    def _csv(self, text, number):
        try:
            fields = next(csv.reader([text], strict=True))
        except csv.Error as error:
            raise BadLine(self.name, number, "not CSV: {}".format(error)) from None
        if not 2 <= len(fields) <= len(CSV_HEADER):
            raise BadLine(self.name, number, "{} fields where aor,contact,q,expires has 4".format(
                len(fields)))
        aor, contact, q, expires = (f.strip() for f in fields + [""] * (4 - len(fields)))
        try:
            return binding_record(aor, contact, q, expires)
        except ValueError as error:
            raise BadLine(self.name, number, str(error)) from None

    def _json(self, text, number):
        try:
            record = json.loads(text)
        except ValueError as error:
            raise BadLine(self.name, number, "not JSON: {}".format(error)) from None
        if not isinstance(record, dict):
            raise BadLine(self.name, number, "not a JSON object")
        if record.get("kind") == HEADER_KIND:
            self.header = record
            return None
        return record


def binding_record(aor, contact, q="", expires=""):
    """The door's record of one provisioned binding; ValueError tells what is wrong.

    aor: `user@host`, with or without `sip:`.  contact: SIP URI.  q: text 0..1 or "".
    expires: text, seconds from now, "" or "0" for never.
    """
    record = {"aor": canonical_aor(aor), "contact": checked_contact(contact)}
    if q != "":
        record["q"] = parse_q(q)
    if expires != "":
        record["expires"] = parse_expires(expires)
    return record


def canonical_aor(text):
    """`user@host` with the host in lower case; ValueError when it is none."""
    text = text.strip()
    for scheme in ("sip:", "sips:"):
        if text.lower().startswith(scheme):
            text = text[len(scheme):]
    user, at, host = text.rpartition("@")
    if not at or not user or not host or any(c in text for c in " \t<>\"") or ":" in host:
        raise ValueError("{!r} is not an address-of-record such as alice@example.com".format(text))
    return user + "@" + host.lower()


def checked_contact(text):
    """A contact URI as it is; ValueError when it cannot be one."""
    text = text.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in ("sip", "sips", "tel") or not rest \
            or any(c in text for c in " \t<>\""):
        raise ValueError("{!r} is not a contact such as sip:alice@192.0.2.1:5060".format(text))
    return text


def parse_q(text):
    """A q value (RFC 3261 20.10: 0 to 1, three decimals) as a number."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise ValueError("q {!r} is not a number from 0 to 1".format(text))
    return round(value, 3)


def parse_expires(text):
    """Seconds, 0..2**31-1; 0 is never."""
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 31:
        raise ValueError("expires {!r} is not a number of seconds".format(text))
    return int(text)
