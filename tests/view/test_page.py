"""The page in a real browser: it draws, follows the drive, answers clicks, shows texts as texts."""

from __future__ import annotations

import shutil
import socket
import time

import cv2
import numpy as np
import pytest

viser = pytest.importorskip("viser", reason="viser is not installed: pip install '.[view]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from support.bags import write_bag  # noqa: E402
from support.recorded_run import HOSTILE, run  # noqa: E402
from terrain_seg_ros.core.errors import ConfigError  # noqa: E402
from terrain_seg_ros.view.bag_source import BagPlayer  # noqa: E402
from terrain_seg_ros.view.page.page import Page  # noqa: E402
from terrain_seg_ros.view.page.server import is_own_origin, open_server, stop_server  # noqa: E402
from terrain_seg_ros.view.topics import ViewTopics  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTH, HEIGHT = 1300, 800
DRAWN_S = 60.0
ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Yield a browser's page, the player, and what draws until a condition holds."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    bag = write_bag(
        tmp_path_factory.mktemp("view") / "bag", run(60, names=(HOSTILE, "rock"), message=HOSTILE)
    )
    player = BagPlayer(bag, ViewTopics(), base_frame="base_link")
    server = open_server("127.0.0.1", 0)
    page = Page(server, "a bag", player)
    player.start()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        asked = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(f"http://127.0.0.1:{server.get_port()}/")

        def until(condition, what):
            end_s = time.monotonic() + DRAWN_S
            while time.monotonic() < end_s:
                page.draw(player.keeper.moment())
                if condition():
                    return
                tab.wait_for_timeout(100)
            raise AssertionError(f"waited {DRAWN_S} s in vain for {what}")

        yield tab, player, until, asked
        browser.close()
    player.close()
    stop_server(server)


def canvas(tab):
    """Return the middle of the page (H, W, 3), where the scene is."""
    data = np.frombuffer(tab.screenshot(), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[200:, 420:930]


def has_ground(tab):
    """Return whether free ground, which is green, is in the picture."""
    blue, green, red = (canvas(tab)[..., i].astype(int) for i in range(3))
    return ((green > red + 40) & (green > blue + 20)).mean() > 0.1


def test_the_page_draws_the_ground(shown):
    tab, _, until, _ = shown
    until(lambda: has_ground(tab), "the ground")


def test_the_page_follows_the_drive(shown):
    tab, player, until, _ = shown
    until(lambda: has_ground(tab), "the ground")
    before = canvas(tab)
    player.seek(player.duration_s)
    until(lambda: player.keeper.moment().path_xyz_m[-1][0] > 5.0, "the end of the bag")
    until(lambda: np.abs(canvas(tab).astype(int) - before).mean() > 2.0, "another picture")
    player.seek(0.0)
    until(lambda: player.position_s == 0.0, "the start of the bag")


def test_a_click_on_the_ground_tells_about_the_cell(shown):
    tab, _, until, _ = shown
    until(lambda: has_ground(tab), "the ground")
    tab.mouse.click(675, 600)
    until(lambda: "from the vehicle" in tab.inner_text("body"), "the cell")
    assert "cost" in tab.inner_text("body")


def test_hostile_texts_show_as_text_and_nothing_is_fetched(shown):
    tab, _, until, asked = shown
    until(lambda: "javascript:alert(1)" in tab.inner_text("body"), "the message as text")
    assert "<script>" in tab.inner_text("body")
    assert "{1+1}" in tab.inner_text("body")
    assert tab.title() != "owned"
    assert tab.locator("a[href^=javascript]").count() == 0
    assert not [url for url in asked if "a.b" in url]


def test_a_port_in_use_is_refused_with_the_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="in use; give another --port"):
            open_server("127.0.0.1", taken.getsockname()[1])


def test_pages_of_other_sites_are_no_clients():
    websocket = pytest.importorskip("websockets.sync.client")
    server = open_server("127.0.0.1", 0)
    try:
        address = f"ws://127.0.0.1:{server.get_port()}/"
        protocol = [f"viser-v{viser.__version__}"]
        other = websocket.connect(address, subprotocols=protocol, origin="http://evil.test")
        with other, pytest.raises(Exception, match="another site"):
            other.recv(timeout=10.0)
        own = f"http://localhost:{server.get_port()}"
        with websocket.connect(address, subprotocols=protocol, origin=own) as page:
            assert page.recv(timeout=10.0)
    finally:
        stop_server(server)


@pytest.mark.parametrize(
    ("origin", "host_header", "host", "own"),
    [
        ("", "", "127.0.0.1", True),
        ("http://localhost:9000", "localhost:9000", "127.0.0.1", True),
        ("http://evil.test:8765", "evil.test:8765", "127.0.0.1", False),
        ("null", "localhost:8765", "127.0.0.1", False),
        ("http://rover:8765", "rover:8765", "0.0.0.0", True),
        ("http://evil.test", "rover:8765", "0.0.0.0", False),
    ],
)
def test_an_origin_is_compared_with_the_address(origin, host_header, host, own):
    assert is_own_origin(origin, host_header, host) is own
