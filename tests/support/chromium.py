"""A real browser without a window: Chromium, driven by its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--mute-audio",
    # WebGL without a graphics card.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--remote-debugging-port=0",
)
START_LIMIT_S = 60.0
ANSWER_LIMIT_S = 60.0


class Tab:
    """One page; `asked` holds the addresses that it has requested, `errors` what went wrong."""

    def __init__(self, connection):
        self._connection = connection
        self._numbers = itertools.count(1)
        self.asked = []
        self.errors = []
        for domain in ("Page", "Network", "Runtime"):
            self._call(f"{domain}.enable")

    def open(self, address):
        self._call("Page.navigate", url=address)

    def evaluate(self, expression):
        """Return the value of an expression in JavaScript."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def text(self):
        """Return what is written on the page; nothing while it loads."""
        return self.evaluate("document.body.innerText") or ""

    def click(self, x, y):
        place = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, **place)

    def picture(self):
        """Return a screenshot (H, W, 3) RGB."""
        data = base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    def _call(self, method, **parameters):
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=ANSWER_LIMIT_S))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def _note(self, event):
        details = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.asked.append(details["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(details["exceptionDetails"]["text"])


@contextmanager
def browser_tab(folder, *, width, height):
    """Yield a tab of a browser of its own, with its profile in a folder."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    client = pytest.importorskip("websockets.sync.client")
    profile = Path(folder) / "profile"
    command = [program, *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
    with (Path(folder) / "chromium.log").open("wb") as log:
        process = subprocess.Popen([*command, "about:blank"], stdout=log, stderr=log)
    try:
        with client.connect(_page_address(process, profile), max_size=None) as connection:
            tab = Tab(connection)
            tab._call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
            # Pages of viser connect again only while they have the focus.
            tab._call("Emulation.setFocusEmulationEnabled", enabled=True)
            yield tab
    finally:
        process.terminate()
        process.wait(START_LIMIT_S)


def _page_address(process, profile):
    """Return where the browser's only page listens for the protocol."""
    port_file = profile / "DevToolsActivePort"
    end_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end_s:
        assert process.poll() is None, f"Chromium ended with {process.returncode}"
        if port_file.is_file() and len(port_file.read_text().splitlines()) > 1:
            port = int(port_file.read_text().splitlines()[0])
            pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list"))
            found = [item["webSocketDebuggerUrl"] for item in pages if item["type"] == "page"]
            if found:
                return found[0]
        time.sleep(0.1)
    raise AssertionError("Chromium does not listen for the DevTools protocol")
