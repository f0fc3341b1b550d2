"""The page in a real browser: it draws, follows the drive, answers clicks, shows texts as texts."""

from __future__ import annotations

import time

import numpy as np
import pytest

viser = pytest.importorskip("viser", reason="viser is not installed: pip install '.[view]'")

from support.bags import write_bag  # noqa: E402
from support.chromium import browser_tab  # noqa: E402
from support.recorded_run import HOSTILE, run, stamp  # noqa: E402
from terrain_seg_ros.report.pictures import FREE_RGB, LETHAL_RGB  # noqa: E402
from terrain_seg_ros.view.bag_source import BagPlayer  # noqa: E402
from terrain_seg_ros.view.page.page import Page  # noqa: E402
from terrain_seg_ros.view.page.server import open_server, stop_server  # noqa: E402
from terrain_seg_ros.view.topics import ViewTopics  # noqa: E402

WIDTH, HEIGHT = 1300, 800
LEFT_PX, RIGHT_PX = 410, 940
"""Between these columns is the scene."""
TOLERANCE = 30
"""Browsers map the tones of what they draw in three dimensions."""
WAIT_S = 240.0
"""Without a graphics card the first picture alone takes 15 s and more on a busy machine."""


class Shown:
    """A bag on a page in a browser."""

    def __init__(self, tab, player, page):
        self.tab, self.player, self.page = tab, player, page

    def until(self, condition, what):
        """Draw, as the command does, until a condition holds."""
        end_s = time.monotonic() + WAIT_S
        while time.monotonic() < end_s:
            self.page.draw(self.player.keeper.moment())
            if condition():
                return
            time.sleep(0.2)
        raise AssertionError(f"waited {WAIT_S} s in vain for {what}; errors: {self.tab.errors}")

    def stands_at(self, index):
        image = self.player.keeper.moment().image
        return image is not None and image.stamp_ns == stamp(index)

    def scene(self):
        """Return the picture (H, W, 3) between the panels."""
        return self.tab.picture()[:, LEFT_PX:RIGHT_PX].astype(int)

    def share_of(self, rgb):
        """Return how much of the scene has a colour."""
        return (np.abs(self.scene() - np.array(rgb)).max(axis=-1) <= TOLERANCE).mean()

    def until_the_ground_is_drawn(self):
        self.until(lambda: self.share_of(FREE_RGB) > 0.1, "the ground")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    bag = write_bag(folder / "bag", run(60, names=(HOSTILE, "rock"), message=HOSTILE))
    with browser_tab(folder, width=WIDTH, height=HEIGHT) as tab:
        player = BagPlayer(bag, ViewTopics(), base_frame="base_link")
        server = open_server("127.0.0.1", 0)
        try:
            page = Page(server, "a bag", player)
            player.start()
            tab.open(f"http://127.0.0.1:{server.get_port()}/")
            yield Shown(tab, player, page)
        finally:
            player.close()
            stop_server(server)


def test_the_page_draws_ground_hazards_and_image(shown):
    shown.until_the_ground_is_drawn()
    shown.until(lambda: shown.share_of(LETHAL_RGB) > 0.002, "the hazard")
    assert "stamp to mask" in shown.tab.text()
    assert shown.tab.evaluate("document.querySelector('img').naturalWidth") > 100
    assert shown.tab.errors == []


def test_the_page_follows_the_drive(shown):
    shown.until_the_ground_is_drawn()
    before = shown.scene()
    shown.player.seek(shown.player.duration_s)
    shown.until(lambda: shown.stands_at(59), "the end of the bag")
    shown.until(lambda: np.abs(shown.scene() - before).mean() > 2.0, "another picture")
    shown.player.seek(0.0)
    shown.until(lambda: np.abs(shown.scene() - before).mean() < 2.0, "the first picture again")


def test_a_click_on_the_ground_tells_about_the_cell(shown):
    shown.until_the_ground_is_drawn()
    shown.tab.click((LEFT_PX + RIGHT_PX) // 2, 600)
    shown.until(lambda: "from the vehicle" in shown.tab.text(), "the cell")
    assert "0: free" in shown.tab.text()
    assert "80% of its evidence" in shown.tab.text()


def test_hostile_texts_show_as_text_and_nothing_else_is_fetched(shown):
    shown.until(lambda: "javascript:alert(1)" in shown.tab.text(), "the message as text")
    text = shown.tab.text()
    assert "<script>" in text
    assert "{1+1}" in text
    assert shown.tab.evaluate("document.title") != "owned"
    assert shown.tab.evaluate("document.querySelectorAll('a[href^=javascript]').length") == 0
    own = ("http://127.0.0.1", "blob:http://127.0.0.1", "data:", "about:")
    assert [url for url in shown.tab.asked if not url.startswith(own)] == []
