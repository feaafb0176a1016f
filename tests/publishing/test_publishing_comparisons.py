"""Each comparison fails when what it is there for goes wrong."""

import json

import numpy as np
import pytest

from hf_turkembed.publishing.comparisons import (
    check_dataset,
    check_faults,
    check_snippets,
    check_tokenizer,
    compare_models,
)

WIDTHS = [8, 4]
VOCABULARY = {"sizes": np.array([300, 300, 300]), "framed": np.array([True]), "known": np.array([True])}


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def probes():
    """What two probes of a sound model give: without our package, and with it."""
    random = np.random.default_rng(0)
    full = unit(random.normal(size=(5, 8)))
    vectors = {8: full, 4: unit(full[:, :4])}
    hidden = random.normal(size=(20, 6))
    refused = np.array("`truncate_dim`=5 is not one of the trained")
    ours = {f"auto.{width}": vectors[width].copy() for width in WIDTHS}
    plain = {f"plain.{width}": vectors[width].copy() for width in WIDTHS}
    shared = {**ours, "hidden": hidden, "refused": refused}
    return {**shared, **plain, "native": hidden.copy()}, {**shared, **VOCABULARY, "rows": np.array([299, 300])}


def failed(checks):
    return [check.name for check in checks if not check.passed]


def test_sound_model_passes_every_check(probes):
    checks = compare_models(*probes, WIDTHS)
    assert len(checks) == 20
    assert failed(checks) == []


def turn(vectors):
    return vectors[::-1]


def shrink(vectors):
    return 0.5 * vectors


def shift(states):
    return states + 0.01


def take(message):
    return np.array("")


# The probe (0 without our package, 1 with it), what is damaged in it and how, and the one check that this fails.
DAMAGE = [
    *[(0, f"auto.{width}", turn, f"repo code = package at {width}") for width in WIDTHS],
    *[(0, f"plain.{width}", turn, f"sentence-transformers = package at {width}") for width in WIDTHS],
    *[(0, f"auto.{width}", shrink, f"repo code unit norm at {width}") for width in WIDTHS],
    *[(0, f"plain.{width}", shrink, f"sentence-transformers unit norm at {width}") for width in WIDTHS],
    *[(1, f"auto.{width}", shrink, f"package unit norm at {width}") for width in WIDTHS],
    (0, "hidden", shift, "repo code hidden states = package"),
    (0, "native", shift, "native hidden states = package"),
    (0, "refused", take, "repo code refuses an untrained width"),
    (1, "refused", take, "package refuses an untrained width"),
    (1, "sizes", lambda sizes: np.add(sizes, [0, 0, 1]), "dense ids"),
    (1, "framed", np.logical_not, "begins and ends with its special tokens"),
    (1, "known", np.logical_not, "no unknown token in Turkish"),
    (1, "rows", lambda rows: rows[::-1], "every token has a row"),
]


@pytest.mark.parametrize(("probe", "key", "damage", "name"), DAMAGE, ids=[case[3] for case in DAMAGE])
def test_damage_to_what_one_loader_gives_fails_the_check_that_is_about_it(probes, probe, key, damage, name):
    probes[probe][key] = damage(probes[probe][key])
    assert failed(compare_models(*probes, WIDTHS)) == [name]


def test_every_comparison_has_damage_that_fails_it_alone(probes):
    names = {check.name for check in compare_models(*probes, WIDTHS)}
    # Where the package's own vectors are of another model, every loader differs from it.
    assert names == {case[3] for case in DAMAGE} | {f"{width} = normalised cut of 8" for width in WIDTHS}


def test_width_that_is_no_cut_of_the_full_one_fails(probes):
    without, with_package = probes
    rotated = np.roll(with_package["auto.4"], 1, axis=1)
    with_package["auto.4"] = without["auto.4"] = without["plain.4"] = rotated
    assert failed(compare_models(without, with_package, WIDTHS)) == ["4 = normalised cut of 8"]


@pytest.mark.parametrize("broken", [np.nan, 0.0])
def test_vectors_without_a_direction_fail_and_give_no_value(probes, broken):
    without, with_package = probes
    without["plain.8"] = np.full_like(without["plain.8"], broken)
    checks = compare_models(without, with_package, WIDTHS)
    assert failed(checks) == ["sentence-transformers = package at 8", "sentence-transformers unit norm at 8"]
    assert next(check for check in checks if not check.passed).value is None
    json.dumps([check.value for check in checks], allow_nan=False)


def test_vectors_of_another_width_fail_with_both_shapes(probes):
    without, with_package = probes
    without["plain.4"] = without["plain.8"]
    check = next(c for c in compare_models(without, with_package, WIDTHS) if not c.passed)
    assert check.detail == "shapes (5, 8) and (5, 4) differ"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"snippet.1": np.array([[0.0, 1.0]])}, ["snippet 1 runs"]),
        ({"snippet.1": np.array([[0.5, 0.0]])}, ["snippet 1 runs"]),
        ({"snippet.1": np.array([[np.nan, 0.0]])}, ["snippet 1 runs"]),
        ({"snippet.1": np.array([[1.0, 0.0, 0.0]])}, ["snippet 1 runs"]),
        ({"snippet.2": np.array([[0.0, 1.0]])}, ["snippet 2 runs"]),
    ],
)
def test_snippet_that_gives_other_embeddings_fails(changes, names):
    sound = {f"snippet.{number}": np.array([[1.0, 0.0]]) for number in (1, 2, 3)} | {"snippet.4": np.empty((0, 0))}
    checks = check_snippets({**sound, **changes, "auto.8": np.array([[3.0]])})
    assert len(checks) == 4
    assert failed(checks) == names


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"sizes": np.array([300, 300, 301])}, "dense ids"),
        ({"framed": np.array([True, False])}, "begins and ends with its special tokens"),
        ({"known": np.array([True, False])}, "no unknown token in Turkish"),
        ({"restored": np.array([False, False])}, "restores text"),
    ],
)
def test_tokenizer_fails_the_check_that_is_about_it(changes, name):
    sound = {**VOCABULARY, "restored": np.array([True])}
    assert failed(check_tokenizer(sound)) == []
    assert failed(check_tokenizer({**sound, **changes})) == [name]


@pytest.mark.parametrize(
    ("facts", "norms", "counts", "names"),
    [
        ({}, [1.0, 1.0], {"rows": 2, "languages": {"tr": 2}, "embedding_dim": 8}, []),
        ({}, [1.0, 1.0], {}, []),
        ({"type": "float64"}, [1.0, 1.0], {}, ["tr columns"]),
        ({"columns": ["text"]}, [1.0, 1.0], {}, ["tr columns"]),
        ({"languages": ["en", "tr"]}, [1.0, 1.0], {}, ["tr columns"]),
        ({"width": -1}, [1.0, 1.0], {}, ["tr columns"]),
        ({}, [1.0, 1.0], {"embedding_dim": 16}, ["tr columns"]),
        ({}, [1.0, 0.9], {}, ["tr unit norm"]),
        ({}, [1.0, np.nan], {}, ["tr unit norm"]),
        ({}, [1.0, 1.0], {"rows": 3}, ["rows"]),
        ({}, [1.0, 1.0], {"languages": {"tr": 1, "en": 1}}, ["rows"]),
    ],
)
def test_dataset_fails_the_check_that_is_about_it(facts, norms, counts, names):
    columns = ["embedding", "language", "text", "tokens"]
    sound = {"columns": columns, "type": "float16", "width": 8, "languages": ["tr"]}
    arrays = {"tr.facts": np.array(json.dumps({**sound, **facts})), "tr.norms": np.array(norms)}
    assert failed(check_dataset(arrays, {"tr": 2}, counts)) == names


@pytest.mark.parametrize("error", [RecursionError, OverflowError, ZeroDivisionError, MemoryError, AttributeError])
def test_whatever_ends_a_check_fails_it(error):
    def faults():
        yield "one"
        raise error("of a file")

    found = check_faults("it", faults())
    assert not found.passed and f"({error.__name__}: of a file)" in found.detail
