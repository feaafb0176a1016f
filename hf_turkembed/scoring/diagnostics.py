"""Signs of failure in a model's vectors, in its scores, and in what it was trained on; see `findings.DIAGNOSTICS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hf_turkembed.corpus import find_leakage, fold_text
from hf_turkembed.findings import DIAGNOSTICS, Diagnostic
from hf_turkembed.scoring import metrics
from hf_turkembed.scoring.resampling import Values, percentile_interval

# Texts whose vectors are compared with one another, evenly spread over all; and those that are written otherwise.
_COMPARED_TEXTS = 5000
_RESPELLED_TEXTS = 200
_LEAST_TEXTS = 20
# Vectors of unit norm are the same if their cosine is one but for rounding.
_SAME_COSINE = 1 - 1e-6
_BLOCK_ROWS = 1024
# Letters by which Turkish text is told from other text.
_TURKISH = frozenset("ıİğĞşŞ")
_TURKISH_CAPITALS = str.maketrans({"i": "İ", "ı": "I"})
_TURKISH_SMALL = str.maketrans({"İ": "i", "I": "ı"})
_WITHOUT_DOTS = str.maketrans({"ı": "i", "İ": "I"})
# By diagnostic, the two spellings of a text that are held against one another.
_RESPELLINGS: Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "turkish_capitals": (str, lambda text: text.translate(_TURKISH_CAPITALS).upper()),
    "dotless_i": (str, lambda text: text.translate(_WITHOUT_DOTS)),
    "english_small_letters": (lambda text: text.translate(_TURKISH_SMALL).lower(), str.lower),
}

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a model was trained on, as far as its records tell."""

    # Texts of each row it was fine-tuned on: both sentences of a pair, or the three of a triplet.
    rows: Sequence[tuple[str, ...]] = ()
    # Why that is not everything; empty where it is.
    missing: str = ""
    # Name of the model it began with, where no record says what that was trained on: what is found is then the least.
    unrecorded: str = ""
    # Texts whose vectors it learnt from a teacher, and why those are not all.
    distilled: Sequence[str] = ()
    distilled_missing: str = ""


def diagnose_vectors(
    model: str, texts: Sequence[str], embeddings: NDArray[np.float32], dims: Sequence[int]
) -> list[Diagnostic]:
    """Look at the vectors of different texts: unusable ones, a direction that all share, favour for long texts.

    Args:
        model: Role of the model.
        texts: Distinct texts of any kind.
        embeddings: `(len(texts), embedding_dim)`.
        dims: Widths; unusable vectors are looked for in all of them.
    """
    rows = _spread([row for row, _ in _distinct(texts)], _COMPARED_TEXTS)
    texts, embeddings = [texts[row] for row in rows], embeddings[rows]
    if len(texts) < _LEAST_TEXTS:
        reason = f"{len(texts)} different texts; at least {_LEAST_TEXTS} are needed"
        return [_missing(name, model, reason) for name in ("unusable_vectors", "anisotropy", "length_bias")]
    unusable = {dim: _unusable_rows(embeddings[:, :dim]) for dim in dims}
    worst = max(dims, key=lambda dim: (int(unusable[dim].sum()), -dim))
    detail = f"{unusable[worst].sum()} of {len(texts):,} at {worst} dimensions"
    if unusable[worst].any():
        detail += f", such as {texts[int(np.argmax(unusable[worst]))][:40]!r}"
    found = [_found("unusable_vectors", model, float(unusable[worst].mean()), detail=detail)]
    norms = np.linalg.norm(embeddings, axis=1)
    usable = np.isfinite(norms) & (norms > 0)
    if usable.sum() < _LEAST_TEXTS:
        reason = f"{usable.sum()} texts have a usable vector; at least {_LEAST_TEXTS} are needed"
        return [*found, *(_missing(name, model, reason) for name in ("anisotropy", "length_bias"))]
    alike = _mean_cosines(metrics.normalise(embeddings[usable]))
    found.append(_found("anisotropy", model, float(alike.mean()), detail=f"{len(alike):,} texts"))
    lengths = np.array([len(text) for text in texts], dtype=np.float64)[usable]
    try:
        correlation = metrics.spearman(alike, lengths)
    except ValueError as error:
        return [*found, _missing("length_bias", model, str(error))]
    towards = "longer texts are nearer to all" if correlation > 0 else "shorter texts are nearer to all"
    return [*found, _found("length_bias", model, abs(correlation), detail=towards)]


def diagnose_spelling(
    model: str, texts: Sequence[str], encode: Callable[[Sequence[str]], NDArray[np.float32]]
) -> list[Diagnostic]:
    """Ask how far a Turkish text is from itself in capitals, without ı and İ, and made small as in English.

    Args:
        model: Role of the model.
        texts: Distinct texts, of which those with letters of the Turkish alphabet are used.
        encode: Texts to embeddings `(texts, embedding_dim)`.
    """
    turkish = [text for text in texts if _TURKISH & set(text)]
    found = []
    for name, (spell, respell) in _RESPELLINGS.items():
        changed = _spread([text for text in turkish if respell(text) != spell(text)], _RESPELLED_TEXTS)
        if len(changed) < _LEAST_TEXTS:
            reason = f"{len(changed)} Turkish texts that it would change; at least {_LEAST_TEXTS} are needed"
            found.append(_missing(name, model, reason))
            continue
        originals = metrics.normalise(encode([spell(text) for text in changed]))
        others = metrics.normalise(encode([respell(text) for text in changed]))
        distance = float(1 - np.einsum("rd,rd->r", originals, others).mean())
        unrelated = float(1 - _mean_cosines(originals).mean())
        if unrelated <= 1 - _SAME_COSINE or not originals.any():
            found.append(_missing(name, model, "all texts have the same vector"))
            continue
        detail = f"cosine {1 - distance:.3f}, of unrelated texts {1 - unrelated:.3f}"
        found.append(_found(name, model, max(0.0, distance / unrelated), detail=detail))
    return found


def diagnose_widths(
    model: str, suite: str, scores: Mapping[int, float], resampled: Mapping[int, Values], confidence: float
) -> list[Diagnostic]:
    """Ask whether a narrower width scores better than a wider one.

    Args:
        model: Role of the model.
        suite: Name of the suite.
        scores: Its main metric by width.
        resampled: The same on bootstrap resamples, those of all widths on the same rows.
        confidence: Of all comparisons of widths together.
    """
    pairs = list(combinations(sorted(scores), 2))
    if not pairs:
        return [_missing("narrow_beats_wide", model, "scored at one width", suite)]
    each = 1 - (1 - confidence) / len(pairs)
    found = [
        _found(
            "narrow_beats_wide",
            model,
            scores[narrow] - scores[wide],
            suite,
            interval=percentile_interval(resampled[narrow] - resampled[wide], each),
            detail=f"{narrow} against {wide} dimensions",
        )
        for narrow, wide in pairs
    ]
    return [max(found, key=lambda one: (one.flagged, one.value or 0.0))]


def diagnose_correlations(model: str, suite: str, spearman: float, pearson: float) -> list[Diagnostic]:
    """Ask whether the two correlations of a suite of graded pairs lie apart."""
    detail = f"Pearson {pearson:.4f}, Spearman {spearman:.4f}"
    return [_found("correlation_gap", model, abs(pearson - spearman), suite, detail=detail)]


def diagnose_forgetting(
    model: str,
    before: str,
    suite: str,
    scores: tuple[float, float],
    resampled: tuple[Values, Values],
    confidence: float,
) -> list[Diagnostic]:
    """Ask whether a model scores less than the one that it was trained from.

    Args:
        model: Role of the model.
        before: Role of the model that it was trained from.
        suite: Name of the suite.
        scores: The main metric before, and after.
        resampled: The same on bootstrap resamples of the same rows.
        confidence: Share of the interval.
    """
    interval = percentile_interval(resampled[0] - resampled[1], confidence)
    detail = f"{scores[0]:.4f} of {before}, then {scores[1]:.4f}"
    return [_found("forgetting", model, scores[0] - scores[1], suite, interval=interval, detail=detail)]


def without_score(name: str, model: str, suite: str, without: str = "it") -> Diagnostic:
    """Say that a suite on which a model, or the one before it, has no score at any width says nothing either."""
    return _missing(name, model, f"{without} has no score there, at any width", suite)


def diagnose_leakage(
    model: str, suites: Mapping[str, Sequence[Sequence[str]]], trained_on: TrainedOn
) -> list[Diagnostic]:
    """Ask how much of each suite stands in the data that a model was fine-tuned on, or distilled on.

    Args:
        model: Role of the model.
        suites: Columns of text of each suite, by its name.
        trained_on: What the model was trained on.
    """
    distinct = {
        name: list(dict.fromkeys(text for column in suite for text in column)) for name, suite in suites.items()
    }
    return [
        *_diagnose_finetuned(model, suites, distinct, trained_on),
        *_diagnose_distilled(model, distinct, trained_on),
    ]


def _diagnose_finetuned(
    model: str,
    suites: Mapping[str, Sequence[Sequence[str]]],
    distinct: Mapping[str, Sequence[str]],
    trained_on: TrainedOn,
) -> list[Diagnostic]:
    """Look for the texts and the rows of suites in rows of fine-tuning."""
    if trained_on.missing:
        return [_missing(name, model, trained_on.missing) for name in ("leaked_texts", "leaked_rows")]
    seen = {text for row in trained_on.rows for text in row}
    beyond = f"; what `{trained_on.unrecorded}` was trained on is not recorded" if trained_on.unrecorded else ""
    found = []
    for suite, columns in suites.items():
        texts = distinct[suite]
        known = find_leakage(seen, texts)
        rows = list(zip(*columns, strict=True))
        # A pair stands in a triplet that holds both of its texts.
        parts = (part for row in trained_on.rows for part in combinations(row, len(columns)))
        leaked = set(find_leakage(parts, rows).rows)
        if len(columns) == 3:
            # Of a triplet, the pair of anchor and positive says which answer is right.
            pairs = (row for row in trained_on.rows if len(row) == 2)
            leaked |= set(find_leakage(pairs, [row[:2] for row in rows]).rows)
        found += [
            _found(
                "leaked_texts", model, known.share, suite, detail=f"{known.count:,} of {len(texts):,} texts{beyond}"
            ),
            _found(
                "leaked_rows",
                model,
                len(leaked) / len(rows),
                suite,
                detail=f"{len(leaked):,} of {len(rows):,} rows{beyond}",
            ),
        ]
    return found


def _diagnose_distilled(model: str, distinct: Mapping[str, Sequence[str]], trained_on: TrainedOn) -> list[Diagnostic]:
    """Look for the texts of suites among those of the distillation, which are read once."""
    if trained_on.distilled_missing:
        return [_missing("distilled_texts", model, trained_on.distilled_missing)]
    everything = list(dict.fromkeys(text for texts in distinct.values() for text in texts))
    known = {everything[row] for row in find_leakage(trained_on.distilled, everything).rows}
    counts = {suite: sum(text in known for text in texts) for suite, texts in distinct.items()}
    return [
        _found(
            "distilled_texts",
            model,
            counts[suite] / len(texts),
            suite,
            detail=f"{counts[suite]:,} of {len(texts):,} texts",
        )
        for suite, texts in distinct.items()
    ]


def _found(
    name: str,
    model: str,
    value: float,
    suite: str | None = None,
    *,
    interval: tuple[float, float] | None = None,
    detail: str = "",
) -> Diagnostic:
    """Return a diagnostic with its value."""
    return Diagnostic(
        name=name,
        model=model,
        suite=suite,
        value=value,
        interval=interval,
        threshold=DIAGNOSTICS[name].threshold,
        detail=detail,
    )


def _missing(name: str, model: str, reason: str, suite: str | None = None) -> Diagnostic:
    """Return a diagnostic that could not be made."""
    threshold = DIAGNOSTICS[name].threshold
    return Diagnostic(name=name, model=model, suite=suite, value=None, threshold=threshold, missing=reason)


def _distinct(texts: Sequence[str]) -> list[tuple[int, str]]:
    """Return one row of each text that differs from the others by more than case and punctuation."""
    return list({fold_text(text): (row, text) for row, text in reversed(list(enumerate(texts)))}.values())[::-1]


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many items, evenly spread."""
    return [items[index * len(items) // most] for index in range(most)] if len(items) > most else list(items)


def _unusable_rows(embeddings: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which rows are zero, not finite, or the same as another."""
    norms = np.linalg.norm(embeddings, axis=1)
    unusable: NDArray[np.bool_] = ~(np.isfinite(norms) & (norms > 0))
    rows = np.flatnonzero(~unusable)
    usable = metrics.normalise(embeddings[rows])
    for start in range(0, len(usable), _BLOCK_ROWS):
        cosines = usable[start : start + _BLOCK_ROWS] @ usable.T
        # Each row is the same as itself.
        same = np.count_nonzero(cosines >= _SAME_COSINE, axis=1) > 1
        unusable[rows[start : start + _BLOCK_ROWS]] = same
    return unusable


def _mean_cosines(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean cosine of each row of unit norm with all the others, `(rows,)`."""
    total = embeddings.sum(axis=0, dtype=np.float64)
    cosines: NDArray[np.float64] = (embeddings @ total - 1) / (len(embeddings) - 1)
    return cosines
