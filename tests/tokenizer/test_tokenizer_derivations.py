import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed.tokenizer import find_derivations, rank_merges, segment


@given(st.text("aeılnrşkgözsuİ▁'1", min_size=1, max_size=20))
def test_ranked_merging_agrees_with_the_engine_of_tokenizers(source, text):
    ranks = rank_merges(source.merges)
    # A character outside the vocabulary becomes bytes there and stays whole here.
    known = "".join(character for character in text if character in source.pieces)
    assert segment(known, ranks)[0] == [token.value for token in source.tokenizer.model.tokenize(known)]


@pytest.mark.parametrize(
    ("text", "parts", "last"),
    [
        ("a", ["a"], None),
        ("aaa", ["aa", "a"], ("a", "a")),
        ("aaaa", ["aa", "aa"], ("a", "a")),
        ("abab", ["ab", "ab"], ("a", "b")),
    ],
)
def test_the_leftmost_of_equal_merges_comes_first(text, parts, last):
    assert segment(text, {("a", "a"): 0, ("a", "b"): 1}) == (parts, last)


def test_a_repeated_merge_keeps_its_first_rank():
    assert rank_merges([("a", "b"), ("b", "c"), ("a", "b")]) == {("a", "b"): 0, ("b", "c"): 1}


def test_parts_are_those_of_the_last_merge_among_several_splits():
    pieces = ["a", "b", "c", "ab", "bc", "abc"]
    merges = [("a", "b"), ("b", "c"), ("a", "bc"), ("ab", "c")]
    found = find_derivations(pieces, rank_merges(merges), frozenset())
    assert found.parents.tolist() == [[-1, -1], [-1, -1], [-1, -1], [0, 1], [1, 2], [3, 2]]
    assert found.unreachable.tolist() == []


def test_a_token_without_a_way_to_it_is_unreachable_unless_pinned():
    pieces = ["a", "b", "ab", "<b>"]
    found = find_derivations(pieces, {}, frozenset({"<b>"}))
    assert found.unreachable.tolist() == [2]


def test_the_parts_of_every_reachable_token_are_reachable(source):
    found = find_derivations(source.pieces, rank_merges(source.merges), source.pinned | source.discarded)
    assert [source.pieces[index] for index in found.unreachable] == ["qzqz"]
    assert not set(found.parents[found.parents >= 0].tolist()) & set(found.unreachable.tolist())
    for piece, (left, right) in zip(source.pieces, found.parents.tolist(), strict=True):
        if left >= 0:
            assert source.pieces[left] + source.pieces[right] == piece
