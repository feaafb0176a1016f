"""Adapting a tokenizer to the languages of a corpus: prune, extend, write, check, measure."""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_turkembed.tokenizer.budget import NO_PREFERENCES, Choice, Marginals, Preferences, choose_tokens
from hf_turkembed.tokenizer.building import build_tokenizer, write_tokenizer
from hf_turkembed.tokenizer.checking import check_tokenizer
from hf_turkembed.tokenizer.counting import (
    EncodedWords,
    WordTable,
    begin_with_space,
    encode_words,
    list_words,
    resolve_language_weights,
    weigh_words,
)
from hf_turkembed.tokenizer.fertility import FertilityChange, compare_fertility, measure_fertility
from hf_turkembed.tokenizer.source import SourceVocabulary, read_source
from hf_turkembed.tokenizer.word_counts import WordCounts, count_characters

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CorpusShare:
    """What the text of one language came to."""

    # Share of the corpus mass; 0 where there are no words.
    weight: float
    # Texts that were counted.
    texts: int
    # Words, every occurrence counted, and how many different ones.
    words: int
    distinct_words: int
    # Occurrences that memory had no room for, and the most by which any count is therefore too low.
    forgotten: int
    undercount: int
    # What was left out, by reason.
    left_out: Mapping[str, int]


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
    # The corpus, by language.
    corpus: Mapping[str, CorpusShare]
    # Distinct words over all languages.
    distinct_words: int
    # Source and result on the held-out texts, by language.
    fertility: tuple[FertilityChange, ...]
    # What the last new token gains and the last dropped one loses.
    marginals: Marginals
    # Wall time in seconds, by stage.
    seconds: dict[str, float]


def adapt_tokenizer(
    source: Path,
    corpus: Mapping[str, WordCounts],
    output: Path,
    *,
    vocab_size: int,
    new_tokens: int | None,
    language_weights: Mapping[str, float],
    heldout: Mapping[str, Sequence[str]],
    preferences: Preferences = NO_PREFERENCES,
) -> AdaptationReport:
    """Make a tokenizer of exact size for the languages of a corpus out of a larger one.

    Tokens that the corpus uses least are dropped and tokens learnt by continued byte-pair encoding are added. A corpus
    that does not yield `new_tokens` of them drops fewer instead, so the size is exact all the same. The same input
    gives the same files. Only a byte-fallback BPE can get new tokens; a Unigram and a WordPiece are pruned.

    Args:
        source: Folder of the source tokenizer: a BPE with byte fallback in the form of Gemma 3, a Unigram or a
            WordPiece.
        corpus: The words of the corpus by language. A language without words is reported and has no say.
        output: Folder to write, absent or empty. What it holds after an error is not usable.
        vocab_size: Tokens of the result, special tokens and bytes included.
        new_tokens: Tokens to learn; None for a balanced budget, where the next new token would gain no more than
            making room for it loses. One that the source had and that was dropped first counts as kept in the report.
            0 or None for a Unigram or a WordPiece, to which nothing is added.
        language_weights: Share by language of the tokens that the corpus costs before, as `resolve_language_weights`
            reads it: languages without an entry divide what is left to 1 equally, and languages with words divide the
            shares of those without in proportion.
        heldout: Lines of text by language that the corpus does not hold, for the round-trip check and the fertility.
        preferences: What else sways the choice of tokens; by default nothing.

    Returns:
        Sizes, counts, fertility before and after, and times.

    Raises:
        FileNotFoundError: `source` holds no `tokenizer.json`.
        FileExistsError: `output` is not empty.
        ValueError: An argument is out of range, no language has text, the source has another form, the size cannot be
            reached, or the result fails a check.
    """
    weights = _check_request(corpus, output, vocab_size, new_tokens, language_weights, heldout)
    seconds: dict[str, float] = {}
    with _timed("read", seconds):
        vocabulary = read_source(source)
    if vocabulary.settings["model"]["type"] != "BPE":
        new_tokens = _refuse_new_tokens(vocabulary, new_tokens)
    _check_size(vocabulary, vocab_size, vocab_size if new_tokens is None else new_tokens)
    with _timed("weigh", seconds):
        statistics = _weigh(vocabulary, corpus, weights)
    with _timed("choose", seconds):
        choice = choose_tokens(
            vocabulary,
            statistics.encoded,
            statistics.table,
            statistics.characters,
            vocab_size=vocab_size,
            new_tokens=new_tokens,
            preferences=preferences,
        )
    with _timed("write", seconds):
        tokenizer = build_tokenizer(vocabulary, choice.pieces, choice.merges)
        output.mkdir(parents=True, exist_ok=True)
        write_tokenizer(output, tokenizer, vocabulary)
    with _timed("check", seconds):
        texts = [line for lines in heldout.values() for line in lines]
        check_tokenizer(output, vocabulary, vocab_size=vocab_size, texts=texts)
    with _timed("measure", seconds):
        before = measure_fertility(vocabulary.tokenizer, heldout)
        fertility = compare_fertility(before, measure_fertility(tokenizer, heldout))
    shares = {language: _share(corpus[language], weights.get(language, 0.0)) for language in corpus}
    return _report(vocabulary, choice, shares, statistics, fertility, seconds)


@dataclass(frozen=True, kw_only=True)
class _Statistics:
    """What a corpus holds."""

    # Per language, how often each character occurs in the distinct words.
    characters: dict[str, Counter[str]]
    # The weighted words of all languages.
    table: WordTable
    # The same words as the source cuts them.
    encoded: EncodedWords


def _check_request(
    corpus: Mapping[str, WordCounts],
    output: Path,
    vocab_size: int,
    new_tokens: int | None,
    language_weights: Mapping[str, float],
    heldout: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Check the arguments that need no reading and return the share of each language that has words."""
    if new_tokens is not None and not 0 <= new_tokens < vocab_size:
        raise ValueError(
            f"`new_tokens`={new_tokens} must lie between 0 and `vocab_size`={vocab_size}, not reaching it."
        )
    if not any(counts.words for counts in corpus.values()):
        raise ValueError(f"`corpus` has no words in any of {sorted(corpus)}; give text for at least one language.")
    if not heldout:
        raise ValueError("`heldout` is empty; give lines of text for at least one language.")
    wordless = sorted(language for language, lines in heldout.items() if not any(line.split() for line in lines))
    if wordless:
        raise ValueError(f"`heldout` holds no words for {wordless}; give text for them or leave them out.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"`output` {output} is not an empty folder; give one that is absent or empty.")
    return _share_out(corpus, resolve_language_weights(corpus, language_weights))


def _report(
    vocabulary: SourceVocabulary,
    choice: Choice,
    shares: Mapping[str, CorpusShare],
    statistics: _Statistics,
    fertility: tuple[FertilityChange, ...],
    seconds: dict[str, float],
) -> AdaptationReport:
    """Put together what was done."""
    kept = len(set(choice.pieces).intersection(vocabulary.pieces))
    source_size = vocabulary.tokenizer.get_vocab_size()
    return AdaptationReport(
        source_size=source_size,
        final_size=len(choice.pieces),
        kept=kept,
        new=len(choice.pieces) - kept,
        dropped=source_size - kept,
        unreachable_in_source=choice.unreachable,
        corpus=shares,
        distinct_words=len(statistics.table.words),
        fertility=fertility,
        marginals=choice.marginals,
        seconds=seconds,
    )


def _share_out(corpus: Mapping[str, WordCounts], weights: Mapping[str, float]) -> dict[str, float]:
    """Divide the shares of languages without words among the others, in proportion to theirs."""
    present = {language: weight for language, weight in weights.items() if corpus[language].words}
    if len(present) == len(weights):
        return present
    logger.warning("no words of %s; they have no say", ", ".join(sorted(set(weights) - set(present))))
    total = sum(present.values())
    return {language: weight / total for language, weight in present.items()}


def _share(counts: WordCounts, weight: float) -> CorpusShare:
    """Report on the text of one language."""
    return CorpusShare(
        weight=weight,
        texts=counts.texts,
        words=sum(counts.words.values()) + counts.forgotten,
        distinct_words=len(counts.words),
        forgotten=counts.forgotten,
        undercount=counts.undercount,
        left_out=dict(counts.left_out),
    )


def _weigh(
    source: SourceVocabulary,
    corpus: Mapping[str, WordCounts],
    weights: Mapping[str, float],
) -> _Statistics:
    """Cut the words of the corpus as the source does, and weigh them."""
    counts = {language: corpus[language].words for language in weights}
    words = list_words(counts.values())
    encoded = encode_words(source.tokenizer, begin_with_space(source.tokenizer, words), source.separator)
    lengths = np.bincount(encoded.words, minlength=len(words)).astype(np.int64)
    return _Statistics(
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
