"""Fine-tune an encoder in stages, each inside MatryoshkaLoss.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/finetune.py RECIPE [section.key=value ...]
"""

from dataclasses import asdict
from typing import Any

from hf_turkembed import step as steps
from hf_turkembed.finetuning import finetune, remove_checkpoints
from hf_turkembed.modeling.repository import check_encoder, save_model
from hf_turkembed.recipe import FinetuneConfig, Recipe
from inputs import check_local_data, clear_errors, fetch, load_encoder, read_labelled, read_recipe, start_process_group


def main() -> None:
    """Run the stages that are not done yet, in order."""
    recipe = read_recipe(__doc__ or "", "finetune")
    with clear_errors():
        accelerator = start_process_group()
        config = recipe.finetune
        check_local_data(recipe, ("finetune",))
        for stage in config.stages if config else ():
            run_stage(recipe, config, stage, accelerator)
        accelerator.end_training()


def run_stage(recipe: Recipe, config: FinetuneConfig | None, name: str, accelerator: Any) -> None:
    """Run one stage."""
    with steps.open_step(recipe, "finetune", stage=name, resumable=True, group=accelerator) as step:
        if step.done or config is None:
            return
        stage = config.stages[name]
        base = fetch(recipe, step.identity, "base_model", steps.only_stage(config, name).base_model)
        check_encoder(base, stage.matryoshka_dims)
        model = load_encoder(base, "float32", accelerator.device)
        model.max_seq_length = config.max_length
        report = finetune(
            model,
            read_labelled(recipe, step.identity, f"stages.{name}.train", stage.train, stage.kind),
            step.partial,
            loss=stage.loss,
            matryoshka_dims=stage.matryoshka_dims,
            training=stage.training,
            seed=recipe.seed,
        )
        # Every process writes a part of the trainer's last checkpoint.
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            save_model(model, step.partial, stage.matryoshka_dims, base)
            remove_checkpoints(step.partial)
            steps.finish_step(step, counts=asdict(report), num_processes=accelerator.num_processes)
        accelerator.wait_for_everyone()


if __name__ == "__main__":
    main()
