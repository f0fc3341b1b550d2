"""Own parts that fail, runs that meet in a folder and checkpoints of others end in one line."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_sets import labels, save, scene
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.cli import main
from terrain_training.learning.one_at_a_time import alone_in

NETWORK = (
    "unet, options: {channels: [4, 8], convolutions: [1, 1], dropout: [0.0, 0.0], norm: each, "
    "upsampling: nearest}"
)
RECIPE = """
name: tiny
data:
  source: labelled_folder
  channels: rgb
  mean: [0.0]
  std: [1.0]
  width_px: 32
  height_px: 32
  workers: {workers}
  options:
    by_colour: false
    classes:
      - {{name: soil, color: [1, 2, 3], hazard: 0.1}}
      - {{name: rock, color: [200, 2, 3], hazard: 1.0}}
network: {{kind: {network}}}
training: {{epochs: 1, batch_size: 4, precision: fp32, losses: {{{loss}: 1.0}}, loggers: []}}
"""
AUGMENTATION = "augmentation: [{name: mine, probability: 1.0}]\n"
HEAD = "import sys, torch\nfrom terrain_training import parts\n\n"
LOSS = HEAD + "@parts.loss\ndef mine(logits, target, context):\n    "
AUGMENT = HEAD + "@parts.augmentation\ndef mine(image, mask, random):\n    "
BUILD = HEAD + "@parts.network()\ndef mine(in_channels, classes):\n    "
SOURCE = (
    HEAD
    + """
import numpy as np
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.data.contract import Sample

@parts.source
class mine:
    def __init__(self, root):
        self.taxonomy = Taxonomy(
            (TerrainClass(0, "a", (0, 0, 0), 0.1), TerrainClass(1, "b", (9, 0, 0), 1.0))
        )
    def splits(self):
        return ("train", "validation")
    def names(self, split):
        return ["x", "y"]
    def load(self, name):
        """
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("set")
    for index in range(12):
        mask = labels(index, 2, height=32, width=32)
        save(root / "images" / f"{index:03d}.png", scene(index, mask))
        save(root / "masks" / f"{index:03d}.png", mask)
    return root


def recipe_text(*, network=NETWORK, loss="cross_entropy", workers=0, extra=""):
    return RECIPE.format(network=network, loss=loss, workers=workers) + extra


def trains(folder, here, text, *more, out="run"):
    (here / "tiny.yaml").write_text(text, "utf-8")
    words = ["train", here / "tiny.yaml", "--data", folder, "--out", here / out, *more]
    return main([*map(str, words), "--accelerator", "cpu", "--threads", "1"])


def of_source(text):
    head, _, rest = text.partition("  options:\n")
    return head.replace("labelled_folder", "mine") + "network:" + rest.partition("network:")[2]


OWN = recipe_text(network="mine", extra="parts: [p.py]\n")
WITH_LOSS = recipe_text(loss="mine", extra="parts: [p.py]\n")
WITH_AUGMENT = recipe_text(extra=AUGMENTATION + "parts: [p.py]\n")
WITH_WORKER = recipe_text(workers=1, extra=AUGMENTATION + "parts: [p.py]\n")
WITH_SOURCE = of_source(recipe_text(extra="parts: [p.py]\n"))


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (
            LOSS + "raise ValueError('boom\\nand more')",
            WITH_LOSS,
            "line 6: ValueError: boom and more",
        ),
        (LOSS + "return torch.zeros(())", WITH_LOSS, "mine gives a value without gradient"),
        (AUGMENT + "raise KeyError('boom')", WITH_AUGMENT, "p.py', line 6: KeyError: 'boom'"),
        (AUGMENT + "raise KeyError('boom')", WITH_WORKER, "p.py', line 6: KeyError: 'boom'"),
        (
            AUGMENT + "return image, mask + 40",
            WITH_AUGMENT,
            "the augmentation makes a mask with the id 41, but there are 2 classes",
        ),
        (BUILD + "raise ValueError('boom')", OWN, "p.py', line 6: ValueError: boom; correct"),
        (BUILD + "return 5", OWN, "mine gives int, expected a torch.nn.Module"),
        (BUILD + "return torch.nn.Identity()", OWN, "mine has no parameters that can be trained"),
        (HEAD + "sys.exit(0)", OWN, "p.py', line 4: SystemExit: 0"),
        (SOURCE + "raise ValueError('boom')", WITH_SOURCE, "ValueError: boom; correct the file"),
        (SOURCE + "return 'x'", WITH_SOURCE, "the source gives str for 'x', expected a"),
        (
            SOURCE
            + "return Sample(name, np.zeros((32, 32, 3), np.uint8), np.eye(32, dtype=np.uint8))",
            WITH_SOURCE,
            "2 images are in the splits train and validation both, such as 'x'; leave each in one",
        ),
    ],
)
def test_a_part_that_fails_is_named_in_one_line(folder, tmp_path, capsys, code, text, said):
    (tmp_path / "p.py").write_text(code + "\n", "utf-8")
    assert trains(folder, tmp_path, text) == 2
    errors = capsys.readouterr().err
    assert said in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_a_checkpoint_of_another_network_is_refused(folder, tmp_path, capsys):
    assert trains(folder, tmp_path, recipe_text()) == 0
    other = recipe_text(network=NETWORK.replace("[4, 8]", "[4, 16]"))
    assert trains(folder, tmp_path, other, out="other") == 0
    checkpoint = tmp_path / "run" / "last.ckpt"
    checkpoint.write_bytes((tmp_path / "other" / "last.ckpt").read_bytes())
    assert trains(folder, tmp_path, recipe_text()) == 2
    assert "last.ckpt cannot be read (Error(s) in loading state_dict" in capsys.readouterr().err


def test_a_run_that_goes_on_does_not_pass_over_other_weights(folder, tmp_path, capsys):
    for out in ("first", "second"):
        assert trains(folder, tmp_path, recipe_text(), out=out) == 0
    first, second = (["--from", str(tmp_path / name)] for name in ("first", "second"))
    assert trains(folder, tmp_path, recipe_text(), *first, out="second") == 2
    assert "did not start from other weights, and goes on from its own" in capsys.readouterr().err
    assert trains(folder, tmp_path, recipe_text(), *first, out="tuned") == 0
    assert trains(folder, tmp_path, recipe_text(), *first, out="tuned") == 0
    assert trains(folder, tmp_path, recipe_text(), *second, out="tuned") == 2
    assert "started from" in capsys.readouterr().err.splitlines()[-1]


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from terrain_training.learning.one_at_a_time import alone_in\n"
        "with alone_in(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"process {other.pid} trains in .* give another"):
            alone_in(tmp_path).__enter__()
        other.kill()
        other.wait()
        with alone_in(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_the_run_can_begin_again(folder, tmp_path, capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40 * 1024, hard))
    try:
        assert trains(folder, tmp_path, recipe_text()) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "check the paths and the free space" in capsys.readouterr().err.splitlines()[-1]
    assert trains(folder, tmp_path, recipe_text()) == 0
    assert "mean IoU" in capsys.readouterr().out


def test_a_picture_that_a_killed_run_left_half_does_not_stop_it(folder, tmp_path):
    more = recipe_text().replace("epochs: 1", "epochs: 2")
    assert trains(folder, tmp_path, more, "--stop-after", "1") == 0
    for path in (tmp_path / "run").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:200])
    assert trains(folder, tmp_path, more) == 0


def test_a_run_does_not_go_on_with_other_images(folder, tmp_path, capsys):
    more = recipe_text().replace("epochs: 1", "epochs: 2")
    assert trains(folder, tmp_path, more, "--stop-after", "1") == 0
    fewer = tmp_path / "fewer"
    shutil.copytree(folder, fewer)
    for name in ("images", "masks"):
        (fewer / name / "000.png").unlink()
    assert trains(fewer, tmp_path, more) == 2
    assert "began with other images or classes (8 to train, 2 to val" in capsys.readouterr().err
    mask = cv2.imread(str(folder / "masks" / "000.png"), cv2.IMREAD_UNCHANGED)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    cv2.imwrite(str(other / "masks" / "000.png"), np.roll(mask, 1, axis=0))
    assert trains(other, tmp_path, more) == 2
    assert "began with other masks than" in capsys.readouterr().err
    assert trains(folder, tmp_path, more) == 0
