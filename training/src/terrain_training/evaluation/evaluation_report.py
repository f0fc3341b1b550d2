"""The report of an evaluation, as the command and the Python API write it."""

from __future__ import annotations

from pathlib import Path

from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.report.output_place import check_output_folder
from terrain_training.evaluation.report import OWN_REPORT, write_report
from terrain_training.evaluation.run import Evaluation, EvaluationRequest
from terrain_training.evaluation.sharpening import sharpening_effect
from terrain_training.evaluation.subject import Subject
from terrain_training.evaluation.tiling import TiledSubject, Tiling
from terrain_training.metrics.figures import Comparison


def check_report_place(out: Path, *, option: str) -> None:
    """Check that a report may be written to a folder: it is new, empty or holds an earlier one.

    Raises:
        ConfigError: it may not.
    """
    check_output_folder(out, option=option, is_own=OWN_REPORT)


def write_evaluation_report(
    out: Path, subject: Subject, request: EvaluationRequest, evaluation: Evaluation
) -> Path:
    """Write the HTML page of an evaluation and its figures as JSON; return the page's path.

    Args:
        out: folder, created if it does not exist.
        subject: that was evaluated.
        request: on what.
        evaluation: what was found.

    Raises:
        ConfigError: the folder cannot be written.
    """
    return write_report(
        out,
        title=f"{subject.name} on {request.split}",
        figures=evaluation.figures,
        taxonomy=subject.taxonomy,
        worst=evaluation.worst,
        facts={
            **about(subject),
            "data": request.data.resolve().name,
            **hazard_advice(subject, evaluation),
        },
        comparison=comparisons(evaluation),
        rocks=evaluation.rocks,
    )


def about(subject: Subject) -> dict[str, str]:
    """Return what was evaluated, and what computed."""
    tiling = subject.tiling if isinstance(subject, TiledSubject) else Tiling()
    return {
        "model": subject.name,
        "backend": subject.backend,
        "precision": subject.precision,
        "tiling": str(tiling),
    }


def comparisons(evaluation: Evaluation) -> tuple[Comparison, ...]:
    """Return the tables of what sharpening did; none where it was not asked for."""
    if evaluation.sharpened is None:
        return ()
    return (sharpening_effect(evaluation.figures, evaluation.sharpened),)


def hazard_advice(subject: Subject, evaluation: Evaluation) -> dict[str, str]:
    """Return what to know of classes at the threshold, or that do not differ in hazard."""
    rule = HazardRule.of(subject.taxonomy, evaluation.figures.hazard_threshold)
    text = rule.advice(subject.taxonomy.names)
    return {"hazards": text} if text else {}
