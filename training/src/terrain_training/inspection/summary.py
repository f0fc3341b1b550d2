"""What an inspection found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terrain_training.inspection.duplicates import Superfluous
from terrain_training.inspection.leakage import Leakage
from terrain_training.inspection.similarity import Pair
from terrain_training.inspection.survey import Survey
from terrain_training.inspection.suspects import Suspect

SUSPECTS_FILE = "suspects.txt"
SHEET_FILE = "contact_sheet.png"


@dataclass(frozen=True)
class InspectionSummary:
    """What was found in a set."""

    survey: Survey
    duplicates: tuple[Pair, ...]
    superfluous: tuple[Superfluous, ...]
    suspects: tuple[Suspect, ...]
    leakage: Leakage

    def lines(self) -> list[str]:
        """Return the main figures as text."""
        survey, leakage = self.survey, self.leakage
        counts = ", ".join(f"{len(survey.places(split))} {split}" for split in survey.splits)
        lines = [
            f"samples          {len(survey.seen)} ({counts})",
            f"bad samples      {len(survey.bad)}",
            f"near-duplicates  {len(self.duplicates)} ({self.left_out()})",
            f"suspects         {len(self.suspects)}",
            f"across splits    {len(leakage.alike)} near-duplicates",
        ]
        if leakage.clock is not None:
            gap = "-" if leakage.smallest_gap_s is None else f"{leakage.smallest_gap_s} s"
            lines.append(f"                 {len(leakage.clock)} within the hour; least gap {gap}")
        return lines

    def left_out(self) -> str:
        """Return how many near-duplicates can be left out of which split."""
        parts = [self.survey.seen[item.place].split for item in self.superfluous]
        counts = [f"{parts.count(split)} of {split}" for split in self.survey.splits]
        shown = ", ".join(text for text in counts if not text.startswith("0 "))
        return f"{len(parts)} to leave out: {shown}" if parts else "none to leave out"

    def to_json(self) -> dict[str, Any]:
        """Return every number as what JSON can hold."""
        survey, names = self.survey, [item.name for item in self.survey.seen]
        whole = survey.whole
        return {
            "samples": len(names),
            "splits": {split: len(survey.places(split)) for split in survey.splits},
            "bad": dict(survey.bad),
            "classes": {
                name: {
                    "pixels": int(whole.pixels[index]),
                    "images": int(whole.images[index]),
                    "by_split": {
                        split: int(part.pixels[index]) for split, part in survey.balance.items()
                    },
                }
                for index, name in enumerate(whole.class_names)
            },
            "ignored_pixels": whole.ignored_pixels,
            "weights": {
                kind: list(whole.weights(kind)) for kind in ("median_frequency", "inverse_sqrt")
            }
            if whole.pixels.any()
            else {},
            "images": statistics(survey),
            "duplicates": [_named(pair, names) for pair in self.duplicates],
            "superfluous": [
                {
                    "name": names[item.place],
                    "kept": names[item.kept],
                    "correlation": round(item.correlation, 4),
                }
                for item in self.superfluous
            ],
            "suspects": [
                {"name": names[s.place], "reason": s.reason, "score": round(s.score, 4)}
                for s in self.suspects
            ],
            "across_splits": {
                "alike": [_named(pair, names) for pair in self.leakage.alike],
                "close_in_time": None
                if self.leakage.clock is None
                else [
                    {"first": names[p.first], "second": names[p.second], "apart_s": p.apart_s}
                    for p in self.leakage.clock
                ],
                "smallest_gap_s": self.leakage.smallest_gap_s,
            },
        }


def statistics(survey: Survey) -> dict[str, Any]:
    """Return the figures of the images, by name."""
    seen = survey.seen
    sizes = sorted({item.size_px for item in seen})
    shown = ", ".join(f"{width} x {height}" for width, height in sizes[:5])
    return {
        "sizes": shown if len(sizes) <= 5 else f"{shown} and {len(sizes) - 5} others",
        "in colour": sum(item.colour for item in seen),
        "mean grey level": round(float(np.mean([item.mean for item in seen])), 2),
        "mean contrast (std)": round(float(np.mean([item.std for item in seen])), 2),
        "black pixels": f"{100 * float(np.mean([item.black for item in seen])):.2f} %",
        "saturated pixels": f"{100 * float(np.mean([item.white for item in seen])):.2f} %",
        "ignored pixels": int(survey.whole.ignored_pixels),
    }


def _named(pair: Pair, names: Sequence[str]) -> dict[str, Any]:
    return {
        "first": names[pair.first],
        "second": names[pair.second],
        "correlation": round(pair.correlation, 4),
    }
