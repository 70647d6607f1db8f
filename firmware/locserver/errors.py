"""What the location server refuses with. Portable; imports nothing."""


class StorageError(Exception):
    """The storage could not do it; the text is one sentence: what, and what to do."""


class ChangeRefused(Exception):
    """A change that is not applied.

    reason: str, one sentence.  status: SIP status of the answer to a REGISTER.  code: "refused",
    "not-found", "storage" or "busy".  line: number of the offending line of a batch, or None.
    """

    def __init__(self, reason, status=400, code="refused", line=None):
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code
        self.line = line
