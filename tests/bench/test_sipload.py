"""sipload notices every kind of wrong answer, and counts what is right, against a server of ours.

The server answers by string work on the request alone, so that no code of the product is on both
ends. It breaks one thing at a time.
"""

import hashlib
import re
import socket
import threading

import pytest
from click.testing import CliRunner

from host_tools.sipload.command import run_sipload, sipload_command



def free_port():
    """A UDP port of loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


AOR = "alice@example.com"
PHONE = ("127.0.0.1", free_port())
CONTACT = "sip:alice@127.0.0.1:%d" % PHONE[1]
PASSWORD = "wonderland"
CHALLENGE = 'Digest realm="example.com", nonce="n0", algorithm=MD5, qop="auth"'


def headers_of(request):
    """The header lines of a request as a dict of lower-case name to value."""
    lines = request.split("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def answer(request, status="302 Moved Temporarily", contact=CONTACT, extra=""):
    """A right answer to `request`."""
    found = headers_of(request)
    return (
        f"SIP/2.0 {status}\r\nVia: {found['via']}\r\nFrom: {found['from']}\r\n"
        f"To: {found['to']};tag=t1\r\nCall-ID: {found['call-id']}\r\nCSeq: {found['cseq']}\r\n"
        f"Contact: <{contact}>;q=0.5\r\n{extra}Content-Length: 0\r\n\r\n")  # fmt: skip


def replace(pattern, by):
    """A server that spoils its right answer in one place."""
    return lambda request: re.sub(pattern, by, answer(request), count=1)


WRONG = {
    "status": replace("302 Moved Temporarily", "404 Not Found"),
    "contact": replace("<sip:alice@127.0.0.1:", "<sip:bob@127.0.0.1:"),
    "longer contact": replace(">;q=0.5", "0>;q=0.5"),
    "no contact": replace("Contact: .*\r\n", ""),
    "call-id": replace("Call-ID: .", "Call-ID: x"),
    "cseq number": replace("CSeq: ", "CSeq: 9"),
    "cseq method": replace("OPTIONS\r\n", "INVITE\r\n"),
    "from tag": replace("(From: .*;tag=).", r"\1x"),
    "to tag": replace(";tag=t1", ""),
    "to": replace("(To: <sip:)a", r"\1b"),
    "two vias": replace("(Via: .*\r\n)", r"\1\1"),
    "other via": replace("Via: SIP/2.0/UDP 127", "Via: SIP/2.0/UDP 126"),
}


@pytest.fixture
def serve(tmp_path):
    """A function that serves `respond(request) -> text or None` and returns HOST:PORT."""
    servers = []

    def start(respond):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))

        def loop():
            while True:
                data, peer = server.recvfrom(4096)
                if not data:
                    return
                text = respond(data.decode())
                if text:
                    server.sendto(text.encode(), peer)

        thread = threading.Thread(target=loop)
        thread.start()
        servers.append((server, thread))
        return "127.0.0.1:%d" % server.getsockname()[1]

    yield start
    for server, thread in servers:
        server.sendto(b"", server.getsockname())
        thread.join()
        server.close()


@pytest.fixture
def aors(tmp_path):
    path = tmp_path / "aors.csv"
    path.write_text(f"aor,contact,password\n{AOR},{CONTACT},{PASSWORD}\n")
    return path


def load(target, aors, **settings):
    quick = {"seconds": 0.1, "warm": 0, "window": 2, "timeout": 0.3}
    return run_sipload(target, aors, **(quick | settings))


def test_right_answers_count(serve, aors):
    report = load(serve(answer), aors)
    assert report["answered"] == report["offered"] > 0
    assert report["wrong"] == report["lost"] == 0
    assert 0 < report["p50_us"] <= report["p99_us"] <= report["max_us"]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_seen(serve, aors, name):
    report = load(serve(WRONG[name]), aors)
    assert report["wrong"] == report["offered"] > 0
    assert report["answered"] == 0


def test_another_branch_answers_nothing(serve, aors):
    report = load(serve(replace("z9hG4bK....", "z9hG4bKffff")), aors)
    assert report["lost"] == report["offered"] > 0
    assert report["foreign"] > 0


def test_silence_is_lost_and_provisionals_do_not_count(serve, aors):
    report = load(serve(lambda request: answer(request, "100 Trying")), aors)
    assert report["lost"] == report["offered"] > 0
    assert report["foreign"] == 0


def test_an_invite_is_acknowledged(serve, aors):
    seen = []

    def respond(request):
        seen.append(request)
        return None if request.startswith("ACK") else answer(request)

    report = load(serve(respond), aors, method="INVITE")
    assert report["wrong"] == report["lost"] == 0
    branches = {kind: {re.search("branch=([^;]*)", text)[1] for text in seen
                       if text.startswith(kind)} for kind in ("INVITE", "ACK")}
    assert branches["INVITE"] == branches["ACK"]
    # RFC 3261 17.1.1.3: the To of the ACK is the answer's, with its tag
    tags = {headers_of(text)["to"].partition(";")[2] for text in seen if text.startswith("ACK")}
    assert tags == {"tag=t1"}


def test_a_rate_is_kept(serve, aors):
    report = load(serve(answer), aors, rate=200, seconds=0.5)
    assert report["offered"] == pytest.approx(100, abs=1)


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def test_a_registration_answers_its_challenge(serve, aors):
    def respond(request):
        given = headers_of(request).get("authorization")
        if not given:
            return answer(request, "401 Unauthorized",
                          extra=f"WWW-Authenticate: {CHALLENGE}\r\n")
        part = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
        ha1 = md5(f"alice:example.com:{PASSWORD}")
        ha2 = md5("REGISTER:sip:example.com")
        wanted = md5(f"{ha1}:n0:{part['nc']}:{part['cnonce']}:auth:{ha2}")
        return answer(request, "200 OK" if part["response"] == wanted else "403 Forbidden")

    report = load(serve(respond), aors, scenario="register")
    assert report["answered"] == report["offered"] > 0
    assert report["challenged"] >= 1


def test_a_proxied_call_is_answered_by_the_phone(serve, aors):
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.settimeout(2)

    def forward(request):
        far.sendto(request.replace(f"sip:{AOR} ", f"{CONTACT} ", 1).encode(), PHONE)
        return far.recv(4096).decode()

    report = load(serve(forward), aors, scenario="proxy", callee="127.0.0.1:%d" % PHONE[1])
    far.close()
    assert report["answered"] == report["offered"] > 0


@pytest.mark.parametrize("arguments, code", [
    (["192.0.2.1:5060"], 4),
    (["127.0.0.1:1"], 3),
    (["127.0.0.1"], 2),
    (["127.0.0.1:1", "--window", "0"], 2),
])  # fmt: skip
def test_exit_codes(aors, arguments, code):
    quick = ["--seconds", "0.05", "--timeout", "0.05", "--aors", str(aors)]
    assert CliRunner().invoke(sipload_command, [*arguments, *quick]).exit_code == code


def test_json_has_the_fields_of_the_interface(serve, aors):
    arguments = [serve(answer), "--aors", str(aors), "--seconds", "0.1", "--json"]
    result = CliRunner().invoke(sipload_command, arguments)
    assert result.exit_code == 0
    assert '"per_second"' in result.stdout and '"p99_9_us"' in result.stdout


def test_without_a_contact_in_the_file_any_contact_is_right(serve, tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text(AOR + "\n")
    report = load(serve(answer), path)
    assert report["answered"] > 0 and report["wrong"] == 0
    assert load(serve(WRONG["no contact"]), path)["wrong"] > 0
