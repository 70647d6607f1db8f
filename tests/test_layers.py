"""Who may import whom, and what both interpreters can read: walks every source file by its syntax.

The layers are those of the design, lowest first: bus, firmware/fastpath, firmware/{sip,location},
firmware/{proxy,locserver,replica,switching}, firmware/runtime, firmware/cards, host_tools. A layer
imports only what RULES grants it. Files that run on MicroPython too must also keep to the subset
of Python that both interpreters share.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TREES = ("bus", "firmware", "boards", "host_tools")
LONGEST_FILE = 400

# standard modules that exist on both interpreters and reach nothing outside the process
COMMON = {
    "array", "binascii", "collections", "errno", "gc", "hashlib", "heapq", "io", "json",
    "micropython", "re", "struct", "sys",
}  # fmt: skip
# the bus's words, which the layers above the bus speak without touching a link
VOCABULARY = {"bus.compat", "bus.messages", "bus.ringqueue", "bus.states"}
FEATURES = {"firmware.proxy", "firmware.locserver", "firmware.replica", "firmware.switching"}
ANY = {"*"}  # host tools run on CPython alone: any library, but only these parts of the project

# path prefix -> (parts of the project it may import, modules from outside); the longest fits
RULES = {
    "bus/": ({"bus"}, COMMON),
    "bus/interfaces.py": ({"bus"}, COMMON | {"socket", "os", "ffi"}),
    "bus/links/": ({"bus"}, COMMON),  # and one module of IO, see LINK_IO
    "firmware/": (set(), COMMON),  # the files directly there, such as version.py
    "firmware/fastpath/": ({"firmware.fastpath", "bus.compat"}, COMMON),
    "firmware/fastpath/__init__.py": (
        {"firmware.fastpath", "bus.compat"}, COMMON | {"os", "cffi", "ffi", "uctypes"}),
    "firmware/sip/": ({"firmware.sip", "firmware.fastpath", "bus.compat"}, COMMON),
    "firmware/location/": ({"firmware.location", "firmware.fastpath", "bus.compat"}, COMMON),
    "firmware/runtime/": (
        {"firmware.runtime", "bus"},
        COMMON | {"machine", "mmap", "ffi", "os", "select", "socket", "time"}),
    "firmware/cards/": ({"firmware", "bus", "board"}, COMMON | {"os", "signal", "time"}),
    "boards/": ({"boards", "bus.compat"}, COMMON | {"machine", "os"}),
    # a dump and an export are in the record's own form, which only firmware/location knows
    "host_tools/": (
        {"host_tools", "bus", "firmware.sip", "firmware.location", "firmware.version", "boards"},
        ANY),
}  # fmt: skip
for _feature in FEATURES:
    RULES[_feature.replace(".", "/") + "/"] = (
        {_feature, "firmware.sip", "firmware.location", "firmware.fastpath"} | VOCABULARY, COMMON)

# I/O modules, of which a link may import one (a socket needs os and select to be of use)
LINK_IO = ({"socket", "select", "os"}, {"can"}, {"machine"}, {"serial"})
# a word in a file's name -> the platform's own modules that this file is there to wrap
PLATFORM = {
    "sqlite": {"sqlite3", "os", "pathlib", "weakref"},
    "flash": {"os"},
    "cffi": {"cffi", "os"},
    "ffi": {"ffi", "uctypes", "os"},
    "linux": {"os", "mmap", "socket", "cffi"},
    "nft": {"os", "subprocess"},
    "ethernet": {"socket", "os"},
    "can": {"can"},
}
CPYTHON_ONLY = {"sqlite", "cffi", "linux", "nft", "ethernet", "python"}

# where one interpreter's name is used behind a test for it, so that nobody else has to
SHIMS = {("bus/interfaces.py", "getsockname")}
BROKEN_NAMES = {
    "ConnectionError", "FileExistsError", "FileNotFoundError", "PermissionError", "TimeoutError",
}  # fmt: skip
BROKEN_ATTRIBUTES = {
    "_asdict", "_replace", "__cause__", "bit_length", "getsockname", "hexdigest", "monotonic",
    "recv_into", "removeprefix", "removesuffix", "strerror", "zfill",
}  # fmt: skip


def words_of(path):
    """The words in a file's name: `storage_sqlite.py` gives storage and sqlite."""
    return set(Path(path).stem.split("_"))


def is_portable(path):
    """Whether `path` must run on MicroPython too."""
    return path.startswith(("bus/", "firmware/")) and not words_of(path) & CPYTHON_ONLY


def is_module(dotted):
    """Whether `dotted` names a file or folder of this project."""
    place = ROOT / dotted.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").is_file()


def imports(tree, path):
    """Yield (line, dotted module) of every import, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parent = Path(path).parents[node.level - 1].as_posix() if node.level else ""
            base = ".".join(filter(None, (parent.replace("/", "."), node.module)))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if is_module(inner) else base


def within(module, parts):
    """Whether `module` is one of the dotted `parts` or lies inside one."""
    return any(module == part or module.startswith(part + ".") for part in parts)


def layer_faults(path, tree):
    """Yield a sentence for each import that the layers do not grant `path`."""
    prefix = max((p for p in RULES if path.startswith(p)), key=len)
    parts, outside = RULES[prefix]
    platform = set().union(*(PLATFORM.get(word, set()) for word in words_of(path)))
    io_used = set()
    for line, module in imports(tree, path):
        top = module.split(".")[0]
        if top in TREES or top == "board":
            granted = within(module, parts) or module == "firmware"
            if prefix == "bus/" and within(module, {"bus.links", "bus.interfaces"}):
                granted = False
        elif prefix == "bus/links/" and any(top in group for group in LINK_IO):
            io_used.add(next(i for i, group in enumerate(LINK_IO) if top in group))
            granted = True
        else:
            granted = outside is ANY or top in outside or top in platform
        if not granted:
            yield f"{path}:{line}: {prefix} may not import {module}"
    if len(io_used) > 1:
        yield f"{path}: a link imports one I/O module, not several"


def has_step(node):
    return isinstance(node, ast.Slice) and node.step is not None


def is_unpacking_display(node):
    if isinstance(node, ast.Dict):
        return None in node.keys
    display = isinstance(node, (ast.List, ast.Tuple, ast.Set)) and isinstance(
        getattr(node, "ctx", ast.Load()), ast.Load)
    return display and any(isinstance(item, ast.Starred) for item in node.elts)


def is_async_generator(node):
    return isinstance(node, ast.comprehension) and node.is_async


def is_keyword_from_bytes(node):
    return (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("from_bytes", "to_bytes") and node.keywords)


# what MicroPython refuses or answers differently: a predicate on a syntax node, and its name
SUBSET = (
    (lambda n: isinstance(n, ast.Match), "match statement"),
    (lambda n: isinstance(n, ast.TryStar), "except*"),
    (lambda n: isinstance(n, ast.arguments) and n.posonlyargs, "positional-only argument"),
    (is_unpacking_display, "unpacking inside a display"),
    (has_step, "slice with a step"),
    (lambda n: isinstance(n, ast.ClassDef) and len(n.bases) > 1, "multiple inheritance"),
    (lambda n: isinstance(n, ast.ClassDef) and n.keywords, "metaclass or class keyword"),
    (is_async_generator, "async comprehension"),
    (is_keyword_from_bytes, "keyword of from_bytes or to_bytes"),
    (lambda n: isinstance(n, ast.Name) and n.id in BROKEN_NAMES, "exception name"),
    (lambda n: isinstance(n, ast.Attribute) and n.attr in BROKEN_ATTRIBUTES, "attribute"),
)


def subset_faults(path, tree):
    """Yield a sentence for each construct of a portable file that MicroPython lacks."""
    for node in ast.walk(tree):
        for is_broken, name in SUBSET:
            shown = getattr(node, "attr", getattr(node, "id", ""))
            if is_broken(node) and (path, shown) not in SHIMS:
                line = getattr(node, "lineno", "?")
                yield f"{path}:{line}: outside the common subset: {name} {shown}".rstrip()


def faults(path, source):
    """Every fault of one file as a list of sentences; `path` is relative to the checkout."""
    tree = ast.parse(source, path)
    found = list(layer_faults(path, tree))
    if is_portable(path):
        found += subset_faults(path, tree)
    length = source.count("\n")
    if length > LONGEST_FILE:
        found.append(f"{path}: {length} lines; more than {LONGEST_FILE} hide a second subject")
    return found


def source_files():
    """Every Python file of the product, relative to the checkout."""
    for tree in TREES:
        for path in sorted((ROOT / tree).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix()


def test_every_file_keeps_to_its_layer():
    files = list(source_files())
    assert any(path.startswith("bus/") for path in files)
    found = [fault for path in files for fault in faults(path, (ROOT / path).read_text())]
    assert not found, "\n" + "\n".join(found)


WRONG = [
    ("bus/node.py", "import socket", "bus/ may not import socket"),
    ("bus/node.py", "def f():\n    import time", "bus/ may not import time"),
    ("bus/node.py", "from bus.links import udp", "may not import bus.links"),
    ("bus/node.py", "from firmware.sip import uri", "may not import firmware.sip"),
    ("bus/links/udp.py", "import socket\nimport machine", "one I/O module"),
    ("bus/rmtp.py", "from dataclasses import dataclass", "may not import dataclasses"),
    ("firmware/fastpath/pure.py", "import cffi", "may not import cffi"),
    ("firmware/sip/uri.py", "from firmware import location", "may not import firmware.location"),
    ("firmware/sip/uri.py", "import random", "may not import random"),
    ("firmware/proxy/server.py", "from bus.node import BusNode", "may not import bus.node"),
    ("firmware/proxy/server.py", "from firmware.replica import replica", "firmware.replica"),
    ("firmware/locserver/log.py", "import sqlite3", "may not import sqlite3"),
    ("firmware/runtime/reactor.py", "import firmware.sip.uri", "may not import firmware.sip"),
    ("firmware/cards/switch.py", "import socket", "may not import socket"),
    ("host_tools/cli.py", "from firmware.runtime import reactor", "firmware.runtime"),
    ("bus/node.py", "match 1:\n    case _: pass", "match statement"),
    ("bus/node.py", "def f(a, /): pass", "positional-only"),
    ("bus/node.py", "x = [*a]", "unpacking inside a display"),
    ("bus/node.py", "x = {**a}", "unpacking inside a display"),
    ("bus/node.py", "x = a[::2]", "slice with a step"),
    ("bus/node.py", "class A(B, C): pass", "multiple inheritance"),
    ("bus/node.py", "class A(metaclass=B): pass", "metaclass"),
    ("bus/node.py", "int.from_bytes(a, byteorder='big')", "keyword of from_bytes"),
    ("bus/node.py", "a.removeprefix(b'x')", "attribute removeprefix"),
    ("bus/node.py", "try:\n    pass\nexcept TimeoutError:\n    pass", "exception name"),
    ("bus/node.py", "\n" * 401, "hide a second subject"),
]  # fmt: skip

RIGHT = [
    ("bus/node.py", "import struct\nfrom bus import wire"),
    ("bus/interfaces.py", "import socket\nsocket.socket().getsockname()"),
    ("bus/links/udp_multicast.py", "import socket\nimport select\nfrom bus import interfaces"),
    ("firmware/fastpath/loader_cffi.py", "import cffi\nx = a[::2]"),
    ("firmware/locserver/storage_sqlite.py", "import sqlite3\nx = [*a]"),
    ("firmware/replica/replica.py", "from bus.states import COHERENT\nfirst, *rest = x"),
    ("firmware/runtime/reactor.py", "import select, time\nfrom bus import compat"),
    ("firmware/cards/switch.py", "import board\nfrom firmware.runtime import reactor"),
    ("host_tools/cli.py", "import click\nfrom firmware.sip import uri\nx = {**a}"),
]


@pytest.mark.parametrize("path, source, expected", WRONG)
def test_the_walk_sees_what_is_wrong(path, source, expected):
    assert expected in "\n".join(faults(path, source))


@pytest.mark.parametrize("path, source", RIGHT)
def test_the_walk_leaves_alone_what_is_right(path, source):
    assert faults(path, source) == []
