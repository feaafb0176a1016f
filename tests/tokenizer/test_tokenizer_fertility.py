import dataclasses
import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hf_turkembed.tokenizer import Fertility, compare_fertility, measure_fertility, render_fertility_table


def make(words, tokens, **shares):
    return Fertility(
        words=words,
        characters=4 * tokens,
        tokens=tokens,
        tokens_per_word=tokens / words,
        characters_per_token=4.0,
        byte_share=shares.get("byte_share", 0.0),
        unknown_share=shares.get("unknown_share", 0.0),
    )


def test_words_characters_and_tokens_are_counted_per_language(source):
    # "日" is a token, "語" is three bytes; the space before "b" stays with it.
    measured = measure_fertility(source.tokenizer, {"ja": ["日語"], "tr": ["日 日", "日"]})
    assert measured["ja"].tokens == 4
    assert measured["ja"].byte_share == pytest.approx(0.75)
    assert measured["ja"].characters_per_token == pytest.approx(0.5)
    assert (measured["tr"].words, measured["tr"].characters, measured["tr"].tokens) == (3, 4, 4)
    assert measured["tr"].tokens_per_word == pytest.approx(4 / 3)
    assert measured["tr"].unknown_share == 0


@pytest.mark.parametrize(
    "model",
    [
        models.WordPiece({"[UNK]": 0, "ev": 1}, unk_token="[UNK]"),
        models.WordLevel({"ev": 0, "[UNK]": 1}, unk_token="[UNK]"),
        models.Unigram([("<unk>", 0.0), ("ev", -1.0)], unk_id=0),
    ],
    ids=["WordPiece", "WordLevel", "Unigram"],
)
def test_unknown_tokens_are_counted_for_every_model_type(model):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert measure_fertility(tokenizer, {"tr": ["ev yol ev dağ"]})["tr"].unknown_share == pytest.approx(0.5)


def test_a_model_without_an_unknown_token_has_no_unknown_share():
    tokenizer = Tokenizer(models.Unigram([("e", -1.0), ("v", -1.0)]))
    assert measure_fertility(tokenizer, {"tr": ["ev"]})["tr"].unknown_share == 0


@pytest.mark.parametrize("lines", [[], [""], ["  "]])
def test_a_language_without_words_is_refused(source, lines):
    with pytest.raises(ValueError, match="no words for 'tr'"):
        measure_fertility(source.tokenizer, {"tr": lines})


def test_the_change_is_relative_to_the_first_tokenizer():
    rows = compare_fertility({"tr": make(10, 20), "en": make(5, 5)}, {"en": make(5, 6), "tr": make(10, 15)})
    assert [(row.language, row.change) for row in rows] == [("tr", -0.25), ("en", pytest.approx(0.2))]
    assert json.loads(json.dumps([dataclasses.asdict(row) for row in rows]))[0]["after"]["tokens"] == 15


@pytest.mark.parametrize("after", [{}, {"tr": make(11, 15)}, {"tr": make(10, 15), "en": make(1, 1)}])
def test_measurements_of_different_texts_are_not_compared(after):
    with pytest.raises(ValueError, match="differ in their texts"):
        compare_fertility({"tr": make(10, 20)}, after)


def test_the_table_is_markdown_with_one_row_per_language():
    rows = compare_fertility({"tr": make(10, 20)}, {"tr": make(10, 15, byte_share=0.001)})
    assert render_fertility_table(rows).splitlines()[1:] == [
        "|---|---|---|---|---|---|",
        "| tr | 2.000 → 1.500 | 4.000 → 4.000 | 0.000 → 0.100 | 0.000 → 0.000 | -25.0 |",
    ]
