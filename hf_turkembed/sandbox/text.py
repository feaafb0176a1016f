"""The sandbox's text on disk: corpora, NLI triplets, STS pairs and translations, the same bytes for the same seed."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from hf_turkembed.sandbox.english import realise_english
from hf_turkembed.sandbox.grammar import Meaning, realise, sample_meaning
from hf_turkembed.sandbox.languages import FURTHER_LANGUAGES, LANGUAGES, realise_in, sample_shared_meaning
from hf_turkembed.sandbox.plain import sample_plain_sentence
from hf_turkembed.sandbox.relations import sample_pair, sample_triplet

Row = tuple[str | float, ...]
Draw = Callable[[random.Random], Row]

# Languages of the corpus besides Turkish.
OTHER_LANGUAGES = ("en", *(code for code in LANGUAGES if code not in FURTHER_LANGUAGES))

_HELD_OUT_LINES = 200
# Draws in a row that give nothing new before a grammar counts as exhausted.
_PATIENCE = 20_000


def write_sandbox_text(folder: Path, *, seed: int, sentences: int, triplets: int, pairs: int) -> dict[str, int]:
    """Write the text that the sandbox trains on and is scored with.

    No sentence of a development, test or held-out file is in any other file, so that a score measures what was learnt.
    The files are `corpus/xx.txt` and `corpus-heldout/xx.txt` (a sentence a line), `corpus-further/xx.txt` (languages
    that only the teacher's vocabulary knows), `nli/{train,dev}.jsonl` (`anchor`, `positive`, `negative`),
    `sts/{train,dev,test}.tsv` (`score` from 0 to 5, `sentence1`, `sentence2`) and `parallel/xx-tr.tsv` (a sentence and
    its Turkish translation).

    Args:
        folder: where to write; made if it is not there, files in it are written over.
        seed: seed of all randomness.
        sentences: lines of all corpora together: half of them Turkish, the rest shared by nine languages. There are a
            quarter as many translations from English and a fortieth from each of the others, and six further languages
            get as many lines as one of the nine, besides.
        triplets: rows of `nli/train.jsonl`; the development file has a tenth as many, at least 200.
        pairs: rows of `sts/train.tsv`; the other two have a tenth as many each, at least 300.

    Returns:
        Number of rows by path inside the folder.

    Raises:
        ValueError: if a count is too small, or more is asked for than the grammar can say.
    """
    _check_counts(sentences=sentences, triplets=triplets, pairs=pairs)
    taken: set[str] = set()
    files: dict[str, list[Row]] = {}
    for name, (draw, count) in _held_out_files(triplets, pairs).items():
        files[name] = _draw_rows(draw, count, random.Random(f"{seed} {name}"), taken, name)
        taken.update(sentence for row in files[name] for sentence in row if isinstance(sentence, str))
    for name, (draw, count) in _training_files(sentences, triplets, pairs).items():
        files[name] = _draw_rows(draw, count, random.Random(f"{seed} {name}"), taken, name)
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(_format(name, rows)), encoding="utf-8", newline="\n")
    return {name: len(rows) for name, rows in files.items()}


def _check_counts(**counts: int) -> None:
    """Refuse counts that leave a file empty."""
    least = {"sentences": 40, "triplets": 1, "pairs": 1}
    for name, count in counts.items():
        if count < least[name]:
            raise ValueError(f"`{name}`={count} leaves a file of the sandbox empty; ask for {least[name]} or more.")


def _held_out_files(triplets: int, pairs: int) -> dict[str, tuple[Draw, int]]:
    """Say how the files that share no sentence with any other are drawn, and how many rows they have."""
    return {
        "sts/test.tsv": (sample_pair, max(300, pairs // 10)),
        "sts/dev.tsv": (sample_pair, max(300, pairs // 10)),
        "nli/dev.jsonl": (sample_triplet, max(200, triplets // 10)),
        "corpus-heldout/tr.txt": (_turkish_line, _HELD_OUT_LINES),
        **{f"corpus-heldout/{code}.txt": (_line_drawer(code), _HELD_OUT_LINES) for code in OTHER_LANGUAGES},
    }


def _training_files(sentences: int, triplets: int, pairs: int) -> dict[str, tuple[Draw, int]]:
    """Say how the files to train on are drawn, and how many rows they have."""
    turkish = sentences // 2
    share, rest = divmod(sentences - turkish, len(OTHER_LANGUAGES))
    return {
        **{
            f"corpus/{code}.txt": (_line_drawer(code), share + (place < rest))
            for place, code in enumerate(OTHER_LANGUAGES)
        },
        "corpus/tr.txt": (_turkish_line, turkish),
        **{f"corpus-further/{code}.txt": (_line_drawer(code), share) for code in FURTHER_LANGUAGES},
        "nli/train.jsonl": (sample_triplet, triplets),
        "sts/train.tsv": (sample_pair, pairs),
        "parallel/en-tr.tsv": (_translation_drawer("en"), sentences // 4),
        **{f"parallel/{code}-tr.tsv": (_translation_drawer(code), sentences // 40) for code in OTHER_LANGUAGES[1:]},
    }


def _turkish_line(rng: random.Random) -> Row:
    """Draw a line of the Turkish corpus."""
    return (sample_plain_sentence(rng),)


def _sample(code: str, rng: random.Random) -> Meaning:
    """Draw a meaning that a language can tell."""
    return sample_meaning(rng) if code == "en" else sample_shared_meaning(rng)


def _say(code: str, meaning: Meaning, rng: random.Random) -> str:
    """Say a meaning in a language."""
    return realise_english(meaning, rng) if code == "en" else realise_in(code, meaning, rng)


def _line_drawer(code: str) -> Draw:
    """Make the function that draws a line of a corpus."""
    return lambda rng: (_say(code, _sample(code, rng), rng),)


def _translation_drawer(code: str) -> Draw:
    """Make the function that draws a sentence and its Turkish translation."""

    def draw(rng: random.Random) -> Row:
        meaning = _sample(code, rng)
        return _say(code, meaning, rng), realise(meaning, rng)

    return draw


def _draw_rows(draw: Draw, count: int, rng: random.Random, taken: set[str], name: str) -> list[Row]:
    """Draw different rows that hold no sentence already taken."""
    rows: dict[Row, None] = {}
    misses = 0
    while len(rows) < count:
        row = draw(rng)
        if row in rows or not taken.isdisjoint(row):
            misses += 1
            if misses == _PATIENCE:
                raise ValueError(
                    f"{name} got {len(rows)} different rows, expected {count}; the grammar has no more, ask for fewer."
                )
            continue
        rows[row] = None
        misses = 0
    return list(rows)


def _format(name: str, rows: Sequence[Row]) -> list[str]:
    """Write rows as lines of the format that the file's name tells."""
    if name.endswith(".jsonl"):
        keys = ("anchor", "positive", "negative")
        return [json.dumps(dict(zip(keys, row, strict=True)), ensure_ascii=False) + "\n" for row in rows]
    lines = ["\t".join(f"{field:.3f}" if isinstance(field, float) else field for field in row) + "\n" for row in rows]
    if name.startswith("sts/"):
        return ["score\tsentence1\tsentence2\n", *lines]
    if name.startswith("parallel/"):
        return [name.removeprefix("parallel/").removesuffix(".tsv").replace("-", "\t") + "\n", *lines]
    return lines
