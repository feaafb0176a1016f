"""Train the student towards the stored teacher vectors.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/distill.py RECIPE [section.key=value ...]
"""

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hf_turkembed.distillation import (
    BatchedEncoder,
    Interrupted,
    Objective,
    Schedule,
    compare_by_width,
    distill,
    load_best,
)
from hf_turkembed.distillation.checkpoints import SCRATCH
from hf_turkembed.distillation.vectors import shard_files
from hf_turkembed.modeling.repository import check_encoder, save_model, trained_widths
from hf_turkembed.recipe import DistillConfig
from hf_turkembed.step import Step, finish_step, open_step
from inputs import fetch, load_encoder, new_rows, read_labelled
from startup import clear_errors, read_recipe, start_process_group

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "distill")
    with clear_errors():
        config = recipe.distill
        accelerator = start_process_group(config.precision if config else "float32")
        with open_step(recipe, "distill", resumable=True, scratch=SCRATCH, group=accelerator) as step:
            if step.done or config is None:
                return
            folder = fetch(recipe, step.identity, "student", config.student)
            vectors = fetch(recipe, step.identity, "vectors", config.vectors)
            if config.keep == "best" and not shard_files(vectors, "validation"):
                raise ValueError(
                    f"`keep: best` needs rows for validation, by which weights are compared, but {vectors} has none; "
                    "set `validation_rows` where its texts are chosen, or `keep: last`."
                )
            check_encoder(folder, config.matryoshka_dims)
            student = load_encoder(folder, "float32", accelerator.device)
            try:
                report = distill(
                    student,
                    vectors,
                    accelerator,
                    step.partial,
                    schedule=schedule_of(config),
                    objective=Objective(
                        matryoshka_dims=config.matryoshka_dims,
                        pre_dense_weight=config.pre_dense_weight,
                        similarity_weight=config.similarity_weight,
                    ),
                    max_length=config.max_length,
                    seed=recipe.seed,
                    sts=None if config.sts is None else read_labelled(recipe, step.identity, "sts", config.sts, "sts"),
                    # Those of the clone: what is lost at a width that is not trained is seen as well.
                    compared_dims=trained_widths(folder) or config.matryoshka_dims,
                    new_rows=new_rows(recipe, config.id_map, student[0].model.get_input_embeddings().num_embeddings),
                    price_per_hour=recipe.price_per_hour,
                )
            except Interrupted as stopped:
                # As a shell would end a command that SIGTERM killed.
                print(stopped, flush=True)
                raise SystemExit(143) from stopped
            if accelerator.is_main_process:
                save_models(student, step, config, folder, with_best=report.best_step is not None)
                kept = load_encoder(step.partial, "float32", accelerator.device)
                distilled = compare(kept, vectors, config, folder)
                counts = asdict(report) | {"distilled_cosine": distilled}
                finish_step(step, counts=counts, num_processes=accelerator.num_processes)
        accelerator.end_training()


def compare(
    student: "SentenceTransformer", vectors: Path, config: DistillConfig, clone: Path
) -> dict[str, dict[str, dict[str, float]]]:
    """Compare a student with the teacher on rows kept from training, at the widths of the clone."""
    encoder = BatchedEncoder(
        student, max_length=config.max_length, batch_tokens=config.batch_tokens, extend_window=True
    )
    return compare_by_width(encoder, vectors, trained_widths(clone) or config.matryoshka_dims)


def save_models(
    student: "SentenceTransformer", step: Step, config: DistillConfig, tokenizer: Path, *, with_best: bool
) -> None:
    """Save the weights to keep as the step's output, and the others as a whole model in a folder beside it.

    That folder, such as `distill-best`, has no record: it is not published, and changes no digest of the output.

    Args:
        student: As it was at the last step.
        step: The step, whose unfinished work holds the best weights.
        config: Says which weights to keep.
        tokenizer: See `save_model`.
        with_best: Whether there are weights that did best.
    """
    for name in ("last", "best"):
        shutil.rmtree(step.output.with_name(f"{step.name}-{name}"), ignore_errors=True)
    for name in ("last", "best") if with_best else ("last",):
        if name == "best":
            load_best(student, step.partial)
        if name == config.keep:
            save_model(student, step.partial, config.matryoshka_dims, tokenizer)
            continue
        unfinished, beside = step.partial / f".{name}", step.output.with_name(f"{step.name}-{name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        save_model(student, unfinished, config.matryoshka_dims, tokenizer)
        os.replace(unfinished, beside)


def schedule_of(config: DistillConfig) -> Schedule:
    """Collect the optimisation settings."""
    return Schedule(
        epochs=config.epochs,
        batch_size=config.batch_size,
        batch_tokens=config.batch_tokens,
        learning_rate=config.learning_rate,
        embedding_learning_rate=config.embedding_learning_rate or config.learning_rate,
        warmup_ratio=config.warmup_ratio,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        checkpoint_steps=config.checkpoint_steps,
        new_rows_ratio=config.new_rows_ratio,
    )


if __name__ == "__main__":
    main()
