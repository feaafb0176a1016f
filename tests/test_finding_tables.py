"""Findings as Markdown: every value with its interval, every warning with its meaning."""

from dataclasses import replace

from score_samples import REPORT

from hf_turkembed.finding_tables import format_diagnostics, format_findings, format_long_text, format_profile
from hf_turkembed.findings import DIAGNOSTICS


def test_a_profile_shows_storage_search_time_and_quality():
    table = format_profile(REPORT.profile, REPORT.observed_search)
    assert "| width | stored as | a million vectors | one search | `spearman_cosine` on sts-test |" in table
    assert "| 64 | int8 | 64 MB | 1.25 ms | 0.7800 [0.7600, 0.8000] |" in table
    assert "| 64 | binary | 8 MB |  | missing |" in table


def test_several_models_have_a_column_each():
    other = [replace(point, model="teacher", value=0.5, interval=None) for point in REPORT.profile[:1]]
    table = format_profile([*REPORT.profile, *other], [])
    assert "student: `spearman_cosine` on sts-test | teacher: `spearman_cosine` on sts-test" in table
    assert "0.7800 [0.7600, 0.8000] | 0.5000 |" in table


def test_the_probe_of_long_texts_says_from_where_on_texts_decide():
    alone = replace(REPORT.long_text[0], length=0, surroundings="none", decided_from=0, interval=None)
    table = format_long_text(
        [alone, *REPORT.long_text, replace(REPORT.long_text[0], model="teacher", accuracy=1 / 16)]
    )
    assert "| - | the answer alone | 0.750 |  |" in table
    assert (
        "| 4,096 | the same in all | 0.750 [0.600, 0.900] (from 3,900) | 0.062 [0.600, 0.900] (from 3,900) |" in table
    )


def test_a_warning_is_bold_and_says_what_it_means_and_the_rest_says_what_it_measures():
    text = format_diagnostics(REPORT.diagnostics)
    assert "| `anisotropy` |  | **0.7500** | 0.5 | 900 texts |" in text
    assert "| `leaked_rows` | sts-test | missing | 0.01 | why |" in text
    assert f"- **Warning**: `anisotropy`: {DIAGNOSTICS['anisotropy'].meaning}." in text
    assert f"- `leaked_rows`: {DIAGNOSTICS['leaked_rows'].measures}." in text
    assert DIAGNOSTICS["leaked_rows"].meaning not in text


def test_names_stand_in_a_table_as_they_are():
    odd = replace(REPORT.diagnostics[0], model="a|b*c*", detail="'<b>|'")
    text = format_diagnostics([odd, *REPORT.diagnostics])
    line = next(line for line in text.splitlines() if "b\\*c\\*" in line)
    assert line.count(" | ") == 5 and "<b>" not in line.replace("\\<b", "")


def test_what_was_not_looked_into_has_no_section():
    assert format_findings((), (), (), ()) == []
    titles = [title for title, _ in format_findings(REPORT.profile, (), REPORT.long_text, REPORT.diagnostics)]
    assert titles == ["Widths and storage", "Long texts", "Signs of failure"]
