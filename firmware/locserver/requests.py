"""The requests of the provisioning door as changes and answers. Portable, imports no I/O."""

from firmware.location import record
from firmware.location.record_json import from_json_fields
from firmware.locserver.changes import MAX_BATCH, AddBinding, Batch, PutRecord, RemoveBinding
from firmware.locserver.errors import ChangeRefused

# count's answer: name, first octet of the keys
KINDS = (("aors", 0x61), ("subscribers", 0x73), ("numbers", 0x6E), ("domains", 0x64))


def change_for(op, request):
    """(change, what its answer says beside the level) for a request that changes something.

    Raises ChangeRefused with one sentence for an unknown request or a wrong field.
    """
    if op == "add":
        return _binding(request), {}
    if op == "remove":
        return _removal(request), {}
    if op == "subscriber" or op == "route":
        return _whole(op, request), {}
    if op == "batch":
        batch = _batch(request)
        return batch, {"count": len(batch.changes)}
    raise ChangeRefused("there is no request {!r}".format(op), code="syntax")


def count(storage):
    """The number of records of each kind and of all."""
    answer = {"records": storage.records}
    for name, first_octet in KINDS:
        answer[name] = storage.count(first_octet)
    return answer


def show(storage, request):
    """The record of one AoR, `record` null where there is none."""
    key = _aor_key(request)
    value = storage.get(key)
    return {"record": None if value is None else shown(key, value)}


def shown(key, value):
    """One stored record as the document of the export."""
    return record.to_json(key, value)


def _text(request, name):
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise ChangeRefused('"{}" must be a text'.format(name), code="syntax")
    return value


def _parsed(document):
    """(key, value) of a record's document."""
    try:
        return record.from_json(document)
    except ValueError as error:
        raise ChangeRefused(str(error))


def _binding(document):
    """The change for the short form {aor, contact, q, expires}; expires counts from now."""
    _text(document, "contact")
    short = {name: document[name] for name in ("aor", "contact", "q", "expires")
             if document.get(name) is not None}
    try:
        _, aor, bindings = from_json_fields(short)
    except ValueError as error:
        raise ChangeRefused(str(error))
    return AddBinding(aor, bindings[0])


def _removal(request):
    contact = request.get("contact")
    if contact is not None:
        contact = _text(request, "contact").encode()
    return RemoveBinding(_aor_key(request)[1:], contact)


def _aor_key(request):
    """The key of the request's `aor`, made canonical as in a record's document."""
    return _parsed({"aor": _text(request, "aor"), "contact": "sip:any.invalid"})[0]


def _whole(kind, request):
    """The change for a subscriber or a route; "remove": true takes it away."""
    if "password" in request:
        raise ChangeRefused("send the HA1 values, never the password", code="syntax")
    document = {name: request[name] for name in request if name not in ("op", "token", "remove")}
    document["kind"] = kind
    if not request.get("remove"):
        key, value = _parsed(document)
        return PutRecord(key, value)
    if kind == "subscriber":
        document["realm"] = document.get("realm", "-")
        document["ha1"] = {"MD5": "0" * 32}
    else:
        document["target"] = document.get("target", "sip:removed.invalid")
    return PutRecord(_parsed(document)[0], None)


def _batch(request):
    documents = request.get("records")
    first_line = request.get("first_line", 1)
    if not isinstance(documents, list) or not isinstance(first_line, int):
        raise ChangeRefused('a batch needs "records", a list, and "first_line", a number',
                            code="syntax")
    if len(documents) > MAX_BATCH:
        raise ChangeRefused("a batch has at most {} records".format(MAX_BATCH))
    changes = []
    for document in documents:
        try:
            changes.append(_batch_change(document))
        except ChangeRefused as refusal:
            line = first_line + len(changes)
            raise ChangeRefused("line {}: {}".format(line, refusal.reason), line=line)
    return Batch(first_line, changes)


def _batch_change(document):
    if not isinstance(document, dict):
        raise ChangeRefused("not an object")
    if "contact" in document and "bindings" not in document:
        return _binding(document)
    key, value = _parsed(document)
    return PutRecord(key, value)
