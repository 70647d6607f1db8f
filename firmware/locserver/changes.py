"""The changes that may be submitted to the provisioning task. Portable, imports no I/O.

Each has `apply(view, now_s)`: reads through `view.get(key)`, writes with `view.put(key, value)`
(None removes) and raises ChangeRefused when it must not be applied; the task then drops all
that this change wrote. `request_id` is None but for a REGISTER.
"""

from firmware.locserver import registration
from firmware.locserver.errors import ChangeRefused
from firmware.location import record

MAX_BATCH = 10000
MAX_PROVISIONED_CONTACTS = 16


def bindings_of(value):
    """The bindings of an AoR record's value; None stands for no record."""
    return [] if value is None else record.decode_aor(value, 0, len(value))


def put_checked(view, key, value):
    """Write a record that satisfies the schema; raises ChangeRefused naming what is wrong."""
    wrong = record.check(key, value)
    if wrong:
        raise ChangeRefused(wrong)
    view.put(key, value)


class AddBinding:
    """Provision one binding; an equal provisioned contact of the AoR is replaced.

    aor: canonical, bytes.  binding: a Binding without Call-ID, its `expires_s` in RELATIVE
    seconds, 0 for permanent.
    """

    request_id = None

    def __init__(self, aor, binding):
        self.aor = aor
        self.binding = binding

    def apply(self, view, now_s):
        """See the module's head."""
        key = record.aor_key(self.aor)
        wanted = self.binding
        expires_s = now_s + wanted.expires_s if wanted.expires_s else 0
        bindings = [
            binding for binding in bindings_of(view.get(key))
            if not (registration.is_provisioned(binding)
                    and registration.same_contact(binding.contact, wanted.contact))]
        if len(bindings) >= MAX_PROVISIONED_CONTACTS:
            raise ChangeRefused("more than {} contacts".format(MAX_PROVISIONED_CONTACTS))
        bindings.append(record.Binding(wanted.contact, wanted.q, expires_s))
        put_checked(view, key, record.encode_aor(bindings))


class RemoveBinding:
    """Remove an AoR's record, or with `contact` (bytes) one binding of whatever origin."""

    request_id = None

    def __init__(self, aor, contact=None):
        self.aor = aor
        self.contact = contact

    def apply(self, view, now_s):
        """See the module's head."""
        key = record.aor_key(self.aor)
        value = view.get(key)
        if value is None:
            raise ChangeRefused("no such address-of-record", code="not-found")
        if self.contact is None:
            view.put(key, None)
            return
        bindings = bindings_of(value)
        kept = [binding for binding in bindings
                if not registration.same_contact(binding.contact, self.contact)]
        if len(kept) == len(bindings):
            raise ChangeRefused("the address-of-record has no such contact", code="not-found")
        view.put(key, record.encode_aor(kept) if kept else None)


class PutRecord:
    """Set one whole record (subscriber, route, or AoR); value None removes it."""

    request_id = None

    def __init__(self, key, value):
        self.key = key
        self.value = value

    def apply(self, view, now_s):
        """See the module's head."""
        if self.value is not None:
            put_checked(view, self.key, self.value)
        elif view.get(self.key) is None:
            raise ChangeRefused("no such record", code="not-found")
        else:
            view.put(self.key, None)


class Batch:
    """Changes that are applied all or not at all.

    first_line: the number of the first change in the operator's file.  changes: list.
    """

    request_id = None

    def __init__(self, first_line, changes):
        self.first_line = first_line
        self.changes = changes

    def apply(self, view, now_s):
        """See the module's head; a refusal carries the line of the offending change."""
        line = self.first_line
        for change in self.changes:
            try:
                change.apply(view, now_s)
            except ChangeRefused as refusal:
                raise ChangeRefused("line {}: {}".format(line, refusal.reason), refusal.status,
                                    refusal.code, line)
            except ValueError as error:
                raise ChangeRefused("line {}: {}".format(line, error), line=line)
            line += 1


class Register:
    """A REGISTER that a cluster card accepted (firmware.locserver.registration).

    request_id: 8 bytes, kept with the log row: a retransmission gets the answer of the first.
    """

    def __init__(self, request_id, request, max_contacts):
        self.request_id = request_id
        self.request = request
        self.max_contacts = max_contacts

    def apply(self, view, now_s):
        """See the module's head; returns the resulting value of the record, or None."""
        key = record.aor_key(self.request.aor)
        value = view.get(key)
        if not self.request.bindings and not self.request.wildcard:
            return value
        bindings = registration.merge(
            bindings_of(value), self.request, now_s, self.max_contacts)
        if not bindings:
            view.put(key, None)
            return None
        value = record.encode_aor(bindings)
        put_checked(view, key, value)
        return value


class Expire:
    """Remove bindings that expired before `before_s` from the records of `keys`."""

    request_id = None

    def __init__(self, keys, before_s):
        self.keys = keys
        self.before_s = before_s

    def apply(self, view, now_s):
        """See the module's head."""
        for key in self.keys:
            bindings = bindings_of(view.get(key))
            kept = [binding for binding in bindings
                    if binding.expires_s == 0 or binding.expires_s >= self.before_s]
            if len(kept) < len(bindings):
                view.put(key, record.encode_aor(kept) if kept else None)
