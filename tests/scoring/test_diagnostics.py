"""Every sign of failure: found in vectors, scores or data that show it, and in none that do not."""

from dataclasses import replace

import numpy as np
import pytest
from samples import TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed.findings import DIAGNOSTICS, Diagnostic
from hf_turkembed.scoring import Examination, metrics
from hf_turkembed.scoring.diagnostics import (
    TrainedOn,
    diagnose_correlations,
    diagnose_forgetting,
    diagnose_leakage,
    diagnose_spelling,
    diagnose_vectors,
    diagnose_widths,
)

WORDS = ("kedi", "ılık", "İzmir", "şehir", "yağmur", "kapı", "ışık", "deniz", "öğle", "ağaç", "iğde", "çiçek")
SENTENCES = [" ".join(WORDS[(row * k + k) % 12] for k in range(1, 3 + row % 9)) + f" {row}" for row in range(300)]


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(len(SENTENCES), 32)).astype(np.float32)


def by_name(diagnostics):
    return {found.name: found for found in diagnostics}


def test_vectors_in_all_directions_are_no_warning(vectors):
    found = by_name(diagnose_vectors("m", SENTENCES, vectors, (32, 8)))
    assert set(found) == {"unusable_vectors", "anisotropy", "length_bias"}
    assert not any(one.flagged for one in found.values())
    assert found["unusable_vectors"].value == 0 and abs(found["anisotropy"].value) < 0.02


def test_vectors_with_a_direction_in_common_are_anisotropic(vectors):
    found = by_name(diagnose_vectors("m", SENTENCES, vectors + 3, (32,)))["anisotropy"]
    pairs = metrics.normalise(vectors + 3)
    cosines = (pairs @ pairs.T)[np.triu_indices(len(pairs), 1)]
    assert found.flagged and found.value == pytest.approx(cosines.mean(), abs=1e-6) and found.value > 0.8


@pytest.mark.parametrize("damage", ["zero", "nan", "same"])
def test_zero_damaged_and_repeated_vectors_are_unusable(vectors, damage):
    vectors[7] = {"zero": 0, "nan": np.nan, "same": 2 * vectors[9]}[damage]
    found = by_name(diagnose_vectors("m", SENTENCES, vectors, (32, 8)))["unusable_vectors"]
    count = 2 if damage == "same" else 1
    assert found.flagged and found.value == pytest.approx(count / 300)
    assert f"{count} of 300" in found.detail and repr(SENTENCES[7][:40]) in found.detail


def test_vectors_that_only_a_narrow_width_confuses_are_found(vectors):
    vectors[7, :8] = vectors[9, :8]
    found = by_name(diagnose_vectors("m", SENTENCES, vectors, (32, 8)))["unusable_vectors"]
    assert found.flagged and "2 of 300 at 8 dimensions" in found.detail
    assert not by_name(diagnose_vectors("m", SENTENCES, vectors, (32,)))["unusable_vectors"].flagged


def test_texts_that_differ_in_case_alone_may_share_a_vector(vectors):
    texts = [*SENTENCES[:200], *(text.upper() for text in SENTENCES[:100])]
    vectors[200:] = vectors[:100]
    assert not by_name(diagnose_vectors("m", texts, vectors, (32,)))["unusable_vectors"].flagged


@pytest.mark.parametrize("sign", [1, -1])
def test_a_direction_that_grows_with_length_is_length_bias(vectors, sign):
    lengths = np.array([len(text) for text in SENTENCES], dtype=np.float32)
    vectors[:, 0] = 5 + sign * 4 * (lengths - lengths.mean()) / np.ptp(lengths)
    found = by_name(diagnose_vectors("m", SENTENCES, vectors, (32,)))["length_bias"]
    assert found.flagged and found.detail.startswith("longer" if sign == 1 else "shorter")


def test_too_few_texts_are_said_and_not_judged(vectors):
    found = diagnose_vectors("m", SENTENCES[:5], vectors[:5], (32,))
    assert all(one.value is None and "5 different texts" in one.missing and not one.flagged for one in found)


def encode_by(letters):
    """Encode a text as the number of times each letter occurs, after a spelling rule."""

    def encode(texts):
        return np.array(
            [np.bincount([ord(c) % 997 for c in letters(text)], minlength=997) for text in texts], dtype=np.float32
        )

    return encode


def test_an_encoder_that_ignores_case_and_dots_is_insensitive():
    def fold(text):
        return text.replace("İ", "i").replace("I", "ı").lower().replace("ı", "i").replace("\u0307", "")

    found = by_name(diagnose_spelling("m", SENTENCES, encode_by(fold)))
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        {"turkish_capitals": 0, "dotless_i": 0, "english_small_letters": 0}
    )


def test_an_encoder_of_letters_as_they_are_is_sensitive_to_capitals_and_not_to_dots():
    texts = [f"{''.join(sorted(text))} ı" for text in SENTENCES if "ı" not in text and "İ" not in text]
    found = by_name(diagnose_spelling("m", texts, encode_by(lambda text: text)))
    assert found["turkish_capitals"].flagged and found["turkish_capitals"].value > 1
    assert 0 < found["dotless_i"].value and not found["dotless_i"].flagged


def test_an_encoder_of_the_letters_in_question_is_sensitive_to_dots():
    only = encode_by(lambda text: [c for c in text if c in "ıİ" or c.isdigit()])
    assert by_name(diagnose_spelling("m", SENTENCES, only))["dotless_i"].flagged
    loose = encode_by(lambda text: [c for c in text if c == "\u0307" or c.isdigit()])
    found = by_name(diagnose_spelling("m", SENTENCES, loose))
    assert found["english_small_letters"].value > 0 == found["dotless_i"].value


def test_respelling_leaves_other_languages_out_and_knows_the_turkish_rule():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return encode_by(lambda text: text)(texts)

    diagnose_spelling("m", ["this is English", *(f"İzmir'de ılık iş {row}" for row in range(30))], encode)
    assert "İZMİR'DE ILIK İŞ 3" in asked and "Izmir'de ilik iş 3" in asked
    assert "izmir'de ılık iş 3" in asked and "i\u0307zmir'de ılık iş 3" in asked
    assert not any("English" in text or "ENGLİSH" in text for text in asked)


def test_a_constant_encoder_and_english_text_have_no_sensitivity():
    constant = diagnose_spelling("m", SENTENCES, lambda texts: np.ones((len(texts), 4), dtype=np.float32))
    assert {one.missing for one in constant} == {"all texts have the same vector"}
    english = diagnose_spelling("m", ["no such letters"] * 40, encode_by(lambda text: text))
    assert all("0 Turkish texts" in one.missing for one in english)


def resampled(*means, spread=0.01):
    common = np.random.default_rng(0).normal(size=2000) * spread
    return [mean + common + np.random.default_rng(row).normal(size=2000) * 0.002 for row, mean in enumerate(means)]


def test_a_narrow_width_that_beats_a_wide_one_beyond_doubt_is_found():
    draws = dict(zip((64, 128, 256), resampled(0.7, 0.72, 0.69), strict=True))
    (found,) = diagnose_widths("m", "sts", {64: 0.7, 128: 0.72, 256: 0.69}, draws, 0.95)
    assert found.flagged and found.detail == "128 against 256 dimensions" and found.value == pytest.approx(0.03)


@pytest.mark.parametrize("means", [(0.69, 0.70, 0.71), (0.701, 0.7, 0.7)])
def test_widths_that_rise_or_differ_by_chance_are_no_warning(means):
    draws = dict(zip((64, 128, 256), resampled(*means), strict=True))
    (found,) = diagnose_widths("m", "sts", dict(zip((64, 128, 256), means, strict=True)), draws, 0.95)
    assert not found.flagged


def test_one_width_alone_is_not_judged():
    (found,) = diagnose_widths("m", "sts", {64: 0.7}, {64: resampled(0.7)[0]}, 0.95)
    assert found.missing == "scored at one width"


def test_correlations_of_a_bent_relation_lie_apart_and_those_of_a_straight_one_do_not():
    generator = np.random.default_rng(0)
    grades = generator.uniform(size=2000)
    straight = grades + 0.3 * generator.normal(size=2000)
    bent = np.exp(6 * straight)
    for similarities, flagged in ((straight, False), (bent, True)):
        pair = metrics.spearman(similarities, grades), metrics.pearson(similarities, grades)
        (found,) = diagnose_correlations("m", "sts", *pair)
        assert found.flagged is flagged and found.value == pytest.approx(abs(pair[0] - pair[1]))


@pytest.mark.parametrize(
    ("before", "after", "flagged"), [(0.95, 0.90, True), (0.95, 0.945, False), (0.90, 0.95, False)]
)
def test_a_fall_of_more_than_a_point_is_forgetting(before, after, flagged):
    found = diagnose_forgetting("m", "base", "nli", (before, after), tuple(resampled(before, after)), 0.95)
    assert [one.flagged for one in found] == [flagged] and found[0].value == pytest.approx(before - after)


def test_a_fall_within_its_interval_is_not_forgetting():
    wide = np.random.default_rng(0).normal(size=(2, 2000)) * 0.05 + [[0.95], [0.93]]
    (found,) = diagnose_forgetting("m", "base", "nli", (0.95, 0.93), tuple(wide), 0.95)
    assert found.value > found.threshold and not found.flagged


PAIRS = [(f"soru {row} nedir", f"yanıt {row} budur") for row in range(100)]


@pytest.mark.parametrize(("copied", "flagged"), [(1, False), (2, True)])
def test_rows_that_were_trained_on_are_leaked(copied, flagged):
    columns = list(zip(*PAIRS, strict=True))
    train = [("X", "Y"), *((right.upper(), left) for left, right in PAIRS[:copied])]
    found = by_name(diagnose_leakage("m", {"s": columns}, TrainedOn(rows=train)))
    assert found["leaked_rows"].flagged is flagged and found["leaked_rows"].value == copied / 100
    assert found["leaked_texts"].value == copied / 100 and not found["leaked_texts"].flagged


def test_texts_that_were_trained_on_in_other_rows_are_leaked_texts_alone():
    train = [(left, "başka bir metin") for left, _ in PAIRS[:20]]
    found = by_name(diagnose_leakage("m", {"s": list(zip(*PAIRS, strict=True))}, TrainedOn(rows=train)))
    assert found["leaked_texts"].flagged and found["leaked_texts"].value == 0.1
    assert found["leaked_rows"].value == 0


def test_a_pair_inside_a_triplet_that_was_trained_on_is_leaked():
    train = [(left, right, "olumsuz") for left, right in PAIRS]
    found = by_name(diagnose_leakage("m", {"s": list(zip(*PAIRS, strict=True))}, TrainedOn(rows=train)))
    assert found["leaked_rows"].value == 1


def test_a_triplet_whose_anchor_and_positive_were_trained_on_as_a_pair_is_leaked():
    columns = [*zip(*PAIRS, strict=True), tuple(f"olumsuz {row}" for row in range(100))]
    found = by_name(
        diagnose_leakage("m", {"s": columns}, TrainedOn(rows=[(left, right) for right, left in PAIRS[:30]]))
    )
    assert found["leaked_rows"].value == 0.3
    others = TrainedOn(rows=[(left, "başka") for left, _ in PAIRS[:30]])
    assert by_name(diagnose_leakage("m", {"s": columns}, others))["leaked_rows"].value == 0


def test_what_is_found_is_said_to_be_the_least_where_the_base_has_no_record():
    trained_on = TrainedOn(rows=PAIRS[:20], unrecorded="org/base")
    found = by_name(diagnose_leakage("m", {"s": list(zip(*PAIRS, strict=True))}, trained_on))
    assert found["leaked_rows"].detail == "20 of 100 rows; what `org/base` was trained on is not recorded"
    assert found["leaked_texts"].value == 0.2


def test_leakage_from_unknown_data_is_missing_with_the_reason():
    trained_on = TrainedOn(missing="no record", distilled_missing="no store")
    found = diagnose_leakage("m", {"s": [["a"], ["b"]], "t": [["c"], ["d"]]}, trained_on)
    assert [one.missing for one in found] == ["no record"] * 2 + ["no store"]


def test_texts_whose_vectors_were_learnt_are_counted_once_for_all_suites():
    suites = {"s": list(zip(*PAIRS, strict=True)), "t": [["Soru 1 nedir?", "x"], ["y", "z"]]}
    trained_on = TrainedOn(missing="not fine-tuned", distilled=[left for left, _ in PAIRS[:20]])
    found = [one for one in diagnose_leakage("m", suites, trained_on) if one.name == "distilled_texts"]
    assert [(one.suite, one.value, one.flagged) for one in found] == [("s", 0.1, True), ("t", 0.25, True)]
    assert found[0].detail == "20 of 200 texts"


def test_every_diagnostic_of_the_list_is_made_for_a_model_that_was_trained_from_another(model, suite, score):
    examination = Examination(
        trained_on={"student": TrainedOn(rows=[(TEXTS[0], TEXTS[3])])}, trained_from={"student": "teacher"}
    )
    report = score({"teacher": model, "student": model}, [suite("sts"), suite("triplets")], examination=examination)
    assert {found.name for found in report.diagnostics} == set(DIAGNOSTICS)
    assert {found.model for found in report.diagnostics} == {"student"}
    leaked = [found for found in report.diagnostics if (found.name, found.suite) == ("leaked_rows", "sts")]
    assert leaked[0].value == 0.2 and leaked[0].flagged
    forgotten = [found.value for found in report.diagnostics if found.name == "forgetting"]
    assert forgotten == [0, 0]


def test_a_network_that_collapsed_is_reported_and_what_it_has_no_score_for_is_missing(model, suite, score):
    collapsed = SentenceTransformer(modules=list(model), device="cpu")
    encode = collapsed.encode
    collapsed.encode = lambda *arguments, **settings: 0 * encode(*arguments, **settings)
    table = {"sentence1": SENTENCES[:40], "sentence2": SENTENCES[40:80], "score": list(np.linspace(0, 1, 40))}
    examination = Examination(trained_on={"student": TrainedOn()}, trained_from={"student": "teacher"})
    models = {"teacher": model, "student": collapsed}
    report = score(models, [suite("sts", table)], examination=examination)
    assert all((one.value is None) == (one.model == "student") for one in report.scores)
    found = {one.name: one for one in report.diagnostics}
    assert found["unusable_vectors"].flagged and found["unusable_vectors"].value == 1
    for name in ("narrow_beats_wide", "correlation_gap", "forgetting"):
        assert found[name].missing == "it has no score there, at any width"
    assert found.keys() == set(DIAGNOSTICS) and found["turkish_capitals"].value is None
    turned = replace(examination, trained_on={"teacher": TrainedOn()}, trained_from={"teacher": "student"})
    report = score(models, [suite("sts", table)], examination=turned)
    found = {one.name: one for one in report.diagnostics}
    assert found["forgetting"].missing == "student has no score there, at any width"


def test_a_diagnostic_is_finite_and_of_a_known_name():
    made = {"name": "anisotropy", "model": "m", "suite": None, "threshold": 0.5}
    with pytest.raises(ValueError, match="finite or explicitly missing"):
        Diagnostic(**made, value=float("nan"))
    with pytest.raises(ValueError, match="either a value or the reason"):
        Diagnostic(**made, value=None)
    with pytest.raises(ValueError, match="there is no diagnostic `anisotropi`"):
        Diagnostic(**{**made, "name": "anisotropi"}, value=0.1)
