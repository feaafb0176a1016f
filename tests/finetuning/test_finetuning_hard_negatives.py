"""Hard negatives: near, wrong, and the same again after an interruption."""

import random

import numpy as np
import pytest
from samples import TEXTS
from sentence_transformers import SentenceTransformer, util

from hf_turkembed.corpus import find_leakage
from hf_turkembed.finetuning import mine_negatives
from hf_turkembed.finetuning.trainer_checkpoints import CHECKPOINTS
from hf_turkembed.step import remove_scratch

QUERIES = [f"{text} {number}?" for text in TEXTS for number in range(4)]
PASSAGES = [f"{text} {number}." for text in TEXTS for number in range(4)]
PAIRS = {"sentence1": QUERIES, "sentence2": PASSAGES}
SETTINGS = {"count": 2, "relative_margin": 0.01, "candidates": 24, "batch_size": 8}


@pytest.fixture
def model(gemma):
    return SentenceTransformer(str(gemma), device="cpu")


def mine(model, folder, pairs=PAIRS, **changes):
    return mine_negatives(model, pairs, folder, "own", **{**SETTINGS, **changes})


@pytest.mark.parametrize(("count", "margin", "all_found"), [(2, 0.01, True), (2, 0.5, True), (22, 0.01, False)])
def test_negatives_are_the_nearest_passages_beyond_the_margin(model, tmp_path, count, margin, all_found):
    rows, found = mine(model, tmp_path, relative_margin=margin, count=count)
    query, passage = (model.encode(side, prompt="", normalize_embeddings=True) for side in (QUERIES, PASSAGES))
    cosines = np.asarray(util.cos_sim(query, passage))
    expected = {}
    for row, name in enumerate(QUERIES):
        own = cosines[row, row]
        far_enough = [i for i in np.argsort(-cosines[row]) if i != row and cosines[row, i] <= own * (1 - margin)]
        if len(far_enough) >= count:
            expected[name] = [PASSAGES[row], *(PASSAGES[i] for i in far_enough[:count])]
    assert list(rows) == ["anchor", "positive", *(f"negative_{index + 1}" for index in range(count))]
    anchors, *others = rows.values()
    assert dict(zip(anchors, map(list, zip(*others, strict=True)), strict=True)) == expected
    assert (found.pairs, found.rows) == (len(QUERIES), len(expected)) and len(expected) > 0
    assert (len(expected) == len(QUERIES)) == all_found and found.positive_cosine > found.negative_cosine


def test_no_negative_is_the_query_or_one_of_its_answers_however_they_are_written(model, tmp_path):
    near = [f"{passage.upper().replace('.', ' !')}" for passage in PASSAGES]
    # Every pair both ways and twice, so that queries are passages too, and near copies as the answers of others.
    queries, passages = [*QUERIES, *PASSAGES, *QUERIES, *TEXTS], [*PASSAGES, *QUERIES, *PASSAGES, *near[: len(TEXTS)]]
    pairs = {"sentence1": queries, "sentence2": passages}
    rows, found = mine(model, tmp_path, pairs, relative_margin=0.0)
    assert found.pairs == 2 * len(QUERIES) + len(TEXTS) >= found.rows > 0
    answers = {query: {query} for query in queries}
    for query, passage in zip(queries, passages, strict=True):
        answers[query].add(passage)
    for anchor, *negatives in zip(rows["anchor"], rows["negative_1"], rows["negative_2"], strict=True):
        assert find_leakage(answers[anchor], negatives).rows == ()


def test_no_negative_is_connected_with_the_query_by_other_pairs(model, tmp_path):
    """Of six chains of paraphrases, each text is paired with the next one alone."""
    chains = [[f"{text} {number}" for number in range(8)] for text in TEXTS]
    pairs = {
        "sentence1": [text for chain in chains for text in chain[:-1]],
        "sentence2": [text.upper() for chain in chains for text in chain[1:]],
    }
    rows, found = mine(model, tmp_path, pairs, relative_margin=0.0, candidates=42)
    assert found.rows > 30
    chain_of = {text: number for number, chain in enumerate(chains) for text in chain}
    chain_of |= {text.upper(): number for text, number in chain_of.items()}
    for anchor, *negatives in zip(rows["anchor"], rows["negative_1"], rows["negative_2"], strict=True):
        assert chain_of[anchor] not in {chain_of[text] for text in negatives}


def test_what_was_found_is_not_looked_for_again_and_goes_with_the_checkpoints(model, encoders, tmp_path):
    first = mine(model, tmp_path)
    other = SentenceTransformer(str(encoders("bert")), device="cpu")
    assert mine(other, tmp_path) == first != mine(other, tmp_path / "elsewhere")
    remove_scratch(tmp_path, (CHECKPOINTS,))
    assert list(tmp_path.iterdir()) == [tmp_path / "elsewhere"]


def test_no_chance_is_in_it(model, tmp_path):
    state = random.getstate()
    assert mine(model, tmp_path / "a") == mine(model, tmp_path / "b", batch_size=3)
    assert random.getstate() == state


def test_pairs_without_a_wrong_passage_are_an_error(model, tmp_path):
    pairs = {"sentence1": QUERIES[:3], "sentence2": PASSAGES[:1] * 3}
    with pytest.raises(ValueError, match="task `own`: none of 3 pairs has 2 passages of others"):
        mine(model, tmp_path, pairs)
