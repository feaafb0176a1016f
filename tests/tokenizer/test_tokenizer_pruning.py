from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_turkembed.tokenizer import (
    build_tokenizer,
    count_characters,
    find_derivations,
    find_protected,
    find_unusable,
    keep_merges,
    order_removals,
    rank_merges,
)


@pytest.fixture(scope="module")
def derivations(source):
    return find_derivations(source.pieces, rank_merges(source.merges), source.pinned | source.discarded)


@pytest.fixture(scope="module")
def protected(source):
    return find_protected(source, {"tr": count_characters({"evler": 1, "ağaç": 2})})


def test_turkish_letters_bytes_and_added_tokens_are_protected(source, protected):
    kept = {piece for piece, stays in zip(source.pieces, protected, strict=True) if stays}
    assert {*"çğıöşüİ▁", "<0x41>", "<pad>", "<unused0>", "\t", "▁▁", "1"} <= kept


def test_letters_of_scripts_that_the_corpus_lacks_are_not_protected(source, protected):
    kept = {piece for piece, stays in zip(source.pieces, protected, strict=True) if stays}
    assert not {"日", "α", "qzqz", "▁house", "<unused19>"} & kept


def test_letters_of_a_script_in_the_corpus_are_protected_even_if_unseen(source):
    protected = find_protected(source, {"ja": count_characters({"語": 1})})
    assert protected[source.pieces.index("日")]


def test_placeholders_and_unreachable_tokens_go_first(source, derivations):
    unusable = find_unusable(source, derivations)
    gone = {source.pieces[index] for index in np.flatnonzero(unusable)}
    assert gone == {f"<unused{number}>" for number in range(4, 20)} | {"qzqz"}


def test_a_placeholder_that_other_tokens_are_made_of_stays(source, derivations):
    parents = derivations.parents.copy()
    parents[source.pieces.index("▁house")] = source.pieces.index("<unused4>"), source.pieces.index("a")
    unusable = find_unusable(source, replace(derivations, parents=parents))
    assert not unusable[source.pieces.index("<unused4>")]
    assert unusable[source.pieces.index("<unused5>")]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_every_token_that_stays_can_still_be_produced(source, derivations, protected, seed, share):
    unusable = find_unusable(source, derivations)
    masses = np.random.default_rng(seed).integers(0, 1000, len(source.pieces))
    count = int(share * 250)
    removals = order_removals(derivations.parents, masses, protected, unusable).ids[:count]
    assert len(set(removals.tolist())) == count
    alive = ~unusable
    alive[removals] = False
    assert (alive | ~protected).all()
    parents = derivations.parents[alive]
    assert alive[parents[parents >= 0]].all()
    pieces = [source.pieces[index] for index in np.flatnonzero(alive)]
    merges = keep_merges(source.merges, set(pieces))
    model = build_tokenizer(source, pieces, merges).model
    for index, piece in enumerate(pieces):
        if piece not in source.pinned:
            assert [token.id for token in model.tokenize(piece)] == [index]


def test_the_mass_of_a_dropped_token_passes_to_its_parts():
    # Tokens a b c d ab bc; "ab" (9) goes after "bc" (2), and "d" (5) before "b", which inherits 2 + 9.
    parents = np.array([[-1, -1]] * 4 + [[0, 1], [1, 2]], dtype=np.int32)
    masses = np.array([30, 0, 40, 10, 9, 2])
    none = np.zeros(6, dtype=bool)
    removals = order_removals(parents, masses, none, none)
    assert removals.ids.tolist() == [5, 4, 3, 1, 0, 2]
    assert removals.losses.tolist() == [2, 9, 10, 11, 39, 42]


def test_of_tokens_with_equal_mass_the_one_with_the_highest_id_goes_first():
    parents = np.full((3, 2), -1, dtype=np.int32)
    none = np.zeros(3, dtype=bool)
    assert order_removals(parents, np.zeros(3, dtype=int), none, none).ids.tolist() == [2, 1, 0]


def test_merges_with_a_dropped_part_or_result_go_and_the_others_keep_their_order():
    merges = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")]
    assert keep_merges(merges, {"a", "b", "c", "bc", "abc"}) == [("b", "c"), ("a", "bc")]
