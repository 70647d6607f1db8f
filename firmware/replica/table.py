"""The six states of a card's copy of the location database, as a table.

Rows are events, columns the state before; the entry is the state after, `_` no change.
States are those of bus/states.py. Portable; imports no I/O.
"""

from bus.compat import const
from bus.states import COHERENT, CORRUPT, INCOHERENT, INCONSISTENT, LOADING, RESYNC

# events
RELOAD_BEGUN = const(0)  # a full copy begins to arrive
LOADED = const(1)  # the full copy is whole and its digest right
LOAD_LOST = const(2)  # the full copy will not arrive; a trusted older copy stands
VERIFIED = const(3)  # level and digest equal those of the location server
BEHIND = const(4)  # the location server is ahead, and was so at its last heartbeat
SERVER_LOST = const(5)  # no location server is heard: nobody can vouch for the level
WRITE_FAILED = const(6)  # the card's own table refused a write
MISMATCH = const(7)  # digest, level or birthday disagrees with the location server
BAD_RECORD = const(8)  # the audit found a record whose CRC is wrong

EVENTS = ("reload begun", "loaded", "load lost", "verified", "behind", "server lost",
          "write failed", "mismatch", "bad record")

STATES = (LOADING, RESYNC, COHERENT, INCOHERENT, INCONSISTENT, CORRUPT)

_ = None
_L, _R, _C, _I, _D, _X = STATES

# fmt: off
TABLE = (
    # loading resync coherent incoherent inconsistent corrupt
    (_L,      _L,    _L,      _L,        _L,          _L),  # RELOAD_BEGUN
    (_R,      _,     _,       _,         _,           _),   # LOADED
    (_R,      _,     _,       _,         _,           _),   # LOAD_LOST
    (_,       _C,    _C,      _,         _,           _),   # VERIFIED
    (_,       _R,    _R,      _,         _,           _),   # BEHIND
    (_,       _R,    _R,      _,         _,           _),   # SERVER_LOST
    (_I,      _I,    _I,      _I,        _I,          _I),  # WRITE_FAILED
    (_D,      _D,    _D,      _D,        _D,          _D),  # MISMATCH
    (_X,      _X,    _X,      _X,        _X,          _X),  # BAD_RECORD
)
# fmt: on

# events after which the copy the card holds may not be served
DISTRUST = (WRITE_FAILED, MISMATCH, BAD_RECORD)


def after(state, event):
    """The state after `event` in `state` (a number of bus/states.py)."""
    found = TABLE[event][STATES.index(state)]
    return state if found is None else found
