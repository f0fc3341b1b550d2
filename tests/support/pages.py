"""Read the HTML pages that the software writes."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import cv2
import numpy as np

VOID = {"meta", "img", "br", "hr", "link"}


class Reading(HTMLParser):
    """Check that tags close in order; collect texts, images and tags."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.images, self.texts = [], [], [], []
        self.attributes = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def decoded(image):
    head, data = image["src"].split(",", 1)
    assert head == "data:image/jpeg;base64"
    raw = np.frombuffer(base64.b64decode(data, validate=True), dtype=np.uint8)
    return cv2.imdecode(raw, cv2.IMREAD_COLOR)[..., ::-1]
