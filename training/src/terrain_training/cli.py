"""The command line `terrain-train`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_training.datasets import ai4mars
from terrain_training.datasets.rover_clock import MIN_GAP_S, smallest_gap_s
from terrain_training.evaluate import evaluate
from terrain_training.export import export_model
from terrain_training.recipe import load_recipe
from terrain_training.trainer import train

EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; expected failures are one line on stderr and exit code 2."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        result: int = options.command(options)
    except TerrainSegError as error:
        print(f"terrain-train: {error}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    except KeyboardInterrupt:
        print("terrain-train: interrupted; the same command goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="terrain-train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("split", _split, "print the rover-clock split and check its gap"),
        ("train", _train, "train, or go on where --out holds a checkpoint"),
        ("evaluate", _evaluate, "score a checkpoint or an exported model on the validation split"),
        ("export", _export, "write model.onnx, card.json, golden.npz and README.md"),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("recipe", type=Path, help="YAML file, see training/configs")
        sub.add_argument("--data", type=Path, required=True, help="folder of the data set")
        sub.add_argument("--threads", type=_positive, help="CPU threads of torch")
    train_parser, evaluate_parser, export_parser = (
        commands.choices[name] for name in ("train", "evaluate", "export")
    )
    train_parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints")
    train_parser.add_argument("--pretrained", type=Path, help="MobileNetV2 weights, folded, .npz")
    evaluate_parser.add_argument(
        "--model",
        type=Path,
        required=True,
        help=".safetensors file, exported folder, or the name of a shipped model",
    )
    evaluate_parser.add_argument("--json", type=Path, help="write the scores there too")
    export_parser.add_argument("--weights", type=Path, required=True, help=".safetensors file")
    export_parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _split(options: argparse.Namespace) -> int:
    split = ai4mars.read_split(options.data, seed=load_recipe(options.recipe).seed)
    gap_s = smallest_gap_s(split)
    print(f"training images    {len(split.train)}")
    print(f"validation images  {len(split.validation)}")
    print(f"smallest gap       {gap_s} s")
    if gap_s <= MIN_GAP_S:
        raise ConfigError(f"the gap of {gap_s} s is not above {MIN_GAP_S} s; the split is unusable")
    return 0


def _train(options: argparse.Namespace) -> int:
    scores = train(
        load_recipe(options.recipe),
        data=options.data,
        out=options.out,
        pretrained=options.pretrained,
    )
    print(f"best weights  {options.out / 'best.safetensors'}")
    print(f"mean IoU      {scores.mean_iou:.4f} on {scores.images} validation images")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    scores = evaluate(options.model, load_recipe(options.recipe), data=options.data)
    print(f"{scores['images']} images, mean IoU {scores['mean_iou']:.4f}, ", end="")
    print(f"pixel accuracy {scores['pixel_accuracy']:.4f}, ", end="")
    print(f"calibration error {scores['expected_calibration_error']:.4f}")
    print(f"{'class':<12}{'IoU':>8}{'precision':>11}{'recall':>8}")
    for name in ai4mars.CLASSES:
        cells = [scores[key][name] for key in ("iou", "precision", "recall")]
        texts = ["-" if value is None else f"{value:.4f}" for value in cells]
        print(f"{name:<12}{texts[0]:>8}{texts[1]:>11}{texts[2]:>8}")
    if options.json is not None:
        options.json.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    return 0


def _export(options: argparse.Namespace) -> int:
    card = export_model(
        options.weights, load_recipe(options.recipe), data=options.data, out=options.out
    )
    print(f"{card.name} {card.version} written to {options.out}")
    print(f"mean IoU {card.metrics['mean_iou']:.4f} on {card.metrics['images']} validation images")
    for row in card.metrics["parity"]:
        print(
            f"{row['backend']} {row['precision']}: mean IoU lost {row['mean_iou_loss']:.4f}, "
            f"dangerous recall lost {row['dangerous_recall_loss']:.4f}, "
            f"clear pixels changed {row['clear_margin_changed']:.5f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
