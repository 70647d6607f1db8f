"""Power-on: reads the flash folder, wires the card of its role, runs it until told to stop.

Usage: INTERPRETER firmware/cards/main.py FLASH_DIR
Exit codes: 0 powered off, 1 the card cannot start (one sentence on standard error), 2 usage.
Runs on both interpreters.
"""

import gc
import sys

# the checkout (or the installed tree) is two folders up; MicroPython has no package to install
_HERE = __file__.replace("\\", "/")
_ROOT = "/".join(_HERE.split("/")[:-3]) or "."
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from bus import states  # noqa: E402
from bus.compat import MICROPYTHON  # noqa: E402
from firmware.cards.card import POWER_OFF, REBOOT  # noqa: E402
from firmware.runtime import config as configuration  # noqa: E402
from firmware.runtime.reactor import Reactor  # noqa: E402

GC_THRESHOLD_BYTES = 256 * 1024


def card_class(role):
    """The class of a role; imported only when needed, a board is small."""
    if role == states.LOCATION_SERVER:
        from firmware.cards.location_server import LocationServerCard

        return LocationServerCard
    if role == states.SWITCH:
        from firmware.cards.switch import SwitchCard

        return SwitchCard
    from firmware.cards.sip_cluster import SipClusterCard

    return SipClusterCard


def board_limits(board):
    """The limits module of a board's folder. Raises ConfigError for an unknown board."""
    name = "boards." + board + ".limits"
    try:
        __import__(name)
    except ImportError:
        raise configuration.ConfigError(
            "card.json: there is no board {!r}; see the folders of boards/".format(board))
    return sys.modules[name]


def power_cycle(flash):
    """One life of the card in `flash`: returns why it ended, POWER_OFF or REBOOT."""
    config = configuration.load(flash)
    limits = board_limits(config.board)
    incarnation = configuration.next_incarnation(flash)
    reactor = Reactor()
    card = card_class(config.role)(config, limits, reactor, incarnation)
    _stop_on_terminate(reactor)
    card.power_on()
    try:
        why = reactor.run(card)
        card.log.note("life ends: {}".format(why))
        return why
    finally:
        card.close()


def _stop_on_terminate(reactor):
    if MICROPYTHON:
        gc.threshold(GC_THRESHOLD_BYTES)
        return
    import signal

    def stop(number, frame):
        reactor.stop(POWER_OFF)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(arguments):
    """Run the card until it is powered off."""
    if len(arguments) != 2:
        sys.stderr.write("usage: main.py FLASH_DIR\n")
        return 2
    try:
        while power_cycle(arguments[1]) == REBOOT:
            gc.collect()
    except configuration.ConfigError as error:
        sys.stderr.write("{}\n".format(error))
        return 1
    except OSError as error:
        sys.stderr.write("the card cannot start: {}\n".format(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
