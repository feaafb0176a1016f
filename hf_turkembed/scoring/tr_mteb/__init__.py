"""TR-MTEB: 26 Turkish tasks (https://aclanthology.org/2025.findings-emnlp.471), run by mteb, an extra."""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hf_turkembed.scores import BenchmarkReport
from hf_turkembed.scoring.tr_mteb.means import average_scores
from hf_turkembed.scoring.tr_mteb.published import read_published
from hf_turkembed.scoring.tr_mteb.tasks import BENCHMARK, select_tasks

if TYPE_CHECKING:
    import mteb

    from hf_turkembed.scoring.scoring import ScoredModel

logger = logging.getLogger(__name__)

__all__ = ["check_request", "load_benchmark", "read_published", "score_benchmark"]


def check_request(tasks: Sequence[str]) -> None:
    """Check, before any work, that tasks exist and can be run here.

    Args:
        tasks: Names of tasks; none for all 26.

    Raises:
        ValueError: If there is no such task, or mteb is not installed.
    """
    select_tasks(tasks)
    if find_spec("mteb") is None:
        raise ValueError(f"{BENCHMARK} needs mteb, which is not installed; the extra `mteb` of this package has it.")


def load_benchmark() -> "mteb.Benchmark":
    """Return the benchmark object of all 26 tasks; mteb's own functions know the tasks by name from then on."""
    check_request(())
    from hf_turkembed.scoring.tr_mteb.mteb_tasks import build_benchmark

    return build_benchmark()


def score_benchmark(
    models: Sequence[tuple["ScoredModel", str]],
    tasks: Sequence[str] = (),
    *,
    results: Path,
    batch_size: int,
    prompts: bool = False,
    datasets: Path | None = None,
) -> BenchmarkReport:
    """Score models on TR-MTEB, see `running.score_tasks`.

    Args:
        models: The models, each with the `org/name` under which mteb files its results.
        tasks: Names of tasks; none for all 26.
        results: Folder of mteb's result files, kept between runs.
        batch_size: Texts of one forward pass.
        prompts: Whether texts get those of a model's prompts that mteb finds for a task, or none.
        datasets: Folder with copies of the datasets as `org/name`; None for the Hub.

    Raises:
        ValueError: If there is no such task, or mteb is not installed.
    """
    check_request(tasks)
    from hf_turkembed.scoring.tr_mteb.running import score_tasks

    scores = [
        score
        for model, name in models
        for score in score_tasks(
            model, name, tasks, prompts=prompts, results=results, datasets=datasets, batch_size=batch_size
        )
    ]
    for model, _ in models:
        if missing := [score.suite for score in scores if score.model == model.role and score.value is None]:
            logger.warning(
                "%s: %d tasks of `%s` are missing, so that its means are over fewer: %s.",
                *(BENCHMARK, len(missing), model.role, ", ".join(missing)),
            )
    return BenchmarkReport(
        name=BENCHMARK, runner=f"mteb {version('mteb')}", scores=tuple(scores), means=average_scores(scores)
    )
