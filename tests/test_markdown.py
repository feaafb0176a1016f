"""Texts of any kind stand in Markdown as they are: a reader of Markdown gives them back."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hf_turkembed.markdown import escape, format_code, format_table, format_value

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = st.text(
    st.sampled_from("abİıŞğ 1.)\\`*_[]<>&;!(){}%#+-=~$|'\"/:\n\t") | st.characters(codec="utf-8"), max_size=20
)
HOSTILE = [
    "**kalın**",
    "<b>",
    "&lt;",
    "{{ 7 * 7 }}",
    "`a``b`",
    "[x](y)",
    "# ığü",
    "1. a",
    "- a",
    "a|b\\",
    "\\|",
    "_a_b_",
]


def with_examples(test):
    for text in HOSTILE:
        test = example(text)(test)
    return test


def shown(inline):
    """Join what a reader shows of a line; fails if anything in it is markup."""
    assert {token.type for token in inline.children} <= {"text"}, inline.content
    return "".join(token.content for token in inline.children)


@with_examples
@given(TEXTS)
def test_an_escaped_text_is_shown_as_it_is_in_a_line_of_its_own(text):
    expected = " ".join(text.split())
    if not expected:
        assert escape(text) == ""
        return
    tokens = READER.parse(f"- {escape(text)}")
    assert [token.type for token in tokens[:4]] == ["bullet_list_open", "list_item_open", "paragraph_open", "inline"]
    assert len(tokens) == 7
    assert not expected.isprintable() or shown(tokens[3]) == expected


@with_examples
@given(TEXTS)
def test_a_text_as_code_is_shown_with_control_characters_as_escapes(text):
    code = format_code(text)
    assert "\n" not in code
    [inline] = READER.parseInline(f"x {code} x")
    assert [token.type for token in inline.children] == ["text", "code_inline", "text"]
    content = inline.children[1].content
    if text.isprintable() and text:
        assert content == text
    else:
        assert content.isprintable()


@with_examples
@given(TEXTS)
def test_a_table_keeps_its_cells_whatever_stands_in_them(text):
    tokens = READER.parse(format_table(["a", "b", "c"], [[escape(text), format_code(text), "end"]] * 2))
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 6
    assert not text.isprintable() or shown(cells[0]) == " ".join(text.split())
    assert [token.type for token in cells[1].children] == ["code_inline"]
    assert shown(cells[2]) == shown(cells[5]) == "end"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int64(12_345), "12,345"),
        (np.float32(0.5), "0.5"),
        (np.float64(2e-05), "2e-05"),
        (True, "true"),
        (None, "none"),
        ([1000, "a|*b*"], "1000, a|\\*b\\*"),
        ("multiple_negatives_ranking", "multiple_negatives_ranking"),
    ],
)
def test_a_value_is_written_for_readers(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize("value", [math.nan, -math.inf, np.float32("nan")])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="finite ones only"):
        format_value(value)
