"""`chassis bus trace`: the frames of the bus, decoded as they pass."""

import select
import time

import click

from bus import wire
from bus.links.udp_multicast import UdpMulticastLink
from bus.trace import describe
from host_tools.dump import json_line
from host_tools.errors import os_failure
from host_tools.verbs.common import json_option, state_option

BUFFER_BYTES = wire.MAX_FRAME + 64


@click.group()
def bus():
    """The bus between the cards."""


@bus.command(short_help="Print bus frames, decoded, until Ctrl-C.")
@click.option("--slot", type=click.IntRange(0, 31), help="Only frames from or to this slot.")
@click.option("--count", type=click.IntRange(1), help="End after this many frames.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after this time.")
@state_option
@json_option
def trace(slot, count, seconds, state, as_json):
    """Print bus frames until Ctrl-C: those sent to all cards, as every card sees them.

    A frame to one card alone passes on that card's own address and is not seen here. With --json
    one document a line.
    """
    published = state.running()
    links = [_join(settings) for settings in published["buses"]]
    try:
        for line in _frames(links, slot, count, seconds):
            click.echo(_as_json(line) if as_json else "{:10.3f} {}".format(*line))
    except KeyboardInterrupt:
        return
    finally:
        for link in links:
            link.close()


def _join(settings):
    try:
        return UdpMulticastLink(settings["group"], settings["port"], settings["interface"])
    except OSError as error:
        raise os_failure(error, "joining the bus at {group}:{port}".format(**settings)) from None


def _frames(links, slot, count, seconds):
    """(seconds since the start, text) of each frame that is wanted."""
    owners = {stream.fileno(): link for link in links for stream in link.sockets()}
    buffer = bytearray(BUFFER_BYTES)
    begun = time.monotonic()
    while count is None or count > 0:
        left = None if seconds is None else begun + seconds - time.monotonic()
        if left is not None and left <= 0:
            return
        ready, _, _ = select.select(list(owners), [], [], left)
        for link in {id(owners[stream]): owners[stream] for stream in ready}.values():
            while (found := link.receive_into(buffer)) is not None:
                if not _wanted(buffer, found[0], slot):
                    continue
                yield time.monotonic() - begun, describe(buffer, found[0])
                if count is not None:
                    count -= 1
                    if count == 0:
                        return


def _wanted(buffer, n, slot):
    if slot is None or n <= wire.AT_DEST:
        return slot is None
    return slot in (buffer[wire.AT_SOURCE], buffer[wire.AT_DEST])


def _as_json(line):
    return json_line({"seconds": round(line[0], 3), "frame": line[1]})
