import pytest
from adapting import adapt
from tokenizers import Tokenizer, models, pre_tokenizers

from hf_turkembed.tokenizer import compare_tokenizers, describe_tokenizer

WORDS = {"evler": 2, "kitabın": 5}


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, source_folder, corpus, heldout):
    """An adapted tokenizer."""
    folder = tmp_path_factory.mktemp("adapted") / "out"
    adapt(source_folder, corpus, heldout, folder, new_tokens=40, tr=0.9)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_a_tokenizer_is_described_by_size_reach_words_and_text(source, heldout):
    report = describe_tokenizer(source.tokenizer, heldout, WORDS)
    assert report.vocab_size == source.tokenizer.get_vocab_size()
    # The one token that the source has without a merge.
    assert report.unreachable == 1
    assert report.inflection.words == 2
    assert list(report.fertility) == list(heldout)


def test_without_words_and_text_only_the_vocabulary_is_described(source):
    report = describe_tokenizer(source.tokenizer, {}, {})
    assert (report.inflection, report.fertility, report.unreachable) == (None, {}, 1)


@pytest.mark.parametrize(
    ("model", "unreachable"),
    [
        (models.WordPiece({"[UNK]": 0, "ev": 1, "##ler": 2, "e": 3}, unk_token="[UNK]"), 0),
        # Two of its parts together are likelier than the third piece.
        (models.Unigram([("<unk>", 0.0), ("ev", -1.0), ("ler", -1.0), ("evler", -3.0)], unk_id=0), 1),
    ],
    ids=["WordPiece", "Unigram"],
)
def test_unreachable_tokens_are_found_for_every_model_type_without_the_unknown_one(model, unreachable):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert describe_tokenizer(tokenizer, {}, {}).unreachable == unreachable


def test_a_comparison_holds_both_reports_and_what_lies_between(source, adapted, heldout):
    comparison = compare_tokenizers(source.tokenizer, adapted, heldout, WORDS)
    assert comparison.before == describe_tokenizer(source.tokenizer, heldout, WORDS)
    assert comparison.after == describe_tokenizer(adapted, heldout, WORDS)
    assert comparison.after.unreachable == 0
    assert comparison.change["tr"] == pytest.approx(
        comparison.after.fertility["tr"].tokens / comparison.before.fertility["tr"].tokens - 1
    )
    vocabulary = comparison.vocabulary
    assert vocabulary.kept + vocabulary.new == comparison.after.vocab_size
    assert vocabulary.kept + vocabulary.dropped == comparison.before.vocab_size
