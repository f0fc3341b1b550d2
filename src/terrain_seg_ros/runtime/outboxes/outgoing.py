"""A message on its way out, and what an encoder must know of the bus it goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Outgoing(NamedTuple):
    """A message and its topic, named relative to the namespace or in full as in the table."""

    topic: str
    message: Any


class Bus(NamedTuple):
    """What an encoder must know of the bus: who subscribes, and how topics are named in full.

    `wanted` says whether somebody subscribes to a topic, `full_name` gives its name with the
    namespace. `image_topics` holds the full name of each camera's image topic, which tells whether
    its images are rectified; None where the parameters name them.
    """

    wanted: Callable[[str], bool] = lambda _: True
    full_name: Callable[[str], str] = "/{}".format
    image_topics: Mapping[str, str] | None = None
