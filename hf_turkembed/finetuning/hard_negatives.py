"""Hard negatives: passages that a model takes for an answer and that are none, mined before it is trained."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from hf_turkembed.corpus import fold_text
from hf_turkembed.finetuning.trainer_checkpoints import CHECKPOINTS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Passages that are mined beyond those asked for, as what may be right is taken out again.
_SPARE = 24


@dataclass(frozen=True, kw_only=True)
class HardNegatives:
    """What mining found."""

    # Pairs of a query and its passage that were given, repeated ones once, and those that are trained on: for the
    # others not enough negatives were found.
    pairs: int
    rows: int
    # Means of the cosine with the query before training, of right and of wrong passages.
    positive_cosine: float
    negative_cosine: float


def mine_negatives(
    model: "SentenceTransformer",
    pairs: Mapping[str, Sequence[str]],
    folder: Path,
    name: str,
    *,
    count: int,
    relative_margin: float,
    candidates: int,
    batch_size: int,
) -> tuple[dict[str, list[str]], HardNegatives]:
    """Find the nearest wrong passages of every query among those of the others; go on from what was found before.

    There is no chance in it: the nearest are taken that are farther than the query's right passages, by the margin.
    A passage that pairs connect with the query, over however many steps, is never taken: of paraphrases, most are not
    written down as pairs of each other. Texts are encoded without a prompt, as they are in training.

    Args:
        model: Finds the passages; in the precision of training.
        pairs: Two columns of equal length, query and passage; a query may have several.
        folder: That of the unfinished stage, where what is found is kept with the checkpoints.
        name: Name of the task.
        count: Negatives of each pair.
        relative_margin: Share, 0 to 1, of the lowest cosine of a right passage by which that of a wrong one is lower.
        candidates: Nearest passages of a query that are looked through.
        batch_size: Texts of one forward pass.

    Returns:
        Columns `anchor`, `positive` and `negative_1` to `negative_<count>`, and what was found.

    Raises:
        ValueError: If no pair has enough negatives.

    References:
        NV-Retriever, whose TopK-PercPos this is: https://huggingface.co/papers/2407.15831
    """
    file = folder / CHECKPOINTS / f"negatives-{name}.parquet"
    distinct = len(set(zip(*pairs.values(), strict=True)))
    if not file.is_file():
        found = _mine(model, pairs, count, relative_margin, candidates, batch_size)
        if not found["anchor"]:
            raise ValueError(
                f"task `{name}`: none of {distinct:,} pairs has {count} passages of others that are farther from its "
                f"query than its own by {relative_margin:.0%}; lower `hard_negatives.relative_margin` or add passages."
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        pq.write_table(pa.table(found), temporary)
        os.replace(temporary, file)
    columns: dict[str, list[Any]] = pq.read_table(file).to_pydict()
    positive, negative = (columns.pop(key) for key in ("positive_cosine", "negative_cosine"))
    return columns, HardNegatives(
        pairs=distinct,
        rows=len(positive),
        positive_cosine=round(sum(positive) / len(positive), 4),
        negative_cosine=round(sum(negative) / len(negative), 4),
    )


def _mine(
    model: "SentenceTransformer",
    pairs: Mapping[str, Sequence[str]],
    count: int,
    relative_margin: float,
    candidates: int,
    batch_size: int,
) -> dict[str, list[Any]]:
    """Return the pairs that have enough negatives, with these, and the cosines of their queries with either."""
    from sentence_transformers.util import mine_hard_negatives

    queries, passages = pairs.values()
    groups = _number_groups(queries, passages)
    mined = mine_hard_negatives(
        Dataset.from_dict({"anchor": list(queries), "positive": list(passages)}),
        model,
        relative_margin=relative_margin,
        range_max=candidates,
        num_negatives=min(count + _SPARE, candidates),
        query_prompt="",
        corpus_prompt="",
        output_format="labeled-list",
        output_scores=True,
        batch_size=batch_size,
        verbose=False,
    )
    negative_columns = [f"negative_{index + 1}" for index in range(count)]
    columns: dict[str, list[Any]] = {
        name: [] for name in ("anchor", "positive", *negative_columns, "positive_cosine", "negative_cosine")
    }
    for row in mined:
        (positive, *negatives), (positive_cosine, *cosines) = row["positive"], row["scores"]
        own = groups[row["anchor"]]
        chosen = [index for index, text in enumerate(negatives) if groups[text] != own][:count]
        if len(chosen) == count:
            cosine = sum(cosines[index] for index in chosen) / count
            values = (row["anchor"], positive, *(negatives[index] for index in chosen), positive_cosine, cosine)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    return columns


def _number_groups(queries: Sequence[str], passages: Sequence[str]) -> dict[str, int]:
    """Number the groups of texts that pairs connect, whatever their letter case and punctuation."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    folded = {text: fold_text(text) for text in (*queries, *passages)}
    position = {key: index for index, key in enumerate(dict.fromkeys(folded.values()))}
    ends = tuple([position[folded[text]] for text in side] for side in (queries, passages))
    edges = coo_array((np.ones(len(queries)), ends), shape=(len(position), len(position)))
    _, groups = connected_components(edges, directed=False)
    return {text: int(groups[position[key]]) for text, key in folded.items()}
