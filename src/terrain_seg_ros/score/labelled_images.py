"""Score a model on images with label masks, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.exif import TURNS, UPRIGHT
from terrain_seg_ros.core.image.image_file import decode_file, file_turn, read_stored_image
from terrain_seg_ros.core.scores.label_values import truth_from_mask
from terrain_seg_ros.core.scores.segmentation_metrics import ConfusionMatrix
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.fleet.pieces import Place, absolute, run_pieces
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.segmenter import Exif, Segmenter

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".bmp", ".pgm", ".png", ".tif", ".tiff")
"""Without JPEG, which changes class ids."""
_SHOWN_STEMS = 3
_PIECE_IMAGES = 50
Pair = tuple[Path, Path]
"""An image and its mask."""


@dataclass(frozen=True)
class Values:
    """The class id of each value of a mask, and that which each predicted id counts as, (256,)."""

    of_masks: U8
    of_predictions: U8


@dataclass(frozen=True)
class LabelledPiece:
    """Images with their masks, and what scores them in another process.

    `values` and `exif` are as for `count_pairs`.
    """

    pairs: tuple[Pair, ...]
    model: str
    backend: str
    options: BackendOptions
    image_bits: int
    exif: Exif | None
    values: Values


def find_pairs(images: Path, masks: Path, *, say: Callable[[str], None]) -> list[Pair]:
    """Return the images and masks of the same file stem.

    Args:
        images: folder of camera images.
        masks: folder of single-channel masks.
        say: is called with a line about files that have no partner.

    Raises:
        ConfigError: there is no pair, or two files of a folder have the same stem.
    """
    found, labelled = _by_stem(images, IMAGE_SUFFIXES), _by_stem(masks, MASK_SUFFIXES)
    both = sorted(found.keys() & labelled.keys())
    for stems, lack in (
        (found.keys() - labelled.keys(), "mask"),
        (labelled.keys() - found.keys(), "image"),
    ):
        if stems:
            shown = sorted(stems)[:_SHOWN_STEMS]
            more = ", ..." if len(stems) > len(shown) else ""
            say(f"left out, no {lack} of the same stem: {len(stems)} ({', '.join(shown)}{more})")
    if not both:
        raise ConfigError(
            f"no image in {images} ({len(found)}) has a mask of the same file stem in {masks} "
            f"({len(labelled)} of {', '.join(MASK_SUFFIXES)}); rename one of them"
        )
    return [(found[stem], labelled[stem]) for stem in both]


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {str(folder)!r}; check the path")
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in paths:
            raise ConfigError(
                f"{path.name} and {paths[path.stem].name} in {folder} have the same stem; "
                "keep one of them"
            )
        paths[path.stem] = path
    return paths


def count_pairs(
    segmenter: Segmenter, pairs: Iterable[Pair], values: Values, *, exif: str | None
) -> ConfusionMatrix:
    """Return the counts over all pixels of all pairs.

    Args:
        segmenter: what to score.
        pairs: images and masks.
        values: what the values of masks and predictions stand for.
        exif: "stored" or "upright", how the masks belong to images that EXIF rotates; None where
            no image is rotated.

    Raises:
        ConfigError: a mask cannot be used, or does not fit its image.
        ModelError: a mask holds an id that is not a class.
    """
    matrix = ConfusionMatrix(segmenter.card.taxonomy.names)
    for image_path, mask_path in pairs:
        truth = truth_from_mask(decode_file(mask_path), values.of_masks, source=str(mask_path))
        _check_turn(image_path, (mask_path, truth), exif=exif)
        mask = values.of_predictions[segmenter(image_path).mask]
        _check_fit((image_path, mask), (mask_path, truth), exif=exif)
        matrix.add(truth, mask)
    return matrix


def count_in_pieces(
    whole: LabelledPiece,
    place: Place,
    *,
    folders: Sequence[Path],
    say: Callable[[str], None],
) -> Iterator[tuple[int, ConfusionMatrix]]:
    """Yield images counted and their counts, piece by piece, from several processes.

    Args:
        whole: all pairs, and a backend by name: "auto" may choose another one on each machine.
        place: where the pieces run.
        folders: that hold the pairs.
        say: called with a line about the cluster.

    Raises:
        ConfigError: as `count_pairs`; the cluster cannot be used; or the range of 16-bit images
            is not given, which each piece would detect anew.
        ModelError: as `count_pairs`.
    """
    pairs = [(image.absolute(), mask.absolute()) for image, mask in whole.pairs]
    model = Path(whole.model)
    reads = [*folders, model] if model.exists() else folders
    pieces = [
        replace(
            whole,
            pairs=tuple(pairs[first : first + _PIECE_IMAGES]),
            model=str(absolute(model)),
        )
        for first in range(0, len(pairs), _PIECE_IMAGES)
    ]
    for outcome in run_pieces(count_piece, pieces, replace(place, reads=tuple(reads)), say=say):
        yield len(pieces[outcome.index].pairs), outcome.get()


def count_piece(piece: LabelledPiece) -> ConfusionMatrix:
    """Return the counts of one piece; raises as `count_in_pieces` does."""
    with Segmenter(
        piece.model,
        backend=piece.backend,
        options=piece.options,
        image_bits=piece.image_bits,
        exif=piece.exif or "stored",
    ) as segmenter:
        matrix = count_pairs(segmenter, piece.pairs, piece.values, exif=piece.exif)
        if segmenter.has_detected_bits:
            raise ConfigError(
                "--image-bits is 0, but the images have 16 bits, whose range is detected from one "
                "image to the next; give it with --jobs or --cluster"
            )
    return matrix


def _check_turn(image_path: Path, truth: tuple[Path, U8], *, exif: str | None) -> None:
    """Check that EXIF leaves no doubt to which pixels of an image a mask belongs.

    Raises:
        ConfigError: it does.
    """
    truth_path, ids = truth
    if file_turn(truth_path) != UPRIGHT:
        raise ConfigError(
            f"{truth_path}: EXIF wants the mask turned; store its pixels as the image's, without "
            "EXIF"
        )
    if exif is None and file_turn(image_path) != UPRIGHT:
        rows, cols = ids.shape
        raise ConfigError(
            f"{image_path}: the image is {read_stored_image(image_path).sizes()}, and the mask "
            f"{truth_path.name} is {cols} x {rows} px; say by --exif stored or --exif upright "
            "which pixels the masks belong to"
        )


def _check_fit(image: tuple[Path, U8], truth: tuple[Path, U8], *, exif: str | None) -> None:
    """Check that a mask is of an image's size.

    Raises:
        ConfigError: it is not.
    """
    (image_path, mask), (truth_path, ids) = image, truth
    turn = file_turn(image_path)
    (height_px, width_px), (rows, cols) = mask.shape, ids.shape
    if mask.shape != ids.shape:
        turned = "" if turn == UPRIGHT else f" ({exif}, EXIF orientation {turn}: {TURNS[turn]})"
        raise ConfigError(
            f"{image_path}: the image is {width_px} x {height_px} px{turned}, but the mask "
            f"{truth_path.name} is {cols} x {rows} px; give masks of the images' size"
        )
