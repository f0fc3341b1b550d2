"""What the software is required to do, and the tests that prove it (`make reference`).

A test proves a requirement by the marker `@pytest.mark.requirement("TSR-SAFE-001")`, with one or
more identifiers. Run this to write docs/requirements.md from both. An identifier is never given to
another requirement; one that is dropped leaves a gap.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "requirements.md"
BEGIN, END = "<!-- requirements -->\n", "<!-- end of requirements -->"
FOLDERS = ("tests", "training/tests")
GROUPS = {
    "SAFE": "Safety of the grid and of landing sites",
    "NAV": "Navigation stacks",
    "TIME": "Stamps and transforms",
    "CAM": "Images and cameras",
    "NET": "Networks and backends",
    "ROB": "Robustness",
    "CONF": "Parameters",
    "BUS": "Topics and the bus",
    "LINK": "Slow link",
}
"""Titles by the middle of an identifier."""


class Requirement(NamedTuple):
    """One requirement; `identifier` is such as TSR-SAFE-001."""

    identifier: str
    text: str


class Proof(NamedTuple):
    """A test that is marked with a requirement; `path` is relative to the repository."""

    path: str
    test: str


REQUIREMENTS = tuple(
    Requirement(f"TSR-{name}", text)
    for name, text in (
        ("SAFE-001", "Ground that was not observed is never reported safe."),
        ("SAFE-002", "A cell or pixel that is not observed says why, by a reason code."),
        (
            "SAFE-003",
            "A hazard is decided by the sum of P(class) x hazard(class) or by the classes at the "
            "threshold together, not by the most probable class.",
        ),
        (
            "SAFE-004",
            "Where heights are measured, class and slope each may call a cell a hazard; neither "
            "clears what the other saw.",
        ),
        (
            "SAFE-005",
            "A hazard that is out of sight stays, however old, until its ground is observed again "
            "well enough, with `grid.keep_hazards`.",
        ),
        (
            "SAFE-006",
            "When no usable image arrives for `watchdog.stale_after_s`, the grid turns unknown.",
        ),
        ("SAFE-007", "A node that stops publishes its grid as unknown, also while an image hangs."),
        ("SAFE-008", "After several defects in a row the grid turns unknown."),
        (
            "SAFE-009",
            "An image unlike the network's training images is not observed, and diagnostics warn.",
        ),
        (
            "SAFE-010",
            "On a safe centre of `safe_map` the vehicle stands clear of hazards and of unknown "
            "ground by its footprint and the uncertainty of its position.",
        ),
        (
            "SAFE-011",
            "Nothing within the clear radius of a landing site is a hazard or unknown, and more "
            "hazard never improves a site.",
        ),
        ("SAFE-012", "A landing site that became unsafe is no longer offered."),
        ("SAFE-013", "Pixels that show the vehicle itself are not observed."),
        (
            "SAFE-014",
            "Ground that is too far or seen too coarsely to show the smallest rock is not "
            "observed.",
        ),
        ("SAFE-015", "A rock that fills a small part of a cell's view is not averaged away."),
        ("SAFE-016", "Ground that a standing thing or a step hides is not observed."),
        ("SAFE-017", "Pixels without measured depth are not observed where depth is the ground."),
        ("SAFE-018", "With true masks no rock in view is missing from the grid."),
        ("SAFE-019", "Nothing above the horizon is ground."),
        ("SAFE-020", "Pixels that are dark, saturated, doubtful or unlabelled are not observed."),
        ("NAV-001", "A hazard is lethal in Nav2's static layer, whatever the costmap's flags."),
        (
            "NAV-002",
            "Grids hold only 0 to 98, 100 and -1: never 99 or another value that Nav2 misreads.",
        ),
        (
            "NAV-003",
            "Nav2 accepts every grid: identity rotation, a side and a resolution within its "
            "limits, the origin on a multiple of the resolution.",
        ),
        ("NAV-004", "`keepout_mask` forbids hazards and changes nothing else in Nav2's costmap."),
        ("NAV-005", "`points` has exactly one point per pixel of the mask that belongs to it."),
        ("NAV-006", "Nav2's subscribers match the quality of service of what they read."),
        (
            "TIME-001",
            "Every output of an image carries its stamp, per-image outputs also its frame and "
            "size.",
        ),
        ("TIME-002", "Transforms are used at the image's stamp and never extrapolated."),
        ("TIME-003", "A jump backwards in time clears the grid, and the node goes on."),
        ("TIME-004", "One image with a wrong stamp costs that image and no hazard."),
        ("CAM-001", "Region of interest and binning of the camera are honoured."),
        (
            "CAM-002",
            "Rays and pixels follow the principal point and the distortion of the camera.",
        ),
        ("CAM-003", "The order of colours is kept from the message to the network."),
        (
            "CAM-004",
            "Without camera_info `horizontal_fov_rad` gives the intrinsics; diagnostics say so.",
        ),
        ("NET-001", "A network whose bytes differ from its card's hash is refused."),
        ("NET-002", "No backend serves that fails the golden image of its model."),
        ("NET-003", "A network with control flow or without end is refused before it runs."),
        (
            "NET-004",
            "An engine is never used again after anything that it depends on has changed, nor when "
            "it is damaged.",
        ),
        ("NET-005", "A backend that falls back to another device or precision is an error."),
        (
            "ROB-001",
            "Malformed, contradictory or hostile input is counted with its reason, and the next "
            "good image is served.",
        ),
        ("ROB-002", "At most one image per camera waits; what it replaces is counted as dropped."),
        ("ROB-003", "Memory does not grow with the number of images."),
        ("ROB-004", "An expected error of a command is one line that names value and remedy."),
        ("ROB-005", "A subscriber that does not keep up costs messages and not the node."),
        ("ROB-006", "Files that unpack to more than a fixed limit are refused beforehand."),
        ("ROB-007", "A node whose worker died by a defect notices it."),
        ("CONF-001", "Values of parameters stand in the shipped files alone, and all of them do."),
        ("CONF-002", "A wrong parameter file is refused, naming what is wrong in it."),
        ("CONF-003", "Static parameters are refused while the node runs."),
        ("CONF-004", "A parameter file that is keyed to another node is refused or warned of."),
        ("BUS-001", "Types, directions and quality of service are those of the contract."),
        ("BUS-002", "Class names are published before the first mask, and late joiners get them."),
        ("BUS-003", "An inactive node takes no images, and its grid is unknown."),
        ("BUS-004", "Diagnostics are published once a second."),
        ("BUS-005", "The core imports neither ROS nor an inference runtime."),
        ("BUS-006", "A bus without security is not joined where security is asked for."),
        ("BUS-007", "The SROS2 policy grants the topics of the table and no wildcard."),
        ("LINK-001", "The downlink keeps its budget of bytes in any minute."),
        (
            "LINK-002",
            "Over the downlink hazards arrive as hazards, costs are never lowered, and what is not "
            "observed does not arrive as safe.",
        ),
        (
            "LINK-003",
            "Lost packets of the downlink are named and never make ground safer than it was sent.",
        ),
        ("LINK-004", "After a round a late listener of the downlink has the whole grid."),
        ("LINK-005", "Damaged and hostile packets of the downlink are refused in bounded memory."),
    )
)


def proofs() -> dict[str, list[Proof]]:
    """Return the marked tests by requirement, in the order of their files and lines."""
    found: dict[str, list[Proof]] = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            for test, identifiers in _marked(path):
                for identifier in identifiers:
                    found[identifier].append(Proof(str(path.relative_to(ROOT)), test))
    return dict(found)


def render(text: str) -> str:
    """Return the page with the part between its two marks made anew."""
    head, _, rest = text.partition(BEGIN)
    return "".join([head, BEGIN, "\n".join([*requirement_lines(), END]), rest.partition(END)[2]])


def requirement_lines() -> Iterator[str]:
    """Yield the sections of the page: a table of requirements for each group."""
    known = proofs()
    for key, title in GROUPS.items():
        yield f"## {title}"
        yield ""
        yield "| requirement | text | proved by |"
        yield "|---|---|---|"
        for item in REQUIREMENTS:
            if item.identifier.split("-")[1] == key:
                tests = _listed(known.get(item.identifier, []))
                yield f"| {item.identifier} | {item.text} | {tests} |"
        yield ""


def _listed(tests: list[Proof]) -> str:
    """Return tests by file, as the page has them."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for proof in tests:
        by_file[proof.path].append(proof.test.removeprefix("test_").replace("_", " "))
    return "<br>".join(f"`{path}`: {'; '.join(names)}" for path, names in by_file.items())


def _marked(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    text = path.read_text(encoding="utf-8")
    if "mark.requirement(" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == (
                    "pytest.mark.requirement"
                ):
                    yield node.name, tuple(ast.literal_eval(item) for item in decorator.args)


def main() -> int:
    """Write the page again."""
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
