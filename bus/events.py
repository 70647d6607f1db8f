"""What BusNode.next_event() returns: a tuple that begins with one of these.

Imports no I/O. Runs on both interpreters.
"""

from bus.compat import const

CARD_UP = const(1)  # (CARD_UP, slot)
CARD_DOWN = const(2)  # (CARD_DOWN, slot, cause): CAUSE_SILENT or CAUSE_RESTARTED of membership.py
CARD_BEAT = const(3)  # (CARD_BEAT, slot): a heartbeat, decoded in members[slot].beat
MESSAGE = const(4)  # (MESSAGE, slot, octets)
REQUEST = const(5)  # (REQUEST, slot, request_id, octets): to be answered by respond()
RESPONSE = const(6)  # (RESPONSE, slot, request_id, octets)
TIMEOUT = const(7)  # (TIMEOUT, slot, request_id): no answer came
STREAM = const(8)  # (STREAM, slot, channel, octets), in order
STREAM_OPENED = const(9)  # (STREAM_OPENED, slot, channel)
STREAM_LOST = const(10)  # (STREAM_LOST, slot, channel): what follows leaves a gap
LAGGARD = const(11)  # (LAGGARD, channel, slot): our stream goes on without this card
