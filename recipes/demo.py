"""Run the main job on the sandbox, show what came out, and load it.

python recipes/demo.py
"""

import os
import subprocess
import sys
from pathlib import Path

import pipeline
from hf_turkembed.record import read_provenance
from hf_turkembed.scores import Score, read_scores
from startup import clear_errors, start_logging

RECIPES = Path(__file__).resolve().parent
RUNS = {name: Path("output/sandbox") / name for name in ("magibu", "turkembed")}
OUTBOX = Path("outbox")
SNIPPET = """\
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("outbox/sandbox/turkembed-sandbox", truncate_dim=64)
vectors = model.encode(["Kedi uyuyor.", "Kedi uyumuyor.", "Otobüs İstanbul'da."], normalize_embeddings=True)
print(vectors.shape, model.similarity(vectors, vectors))
"""


def main() -> None:
    """Run both pipelines, which write below the working directory, then report."""
    # On models this small, threads wait for each other longer than a second one saves.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    start_logging()
    with clear_errors():
        for name in RUNS:
            pipeline.run(RECIPES / "sandbox" / f"{name}.yaml")
    sys.stdout.write("\n".join(["", *score_lines(), "", *parameter_lines(), "", *time_lines(), "", *outbox_lines()]))
    sys.stdout.write(f"\n\nLoad it:\n\n{SNIPPET}\nwhich prints:\n\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", SNIPPET], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def score_lines() -> list[str]:
    """Tabulate Spearman by model and width, the teacher first."""
    found: dict[str, dict[int, Score]] = {}
    for run in RUNS.values():
        for score in read_scores(run / "score" / "scores.json").scores:
            if score.metric == "spearman_cosine":
                found.setdefault(score.model, {})[score.truncate_dim] = score
    dims = sorted({dim for widths in found.values() for dim in widths}, reverse=True)
    rows = next(iter(next(iter(found.values())).values())).rows
    lines = [
        f"Spearman on {rows} held-out sentence pairs that the sandbox grammar made up. These figures say that the",
        "pipeline works, not that the models are good; they never enter a card's model-index.",
        "",
        "model       " + "".join(f"{dim:>8}" for dim in dims),
    ]
    return lines + [
        f"{model:<12}" + "".join(f"{_value(widths.get(dim)):>8}" for dim in dims) for model, widths in found.items()
    ]


def parameter_lines() -> list[str]:
    """Say how many parameters teacher and student have."""
    counts = read_provenance(RUNS["magibu"] / "clone").observed.counts
    tokens = read_provenance(RUNS["magibu"] / "tokenizer").identity.recipe["vocab_size"]
    return [
        f"parameters: teacher {counts['teacher_parameters']:,}, student {counts['parameters']:,} ({tokens:,} tokens)"
    ]


def time_lines() -> list[str]:
    """List what every step took."""
    lines = ["seconds, without start-up:"]
    for name, run in RUNS.items():
        for record in sorted(run.glob("*/provenance.json"), key=lambda path: path.stat().st_mtime):
            folder, observed = record.parent, read_provenance(record.parent).observed
            per_step = observed.counts.get("seconds_per_step")
            detail = f"  ({observed.counts['steps']} steps of {per_step:.3f} s)" if per_step else ""
            lines.append(f"  {name + ' ' + folder.name:<24}{observed.seconds:>7.1f}{detail}")
    return lines


def outbox_lines() -> list[str]:
    """List the published folders."""
    folders = [*OUTBOX.glob("sandbox/*"), *OUTBOX.glob("datasets/sandbox/*")]
    return ["published to the outbox:", *(f"  {folder}" for folder in sorted(folders))]


def _value(score: Score | None) -> str:
    """Format a score, or say that there is none."""
    return "-" if score is None or score.value is None else f"{score.value:.3f}"


if __name__ == "__main__":
    main()
