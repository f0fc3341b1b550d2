"""Remove a model that the user added, and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store.model_files import CARD_FILE
from terrain_seg_ros.model_store.model_pins import release_pin
from terrain_seg_ros.model_store.model_store import added_models, shipped_models
from terrain_seg_ros.model_store.synthetic_model import SYNTHETIC
from terrain_seg_ros.model_tools.model_install import check_name


def remove_model(name: str, models: Path) -> Path:
    """Delete the folder of an added model, with its pin, and return where it was.

    Args:
        name: of the model; a path is none.
        models: the user's folder of models.

    Raises:
        ModelError: the model is shipped, was not added, or is not really inside the folder.
    """
    check_name(name)
    if name == SYNTHETIC or name in shipped_models():
        raise ModelError(f"model {name!r} is shipped with this package and cannot be removed")
    folder = models / name
    if folder.is_symlink():
        raise ModelError(f"'{folder}' is a link to elsewhere; remove the link by hand")
    if not folder.is_dir() or not (folder / CARD_FILE).is_file():
        raise ModelError(
            f"there is no added model {name!r} in '{models}'; there are {added_models()}"
        )
    if folder.resolve().parent != models.resolve():
        raise ModelError(f"'{folder}' is not inside '{models}'; remove it by hand")
    # The name goes at once and whole, also where deleting is cut short.
    with tempfile.TemporaryDirectory(dir=models, prefix=".remove-") as temporary:
        gone = folder.rename(Path(temporary) / name)
        shutil.rmtree(gone)
    release_pin(models, name)
    return folder
