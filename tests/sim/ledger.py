"""What the operator and the phones were promised: every contact's fate, by the answers given.

A contact is unique to one change, so its fate is plain: an acknowledged change must hold at the
end, one without an answer may hold or not, a refused one must not.
"""

from firmware.location import record

ADDED = "added"
UNKNOWN = "unknown"
REFUSED = "refused"
EXPIRING = "expiring"
REMOVED = "removed"
MAYBE_REMOVED = "maybe removed"


class Ledger:
    """Fates of contacts, and the highest level that any answer named."""

    def __init__(self):
        self.level = 0
        self.acknowledged = 0
        self._aors = {}
        self._fates = {}

    def begin(self, aor, contact):
        """A change that adds `contact` to `aor` has been sent."""
        self._aors[contact] = aor
        self._fates[contact] = UNKNOWN

    def removing(self, contact):
        """A change that removes it has been sent."""
        self._fates[contact] = MAYBE_REMOVED

    def settle(self, contact, fate, level):
        """The answer to the last change of `contact` is there."""
        self._fates[contact] = fate
        if fate != REFUSED:
            self.level = max(self.level, level)
            self.acknowledged += 1

    def removable(self):
        """Contacts that are certainly there: (contact, aor)."""
        return [(contact, self._aors[contact]) for contact in sorted(self._fates)
                if self._fates[contact] == ADDED]

    def check(self, pairs):
        """Hold the content of the database against the promises; a list of what is broken."""
        held = {}
        for key, value in pairs:
            if key[:1] == b"a":
                for binding in record.decode_aor(value, 0, len(value)):
                    held[binding.contact] = key[1:]
        wrong = []
        for contact, fate in self._fates.items():
            if fate == ADDED and held.get(contact) != self._aors[contact]:
                wrong.append("{} was acknowledged and is lost".format(contact.decode()))
            elif fate in (REFUSED, REMOVED, EXPIRING) and contact in held:
                wrong.append("{} is there though it is {}".format(contact.decode(), fate))
        for contact in held:
            if contact not in self._fates:
                wrong.append("{} comes from nowhere".format(contact.decode()))
        return sorted(wrong)
