"""Texts as a dataset of their own, without vectors: what their card says, and what their files have to hold."""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hf_turkembed import record as records
from hf_turkembed.markdown import escape, format_code, format_source, format_table, format_value
from hf_turkembed.publishing import card_metadata
from hf_turkembed.publishing.card_metadata import dataset_configs, default_config
from hf_turkembed.record import Provenance

_COLUMNS = ("text", "language")
_PARALLEL_COLUMN = "teacher_text"
_BATCH_ROWS = 1000
# Texts of a language that the reader compares with one another.
_MOST_DIGESTS = 1_000_000


def corpus_values(chain: Sequence[Provenance]) -> dict[str, Any]:
    """Prepare what only the card of a set of texts shows."""
    counts = chain[0].observed.counts
    configs = dataset_configs(chain[0])
    return {
        "rows_by_language": format_splits(chain[0], configs),
        "example_config": default_config(configs),
        "is_parallel": _PARALLEL_COLUMN in counts["columns"],
        "size": f"{counts['rows']:,} texts of {counts['characters']:,} characters in {len(configs)} languages.",
        "sources": [format_source(source) for source in chain[0].identity.inputs],
        "reading": describe_reading(chain[0]),
    }


def format_splits(record: Provenance, configs: Sequence[str]) -> str:
    """Lay out the rows of each config by split; all are for training where the record does not say."""
    counts = record.observed.counts
    splits = counts.get("splits") or {"train": counts["languages"]}
    rows = [[escape(name), *(f"{found.get(name, 0):,}" for found in splits.values())] for name in configs]
    return format_table(["config", *map(escape, splits)], rows)


def describe_reading(record: Provenance) -> list[str]:
    """Say which texts were taken from the sources, in which order, and what was left out."""
    text = record.identity.recipe["text"]
    most = dict(text.get("rows_by_language", {}))
    if text.get("rows") is not None:
        most["every other language" if most else "every language"] = text["rows"]
    lines = ["No text of a language stands in it twice, letter by letter, in whichever split."]
    if max(record.observed.counts["languages"].values()) > _MOST_DIGESTS:
        lines = [f"No text of a language stands twice among {_MOST_DIGESTS:,} that were read one after the other."]
    if most:
        named = ", ".join(f"{escape(name)} {format_value(number)}" for name, number in most.items())
        lines.append(f"Most texts that were taken: {named}.")
    if text.get("dataset") is not None:
        lines.append(
            f"Rows of {format_code(text['dataset'])} come in an order shuffled with seed {record.identity.seed}, "
            "among 10,000 at a time; its first rows are not typical."
        )
    elif most:
        lines.append(f"They were drawn from anywhere in the files, with seed {record.identity.seed}.")
    if text.get("skip_last"):
        lines.append(f"The last {format_value(text['skip_last'])} lines of each file of `folders` are not among them.")
    left_out: Counter[str] = Counter()
    for found in record.observed.counts.get("left_out", {}).values():
        left_out.update(found)
    if left_out:
        named = ", ".join(f"{escape(reason)} {number:,}" for reason, number in sorted(left_out.items()))
        lines.append(f"Left out while reading: {named}.")
    lines.append("Texts are whole: it is the teacher that reads the beginning of a long one alone.")
    return lines


def corpus_limits() -> list[str]:
    """State the limits of published texts."""
    return [
        "Nobody has read them: they hold what their sources hold, its mistakes and opinions included.",
        "What nearly repeats another text, but not letter by letter, is not left out.",
    ]


def wrong_texts(folder: Path) -> Iterator[str]:
    """Say where the rows are not what the record counts, or not as a set of texts has them."""
    counts = records.read_provenance(folder).observed.counts
    found: dict[str, dict[str, int]] = {}
    for language in sorted({path.parent.name for path in folder.glob("data/*/*.parquet")}):
        seen: set[bytes] = set()
        for path in sorted((folder / "data" / language).glob("*.parquet")):
            split = found.setdefault(path.name.rpartition("-")[0], {})
            split[language] = split.get(language, 0) + pq.read_metadata(path).num_rows
            yield from _wrong_file(path, path.relative_to(folder).as_posix(), counts["columns"], seen)
    if found != counts["splits"]:
        yield f"the files hold the rows {found}, the record counts {counts['splits']}"


def _wrong_file(path: Path, name: str, columns: Sequence[str], seen: set[bytes]) -> Iterator[str]:
    """Say what is wrong with one file; `seen` holds the texts of the language so far."""
    names = pq.read_schema(path).names
    if names != list(columns) or tuple(names[:2]) != _COLUMNS or set(names[2:]) - {_PARALLEL_COLUMN}:
        yield f"`{name}` has the columns {names}, the record names {list(columns)}"
        return
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=list(_COLUMNS)):
            for text, language in zip(*(batch.column(place).to_pylist() for place in (0, 1)), strict=True):
                if not text or not text.strip() or language != path.parent.name:
                    yield f"`{name}` has a row with the text {(text or '')[:40]!r} of language {language!r}"
                elif (digest := blake2b(text.encode(), digest_size=16).digest()) in seen:
                    yield f"`{name}` repeats the text {text[:40]!r}"
                else:
                    if len(seen) == _MOST_DIGESTS:
                        seen.clear()
                    seen.add(digest)


def corpus_metadata(chain: Sequence[Provenance], *, license: str | None, languages: Sequence[str]) -> str:
    """Return the header of the card of a set of texts as YAML."""
    return card_metadata.dataset_metadata(
        chain,
        license=license,
        languages=languages,
        task_categories=("feature-extraction", "fill-mask"),
        tags=("text", "distillation", "hf_turkembed"),
    )
