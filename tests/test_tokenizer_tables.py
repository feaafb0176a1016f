"""The tables of a tokenizer's report: what they leave out, fold and escape."""

import pytest

from hf_turkembed.tokenizer_tables import format_fertility, format_measures, format_scripts, read_report, write_report


def side(**fertility):
    return {
        "vocab_size": 1000,
        "unreachable": 0,
        "inflection": None,
        "fertility": {
            language: {
                "tokens_per_word": 2.0,
                "characters_per_token": 3.0,
                "byte_share": 0.001,
                "unknown_share": 0.0,
                "renyi_efficiency": 0.5,
                "parity": parity,
            }
            for language, parity in fertility.items()
        },
    }


def script(name, dropped=1, new=0, examples=("x",)):
    return {
        "script": name,
        "dropped": dropped,
        "new": new,
        "dropped_examples": list(examples),
        "new_examples": [],
    }


def test_the_table_of_a_comparison_has_both_values_and_the_change():
    comparison = {"before": side(tr=None), "after": side(tr=None), "change": {"tr": -0.25}}
    assert format_fertility(comparison).splitlines()[2] == (
        "| tr | 2.000 → 2.000 | 3.000 → 3.000 | 0.100 → 0.100 | 0.000 → 0.000 | 0.500 → 0.500 | -25.0 |"
    )


def test_parity_has_a_column_only_where_a_language_has_it():
    assert "parity" not in format_fertility(side(tr=None))
    table = format_fertility(side(tr=None, en=1.0)).splitlines()
    assert [line.split(" | ")[5] for line in table] == ["parity", "---", "", "1.000"]


def test_a_report_without_text_has_no_table_by_language():
    assert format_fertility(side()) == ""


def test_inflected_words_have_rows_only_where_they_were_measured():
    assert "inflected" not in format_measures(side(tr=None))
    inflection = {"words": 4, "whole_word_share": 1.0, "stem_boundary_recall": None}
    rows = format_measures({**side(tr=None), "inflection": inflection}).splitlines()
    assert rows[-2:] == ["| of these one token (%) | 100.0 |", "| of the others cut at the end of the stem (%) |  |"]


def test_scripts_that_changed_least_share_a_row():
    table = format_scripts([script(f"S{number}", dropped=20 - number, new=2) for number in range(14)]).splitlines()
    assert len(table) == 2 + 12 + 1
    assert table[-1] == "| 2 others | 15 |  | 4 |  |"


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("▁ağaç", "`▁ağaç`"),
        ("\n\t", r"`\n\t`"),
        ("a|b", r"`a\|b`"),
        ("it's", "`it's`"),
        ("```", "```` ``` ````"),
        ("\u200b", r"`\u200b`"),
    ],
)
def test_an_example_is_code_that_ends_no_cell_and_hides_nothing(token, shown):
    assert format_scripts([script("LATIN", examples=(token,))]).splitlines()[2] == f"| LATIN | 1 | {shown} | 0 |  |"


def test_the_file_is_read_as_it_was_written(tmp_path):
    assert read_report(tmp_path) is None
    write_report(tmp_path, side(tr=1.5))
    assert read_report(tmp_path) == {"schema_version": 1, **side(tr=1.5)}
