"""Numbers and names of what a heartbeat tells: role, hot swap, service, redundancy, database.

Hot-swap states are AdvancedTCA's (PICMG 3.0), database states are those EAGLE operators know.
A tuple's index is the number on the wire. Imports nothing; runs on both interpreters.
"""

from bus.compat import const

ROLES = ("shelf-manager", "location-server", "sip-cluster", "switch")
SHELF_MANAGER = const(0)
LOCATION_SERVER = const(1)
SIP_CLUSTER = const(2)
SWITCH = const(3)

# M0 not installed, M1 inactive, M2 activation requested, M3 activation in progress, M4 active,
# M5 deactivation requested, M6 deactivation in progress, M7 communication lost
HOT_SWAP = ("M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7")
M0 = const(0)
M1 = const(1)
M2 = const(2)
M3 = const(3)
M4 = const(4)
M5 = const(5)
M6 = const(6)
M7 = const(7)

SERVICE = ("out-of-service", "loading", "in-service", "draining", "absent")
OUT_OF_SERVICE = const(0)
SERVICE_LOADING = const(1)
IN_SERVICE = const(2)
DRAINING = const(3)
ABSENT = const(4)

REDUNDANCY = (None, "primary", "secondary", "active", "standby")
NO_REDUNDANCY = const(0)
PRIMARY = const(1)
SECONDARY = const(2)
ACTIVE = const(3)
STANDBY = const(4)

# "none" is for cards that hold no copy of the location database (switch cards)
DATABASE = ("none", "loading", "resync", "coherent", "incoherent", "inconsistent", "corrupt")
NO_DATABASE = const(0)
LOADING = const(1)
RESYNC = const(2)
COHERENT = const(3)
INCOHERENT = const(4)
INCONSISTENT = const(5)
CORRUPT = const(6)
