"""Registrar: RFC 3261 10.2 and 10.3, with 19.1.4 and 20 where they decide a binding."""

import re

import pytest
from wire import PASSWORD, PROXY, REDIRECT, credentials


def expires_of(answer, uri):
    """The expires parameter of the binding `uri` in a 200."""
    for value in answer.values("contact"):
        if value.startswith("<{}>".format(uri)):
            return int(re.search(r";expires=(\d+)", value).group(1))
    raise AssertionError((uri, answer.values("contact")))


def reached(caller, phone, domain=REDIRECT):
    """The contacts that an INVITE to a redirect domain is given, or the status."""
    answer = caller.request("INVITE", phone.aor(domain))
    if answer.status != 302:
        return answer.status
    return sorted(re.match("<([^>]*)>", value).group(1) for value in answer.values("contact"))


def test_10_3_never_6xx(phone):
    uri = phone.contact()
    refused = [
        ("Contact: *", "Expires: 60"), ("Contact: <nonsense>",), ("Require: foo",),
        ("Contact: <{}>;expires=1".format(uri),), ("Contact: <{}>;q=2".format(uri),),
        ("Contact: <{}>;reg-id=0".format(uri),), ("Contact: <{}>, ".format(uri),)]
    for extra in refused:
        assert 400 <= phone.register(*extra).status < 600, extra
    outside = phone.register(to="<sip:a@outside.example>")
    assert 400 <= outside.status < 600


def test_10_3_record_route_is_ignored(phone):
    answer = phone.bind(None, "Record-Route: <sip:192.0.2.1;lr>")
    assert answer.values("record-route") == []


def test_10_3_4_other_user_is_forbidden(phone, users):
    victim = next(users)
    answer = phone.register("Contact: <{}>".format(phone.contact()),
                            to="<sip:{}@{}>".format(victim, PROXY))
    assert answer.status == 403


def test_10_3_5_to_outside_our_domains(phone):
    assert phone.register(to="<sip:bob@outside.example>").status == 404


def test_10_3_5_to_is_unescaped_and_stripped(phone, caller):
    escaped = "%75" + phone.user[1:]
    phone.bind(domain=REDIRECT, to="<sip:{}@{};x=y>".format(escaped, REDIRECT.upper()))
    assert reached(caller, phone) == [phone.contact()]


@pytest.mark.parametrize("lines", [
    ("Contact: *", "Expires: 60"),
    ("Contact: *",),
    ("Contact: *", "Contact: <sip:a@192.0.2.1>", "Expires: 0"),
    ("Contact: *, <sip:a@192.0.2.1>", "Expires: 0")])
def test_10_3_6_bad_wildcard_changes_nothing(phone, lines):
    phone.bind()
    assert phone.register(*lines).status == 400
    assert phone.bindings() == [phone.contact()]


def test_10_3_6_wildcard_removes_all(phone):
    phone.bind()
    phone.bind(phone.contact("n2"))
    answer = phone.register("Contact: *", "Expires: 0")
    assert answer.status == 200 and answer.values("contact") == []
    assert phone.bindings() == []


def test_10_3_6_wildcard_out_of_order_fails(phone):
    phone.bind(cseq=10)
    assert phone.register("Contact: *", "Expires: 0", cseq=10, tag="r2").status == 500
    assert phone.bindings() == [phone.contact()]
    assert phone.register("Contact: *", "Expires: 0", call_id="other", cseq=3).status == 200
    assert phone.bindings() == []


def test_10_3_7_lower_cseq_is_refused(phone):
    phone.bind(None, "Expires: 600", cseq=10)
    for cseq in (9, 10):
        extra = ("Contact: <{}>".format(phone.contact()), "Expires: 3000")
        assert phone.register(*extra, cseq=cseq, tag="t%d" % cseq).status == 500
    assert expires_of(phone.register(call_id="fetch", cseq=2), phone.contact()) <= 600


def test_10_3_7_new_call_id_updates_and_removes(phone):
    phone.bind(None, "Expires: 600", cseq=10)
    answer = phone.bind(None, "Expires: 3000", call_id="later", cseq=2)
    assert expires_of(answer, phone.contact()) > 600
    answer = phone.register("Contact: <{}>;expires=0".format(phone.contact()),
                            call_id="latest", cseq=1)
    assert answer.status == 200 and answer.values("contact") == []


def test_10_3_7_parameter_header_default_and_maximum(phone):
    uri = phone.contact()
    answer = phone.register("Contact: <{}>;expires=700".format(uri), "Expires: 900")
    assert 690 <= expires_of(answer, uri) <= 700
    assert 890 <= expires_of(phone.bind(uri, "Expires: 900"), uri) <= 900
    assert 3590 <= expires_of(phone.bind(uri), uri) <= 3600
    assert 7190 <= expires_of(phone.bind(uri, "Expires: 99999"), uri) <= 7200


def test_10_3_7_too_brief(phone):
    answer = phone.register("Contact: <{}>;expires=59".format(phone.contact()))
    assert answer.status == 423
    assert answer.value("min-expires") == "60"
    assert phone.bindings() == []


def test_10_3_7_all_or_nothing(phone, caller):
    phone.bind(domain=REDIRECT)
    answer = phone.register(
        "Contact: <{}>;expires=600".format(phone.contact("n2")),
        "Contact: <{}>;expires=5".format(phone.contact("n3")), domain=REDIRECT)
    assert answer.status == 423
    assert reached(caller, phone) == [phone.contact()]
    assert phone.bindings(REDIRECT) == [phone.contact()]


def test_10_3_7_repeated_contact_is_no_partial_update(phone):
    answer = phone.register("Contact: <{0}>;expires=600, <{0}>;expires=900".format(
        phone.contact()))
    assert answer.status == 400
    assert phone.bindings() == []


def test_10_3_8_lists_every_binding_with_expires(phone):
    first, second = phone.contact(), phone.contact("n2")
    phone.bind(first)
    answer = phone.bind(second, "Expires: 120")
    assert len(answer.values("contact")) == 2
    assert expires_of(answer, first) > 3000 and 110 <= expires_of(answer, second) <= 120
    assert len(answer.values("date")) == 1
    assert phone.bindings() == sorted([first, second])


def test_10_3_applied_whole_and_in_order(phone, caller):
    old, new = phone.contact("n0"), phone.contact("n1")
    phone.bind(old, domain=REDIRECT)
    for _ in range(10):
        challenge = phone.ask(phone.unsigned(domain=REDIRECT))
        phone.send(phone.unsigned(
            "Contact: <{}>;expires=0, <{}>;expires=600".format(old, new),
            credentials(challenge, phone.user, REDIRECT), domain=REDIRECT))
        seen = [reached(caller, phone) for _ in range(5)]
        assert phone.receive().status == 200
        assert reached(caller, phone) == [new]
        assert all(one in ([old], [new]) for one in seen), seen
        assert seen == sorted(seen, key=[[old], [new]].index), seen
        old, new = new, old


@pytest.mark.parametrize("value", ["soon", "-5", "6e2", "12 34"])
def test_10_2_1_1_malformed_expires_is_an_hour(phone, value):
    answer = phone.bind(None, "Expires: " + value)
    assert 3590 <= expires_of(answer, phone.contact()) <= 3600


def test_19_1_4_equal_contacts_are_one_binding(phone):
    phone.bind("sip:%61lice@Host.Example;b=1")
    answer = phone.bind("sip:alice@hOST.example;b=1", "Expires: 300")
    assert len(answer.values("contact")) == 1
    assert expires_of(answer, "sip:alice@hOST.example;b=1") <= 300


@pytest.mark.parametrize("different", [
    "sip:Alice@host.example", "sip:alice@host.example:5060",
    "sip:alice@host.example;transport=tcp", "sip:alice@host.example;user=phone",
    "sip:alice@host.example?subject=x"])
def test_19_1_4_other_contacts_are_two_bindings(phone, different):
    phone.bind("sip:alice@host.example")
    answer = phone.bind(different)
    assert len(answer.values("contact")) == 2


def test_10_2_2_q_is_kept(phone, caller):
    phone.register("Contact: <{}>;q=0.3, <{}>;q=0.8".format(
        phone.contact(), phone.contact("n2")), domain=REDIRECT)
    answer = caller.request("INVITE", phone.aor(REDIRECT))
    assert [value.split(";q=")[1][:3] for value in answer.values("contact")] == ["0.8", "0.3"]


def test_8_2_2_2_merged_request(phone):
    challenge = phone.ask(phone.unsigned())
    extra = ("Contact: <{}>".format(phone.contact()),
             credentials(challenge, phone.user, PROXY))
    assert phone.ask(phone.unsigned(*extra, cseq=20, via=phone.via("one"))).status == 200
    assert phone.ask(phone.unsigned(*extra, cseq=20, via=phone.via("two"))).status == 482
    assert phone.ask(phone.unsigned(*extra, cseq=20, via=phone.via("one"))).status == 200


def test_22_4_wrong_password(phone):
    challenge = phone.ask(phone.unsigned())
    wrong = credentials(challenge, phone.user, PROXY, password=PASSWORD + "!")
    answer = phone.ask(phone.unsigned(wrong))
    assert answer.status == 401
    first = challenge.values("www-authenticate")[0]
    assert answer.values("www-authenticate")[0] != first and "stale" not in first


def test_22_4_nonce_count_replay(phone):
    challenge = phone.ask(phone.unsigned())
    signed = credentials(challenge, phone.user, PROXY)
    assert phone.ask(phone.unsigned(signed)).status == 200
    again = phone.ask(phone.unsigned(signed))
    assert again.status == 401 and "stale=true" in again.values("www-authenticate")[0]
    second = credentials(challenge, phone.user, PROXY, nc="00000002")
    assert phone.ask(phone.unsigned(second)).status == 200


def test_22_4_forged_nonce(phone):
    challenge = phone.ask(phone.unsigned())
    nonce = re.search('nonce="([^"]*)"', challenge.values("www-authenticate")[0]).group(1)
    forged = nonce[:-1] + ("0" if nonce[-1] != "0" else "1")
    challenge.lines = [line.replace(nonce, forged) for line in challenge.lines]
    answer = phone.ask(phone.unsigned(credentials(challenge, phone.user, PROXY)))
    assert answer.status == 401 and "stale" not in answer.values("www-authenticate")[0]


def test_8760_2_one_challenge_each_strongest_first(phone):
    challenge = phone.ask(phone.unsigned())
    assert challenge.status == 401
    found = challenge.values("www-authenticate")
    assert [re.search("algorithm=([^,]*)", value).group(1) for value in found] == [
        "SHA-256", "MD5"]
    assert all(value.count("Digest") == 1 and 'qop="auth"' in value for value in found)


@pytest.mark.parametrize("algorithm, digits", [("SHA-256", 64), ("MD5", 32)])
def test_8760_2_each_algorithm_is_accepted(phone, algorithm, digits):
    challenge = phone.ask(phone.unsigned())
    signed = credentials(challenge, phone.user, PROXY, algorithm)
    assert re.search(r'response="[0-9a-f]{%d}"' % digits, signed)
    assert phone.ask(phone.unsigned(signed)).status == 200
