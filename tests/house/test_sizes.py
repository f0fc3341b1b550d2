"""Functions and files stay readable; the largest ones are reported."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_LIMIT_LINES = 60
FILE_LIMIT_LINES = 500
REPORTED = 5


def sources() -> list[Path]:
    folders = ("src", "training/src", "launch", "tests", "training/tests")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def function_sizes(path: Path) -> list[tuple[int, str]]:
    """Return lines without the docstring, and where, of each function."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            size = node.end_lineno - node.lineno + 1
            size -= len(docstring.splitlines()) if docstring else 0
            found.append((size, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"))
    return found


def report(title: str, rows: list[tuple[int, str]]) -> None:
    lines = [f"  {size:4d}  {where}" for size, where in sorted(rows, reverse=True)[:REPORTED]]
    sys.stdout.write("\n".join(["", title, *lines, ""]))


def test_functions_are_short(capsys):
    rows = [row for path in sources() for row in function_sizes(path)]
    with capsys.disabled():
        report("largest functions, lines without docstring:", rows)
    assert [row for row in rows if row[0] > FUNCTION_LIMIT_LINES] == []


def test_files_are_short(capsys):
    rows = [
        (len(path.read_text(encoding="utf-8").splitlines()), str(path.relative_to(ROOT)))
        for path in sources()
    ]
    with capsys.disabled():
        report("largest files, lines:", rows)
    assert [row for row in rows if row[0] > FILE_LIMIT_LINES] == []


def test_docstrings_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "one.py"
    path.write_text('def one():\n    """Say.\n\n    More.\n    """\n    return 1\n')
    assert function_sizes(path) == [(2, "one.py:1 one")]


def test_init_files_hold_a_docstring_at_most():
    allowed = {ROOT / "src/terrain_seg_ros/__init__.py"}
    for path in sources():
        if path.name == "__init__.py" and path not in allowed:
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert len(body) <= 1, path
            assert all(isinstance(node, ast.Expr) for node in body), path
