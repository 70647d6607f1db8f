"""Every bound of the bus on one card. A board's `limits.py` gives its own values by name.

Imports no I/O. Runs on both interpreters.
"""

from bus.segmenter import MAX_MESSAGE


class BusLimits:
    """Defaults for a Linux board; BusLimits(events=64, ...) overrides by name."""

    # queues: what is full refuses the new item and counts it
    outgoing_messages = 512  # messages waiting to be framed
    events = 1024  # events waiting for the card
    # requests of this card that wait for an answer, and their retries
    requests_pending = 512
    request_retry_ms = 250  # doubles with each retry
    # requests of others: being executed, and answers kept for repeated requests
    requests_executing = 512
    executing_timeout_ms = 10000  # after this the card is taken to have lost the request
    answers = 512
    answer_octets = 512 * 1024
    # unfinished segmented messages
    message_octets = MAX_MESSAGE
    reassembly_per_source = 4
    reassembly_total = 32
    reassembly_octets = 1024 * 1024
    reassembly_timeout_ms = 2000
    # membership: dead after three missed heartbeats and some jitter
    heartbeat_ms = 200
    dead_after_ms = 700
    forget_ms = 10000  # after this silence a slot's next life may have any incarnation
    # reliable multicast streams
    streams_out = 16
    streams_in = 32
    stream_window = 1024  # packets, a power of two (Wr of the papers): 4 octets each on a receiver
    stream_cache = 2048  # packets a sender keeps for repairs and late joiners
    stream_idle_ms = 5000  # a sender silent for this long (NULL comes every 200 ms) has gone

    def __init__(self, **values):
        """values: any attribute of this class.  Raises ValueError for another name."""
        for name in values:
            if name.startswith("_") or not hasattr(BusLimits, name):
                raise ValueError("no such bus limit: " + name)
            setattr(self, name, values[name])
