"""Bounds of a replica; a board gives its own values. Portable; imports nothing."""


class ReplicaLimits:
    """Bounds of a replica; a board's limits.py gives an object with the same attributes.

    ask_ms: between two CATCH_UP without progress, doubling to ask_most_ms.  behind_ms: how long
    the card may need for a level the server's heartbeat told (live updates are on their way)
    before it counts as behind, and may go without progress before it asks.  ahead_updates,
    ahead_octets: updates kept that came before their turn.  ahead_ms: how long the server may
    look older than the card before that counts as a fault (heartbeats overtake each other).
    audit_ms, audit_records: records checked in a step, and the time between steps.
    """

    ask_ms = 1000
    ask_most_ms = 8000
    behind_ms = 300
    ahead_updates = 512
    ahead_octets = 512 * 1024
    ahead_ms = 1000
    audit_ms = 100
    audit_records = 64
    events = 32
    fragment_octets = 128 * 1024
