"""Count the images of an evaluation in several processes or on a Dask cluster."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from terrain_seg_ros.fleet.pieces import Place, absolute, run_pieces
from terrain_training.evaluation.run import EvaluationRequest, Tallies, open_images
from terrain_training.evaluation.subject import Subject, open_subject
from terrain_training.evaluation.tiling import Tiling, tiled
from terrain_training.progress import Progress

log = logging.getLogger(__name__)

PIECE_IMAGES = 25


@dataclass(frozen=True)
class Opening:
    """What `open_subject` and `tiled` take, to open the same model in another process."""

    model: Path
    recipe: Path | None
    backend: str
    precision: str
    threads: int
    tiling: Tiling

    def subject(self) -> Subject:
        """Return the model; raises as `open_subject` does."""
        return tiled(
            open_subject(
                self.model,
                recipe=self.recipe,
                backend=self.backend,
                precision=self.precision,
                threads=self.threads,
            ),
            self.tiling,
        )


@dataclass(frozen=True)
class _Piece:
    opening: Opening
    request: EvaluationRequest
    names: tuple[str, ...]


@dataclass(frozen=True)
class CountInPieces:
    """Counts images elsewhere, as `evaluate` takes it; the order of the images is kept."""

    opening: Opening
    request: EvaluationRequest
    place: Place

    def __call__(self, names: Sequence[str], tallies: Tallies) -> None:
        """Add the images of these names to the tallies.

        Raises:
            TerrainSegError: an image cannot be used, or the cluster cannot.
        """
        model, recipe = self.opening.model, self.opening.recipe
        opening = replace(
            self.opening,
            model=absolute(model),
            recipe=recipe and absolute(recipe),
        )
        request = replace(self.request, data=self.request.data.absolute())
        named = [path for path in (opening.model, opening.recipe) if path and path.exists()]
        place = replace(self.place, reads=(request.data, *named))
        pieces = [
            _Piece(opening, request, tuple(names[first : first + PIECE_IMAGES]))
            for first in range(0, len(names), PIECE_IMAGES)
        ]
        counted: dict[int, Tallies] = {}
        with Progress("evaluate", total=len(names), unit="image") as progress:
            for outcome in run_pieces(_count, pieces, place, say=log.info):
                counted[outcome.index] = outcome.get()
                progress.add(len(pieces[outcome.index].names))
        for index in sorted(counted):
            tallies.merge(counted[index])


def _count(piece: _Piece) -> Tallies:
    torch.set_num_threads(piece.opening.threads)
    subject = _opened(piece.opening)
    source = open_images(subject, piece.request)
    tallies = Tallies(subject.taxonomy, piece.request)
    for name in piece.names:
        tallies.add(name, source, subject, sharpened=piece.request.sharpened)
    return tallies


@lru_cache(maxsize=1)
def _opened(opening: Opening) -> Subject:
    return opening.subject()
