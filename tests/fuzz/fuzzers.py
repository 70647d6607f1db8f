"""Builds and runs the fuzzer of the C fast path (fuzz_fastpath.c)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "fuzz"
sys.path.insert(0, str(ROOT / "tests" / "portable"))

FLAGS = ("-std=c99 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pedantic -Wconversion "
         "-fsanitize=address,undefined -fno-sanitize-recover=all").split()


def build():
    """(path of the program, True if it is libFuzzer's): with clang's libFuzzer where it links."""
    BUILD.mkdir(parents=True, exist_ok=True)
    sources = [HERE / "fuzz_fastpath.c", *sorted((ROOT / "firmware/fastpath").glob("sipfast*.c"))]
    include = ["-I", ROOT / "firmware/fastpath"]
    program = BUILD / "fuzz_fastpath"
    if shutil.which("clang"):
        command = ["clang", *FLAGS, "-fsanitize=fuzzer", *include, "-o", program, *sources]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
            return program, True
    compiler = os.environ.get("CC", "cc")
    command = [compiler, *FLAGS, *include, "-o", program, HERE / "fuzz_main.c", *sources]
    subprocess.run(command, check=True)
    return program, False


# the octet that chooses plain answers, then requests that have one
PLAIN = b"\4"


def plain_requests():
    """Requests that fuzz_fastpath.c's configuration answers."""
    from sip_bench import request

    return [request(method, uri, via="Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKa")
            for method in ("INVITE", "OPTIONS", "ACK")
            for uri in ("sip:bob@r.example", "sip:eve@192.0.2.10", "sip:44@r.example",
                        "sip:r.example")]


def corpus():
    """The scanner's vectors and plain requests as files of build/fuzz/corpus/."""
    from scanner_vectors import vectors

    folder = BUILD / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for number, (_, message, _) in enumerate(vectors()):
        (folder / f"vector-{number:02}").write_bytes(message)
    for number, message in enumerate(plain_requests()):
        (folder / f"plain-{number:02}").write_bytes(PLAIN + message)
    return folder


def fuzz_fastpath(seconds, seed):
    """Run for `seconds`; the exit code, not 0 when an input failed. Prints the seed."""
    program, is_libfuzzer = build()
    folder = corpus()
    print(f"fuzz_fastpath: {seconds} s, seed {seed}", flush=True)
    if is_libfuzzer:
        words = [f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={BUILD}/",
                 folder]
    else:
        words = [str(seconds), str(seed), *sorted(folder.iterdir())]
    return subprocess.run([program, *words]).returncode
