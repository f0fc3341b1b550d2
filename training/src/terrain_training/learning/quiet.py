"""Keep the advice of Lightning out of a run's output, and only there."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("lightning.pytorch", "lightning.fabric")
_MESSAGES = ("isinstance.*LeafSpec", "IProgress not found")


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Leave out Lightning's hints and warnings, and those of torch about its own scheduler.

    What it raises is not changed, and the filters of the caller are back afterwards.
    """
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        for text in _MESSAGES:
            warnings.filterwarnings("ignore", message=f".*{text}.*")
        for module in (r"lightning(\.|$)", r"torch\.optim\.lr_scheduler"):
            warnings.filterwarnings("ignore", module=module)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
