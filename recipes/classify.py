"""Fit a linear head on a model's embeddings, and measure it on held-out text.

python recipes/classify.py recipes/downstream/classification.yaml data_root=DIR
"""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hf_turkembed import classification as heads
from hf_turkembed.modeling.repository import check_loadable
from hf_turkembed.recipe import ClassifyConfig, Recipe
from hf_turkembed.step import Step, finish_step, open_step
from inputs import fetch, load_encoder, read_classified
from startup import clear_errors, read_recipe, start_process_group

REPORT = "report.md"


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "classify")
    with clear_errors():
        with open_step(recipe, "classify") as step:
            if not step.done and recipe.classify is not None:
                report = classify(recipe, step, recipe.classify)
                finish_step(step, counts=asdict(report), outputs=(REPORT,))
        sys.stdout.write((step.output / REPORT).read_text(encoding="utf-8"))


def classify(recipe: Recipe, step: Step, config: ClassifyConfig) -> heads.ClassificationReport:
    """Fit a head, save it with its report, and return that."""
    train, held_out = read_classified(recipe, step.identity, config)
    folder = fetch(recipe, step.identity, "model", config.model)
    check_loadable(folder)
    model = load_encoder(folder, "float32", start_process_group().device)
    train_embeddings, held_out_embeddings = (
        # With its default prompt where it has one, as whoever loads the head will encode.
        np.asarray(model.encode(table["text"], batch_size=config.batch_size, show_progress_bar=sys.stderr.isatty()))
        for table in (train, held_out)
    )
    head, classes = heads.fit_head(
        train_embeddings,
        train["label"],
        inverse_regularization=config.inverse_regularization,
    )
    predicted = heads.predict(head, classes, held_out_embeddings)
    report = heads.report_on(train["label"], predicted, held_out["label"])
    heads.save_head(head, classes, step.partial)
    Path(step.partial, REPORT).write_text(heads.format_report(report) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    main()
