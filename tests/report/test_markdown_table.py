import pytest

from terrain_seg_ros.report.table import markdown_table


def test_a_markdown_table_has_a_head_a_rule_and_its_rows():
    lines = markdown_table(("class", "IoU"), [("rock", "0.91"), ("a|b", "-")])
    assert lines == ["| class | IoU |", "|---|---|", "| rock | 0.91 |", r"| a\|b | - |"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"\[2, 1\] cells, expected 2"):
        markdown_table(("a", "b"), [("c",)])
