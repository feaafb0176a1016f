"""Train the student towards the stored teacher vectors.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/distill.py RECIPE [section.key=value ...]
"""

from dataclasses import asdict

from hf_turkembed.distillation import Interrupted, Objective, Schedule, distill, load_best, remove_checkpoints
from hf_turkembed.modeling.repository import check_encoder, save_model, trained_widths
from hf_turkembed.recipe import DistillConfig
from hf_turkembed.step import finish_step, open_step
from inputs import fetch, load_encoder, new_rows, read_labelled
from startup import clear_errors, read_recipe, start_process_group


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "distill")
    with clear_errors():
        config = recipe.distill
        accelerator = start_process_group(config.precision if config else "float32")
        with open_step(recipe, "distill", resumable=True, group=accelerator) as step:
            if step.done or config is None:
                return
            folder = fetch(recipe, step.identity, "student", config.student)
            check_encoder(folder, config.matryoshka_dims)
            student = load_encoder(folder, "float32", accelerator.device)
            try:
                report = distill(
                    student,
                    fetch(recipe, step.identity, "vectors", config.vectors),
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
                    sts_dims=trained_widths(folder) or config.matryoshka_dims,
                    new_rows=new_rows(recipe, config.id_map, student[0].model.get_input_embeddings().num_embeddings),
                    price_per_hour=recipe.price_per_hour,
                )
            except Interrupted as stopped:
                # As a shell would end a command that SIGTERM killed.
                print(stopped, flush=True)
                raise SystemExit(143) from stopped
            if accelerator.is_main_process:
                if config.keep == "best":
                    load_best(student, step.partial)
                save_model(student, step.partial, config.matryoshka_dims, folder)
                remove_checkpoints(step.partial)
                finish_step(step, counts=asdict(report), num_processes=accelerator.num_processes)
        accelerator.end_training()


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
