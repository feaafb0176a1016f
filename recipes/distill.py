"""Train the student towards the stored teacher vectors.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/distill.py RECIPE [section.key=value ...]
"""

from dataclasses import asdict

from hf_turkembed.distillation import Schedule, distill, read_vectors, remove_checkpoints
from hf_turkembed.modeling.repository import check_encoder, save_model
from hf_turkembed.step import finish_step, open_step
from inputs import clear_errors, fetch, load_encoder, read_recipe, start_process_group


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
            student = load_encoder(folder, "float32", accelerator.device, config.max_length)
            report = distill(
                student,
                read_vectors(fetch(recipe, step.identity, "vectors", config.vectors)),
                accelerator,
                step.partial,
                schedule=Schedule(
                    epochs=config.epochs,
                    batch_size=config.batch_size,
                    learning_rate=config.learning_rate,
                    embedding_learning_rate=config.embedding_learning_rate or config.learning_rate,
                    warmup_ratio=config.warmup_ratio,
                    weight_decay=config.weight_decay,
                    max_grad_norm=config.max_grad_norm,
                    checkpoint_steps=config.checkpoint_steps,
                ),
                matryoshka_dims=config.matryoshka_dims,
                seed=recipe.seed,
            )
            if accelerator.is_main_process:
                save_model(student, step.partial, config.matryoshka_dims, folder)
                remove_checkpoints(step.partial)
                finish_step(step, counts=asdict(report), num_processes=accelerator.num_processes)
        accelerator.end_training()


if __name__ == "__main__":
    main()
