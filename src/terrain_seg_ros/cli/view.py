"""`terrain-seg view`: a live node, or a recorded run, as a live picture in the browser."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from terrain_seg_ros.cli.bag_arguments import bag_path
from terrain_seg_ros.cli.interrupt import Interrupt
from terrain_seg_ros.cli.options import add_bus_arguments
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import Discovery, choose_discovery, choose_domain
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.view.bag_source import BagPlayer
from terrain_seg_ros.view.topics import NEEDED, ViewTopics

if TYPE_CHECKING:
    from terrain_seg_ros.view.bus_source import BusWatcher

HOST, PORT = "127.0.0.1", 8765
DRAW_S = 0.1
"""Pause between two drawings."""
PATIENCE_S = 10.0
"""After this long without a node it is said on the terminal, once."""
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "bag",
        type=bag_path,
        nargs="?",
        metavar="BAG",
        help="recorded run of the node, such as `terrain-seg replay` writes: a folder, .mcap or "
        ".db3 file (default: the live bus)",
    )
    add_bus_arguments(parser)
    parser.add_argument(
        "--namespace",
        default=NAMESPACE,
        metavar="NAME",
        help="namespace of the node's topics (default: %(default)s)",
    )
    parser.add_argument(
        "--camera",
        default="",
        metavar="NAME",
        help="camera to show where the node has several (default: that of a node with one; in a "
        "bag the first)",
    )
    parser.add_argument(
        "--image-topic",
        default="",
        metavar="NAME",
        help="full name of the camera image (default: the node's `image`; found in a bag)",
    )
    parser.add_argument(
        "--camera-info-topic",
        default="",
        metavar="NAME",
        help="full name of the intrinsics (default: the node's `camera_info`; found in a bag)",
    )
    parser.add_argument(
        "--base-frame",
        default="base_link",
        metavar="FRAME",
        help="the vehicle's frame, parameter `base_frame` of the node (default: %(default)s)",
    )
    page = parser.add_argument_group("page")
    page.add_argument(
        "--port",
        type=int,
        default=PORT,
        metavar="N",
        help="port of the page, 0 for a free one (default: %(default)s)",
    )
    page.add_argument(
        "--host",
        default=HOST,
        metavar="ADDRESS",
        help="address that the page is served on; whoever reaches another than the default sees "
        "the picture without a password (default: %(default)s)",
    )
    page.add_argument("--duration", type=float, metavar="S", help="stop after S seconds")
    page.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until interrupted.

    Raises:
        ConfigError: the bag, bus, port or an installed package cannot be used.
        MessageError: the bag is damaged.
    """
    # Imported late because viser is an extra; the error names it.
    from terrain_seg_ros.view.page.server import (  # noqa: PLC0415
        LOOPBACK,
        open_server,
        page_address,
        stop_server,
    )

    if not 0 <= arguments.port <= 65535:
        raise ConfigError(f"--port is {arguments.port}, expected 0 to 65535")
    if arguments.duration is not None and not arguments.duration > 0.0:
        raise ConfigError(f"--duration is {arguments.duration}, expected more than 0 s")
    with Interrupt() as interrupt, _source(arguments) as source:
        server = open_server(arguments.host, arguments.port)
        try:
            player = source if isinstance(source, BagPlayer) else None
            from terrain_seg_ros.view.page.page import Page  # noqa: PLC0415

            page = Page(server, _words(arguments, source), player)
            source.start()
            address = page_address(arguments.host, server.get_port())
            if arguments.host not in LOOPBACK:
                _say(f"warning: {arguments.host} can be reached by others, without a password")
            _say(f"page at {address} ; Ctrl-C ends")
            if not arguments.no_browser:
                open_browser(address)
            _serve(page, source, interrupt, arguments.duration or math.inf)
        finally:
            stop_server(server)
    return 0


@contextmanager
def _source(arguments: argparse.Namespace) -> Iterator[BagPlayer | BusWatcher]:
    """Yield what is shown; it is closed at the end."""
    topics = ViewTopics(
        namespace=f"/{arguments.namespace.strip('/')}",
        camera=arguments.camera,
        image_topic=arguments.image_topic,
        camera_info_topic=arguments.camera_info_topic,
    )
    if arguments.bag is not None:
        player = BagPlayer(arguments.bag, topics, base_frame=arguments.base_frame)
        if player.missing:
            _say(f"not in this bag: {', '.join(player.missing)}")
        try:
            yield player
        finally:
            player.close()
        return
    # Imported late because Cyclone DDS is not available everywhere and bags do not need it.
    from terrain_seg_ros.view.bus_source import BusWatcher  # noqa: PLC0415

    watcher = BusWatcher(
        topics,
        domain_id=choose_domain(arguments.domain),
        discovery=choose_discovery(arguments.discovery),
        base_frame=arguments.base_frame,
    )
    try:
        yield watcher
    finally:
        watcher.close()


def _words(arguments: argparse.Namespace, source: BagPlayer | BusWatcher) -> str:
    if isinstance(source, BagPlayer):
        return f"bag {arguments.bag.absolute().name}, image {source.topics.full_name('image')}"
    domain, discovery = choose_domain(arguments.domain), choose_discovery(arguments.discovery)
    where = "this machine only" if discovery is Discovery.HOST else "open to the network"
    return f"live: {source.topics.namespace} on DDS domain {domain}, {where}"


def _serve(
    page: Any, source: BagPlayer | BusWatcher, interrupt: Interrupt, duration_s: float
) -> None:
    """Draw for whoever looks until interrupted, or the time is over.

    Raises:
        ConfigError: the source ended by a defect.
    """
    began = False
    notices = _bag_notice if isinstance(source, BagPlayer) else _bus_notices(source)
    end_s = time.monotonic() + duration_s
    while not interrupt.asked and time.monotonic() < end_s:
        if source.error:
            raise ConfigError(source.error)
        if not began and isinstance(source, BagPlayer) and page.has_viewers:
            began = True
            source.play(True)
        moment = source.keeper.moment()
        notice = notices(moment.grid is None and moment.mask is None)
        if page.has_viewers:
            page.draw(moment, notice)
        time.sleep(DRAW_S)


def _bag_notice(is_empty: bool) -> str:
    return "no mask and no grid up to this time of the bag" if is_empty else ""


def _bus_notices(watcher: BusWatcher) -> Callable[[bool], str]:
    """Return what says what the page waits for, given whether there is nothing to show yet.

    Where no node appears for some time it is said on the terminal too.
    """
    began_s = time.monotonic()
    told = False

    def notice(is_empty: bool) -> str:
        nonlocal told
        if not is_empty:
            return "" if watcher.has_node else "the node has left: this is the last that it sent"
        wanted = " or ".join(watcher.topics.full_name(name) for name in NEEDED)
        if watcher.has_node:
            return f"a node is there; waiting for its first message on {wanted}"
        text = f"nobody publishes {wanted} yet; start the node with `terrain-seg run`"
        others = watcher.other_nodes()
        if others:
            text += f", or give --namespace: there is {others[0]}"
        if not told and time.monotonic() - began_s >= PATIENCE_S:
            told = True
            _say(f"{text}; still waiting")
        return text

    return notice


def open_browser(address: str) -> None:
    """Open an address in the user's browser, or say why not."""
    if not any(os.environ.get(name) for name in _DISPLAYS):
        _say("there is no display here: open the address in a browser of yours")
    elif not webbrowser.open(address):
        _say("no browser was found: open the address in one of yours")


def _say(text: str) -> None:
    print(f"terrain-seg: {text}", file=sys.stderr, flush=True)
