"""Opens the bus links that card.json names; the import happens only for the kind in use."""


def open_link(settings):
    """The link of one `buses` entry of card.json. Raises ValueError for an unknown kind."""
    kind = settings.get("kind")
    if kind == "udp_multicast":
        from bus.links.udp_multicast import UdpMulticastLink

        return UdpMulticastLink(
            settings["group"], settings["port"], settings.get("interface", "127.0.0.1"))
    raise ValueError("card.json: unknown bus kind {!r}".format(kind))
