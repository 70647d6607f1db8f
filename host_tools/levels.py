"""How far the cluster cards are behind the committed level: who has reached what. Pure."""

from dataclasses import dataclass

from host_tools.errors import WRONG_ARGUMENTS, ToolError


@dataclass(frozen=True)
class CardLevel:
    """One cluster card. level None: it holds no copy of the present database.

    state: database state as bus/states.py names it, or "absent" for a card that is not there.
    """

    slot: int
    level: int | None
    state: str

    @property
    def present(self):
        return self.state != "absent"

    def exception(self, reason):
        """The JSON of a card that is named as an exception."""
        return {"slot": self.slot, "level": self.level, "state": self.state, "reason": reason}


def level_of_percent(cards, percent):
    """(level, exceptions): the level that `percent` (1..100) of the cards have reached.

    Cards that are absent are named, not counted. level is None when too few hold a copy.
    """
    present = [card for card in cards if card.present]
    if not present:
        return None, _exceptions(cards, None)
    ranked = sorted((card.level for card in present if card.level is not None), reverse=True)
    needed = max(1, -(-len(present) * percent // 100))
    level = ranked[needed - 1] if needed <= len(ranked) else None
    return level, _exceptions(cards, level)


def percent_at_level(cards, level):
    """(percent, exceptions): the share of present cards at `level` or above, rounded down."""
    present = [card for card in cards if card.present]
    reached = sum(card.level is not None and card.level >= level for card in present)
    percent = 100 * reached // len(present) if present else 0
    return percent, _exceptions(cards, level)


def _exceptions(cards, level):
    found = []
    for card in cards:
        if not card.present:
            found.append(card.exception("absent"))
        elif card.level is None:
            found.append(card.exception("holds no copy of this database"))
        elif level is not None and card.level < level:
            found.append(card.exception("behind by {}".format(level - card.level)))
        elif card.state != "coherent":
            found.append(card.exception("database is {}".format(card.state)))
    return found


def reached(cards, level, wanted):
    """True when what --wait asks for is so: `wanted` is "coherent" or a percent 1..100."""
    present = [card for card in cards if card.present]
    if not present:
        return False
    if wanted == "coherent":
        return all(card.state == "coherent" and card.level is not None and card.level >= level
                   for card in present)
    return percent_at_level(cards, level)[0] >= wanted


def parse_wait(text):
    """"coherent" or an int 1..100 from the --wait option; ToolError (2) for anything else."""
    if text == "coherent":
        return text
    try:
        percent = int(text.rstrip("%"))
    except ValueError:
        percent = 0
    if not 1 <= percent <= 100:
        raise ToolError("--wait takes `coherent` or a percent from 1 to 100, not {!r}".format(
            text), WRONG_ARGUMENTS)
    return percent
