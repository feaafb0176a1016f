import dataclasses
import json
import logging
import shutil
import tempfile
from functools import partial
from pathlib import Path

import adapting
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from hf_turkembed.tokenizer import Preferences, measure_inflection

adapt = partial(adapting.adapt, new_tokens=40)


@settings(max_examples=25, deadline=None)
@given(st.integers(450, 880), st.integers(0, 150), st.floats(0.05, 0.9))
def test_every_reachable_size_is_met_exactly(source_folder, corpus, heldout, old_tokens, new_tokens, share):
    vocab_size = old_tokens + new_tokens
    with tempfile.TemporaryDirectory() as folder:
        report = adapt(source_folder, corpus, heldout, Path(folder), vocab_size, new_tokens=new_tokens, tr=share)
        tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    assert tokenizer.get_vocab_size() == report.final_size == vocab_size == report.kept + report.new
    assert report.new <= new_tokens
    assert report.dropped == report.source_size - report.kept
    assert report.corpus["tr"].weight == share


def test_the_report_is_json_and_says_what_happened(source_folder, corpus, heldout, tmp_path):
    report = adapt(source_folder, corpus, heldout, tmp_path / "out", vocab_size=900, new_tokens=100, tr=0.5)
    content = json.loads(json.dumps(dataclasses.asdict(report)))
    assert content["source_size"] == 898
    assert content["unreachable_in_source"] == ["qzqz"]
    assert content["corpus"]["tr"]["words"] == sum(len(line.split()) for line in corpus["tr"])
    assert {language: share["weight"] for language, share in content["corpus"].items()} == {
        "tr": 0.5,
        "en": 0.25,
        "el": 0.25,
    }
    assert [row["language"] for row in content["fertility"]] == ["tr", "en", "el"]
    assert list(content["seconds"]) == ["read", "weigh", "choose", "write", "check", "measure"]


def test_a_balanced_budget_ends_where_gain_and_loss_meet(source_folder, corpus, heldout, tmp_path):
    def balanced(folder, new_tokens):
        return adapt(source_folder, corpus, heldout, tmp_path / folder, vocab_size=860, new_tokens=new_tokens, tr=0.9)

    report = balanced("out", None)
    assert report.final_size == 860 and report.new > 20
    assert report.marginals.last_gain >= report.marginals.last_loss
    more = balanced("more", int(1.5 * report.new) + 5).marginals
    assert more.last_gain < more.last_loss


def test_a_balanced_budget_adds_more_where_turkish_weighs_more(source_folder, corpus, heldout, tmp_path):
    new = [
        adapt(source_folder, corpus, heldout, tmp_path / str(share), vocab_size=600, new_tokens=None, tr=share).new
        for share in (0.05, 0.9)
    ]
    assert new[0] < new[1]


def test_new_tokens_shorten_held_out_turkish(source_folder, corpus, heldout, tmp_path):
    report = adapt(source_folder, corpus, heldout, tmp_path / "out", vocab_size=940, new_tokens=100, tr=0.9)
    assert report.new == 100
    assert {row.language: row.change for row in report.fertility}["tr"] < -0.1


def test_a_corpus_that_runs_out_of_new_tokens_keeps_more_old_ones(source_folder, heldout, tmp_path, caplog):
    corpus = {"tr": ["ışıklandırmacı balıkçılaştırılmış"]}
    with caplog.at_level(logging.WARNING):
        report = adapt(source_folder, corpus, heldout, tmp_path / "out", vocab_size=700, new_tokens=300)
    assert "dropping fewer instead" in caplog.text
    assert report.final_size == 700
    assert 0 < report.new < 50


def test_the_same_input_gives_the_same_files(source_folder, corpus, heldout, tmp_path):
    adapt(source_folder, corpus, heldout, tmp_path / "one", tr=0.5)
    streams = {language: iter(corpus[language]) for language in reversed(corpus)}
    adapt(source_folder, streams, heldout, tmp_path / "two", tr=0.5)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_language_without_words_is_reported_and_leaves_its_share_to_the_others(
    source_folder, corpus, heldout, tmp_path, caplog
):
    with caplog.at_level(logging.WARNING):
        report = adapt(source_folder, {**corpus, "de": ["", ""]}, heldout, tmp_path / "out", tr=0.5, de=0.2)
    assert "no words of de; they have no say" in caplog.text
    assert {language: share.weight for language, share in report.corpus.items()} == pytest.approx(
        {"tr": 0.625, "en": 0.1875, "el": 0.1875, "de": 0}
    )
    assert (report.corpus["de"].texts, report.corpus["de"].words) == (2, 0)


def test_a_prior_keeps_the_tokens_that_the_source_learnt_first(source_folder, source, corpus, heldout, tmp_path):
    def build(folder, **preferences):
        text = {"el": corpus["el"]}
        adapt(source_folder, text, heldout, tmp_path / folder, new_tokens=0, preferences=Preferences(**preferences))
        kept = set(Tokenizer.from_file(str(tmp_path / folder / "tokenizer.json")).get_vocab())
        return sum(source.pieces.index(piece) for piece in kept if len(piece) > 1 and piece in source.pieces)

    assert build("prior", merge_order_prior=100.0) < build("none")


def test_a_stem_penalty_makes_fewer_tokens_across_the_end_of_stems(
    source_folder, corpus, heldout, stem_lengths, tmp_path
):
    def recall(folder, penalty):
        preferences = Preferences(stem_penalty=penalty, stem_lengths=stem_lengths)
        sizes = {"vocab_size": 700, "new_tokens": 150}
        adapt(source_folder, corpus, heldout, tmp_path / folder, **sizes, preferences=preferences, tr=0.9)
        tokenizer = Tokenizer.from_file(str(tmp_path / folder / "tokenizer.json"))
        report = measure_inflection(tokenizer, stem_lengths)
        return (1 - report.whole_word_share) * report.stem_boundary_recall

    assert recall("penalised", 1.0) > recall("plain", 0.0) + 0.1


@pytest.mark.parametrize(
    "preferences", [{"merge_order_prior": -0.1}, {"stem_penalty": -0.1}, {"stem_penalty": 1.1}], ids=str
)
def test_preferences_out_of_range_are_refused(preferences):
    with pytest.raises(ValueError, match="expected 0"):
        Preferences(**preferences)


def test_the_tokens_of_the_prompts_stay(source_folder, source, heldout, tmp_path):
    folder = tmp_path / "source"
    shutil.copytree(source_folder, folder)
    prompts = {"query": "teacher: lighthouses | ", "document": ""}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    foreign = {"el": ["μάτι δέντρο"] * 50}
    lengths = {}
    for name, start in (("with", folder), ("without", source_folder)):
        adapt(start, foreign, heldout, tmp_path / name, vocab_size=420, new_tokens=0)
        tokenizer = Tokenizer.from_file(str(tmp_path / name / "tokenizer.json"))
        lengths[name] = len(tokenizer.encode(prompts["query"], add_special_tokens=False).ids)
    assert lengths["with"] == len(source.tokenizer.encode(prompts["query"], add_special_tokens=False).ids)
    assert lengths["without"] > lengths["with"]


def test_an_adapted_tokenizer_can_be_adapted_again(source_folder, corpus, heldout, tmp_path):
    adapt(source_folder, corpus, heldout, tmp_path / "one")
    report = adapt(tmp_path / "one", corpus, heldout, tmp_path / "two", vocab_size=600, new_tokens=10)
    assert (report.source_size, report.final_size, report.unreachable_in_source) == (640, 600, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 640, "new_tokens": 640}, "`new_tokens`=640 must lie between 0 and `vocab_size`=640"),
        ({"new_tokens": -1}, "`new_tokens`=-1 must lie"),
        ({"vocab_size": 1000, "new_tokens": 1}, "keeps 999 source tokens; the source has only 881"),
        ({"vocab_size": 881, "new_tokens": 0}, "881 source tokens are needed beside 0 new ones, but only 880"),
        ({"vocab_size": 300, "new_tokens": 10}, "tokens must be dropped, but only"),
        ({"vocab_size": 5000, "new_tokens": 4200}, "source tokens are needed beside .* but only 880 can be used"),
        ({"corpus": {}}, r"`corpus` has no words in any of \[\]"),
        ({"corpus": {"tr": ["\n", ""], "en": []}}, r"no words in any of \['en', 'tr'\]"),
        ({"heldout": {}}, "`heldout` is empty"),
        ({"heldout": {"tr": ["ev"], "en": ["  "]}}, r"`heldout` holds no words for \['en'\]"),
        ({"xx": 0.5}, "which the corpus lacks"),
    ],
)
def test_bad_requests_are_refused_and_write_nothing(source_folder, corpus, heldout, tmp_path, changes, message):
    arguments = {"corpus": corpus, "heldout": heldout, **changes}
    with pytest.raises(ValueError, match=message):
        adapt(source_folder, output=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_missing_source_is_refused(corpus, heldout, tmp_path):
    with pytest.raises(FileNotFoundError, match="give a folder that holds a fast tokenizer"):
        adapt(tmp_path / "none", corpus, heldout, tmp_path / "out")


@pytest.mark.parametrize("is_file", [True, False])
def test_an_output_that_holds_something_is_left_alone(source_folder, corpus, heldout, tmp_path, is_file):
    path = tmp_path / "out"
    held = path if is_file else path / "note.txt"
    held.parent.mkdir(exist_ok=True)
    held.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is not an empty folder"):
        adapt(source_folder, corpus, heldout, path)
    assert held.read_text(encoding="utf-8") == "mine"
