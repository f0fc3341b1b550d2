"""A model's folder while it is written: nothing appears in its place before all is well."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terrain_seg_ros.core.model_card import ModelCard, card_content, parse_model_card
from terrain_seg_ros.inference.model_files import CARD_FILE
from terrain_training.export.model_readme import model_readme

README_FILE = "README.md"


@contextmanager
def model_draft(out: Path) -> Iterator[Path]:
    """Give a folder whose files move to `out` if the `with` block ends well."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as name:
        draft = Path(name)
        yield draft
        for file in sorted(draft.iterdir()):
            shutil.move(str(file), str(out / file.name))


def write_card(card: ModelCard, folder: Path) -> None:
    """Write the card, and the README that says the same to people.

    Raises:
        ModelError: the card would not be read back.
    """
    content = card_content(card)
    parse_model_card(content, source=CARD_FILE)
    (folder / CARD_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / README_FILE).write_text(model_readme(card), encoding="utf-8")
