"""Scores as `.eval_results/*.yaml`, which the Hub shows beside a model and on the leaderboards of its datasets."""

from collections.abc import Sequence

from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from hf_turkembed.publishing.card_metadata import dump_yaml, listed_scores
from hf_turkembed.scores import Score

EVAL_RESULTS_FOLDER = ".eval_results"


def format_eval_results(own_scores: Sequence[Score]) -> dict[str, str]:
    """Write the scores that stand in `model-index` as far as their data is on the Hub.

    Args:
        own_scores: Scores of one model.

    Returns:
        For each dataset the text of its file, by relative path; none where no data is on the Hub.
    """
    entries: dict[str, list[EvalResultEntry]] = {}
    for score, value in listed_scores(own_scores):
        if score.dataset.revision is not None:
            path = f"{EVAL_RESULTS_FOLDER}/{score.dataset.name.replace('/', '--')}.yaml"
            entries.setdefault(path, []).append(_entry(score, value))
    return {path: dump_yaml(eval_result_entries_to_yaml(found)) for path, found in entries.items()}


def _entry(score: Score, value: float) -> EvalResultEntry:
    """Turn a score into an entry; metric, width and split have no key of their own there."""
    split = "" if score.dataset.split is None else f", split {score.dataset.split}"
    return EvalResultEntry(
        dataset_id=score.dataset.name,
        task_id=score.dataset.config or "default",
        value=value,
        dataset_revision=score.dataset.revision,
        notes=f"{score.metric} at {int(score.truncate_dim)} dimensions{split}",
    )
