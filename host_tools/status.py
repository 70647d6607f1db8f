"""Puts the `chassis status` document together from what the parts say. Pure."""

from bus import states
from bus.messages import BEAT_BIRTHDAY, BEAT_DATABASE, BEAT_LEVEL, BEAT_REDUNDANCY, BEAT_SERVICE
from host_tools.description import LOCATION_SERVER, SIP_CLUSTER, SWITCH
from host_tools.levels import CardLevel

DATABASE_KEYS = ("state", "level", "birthday", "digest", "records", "load_percent", "lag_levels")
HEALTH_KEYS = ("alive", "ping_ms", "check_ms")
SIP_KEYS = ("received", "answered", "forwarded", "errors", "dropped")
BUS_KEYS = ("sent", "received", "retransmitted", "dropped")


def pick(source, keys):
    """The named keys of a dict, null where missing; None when there is no dict."""
    if not isinstance(source, dict):
        return None
    return {key: source.get(key) for key in keys}


def service(process_runs, beat):
    """INTERFACE's `state` of a card."""
    if not process_runs:
        return "absent"
    if beat is None:
        return "out-of-service"
    return states.SERVICE[beat[BEAT_SERVICE]]


def card_document(slot, interpreter, process, beat, hot_swap, told):
    """One entry of `cards`.

    slot: description.Slot.  process: (pid or None, console path).  beat: decoded HEARTBEAT or
    None.  hot_swap: SlotState.  told: the card's own STATUS json or None.
    """
    pid, console = process
    told = told if pid is not None and told is not None else {}
    return {
        "slot": slot.number, "role": slot.role, "board": slot.board, "interpreter": interpreter,
        "firmware": told.get("firmware"), "state": service(pid is not None, beat),
        "incarnation": told.get("incarnation"), "pid": pid,
        "console": console if pid is not None else None, "uptime_s": told.get("uptime_s"),
        "redundancy": told.get("redundancy"),
        "database": pick(told.get("database"), DATABASE_KEYS), "health": None,
        "connections": told.get("connections"), "sip": pick(told.get("sip"), SIP_KEYS),
        "bus": pick(told.get("bus"), BUS_KEYS),
        "hot_swap": {"state": states.HOT_SWAP[hot_swap.state],
                     "previous": states.HOT_SWAP[hot_swap.previous], "cause": hot_swap.cause},
    }


def merge_health(cards, told):
    """Give each card the health that the primary switch card sees (any switch when none is).

    told: dict slot -> STATUS json.
    """
    views = [(told[card["slot"]].get("health"), card["redundancy"]) for card in cards
             if card["role"] == "switch" and told.get(card["slot"])]
    views.sort(key=lambda view: view[1] != "primary")
    seen = views[0][0] if views else None
    for card in cards:
        entry = (seen or {}).get(str(card["slot"]))
        if entry is not None and card["state"] != "absent":
            card["health"] = pick(entry, HEALTH_KEYS)


def unready(cards, only=None):
    """One text for each card that is not in service or whose database is not coherent.

    only: number of the one slot to look at, or None for the whole chassis.
    """
    found = []
    for card in cards:
        if only not in (None, card["slot"]):
            continue
        name = "slot {} ({})".format(card["slot"], card["role"])
        database = card["database"]
        if card["state"] != "in-service":
            found.append("{} is {} ({})".format(
                name, card["state"], card["hot_swap"]["cause"]))
        elif card["role"] == SIP_CLUSTER and (database or {}).get("state") != "coherent":
            found.append("{}: database is {}".format(name, (database or {}).get("state")))
    switches = [card for card in cards if card["role"] == SWITCH]
    if switches and not any(card["redundancy"] == "primary" for card in switches):
        found.append("no switch card owns the VIP yet")
    return found


def card_levels(slots, running, beats):
    """(committed level, birthday hex, [CardLevel]) from heartbeats.

    slots: description.Slots.  running: set of slots whose process runs.  beats: dict slot ->
    decoded HEARTBEAT of the cards that are up.
    """
    committed, birthday = _committed(slots, beats)
    cards = []
    for slot in slots:
        if slot.role != SIP_CLUSTER:
            continue
        beat = beats.get(slot.number)
        if slot.number not in running or beat is None:
            cards.append(CardLevel(slot.number, None, "absent"))
            continue
        same = birthday is None or beat[BEAT_BIRTHDAY] == birthday
        cards.append(CardLevel(slot.number, beat[BEAT_LEVEL] if same else None,
                               states.DATABASE[beat[BEAT_DATABASE]]))
    return committed, birthday.hex() if birthday else None, cards


def _committed(slots, beats):
    """Level and birthday of the location server that is active."""
    number = active_server(slots, beats)
    if number is None:
        return None, None
    return beats[number][BEAT_LEVEL], bytes(beats[number][BEAT_BIRTHDAY])


def active_server(slots, beats):
    """The slot of the location server that is active, or None; arguments as card_levels has them.

    The highest level decides when more than one says that it is, or none does.
    """
    servers = [s.number for s in slots if s.role == LOCATION_SERVER and s.number in beats]
    active = [n for n in servers if beats[n][BEAT_REDUNDANCY] != states.STANDBY] or servers
    return max(active, key=lambda number: beats[number][BEAT_LEVEL], default=None)
