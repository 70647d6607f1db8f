"""Path (RFC 3327), reg-id (RFC 5626), non-INVITE rules of a stateless element (RFC 4320)."""

from wire import PROXY


def test_3327_5_3_path_is_stored_and_returned(phone):
    answer = phone.bind(None, "Supported: path", "Path: <sip:p1@127.0.0.1:9;lr>",
                        "Path: <sip:p2@192.0.2.2;lr>")
    assert ", ".join(answer.values("path")) == (
        "<sip:p1@127.0.0.1:9;lr>, <sip:p2@192.0.2.2;lr>")


def test_3327_5_4_path_becomes_route_in_order(phone, caller, other):
    edge = "<sip:edge@127.0.0.1:{};lr>".format(other.port)
    phone.bind(None, "Path: {}, <sip:inner.example;lr>".format(edge))
    caller.send(caller.build("INVITE", phone.aor()))
    forwarded = other.receive()
    assert forwarded.start == "INVITE {} SIP/2.0".format(phone.contact())
    assert forwarded.values("route") == [edge + ", <sip:inner.example;lr>"]


def test_3327_path_belongs_to_its_contact(phone, caller):
    phone.bind(phone.contact(), "Path: <sip:p@192.0.2.1;lr>")
    phone.bind(phone.contact(), "Expires: 600")
    caller.send(caller.build("INVITE", phone.aor()))
    assert phone.receive().values("route") == []


def test_5626_6_reg_id_0_is_400_and_stores_nothing(phone):
    answer = phone.register(
        'Contact: <{}>;+sip.instance="<urn:uuid:0c67446e-f1a1-11d9-94d3-000a95a0e128>";reg-id=0'
        .format(phone.contact()))
    assert answer.status == 400
    assert phone.bindings() == []


def test_5626_6_require_outbound_is_420(phone):
    answer = phone.register("Contact: <{}>".format(phone.contact()), "Require: outbound")
    assert answer.status == 420 and answer.value("unsupported") == "outbound"


def test_4320_4_no_provisional_and_no_408_for_non_invite(phone, caller):
    phone.bind()
    caller.send(caller.build("MESSAGE", phone.aor()))
    assert phone.receive().start.startswith("MESSAGE ")
    # the first thing the caller hears is the answer to a later request
    assert caller.is_silent(b"\r\n\r\n")


def test_4320_4_2_late_response_is_forwarded_as_it_came(phone, caller):
    phone.bind()
    caller.send(caller.build("MESSAGE", phone.aor()))
    phone.answer(phone.receive(), "408 Request Timeout")
    assert caller.receive().start == "SIP/2.0 408 Request Timeout"


def test_3327_5_3_malformed_path_is_refused(phone):
    for path in ("sip:p@192.0.2.1;lr", "<tel:+49>", "<>"):
        assert phone.register("Contact: <{}>".format(phone.contact()),
                              "Path: " + path).status == 400, path
    assert phone.bindings(PROXY) == []
