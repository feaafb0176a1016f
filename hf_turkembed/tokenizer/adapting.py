"""Adapting a tokenizer to the languages of a corpus: prune, extend, write, check, measure."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from hf_turkembed.tokenizer.building import build_tokenizer, order_pieces, write_tokenizer
from hf_turkembed.tokenizer.checking import check_tokenizer
from hf_turkembed.tokenizer.counting import (
    TOTAL_MASS,
    EncodedWords,
    WordTable,
    begin_with_space,
    count_characters,
    count_tokens,
    count_words,
    encode_words,
    list_words,
    resolve_language_weights,
    weigh_words,
)
from hf_turkembed.tokenizer.derivations import find_derivations, rank_merges
from hf_turkembed.tokenizer.extending import Extension, extend_vocabulary
from hf_turkembed.tokenizer.fertility import FertilityChange, compare_fertility, measure_fertility
from hf_turkembed.tokenizer.pruning import Removals, find_protected, find_unusable, keep_merges, order_removals
from hf_turkembed.tokenizer.selecting import select_pieces
from hf_turkembed.tokenizer.source import SourceVocabulary, read_source

logger = logging.getLogger(__name__)

# New tokens, as a share of the vocabulary, from which the search for a balanced budget starts; and where it ends.
_FIRST_GUESS = 0.3
_CLOSE_ENOUGH = 0.1
_MOST_GUESSES = 8


@dataclass(frozen=True, kw_only=True)
class Marginals:
    """Where a budget ended: as shares of the tokens that the weighted corpus cost before."""

    # Tokens saved by the last new token, expected on text that was not counted; None where there is none.
    last_gain: float | None
    # Tokens lost by the last token that was dropped; None where none was.
    last_loss: float | None


@dataclass(frozen=True, kw_only=True)
class AdaptationReport:
    """What became of a vocabulary."""

    # Tokens of the source, added tokens included.
    source_size: int
    # Tokens of the result, added tokens included.
    final_size: int
    # Tokens of the result that the source has as well, under the same string.
    kept: int
    # Tokens of the result that the source lacks.
    new: int
    # Tokens of the source that the result lacks.
    dropped: int
    # Tokens of the source that no text produces.
    unreachable_in_source: tuple[str, ...]
    # Words of the corpus, every occurrence counted, by language.
    words: dict[str, int]
    # Distinct words over all languages.
    distinct_words: int
    # Share of the corpus mass, by language.
    language_weights: dict[str, float]
    # Source and result on the held-out texts, by language.
    fertility: tuple[FertilityChange, ...]
    # What the last new token gains and the last dropped one loses.
    marginals: Marginals
    # Wall time in seconds, by stage.
    seconds: dict[str, float]


def adapt_tokenizer(
    source: Path,
    corpus: Mapping[str, Iterable[str]],
    output: Path,
    *,
    vocab_size: int,
    new_tokens: int | None,
    language_weights: Mapping[str, float],
    heldout: Mapping[str, Sequence[str]],
) -> AdaptationReport:
    """Make a tokenizer of exact size for the languages of a corpus out of a larger one.

    Tokens that the corpus uses least are dropped and tokens learnt by continued byte-pair encoding are added. A corpus
    that does not yield `new_tokens` of them drops fewer instead, so the size is exact all the same. The same input
    gives the same files. Only a byte-fallback BPE can get new tokens; a Unigram and a WordPiece are pruned.

    Args:
        source: Folder of the source tokenizer: a BPE with byte fallback in the form of Gemma 3, a Unigram or a
            WordPiece.
        corpus: Lines of text by language; each iterable is read once and not held in memory.
        output: Folder to write, absent or empty. What it holds after an error is not usable.
        vocab_size: Tokens of the result, special tokens and bytes included.
        new_tokens: Tokens to learn; None for a balanced budget, where the next new token would gain no more than
            making room for it loses. One that the source had and that was dropped first counts as kept in the report.
            0 or None for a Unigram or a WordPiece, to which nothing is added.
        language_weights: Share by language of the tokens that the corpus costs before, as `resolve_language_weights`
            reads it: languages without an entry divide what is left to 1 equally.
        heldout: Lines of text by language that the corpus does not hold, for the round-trip check and the fertility.

    Returns:
        Sizes, counts, fertility before and after, and times.

    Raises:
        FileNotFoundError: `source` holds no `tokenizer.json`.
        FileExistsError: `output` is not empty.
        ValueError: An argument is out of range, a language has no text, the source has another form, the size cannot
            be reached, or the result fails a check.
    """
    weights = _check_request(corpus, output, vocab_size, new_tokens, language_weights, heldout)
    seconds: dict[str, float] = {}
    with _timed("read", seconds):
        vocabulary = read_source(source)
    can_grow = vocabulary.settings["model"]["type"] == "BPE"
    if not can_grow:
        new_tokens = _refuse_new_tokens(vocabulary, new_tokens)
    _check_size(vocabulary, vocab_size, vocab_size if new_tokens is None else new_tokens)
    with _timed("count", seconds):
        statistics = _count(vocabulary, corpus, weights)
    choose = _choose_and_learn if can_grow else _choose
    pieces, merges, unreachable, marginals = choose(vocabulary, statistics, vocab_size, new_tokens, seconds)
    with _timed("write", seconds):
        tokenizer = build_tokenizer(vocabulary, pieces, merges)
        output.mkdir(parents=True, exist_ok=True)
        write_tokenizer(output, tokenizer, vocabulary)
    with _timed("check", seconds):
        texts = [line for lines in heldout.values() for line in lines]
        check_tokenizer(output, vocabulary, vocab_size=vocab_size, texts=texts)
    with _timed("measure", seconds):
        before = measure_fertility(vocabulary.tokenizer, heldout)
        fertility = compare_fertility(before, measure_fertility(tokenizer, heldout))
    kept = len(set(pieces).intersection(vocabulary.pieces))
    source_size = vocabulary.tokenizer.get_vocab_size()
    return AdaptationReport(
        source_size=source_size,
        final_size=len(pieces),
        kept=kept,
        new=len(pieces) - kept,
        dropped=source_size - kept,
        unreachable_in_source=unreachable,
        words=statistics.words,
        distinct_words=len(statistics.table.words),
        language_weights=weights,
        fertility=fertility,
        marginals=marginals,
        seconds=seconds,
    )


@dataclass(frozen=True, kw_only=True)
class _Statistics:
    """What a corpus holds."""

    # Words by language, every occurrence counted.
    words: dict[str, int]
    # Per language, how often each character occurs in the distinct words.
    characters: dict[str, Counter[str]]
    # The weighted words of all languages.
    table: WordTable
    # The same words as the source cuts them.
    encoded: EncodedWords


@dataclass(frozen=True, kw_only=True)
class _Pruning:
    """Which source tokens can be used, and in which order they go."""

    # Usable tokens before any removal, shape (tokens,).
    usable: NDArray[np.bool_]
    removals: Removals
    # Tokens that no text produces.
    unreachable: tuple[str, ...]

    def losses(self, vocab_size: int) -> NDArray[np.int64]:
        """Return what room for the first, second, ... new token costs in a vocabulary of a size."""
        surplus = int(self.usable.sum()) - vocab_size
        free = np.zeros(max(0, -surplus), dtype=np.int64)
        return np.concatenate([free, self.removals.losses[max(0, surplus) :]])


# Tokens by id, merges in order, tokens of the source that no text produces, and where the budget ended.
_Choice = tuple[list[str], list[tuple[str, str]], tuple[str, ...], Marginals]


def _check_request(
    corpus: Mapping[str, Iterable[str]],
    output: Path,
    vocab_size: int,
    new_tokens: int | None,
    language_weights: Mapping[str, float],
    heldout: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Check the arguments that need no reading and return the share of each language."""
    if new_tokens is not None and not 0 <= new_tokens < vocab_size:
        raise ValueError(
            f"`new_tokens`={new_tokens} must lie between 0 and `vocab_size`={vocab_size}, not reaching it."
        )
    if not corpus:
        raise ValueError("`corpus` is empty; give lines of text for at least one language.")
    if not heldout:
        raise ValueError("`heldout` is empty; give lines of text for at least one language.")
    wordless = sorted(language for language, lines in heldout.items() if not any(line.split() for line in lines))
    if wordless:
        raise ValueError(f"`heldout` holds no words for {wordless}; give text for them or leave them out.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"`output` {output} is not an empty folder; give one that is absent or empty.")
    return resolve_language_weights(corpus, language_weights)


def _count(source: SourceVocabulary, corpus: Mapping[str, Iterable[str]], weights: Mapping[str, float]) -> _Statistics:
    """Read the corpus, one language after the other, and cut its words as the source does."""
    counts = {language: count_words(corpus[language]) for language in weights}
    words = list_words(counts)
    encoded = encode_words(source.tokenizer, begin_with_space(source.tokenizer, words), source.separator)
    lengths = np.bincount(encoded.words, minlength=len(words)).astype(np.int64)
    return _Statistics(
        words={language: count.total() for language, count in counts.items()},
        characters={language: count_characters(count) for language, count in counts.items()},
        table=weigh_words(words, counts, weights, lengths),
        encoded=encoded,
    )


def _check_size(source: SourceVocabulary, vocab_size: int, new_tokens: int) -> None:
    """Refuse a size that needs more source tokens than there are."""
    possible = len(source.pieces) - len(source.discarded.intersection(source.pieces))
    if vocab_size - new_tokens > possible:
        raise ValueError(
            f"`vocab_size`={vocab_size} with `new_tokens`={new_tokens} keeps {vocab_size - new_tokens} source tokens; "
            f"the source has only {possible} to keep. Lower `vocab_size` or raise `new_tokens`."
        )


def _choose_and_learn(
    source: SourceVocabulary,
    statistics: _Statistics,
    vocab_size: int,
    new_tokens: int | None,
    seconds: dict[str, float],
) -> _Choice:
    """Choose the tokens of a BPE that stay, and learn new ones."""
    with _timed("prune", seconds):
        pruning = _plan_pruning(source, statistics)
    with _timed("extend", seconds):
        if new_tokens is None:
            new_tokens = _balance(source, statistics.table, pruning, vocab_size)
        pieces, merges, marginals = _fill(source, statistics.table, pruning, vocab_size, new_tokens)
    return pieces, merges, pruning.unreachable, marginals


def _choose(
    source: SourceVocabulary,
    statistics: _Statistics,
    vocab_size: int,
    new_tokens: int | None,
    seconds: dict[str, float],
) -> _Choice:
    """Choose the tokens of a Unigram or a WordPiece that stay."""
    masses = count_tokens(statistics.encoded, statistics.table.masses, len(source.pieces))
    with _timed("prune", seconds):
        selection = select_pieces(source, masses, statistics.characters, vocab_size)
    return list(selection.pieces), [], selection.unreachable, Marginals(last_gain=None, last_loss=None)


def _plan_pruning(source: SourceVocabulary, statistics: _Statistics) -> _Pruning:
    """Order the removals of source tokens."""
    derivations = find_derivations(source.pieces, rank_merges(source.merges), source.pinned | source.discarded)
    masses = count_tokens(statistics.encoded, statistics.table.masses, len(source.pieces))
    unusable = find_unusable(source, derivations)
    protected = find_protected(source, statistics.characters)
    return _Pruning(
        usable=~unusable,
        removals=order_removals(derivations.parents, masses, protected, unusable),
        unreachable=tuple(source.pieces[index] for index in derivations.unreachable),
    )


def _balance(source: SourceVocabulary, table: WordTable, pruning: _Pruning, vocab_size: int) -> int:
    """Find the number of new tokens at which the next one gains as much as making room for it loses.

    What a merge gains depends a little on what else was dropped, so the search goes on from what it found until it
    finds about the same.
    """
    costs = pruning.losses(vocab_size)
    least = max(0, vocab_size - int(pruning.usable.sum()))
    found = max(least, min(int(_FIRST_GUESS * vocab_size), len(costs)))
    for _ in range(_MOST_GUESSES):
        guess = found
        found = max(least, len(_learn(source, table, *_prune(source, pruning, vocab_size, guess), costs).merges))
        logger.info("with room for %d new tokens, %d are worth their room", guess, found)
        if abs(found - guess) <= _CLOSE_ENOUGH * guess:
            break
    return found


def _prune(
    source: SourceVocabulary, pruning: _Pruning, vocab_size: int, new_tokens: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """Drop source tokens until there is room for the new ones; return the tokens and merges that stay."""
    usable = int(pruning.usable.sum())
    size = vocab_size - new_tokens
    if size > usable:
        raise ValueError(
            f"{size} source tokens are needed beside {new_tokens} new ones, but only {usable} can be used; "
            "lower `vocab_size` or give more text."
        )
    if usable - size > len(pruning.removals.ids):
        raise ValueError(
            f"{usable - size} tokens must be dropped, but only {len(pruning.removals.ids)} of {usable} can be: the "
            "others are special, single characters or parts of such; raise `vocab_size` or lower `new_tokens`."
        )
    alive = pruning.usable.copy()
    alive[pruning.removals.ids[: usable - size]] = False
    pieces = [source.pieces[index] for index in np.flatnonzero(alive)]
    return pieces, keep_merges(source.merges, set(pieces))


def _fill(
    source: SourceVocabulary, table: WordTable, pruning: _Pruning, vocab_size: int, new_tokens: int
) -> tuple[list[str], list[tuple[str, str]], Marginals]:
    """Prune, extend, and prune less for as long as the corpus yields too few new tokens."""
    while True:
        pieces, merges = _prune(source, pruning, vocab_size, new_tokens)
        learnt = _learn(source, table, pieces, merges, np.zeros(new_tokens, dtype=np.int64))
        if len(learnt.merges) == new_tokens:
            made = [left + right for left, right in learnt.merges]
            removed = int(pruning.usable.sum()) - len(pieces)
            marginals = Marginals(
                last_gain=learnt.gains[-1] / TOTAL_MASS if learnt.gains else None,
                last_loss=int(pruning.removals.losses[removed - 1]) / TOTAL_MASS if removed else None,
            )
            return order_pieces(source, pieces + made), merges + learnt.merges, marginals
        logger.warning("the corpus yields %d of %d new tokens; dropping fewer instead", len(learnt.merges), new_tokens)
        new_tokens = len(learnt.merges)


def _learn(
    source: SourceVocabulary,
    table: WordTable,
    pieces: list[str],
    merges: list[tuple[str, str]],
    costs: NDArray[np.int64],
) -> Extension:
    """Encode the corpus with the pruned vocabulary and learn further merges."""
    if not len(costs):
        return Extension(merges=[], gains=[])
    pruned: Tokenizer = build_tokenizer(source, pieces, merges)
    encoded = encode_words(pruned, table.words, source.separator)
    return extend_vocabulary(pieces, merges, source.pinned, encoded, table.discounted, costs=costs)


def _refuse_new_tokens(source: SourceVocabulary, new_tokens: int | None) -> int:
    """Refuse to add tokens to a model that can only be pruned; return how many are added, none."""
    if new_tokens:
        raise ValueError(
            f"`new_tokens`={new_tokens} found for a {source.settings['model']['type']} source; adding tokens is "
            "supported for byte-fallback BPE only. Set it to 0 to prune this tokenizer."
        )
    return 0


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    """Note the wall time of a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 3)
    logger.info("%s took %.1f s", stage, seconds[stage])
