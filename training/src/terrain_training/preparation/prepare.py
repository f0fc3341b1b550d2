"""From somebody's images and labels to a recipe and a sheet: what `terrain-train init` does."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.model_store.model_store import shipped_models
from terrain_seg_ros.report.output_place import check_outside, write_whole
from terrain_training.data.detect import likely_source
from terrain_training.data.files import read_picture
from terrain_training.data.sources.labelled_folder import open_labelled_folder
from terrain_training.data.split_lists import NAMES, TRAIN, VALIDATION
from terrain_training.preparation.annotations import find_coco, find_labelme
from terrain_training.preparation.class_names import PASCAL_VOC, find_class_names
from terrain_training.preparation.convert import convert
from terrain_training.preparation.draw_shapes import draw_shapes
from terrain_training.preparation.entry import FoundSet
from terrain_training.preparation.known import IGNORED, plain_name
from terrain_training.preparation.mask_values import Holds, MaskValues, look_at_masks
from terrain_training.preparation.pairs import find_pairs
from terrain_training.preparation.propose import (
    BACKGROUND,
    Proposal,
    classes_of_masks,
    classes_of_shapes,
)
from terrain_training.preparation.recipe_text import fitted_sizes, recipe_text
from terrain_training.preparation.scan import EXPECTED, Scan, scan_folder
from terrain_training.preparation.set_lists import with_listed_splits
from terrain_training.preparation.sheet import write_sheet
from terrain_training.preparation.survey import FolderSurvey, survey_source
from terrain_training.preparation.wording import counted
from terrain_training.recipe.load import load_recipe
from terrain_training.recipe.shipped import FOR_SOURCES

BASE = "mars_navcam"
COVERED = 0.9
"""Share of the pixels that shapes cover where there is no background."""
_SHOWN = 3
_TOLD_APART = {"ai4mars", "lunar_landscape"}
"""Published sets whose layout is unlike any other."""


@dataclass(frozen=True)
class Prepared:
    """A recipe for somebody's set.

    `data` is the folder to train with: the set itself, or the labelled folder made of it. `shares`
    are of the labelled pixels, 0 to 1. `found` and `assumed` say what was seen and decided.
    """

    recipe: Path
    data: Path
    sheet: Path | None
    taxonomy: Taxonomy = field(repr=False)
    shares: Mapping[str, float]
    images: Mapping[str, int]
    found: tuple[str, ...]
    assumed: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class _Labels:
    """What the labels hold, and which classes are proposed for them."""

    proposal: Proposal
    values: MaskValues | None
    found: list[str]
    assumed: list[str]


def prepare(data: Path, *, out: Path, sheet: bool = True, base: str = BASE) -> Prepared:
    """Look at a set and write its recipe, a sheet, and where its layout needs it a labelled folder.

    Args:
        data: folder of the set; it is only read.
        out: the recipe to write; the sheet has its name and `.png`, the labelled folder `_data`.
        sheet: write the sheet.
        base: recipe that the new one extends.

    Raises:
        ConfigError: the folder holds no set that is known, or something is in the way.
    """
    _check_out(out, data)
    scan = scan_folder(data)
    found = _unpublished_set(scan)
    labels = _labels_of(found, scan)
    root, options, notes = _labelled_folder(found, labels, data, out)
    try:
        source = open_labelled_folder(root, classes=_rows(labels.proposal), **options)
        survey = survey_source(source)
    except ConfigError as error:
        if root == data:
            raise
        shutil.rmtree(root)  # it was written just now, and would be in the way
        raise ConfigError("; ".join([str(error), *notes[1:]])) from error
    images = {split: len(source.names(split)) for split in source.splits()}
    commands = _commands(out, root, base, skip_bad=bool(survey.bad))
    text = recipe_text(
        name=out.stem,
        base=base,
        layout=f"{data}: {found.layout}",
        data=data.resolve().name,
        options=options,
        proposal=labels.proposal,
        survey=survey,
        sizes=fitted_sizes(survey, images[TRAIN]),
        splits=images,
        commands=commands,
    )
    write_whole(out, text)
    load_recipe(out)
    shares = {c.name: survey.share(c.id) for c in source.taxonomy}
    picture = out.with_suffix(".png") if sheet else None
    if picture is not None:
        shown = [source.load(name) for name in survey.shown]
        title = f"{data.resolve().name}: {sum(images.values())} images, {len(shares)} classes"
        write_sheet(shown, source.taxonomy, shares, picture, title=title)
    return Prepared(
        out,
        root,
        picture,
        source.taxonomy,
        shares,
        images,
        (f"{found.layout}: {len(found.entries)} labelled images", *labels.found),
        (*found.notes, *labels.assumed, *notes, *_of_splits(root), *_of_survey(survey, images)),
        commands,
    )


def default_recipe(data: Path) -> Path:
    """Return the recipe's file for a data set: its name, in the working folder."""
    name = re.sub(r"[^\w.-]+", "_", data.resolve().name).strip("._") or "my_terrain"
    return Path(f"{name}.yaml")


def find_set(scan: Scan) -> FoundSet:
    """Return the images and labels of a folder.

    Raises:
        ConfigError: there are none in a layout that is known; says what was found.
    """
    found = find_pairs(scan) or find_coco(scan) or find_labelme(scan)
    if found is None:
        hint = ""
        if scan.pictures and any(path.parent.name == "labels" for path in scan.texts):
            hint = "; the .txt files in labels/ look like YOLO's: convert them to COCO first"
        raise ConfigError(
            f"'{scan.root}' holds {scan.summary()}; it holds no labels{hint}; {EXPECTED}"
        )
    return found if found.in_place else with_listed_splits(found, scan)


def _check_out(out: Path, data: Path) -> None:
    if out.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"--out '{out}' is not the name of a recipe; end it in .yaml")
    if out.exists():
        raise ConfigError(f"--out '{out}' exists; edit it, remove it, or give another --out")
    check_outside(out, option="--out", others=[("the data set", data)])
    out.absolute().parent.mkdir(parents=True, exist_ok=True)


def _unpublished_set(scan: Scan) -> FoundSet:
    """Return the images and labels of a set that has no recipe yet.

    Raises:
        ConfigError: it has the layout of a published set, or of none that is known.
    """
    name, data = likely_source(scan.root), scan.root
    published = ConfigError(
        f"'{data}' is laid out as {name}, which has a recipe already; run `terrain-train train "
        f"{shlex.quote(str(data))}`, or see `terrain-train list recipes`"
    )
    if name in _TOLD_APART:
        raise published
    try:
        return find_set(scan)
    except ConfigError:
        if name in FOR_SOURCES:
            raise published from None
        raise


def _labels_of(found: FoundSet, scan: Scan) -> _Labels:
    paths = [entry.label for entry in found.entries if isinstance(entry.label, Path)]
    if paths:
        values = look_at_masks(paths)
        names = find_class_names(scan, found.kind)
        proposal = classes_of_masks(values, names)
        said = [f"masks hold {values.words()}"]
        if values.looked_at < len(paths):
            said.append(f"{values.looked_at} of {len(paths)} masks were looked at")
        if proposal.names_from:
            said.append(f"names of classes from {proposal.names_from}")
        return _Labels(proposal, values, said, [*proposal.notes, *_of_classes(proposal)])
    background = _has_background(found)
    proposal = classes_of_shapes(found.labels, background=background)
    assumed = [*_joined(found.labels), *_of_classes(proposal)]
    if background:
        assumed.append(
            f"what no shape covers is the class {BACKGROUND}, with the cautious hazard 1: if it is "
            "ground to drive on, rename it and lower its hazard"
        )
    else:
        assumed.append(f"shapes cover over {COVERED:.0%} of the pixels: the rest is ignored")
    count = sum(len(entry.label) for entry in found.entries if not isinstance(entry.label, Path))
    said = [f"{count} shapes of {len(found.labels)} classes"]
    return _Labels(proposal, None, said, assumed)


def _has_background(found: FoundSet) -> bool:
    """Return whether shapes leave much of the images uncovered, as seen in some of them.

    Raises:
        ConfigError: no shape has a class.
    """
    labels = [label for label in found.labels if plain_name(label) not in IGNORED]
    if not labels:
        raise ConfigError("the annotations name no class; label some areas first")
    shares = []
    for entry in found.entries[:: max(1, len(found.entries) // 20)]:
        shapes = entry.label if isinstance(entry.label, tuple) else ()
        try:
            size = read_picture(entry.image).shape[:2]
            ids = {shape.label: 0 for shape in shapes}
            mask, _ = draw_shapes(shapes, (size[0], size[1]), ids, rest=IGNORE)
        except ConfigError:
            continue
        shares.append(float((mask != IGNORE).mean()))
    return not shares or float(np.mean(shares)) < COVERED or len(labels) < 2


def _labelled_folder(
    found: FoundSet, labels: _Labels, data: Path, out: Path
) -> tuple[Path, dict[str, Any], list[str]]:
    """Return a folder that `labelled_folder` reads, its options, and what there is to say."""
    values, proposal = labels.values, labels.proposal
    smooth = values is not None and values.blurred and not values.jpeg
    if found.in_place and values is not None and not smooth:
        options: dict[str, Any] = {"by_colour": values.holds is Holds.COLOURS}
        if values.holds is Holds.LEVELS or (
            values.holds is Holds.IDS and len(proposal.classes) < len(values.colours)
        ):
            options["values"] = [item.value[0] for item in proposal.classes if item.value]
        if proposal.ignored and proposal.ignored != ((IGNORE,) * 3,):
            options["ignored"] = [list(colour) for colour in proposal.ignored]
        return data, options, []
    folder = out.with_name(f"{out.stem}_data")
    done = convert(
        _with_shapes(found), proposal, folder, blurred=values is not None and values.blurred
    )
    notes = [f"{done.images} images and masks of class ids were written to {folder}"]
    empty = len(found.entries) - len(_with_shapes(found).entries)
    if empty:
        without = counted(empty, "image has", "images have")
        notes.append(f"{without} no shape; left out, since nothing tells why")
    notes += _some("images cannot be used and were left out", done.bad)
    notes += _some("shapes were changed or left out", done.problems)
    return folder, {"by_colour": False}, notes


def _with_shapes(found: FoundSet) -> FoundSet:
    kept = tuple(entry for entry in found.entries if entry.label != ())
    return FoundSet(found.layout, kept, notes=found.notes, labels=found.labels, kind=found.kind)


def _rows(proposal: Proposal) -> list[dict[str, object]]:
    return [
        {"name": item.name, "color": list(item.colour), "hazard": item.hazard}
        for item in proposal.classes
    ]


def _of_classes(proposal: Proposal) -> list[str]:
    unknown = [item.name for item in proposal.classes if item.why.startswith("unknown")]
    said = []
    if proposal.names_from == PASCAL_VOC:
        said.append(
            "the classes are those of Pascal VOC itself; if yours are others, rename them in the "
            "recipe, or put classes.txt (a name per line, from value 0) there and start over"
        )
    if unknown:
        which = counted(len(unknown), "class has a name that tells", "classes have names that tell")
        said.append(
            f"{which} no hazard ({', '.join(unknown[:6])}"
            f"{', ...' if len(unknown) > 6 else ''}): each has the cautious hazard 1; edit them"
        )
    if proposal.ignored:
        which = counted(len(proposal.ignored), "value of the masks is", "values of the masks are")
        shown = ", ".join(str(colour) for colour in proposal.ignored[:4])
        said.append(f"{which} ignored: {shown}")
    return said


def _of_splits(root: Path) -> list[str]:
    """Return what to say where no list says which images validate."""
    if any(path.stem.lower() in NAMES[VALIDATION] for path in root.glob("*.txt")):
        return []
    return [
        "the validation images were drawn at random, one by one: if several images show one scene, "
        "or come from one drive, write train.txt and validation.txt (a name per line) so that each "
        "scene is in one of them, or the scores will be too good"
    ]


def _of_survey(survey: FolderSurvey, images: Mapping[str, int]) -> list[str]:
    said = _some("images cannot be used; --skip-bad leaves them out", list(survey.bad))
    total = sum(images.values())
    if survey.looked_at < total:
        said.append(f"classes were counted in {survey.looked_at} of {total} images")
    if images[TRAIN] < 20:
        said.append(f"{images[TRAIN]} training images are few; expect a first impression only")
    return said


def _joined(labels: Sequence[str]) -> list[str]:
    """Return what to say of labels that differ by more than case and become one class."""
    by_name: dict[str, dict[str, None]] = {}
    for label in labels:
        spaced = "_".join(re.split(r"[\s_-]+", label.strip().casefold()))
        by_name.setdefault(plain_name(label), {})[spaced] = None
    return [
        f"the labels {', '.join(map(repr, same))} are taken for one class, {name}"
        for name, same in by_name.items()
        if len(same) > 1 and name not in IGNORED
    ]


def _some(what: str, texts: list[str]) -> list[str]:
    if not texts:
        return []
    shown = "".join(f"\n    {text}" for text in texts[:_SHOWN])
    rest = f"\n    and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return [f"{len(texts)} {what}:{shown}{rest}"]


def _commands(out: Path, root: Path, base: str, *, skip_bad: bool) -> tuple[str, ...]:
    start = f" --from {base}" if base in shipped_models() else ""
    bad = " --skip-bad" if skip_bad else ""
    recipe, data = shlex.quote(str(out)), shlex.quote(str(root))
    return (f"terrain-train train {recipe} --data {data}{start}{bad}",)
