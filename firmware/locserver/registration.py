"""What a REGISTER makes of a record (RFC 3261 10.3 steps 6-8, RFC 5626 6). Pure and portable.

A binding without Call-ID is provisioned; one with a Call-ID is registered. Both live side by side
in one record. A REGISTER never changes or removes a provisioned binding: where its contact
equals a provisioned one, the provisioned one stands and is what the answer lists.
"""

from firmware.locserver.errors import ChangeRefused
from firmware.location.record import Binding
from firmware.sip.uri import equal, parse_uri

OUT_OF_ORDER = 500  # "the update MUST be aborted and the request fails", 10.3 step 7
TOO_MANY = 403
BAD_REQUEST = 400


def same_contact(one, other):
    """True when two contact URIs (bytes) are equivalent (RFC 3261 19.1.4)."""
    if one == other:
        return True
    try:
        return equal(parse_uri(one), parse_uri(other))
    except ValueError:
        return False


def same_binding(stored, wanted):
    """True when `wanted` addresses the binding `stored`: by flow (RFC 5626) or by contact."""
    if stored.instance and stored.reg_id and wanted.reg_id:
        return stored.instance == wanted.instance and stored.reg_id == wanted.reg_id
    return same_contact(stored.contact, wanted.contact)


def is_provisioned(binding):
    """True for a binding that came through provisioning, not by REGISTER."""
    return not binding.call_id


def is_expired(binding, now_s):
    """True when a binding's time is over; 0 means it never is."""
    return binding.expires_s != 0 and binding.expires_s <= now_s


def merge(stored, request, now_s, max_contacts):
    """The bindings that stand after a REGISTER.

    stored: list of Binding of the record.  request: a RegisterRequest.  now_s: the server's Unix
    seconds.  max_contacts: bound of registered bindings of one AoR.
    Returns a new list; expired bindings are left out of it.  Raises ChangeRefused with the SIP
    status; nothing may be kept then (10.3: all or nothing).
    """
    live = [binding for binding in stored if not is_expired(binding, now_s)]
    if request.wildcard:
        return _remove_all(live, request)
    _refuse_repeated(request.bindings)
    kept = [binding for binding in live if is_provisioned(binding)]
    registered = [binding for binding in live if not is_provisioned(binding)]
    for wanted in request.bindings:
        found = _find(registered, wanted)
        if found is not None:
            _check_order(found, request)
            registered.remove(found)
        if wanted.expires_s == 0 or _find(kept, wanted) is not None:
            continue
        registered.append(_registered(wanted, request, now_s))
    if len(registered) > max_contacts:
        raise ChangeRefused("more than {} contacts".format(max_contacts), TOO_MANY)
    return kept + registered


def _remove_all(live, request):
    if request.bindings:
        raise ChangeRefused("Contact * beside other contacts", BAD_REQUEST)
    for binding in live:
        if not is_provisioned(binding):
            _check_order(binding, request)
    return [binding for binding in live if is_provisioned(binding)]


def _check_order(stored, request):
    if stored.call_id == request.call_id and request.cseq <= stored.cseq:
        raise ChangeRefused("CSeq {} is not above {}".format(request.cseq, stored.cseq),
                            OUT_OF_ORDER)


def _find(bindings, wanted):
    for binding in bindings:
        if same_binding(binding, wanted):
            return binding
    return None


def _refuse_repeated(wanted):
    for index in range(1, len(wanted)):
        if _find(wanted[:index], wanted[index]) is not None:
            raise ChangeRefused("a contact is listed twice", BAD_REQUEST)


def _registered(wanted, request, now_s):
    return Binding(wanted.contact, wanted.q, now_s + wanted.expires_s, request.call_id,
                   request.cseq, wanted.path, wanted.received, wanted.user_agent,
                   wanted.instance, wanted.reg_id)


class RegisterRequest:
    """The part of a REGISTER that decides the record.

    aor: canonical AoR, bytes.  call_id: bytes, not empty.  cseq: int.  wildcard: True for
    `Contact: *`.  bindings: list of Binding with expires_s in RELATIVE seconds, 0 removes.
    """

    def __init__(self, aor, call_id, cseq, wildcard, bindings):
        self.aor = aor
        self.call_id = call_id
        self.cseq = cseq
        self.wildcard = wildcard
        self.bindings = bindings
