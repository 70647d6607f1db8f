"""Who is on the bus: slots, lives (incarnations), heartbeats, up and down.

A slot's incarnation only rises: frames of a lower one come from a life that is over: fenced.
A card silent for `forget_ms` is forgotten, so that another board in its slot, which counts its
own lives, may begin with a lower number.
A card is up from the first heartbeat of a life; it is down when nothing was heard of it for
`dead_after_ms` or when a higher incarnation shows that it restarted.
Imports no I/O. Runs on both interpreters.
"""

from bus.compat import const, earliest, ticks_add, ticks_diff
from bus.wire import FrameWindow

CAUSE_SILENT = "silent"
CAUSE_RESTARTED = "restarted"

CURRENT = const(0)  # a frame of the life we know
NEW = const(1)  # a slot never heard before
RESTARTED = const(2)  # a higher incarnation than the one we know
FENCED = const(-1)  # a lower one


class Member:
    """What one card knows of another."""

    def __init__(self, slot, incarnation, link_count, now_ms):
        self.slot = slot
        self.incarnation = incarnation
        self.last_heard_ms = now_ms
        self.up = False
        self.forgotten = False  # silent for so long that any life may follow
        self.beat = None  # the decoded HEARTBEAT: [number, role, hot_swap, ...] (messages.py)
        self.addresses = [None] * link_count
        # Frames for all and frames for us may come through two sockets, of which one can be
        # read far behind the other: each has a window of its own over the one number space.
        self.window_all = FrameWindow()
        self.window_own = FrameWindow()

    @property
    def address(self):
        """The first known link address for unicast, or None."""
        for one in self.addresses:
            if one is not None:
                return one
        return None


class Membership:
    """The table of members."""

    def __init__(self, limits):
        """limits: BusLimits, field dead_after_ms."""
        self.lives = {}  # every slot that was ever heard, by any frame
        self.members = {}  # those of which there is a heartbeat of the present life
        self._dead_after_ms = limits.dead_after_ms
        self._forget_ms = limits.forget_ms
        self._check_ms = None
        self._link_count = 1

    def attach(self, link_count):
        """How many links there are; forgets addresses learnt before."""
        self._link_count = link_count
        for slot in self.lives:
            self.lives[slot].addresses = [None] * link_count

    def judge(self, slot, incarnation):
        """CURRENT, NEW, RESTARTED or FENCED for a frame with these values."""
        member = self.lives.get(slot)
        if member is None:
            return NEW
        if incarnation == member.incarnation:
            return CURRENT
        return RESTARTED if incarnation > member.incarnation or member.forgotten else FENCED

    def begin(self, slot, incarnation, now_ms):
        """Start a life of `slot`; everything known of an earlier one is forgotten."""
        member = Member(slot, incarnation, self._link_count, now_ms)
        self.lives[slot] = member
        self.members.pop(slot, None)
        return member

    def beat(self, member, beat, now_ms):
        """A heartbeat of `member`, decoded; True when it brings the card up."""
        member.beat = beat
        self.members[member.slot] = member
        if member.up:
            return False
        member.up = True
        member.forgotten = False
        self._check_ms = earliest(self._check_ms, ticks_add(now_ms, self._dead_after_ms))
        return True

    def excuse(self, span_ms):
        """We ourselves slept for `span_ms`: nobody's silence in that time counts against him."""
        for slot in self.members:
            member = self.members[slot]
            member.last_heard_ms = ticks_add(member.last_heard_ms, span_ms)

    def next_deadline_ms(self):
        """When to call handle_timer, never later than the first death; None when nobody is due."""
        return self._check_ms

    def handle_timer(self, now_ms):
        """Returns a list of the slots that went down by silence, most often empty."""
        dead = []
        if self._check_ms is None or ticks_diff(now_ms, self._check_ms) < 0:
            return dead
        self._check_ms = None
        for slot in sorted(self.lives):
            member = self.lives[slot]
            if member.forgotten:
                continue
            span_ms = self._dead_after_ms if member.up else self._forget_ms
            expiry = ticks_add(member.last_heard_ms, span_ms)
            if ticks_diff(now_ms, expiry) < 0:
                self._check_ms = earliest(self._check_ms, expiry)
            elif member.up:
                member.up = False
                dead.append(slot)
                self._check_ms = earliest(
                    self._check_ms, ticks_add(member.last_heard_ms, self._forget_ms))
            else:
                member.forgotten = True
        return dead
