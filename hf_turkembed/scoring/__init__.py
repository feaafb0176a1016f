"""Scores of models on held-out text, each with all that is needed to measure it again."""

from pathlib import Path
from typing import TYPE_CHECKING

from hf_turkembed.scoring.examination import Examination
from hf_turkembed.scoring.scoring import ScoredModel, score_models
from hf_turkembed.scoring.suites import KINDS, Suite

if TYPE_CHECKING:
    import evaluate

__all__ = ["KINDS", "Examination", "ScoredModel", "Suite", "load_metric", "score_models"]


def load_metric(name: str) -> "evaluate.Metric":
    """Load one of the package's metrics as a module of `evaluate`; needs no network.

    Args:
        name: `embedding_similarity` or `triplet_accuracy`.

    Raises:
        ValueError: If there is no such metric.
    """
    folder = Path(__file__).parent / "evaluate_modules"
    names = sorted(path.name for path in folder.iterdir() if (path / f"{path.name}.py").is_file())
    if name not in names:
        raise ValueError(f"there is no metric {name!r}; the metrics are {', '.join(names)}.")
    import evaluate

    return evaluate.load(str(folder / name))
