"""Runs tasks with mteb: one result file a task, finished ones kept; those whose data cannot be scored are missing."""

import logging
import math
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import mteb
from huggingface_hub import HfApi
from mteb.abstasks import AbsTask
from mteb.models import ModelMeta
from mteb.models.abs_encoder import get_prompt_name
from mteb.results import TaskResult
from mteb.types import PromptType

from hf_turkembed.record import digest_path
from hf_turkembed.scores import Score, ScoreDataset
from hf_turkembed.scoring.scoring import ScoredModel
from hf_turkembed.scoring.suites import pooling_mode
from hf_turkembed.scoring.tr_mteb.failures import (
    DATA_ERRORS,
    CheckedEncoder,
    describe_error,
    is_of_machine,
)
from hf_turkembed.scoring.tr_mteb.mteb_tasks import build_tasks
from hf_turkembed.scoring.tr_mteb.task_data import check_data
from hf_turkembed.scoring.tr_mteb.tasks import BENCHMARK

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)


def score_tasks(
    model: ScoredModel,
    name: str,
    tasks: Sequence[str],
    *,
    prompts: bool,
    results: Path,
    datasets: Path | None,
    batch_size: int,
) -> list[Score]:
    """Score a model on tasks of TR-MTEB at its full width.

    Args:
        model: The model.
        name: `org/name`, under which mteb files its results, together with the model's digest.
        tasks: Names of tasks; none for all 26.
        prompts: Whether texts get those of the model's prompts that mteb finds for a task, or none.
        results: Folder of mteb's result files. Tasks that it holds, of this very model and version of mteb, are not
            run again; a run that was cut off goes on after the last one.
        datasets: Folder with copies of the datasets as `org/name`; None for the Hub, at the commit that `main` is.
        batch_size: Texts of one forward pass.

    Returns:
        A score for each task, in the order of the table; missing where its dataset cannot be loaded or scored, which
        leaves no result file.

    Raises:
        ValueError: If there is no such task, or the model gives vectors that are not finite.
        OSError: If a disk is full or cannot be written to; this and whatever else the model or the machine fails with
            would meet every task, and is not taken for a missing one. Finished tasks are kept.
    """
    encoder = model.load()
    if not prompts:
        encoder.prompts, encoder.default_prompt_name = {}, None
    wrapped = CheckedEncoder(encoder)
    wrapped.mteb_model_meta = _describe(wrapped.mteb_model_meta, model, name, prompts)
    cache = mteb.ResultCache(results)
    scores = []
    built = build_tasks(tasks)
    for number, task in enumerate(built, start=1):
        with TemporaryDirectory() as links:
            missing = _locate_dataset(task, datasets, Path(links))
            revision = _located_revision(task)
            result = _finished_result(cache, task, wrapped.mteb_model_meta, revision, of_hub=datasets is None)
            if result is not None:
                revision, missing = result.dataset_revision, None
            elif missing is None:
                logger.info("%s: %s, %d of %d: %s", BENCHMARK, model.role, number, len(built), task.metadata.name)
                missing = _load_dataset(task)
        if result is None and missing is None:
            result, missing = _run_task(wrapped, task, cache, batch_size)
        dataset = _describe_dataset(task, revision)
        score = _make_score(model, encoder, wrapped, task, dataset, result, missing)
        found = f"missing: {score.missing}" if score.value is None else f"{score.value:.4f} {score.metric}"
        logger.info("%s: %s, %d of %d: %s %s", BENCHMARK, model.role, number, len(built), score.suite, found)
        scores.append(score)
    return scores


def _describe(meta: ModelMeta, model: ScoredModel, name: str, prompts: bool) -> ModelMeta:
    """Give mteb the name, version and settings of a model, by which it files results."""
    settings = {} if model.precision == "float32" else {"precision": model.precision}
    settings |= {"prompts": "own"} if prompts else {}
    return meta.model_copy(update={"name": name, "revision": model.digest, "experiment_kwargs": settings or None})


def _finished_result(
    cache: mteb.ResultCache, task: AbsTask, meta: ModelMeta, revision: str | None, *, of_hub: bool
) -> TaskResult | None:
    """Return the result that an earlier run left of a task, unless it is of another mteb, in part, or damaged.

    It has to be of the present version of the dataset that is asked for; where the Hub cannot be asked which that is,
    of any commit: the score names its own.
    """
    path = cache.get_task_result_path(task.metadata.name, meta)
    if not path.is_file():
        return None
    try:
        result = TaskResult.from_disk(path)
        whole = result.mteb_version == version("mteb") and math.isfinite(result.get_score())
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        # mteb writes straight to the file, so that a kill can leave the beginning of one.
        return None
    same = result.dataset_revision == revision or (revision is None and of_hub and len(result.dataset_revision) == 40)
    return result if whole and same and not result.get_missing_evaluations(task) else None


def _locate_dataset(task: AbsTask, datasets: Path | None, links: Path) -> str | None:
    """Find a task's dataset, a folder or a commit, and let the task load that one; or say why there is none."""
    try:
        located = _find_dataset(task, datasets, links)
    except Exception as error:
        if is_of_machine(error):
            raise
        return describe_error(error)
    # Its own metadata from now on, until the data is unloaded: mteb records the revision it finds there.
    task.metadata = task.metadata.model_copy(update={"dataset": {**task.metadata.dataset, **located}})
    return None


def _find_dataset(task: AbsTask, datasets: Path | None, links: Path) -> dict[str, str]:
    """Find where a task's dataset is, and which version it has: a commit, or the digest of a folder.

    Raises:
        FileNotFoundError: If the folder has no copy of it.
        OSError: If the Hub cannot be reached, or has no such dataset.
        ValueError: If it does not say which commit `main` is.
    """
    name, revision = task.metadata.dataset["path"], task.metadata.dataset["revision"]
    if datasets is not None:
        folder = datasets / name
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no copy of {name} in the folder of datasets")
        digest = digest_path(folder)
        # `datasets` tells local folders apart by their last name alone, and would give what it converted before of
        # another of that name, or of an earlier state of this one.
        (links / digest).symlink_to(folder.resolve(), target_is_directory=True)
        return {"path": str(links / digest), "revision": digest}
    if len(revision) == 40:
        return {"path": name, "revision": revision}
    commit = HfApi().dataset_info(name, revision=revision).sha
    if commit is None:
        raise ValueError(f"the Hub names no commit for {name} at {revision}")
    return {"path": name, "revision": commit}


def _load_dataset(task: AbsTask) -> str | None:
    """Load what a task is scored on; or say why it cannot be scored."""
    try:
        task.load_data()
        check_data(task)
    except Exception as error:
        # No model is at work: this speaks of the dataset, be it out of reach, a script, or an archive, table or card
        # that is damaged, for each of which some library has errors of its own.
        if is_of_machine(error):
            raise
        return describe_error(error)
    return None


def _run_task(
    wrapped: CheckedEncoder, task: AbsTask, cache: mteb.ResultCache, batch_size: int
) -> tuple[TaskResult | None, str | None]:
    """Evaluate a task whose data is loaded; return the result as its file has it, or why there is none."""
    path = cache.get_task_result_path(task.metadata.name, wrapped.mteb_model_meta)
    # Else mteb would take what is there for finished, and what is damaged for an error.
    path.unlink(missing_ok=True)
    try:
        mteb.evaluate(
            wrapped,
            task,
            cache=cache,
            co2_tracker=False,
            encode_kwargs={"batch_size": batch_size, "show_progress_bar": sys.stderr.isatty()},
            show_progress_bar=False,
        )
        result = TaskResult.from_disk(path)
        finite = math.isfinite(result.get_score())
        missing = None if finite else f"its {task.metadata.main_score} is not a finite number"
    except DATA_ERRORS as error:
        if wrapped.encoding or is_of_machine(error):
            raise
        missing = describe_error(error)
    finally:
        task.unload_data()
    if missing is None:
        return result, None
    # Of several splits one may be done: readers of the results would take it for the whole task.
    path.unlink(missing_ok=True)
    return None, missing


def _make_score(
    model: ScoredModel,
    encoder: "SentenceTransformer",
    wrapped: CheckedEncoder,
    task: AbsTask,
    dataset: ScoreDataset,
    result: TaskResult | None,
    missing: str | None,
) -> Score:
    """Turn the result of a task into a score: the mean of its main metric over splits."""
    width = encoder.get_embedding_dimension() or int(encoder.encode("").shape[-1])
    return Score(
        model=model.role,
        model_digest=model.digest,
        suite=task.metadata.name,
        task=task.metadata.type,
        dataset=dataset,
        metric=task.metadata.main_score,
        value=None if result is None else float(result.get_score()),
        truncate_dim=width,
        embedding_dim=width,
        prompt=_prompts_of(wrapped, task),
        pooling=pooling_mode(encoder),
        max_length=encoder.max_seq_length,
        precision=model.precision,
        rows=None,
        missing=missing,
    )


def _located_revision(task: AbsTask) -> str | None:
    """Return the commit or the digest that a task's dataset was found at, or None where nobody can say."""
    revision: str = task.metadata.dataset["revision"]
    return revision if len(revision) in (40, 64) else None


def _describe_dataset(task: AbsTask, revision: str | None) -> ScoreDataset:
    """Name the dataset of a task, with the commit or the digest that was scored, or that could not be."""
    is_digest = revision is not None and len(revision) == 64
    return ScoreDataset(
        name=type(task).metadata.dataset["path"],
        revision=None if is_digest else revision,
        digest=revision if is_digest else None,
        config=task.hf_subsets[0] if task.metadata.is_multilingual else None,
        split=" + ".join(task.eval_splits),
    )


def _prompts_of(wrapped: CheckedEncoder, task: AbsTask) -> str | None:
    """Name the prompts that mteb puts before the texts of a task, or None."""
    kinds = (PromptType.query, PromptType.document) if task.metadata.type == "Retrieval" else (None,)
    names = [get_prompt_name(wrapped.model_prompts, task.metadata, kind) for kind in kinds]
    # Models of sentence-transformers have prompts `query` and `document` that are empty.
    return ", ".join(dict.fromkeys(name for name in names if name and wrapped.model_prompts[name])) or None
