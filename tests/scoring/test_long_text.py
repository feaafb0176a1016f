"""The probe of long texts: what it tells apart, and that a model which cuts texts fails it."""

import numpy as np
import pytest
from accelerate import Accelerator
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

from hf_turkembed.scores import Resampling
from hf_turkembed.scoring import ScoredModel
from hf_turkembed.scoring.long_text import LongTextProbe, build_documents, find_answers, probe_long_text

WORDS = "ev kitap okul deniz sabah çocuk otobüs gölge ağaç şoför kedi sokak".split()
SENTENCES = [" ".join(np.random.default_rng(row).choice(WORDS, size=6)) + "." for row in range(1500)]
CANDIDATES, QUERIES = 8, 16


def make_probe(**changes):
    answers = [f"{chr(97 + row) * 3}{chr(122 - row) * 3} {WORDS[row % 12]}" for row in range(QUERIES)]
    settings = {
        "queries": answers,
        "answers": answers,
        "sentences": SENTENCES,
        "lengths": (256, 1024),
        "candidates": CANDIDATES,
        "seed": 3,
        "synthetic": True,
    }
    return LongTextProbe(**{**settings, **changes})


@pytest.fixture
def probed(gemma):
    """Probe the small encoder with windows of different lengths."""

    def run(**windows):
        def load(window):
            model = SentenceTransformer(str(gemma), device="cpu")
            model.max_seq_length = window
            return model

        models = [
            ScoredModel(
                role=role, digest="", load=lambda window=window: load(window), truncate_dims=(32,), precision="float32"
            )
            for role, window in windows.items()
        ]
        points = probe_long_text(models, make_probe(), Accelerator(cpu=True), Resampling(resamples=1000, seed=1))
        return {(point.model, point.length, point.surroundings): point for point in points}

    return run


def test_a_model_that_cuts_at_512_tokens_is_at_chance_beyond_and_one_that_does_not_is_above(probed):
    found = probed(cuts=512, reads=2048)
    chance = 1 / CANDIDATES
    assert found["cuts", 1024, "shared"].accuracy == chance
    assert found["cuts", 1024, "shared"].interval == (chance, chance)
    assert found["cuts", 1024, "own"].accuracy < 4 * chance
    for role, length in (("cuts", 256), ("reads", 256), ("reads", 1024)):
        assert found[role, length, "shared"].accuracy > 4 * chance
    assert found["cuts", 0, "none"].accuracy == found["reads", 0, "none"].accuracy == 1
    point = found["cuts", 1024, "shared"]
    assert (point.max_length, point.queries, point.candidates) == (512, QUERIES, CANDIDATES)
    assert 650 < point.decided_from < 1024


def test_a_model_that_reads_the_beginning_and_the_end_alone_finds_little(gemma):
    """Real programs cut the middle out; what decides must not stand where they still look."""
    model = SentenceTransformer(str(gemma), device="cpu")
    model.max_seq_length = 2048
    encode = model.encode

    def cut(text):
        words = text.split()
        return " ".join([*words[:60], *words[-15:]])

    def accuracy():
        models = [ScoredModel(role="m", digest="", load=lambda: model, truncate_dims=(32,), precision="float32")]
        probe = make_probe(lengths=(1024,))
        points = probe_long_text(models, probe, Accelerator(cpu=True), Resampling(resamples=100, seed=1))
        return next(point.accuracy for point in points if point.surroundings == "shared")

    whole = accuracy()
    model.encode = lambda texts, **settings: encode([cut(text) for text in texts], **settings)
    assert accuracy() < 0.5 * whole


def test_documents_are_as_long_as_they_may_be_and_hold_their_answers_in_the_last_third(gemma):
    tokenizer = AutoTokenizer.from_pretrained(gemma)

    def count(texts):
        return np.array([len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]])

    probe = make_probe()
    built = build_documents(probe, [count, lambda texts: count(texts) // 2])
    assert [(group.length, group.surroundings) for group in built] == [
        (0, "none"),
        *((length, kind) for length in (256, 1024) for kind in ("shared", "own")),
    ]
    for group in built[1:]:
        tokens = [len(ids) for ids in tokenizer(group.texts)["input_ids"]]
        assert max(tokens) <= group.length and min(tokens) > group.length - 80
        rows = list(zip(group.openings, probe.answers, group.texts, strict=True))
        assert all(text.startswith(f"{opening} {answer}") for opening, answer, text in rows)
        places = [count([opening])[0] / length for opening, length in zip(group.openings, tokens, strict=True)]
        assert 0.64 < min(places) < 0.8 < max(places)
        distinct = len(set(group.openings))
        assert distinct == (QUERIES if group.surroundings == "own" else QUERIES // CANDIDATES)
    again = build_documents(probe, [count, lambda texts: count(texts) // 2])
    assert [group.texts for group in again] == [group.texts for group in built]


def test_ties_count_as_chance_would_decide_them():
    queries = np.eye(4, dtype=np.float32)
    documents = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]], dtype=np.float32)
    assert find_answers(queries, documents, 2).tolist() == [0.5, 0.5, 0.5, 0.5]
    assert find_answers(queries, np.eye(4, dtype=np.float32)[[0, 1, 3, 2]], 2).tolist() == [1, 1, 0, 0]
    assert find_answers(queries, np.ones((4, 4), dtype=np.float32), 4).tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": (200_000,)}, r"1,500 sentences of [\d,]+ tokens do not fill a document of [\d,]+"),
        ({"lengths": (20,)}, r"a document has room for -?\d+ tokens around its answer"),
    ],
)
def test_lengths_that_cannot_be_made_are_refused(gemma, changes, message):
    def count(texts):
        return np.array([len(text.split()) for text in texts])

    with pytest.raises(ValueError, match=message):
        build_documents(make_probe(**changes), [lambda texts: count(texts) * 3])


@pytest.mark.parametrize("changes", [{"candidates": 1}, {"candidates": 5}, {"queries": [], "answers": []}])
def test_queries_come_in_whole_groups(changes):
    with pytest.raises(ValueError, match="do not make groups of"):
        make_probe(**changes)
