"""Tests of the terminal's tables."""

import pytest

from terrain_seg_ros.report.table import text_table


def test_words_stand_left_and_numbers_right():
    table = text_table(["class", "share"], [["soil", "9.5%"], ["big_rock", "90.5%"]])
    assert table.splitlines() == [
        "class     share",
        "--------  -----",
        "soil       9.5%",
        "big_rock  90.5%",
    ]


def test_missing_numbers_and_thousands_still_count_as_numbers():
    lines = text_table(["n"], [["1,234"], [""], ["-"]]).splitlines()
    assert lines == ["    n", "-----", "1,234", "", "    -"]


def test_one_word_makes_a_column_of_words():
    assert text_table(["value"], [["1"], ["none"]]).splitlines()[2:] == ["1", "none"]


def test_no_rows_leave_head_and_rule():
    assert text_table(["a", "bc"], []).splitlines() == ["a  bc", "-  --"]


@pytest.mark.parametrize("row", [["only one"], ["one", "two", "three"]])
def test_rows_of_another_length_are_not_cut_in_silence(row):
    with pytest.raises(ValueError, match="argument"):
        text_table(["a", "b"], [row])
