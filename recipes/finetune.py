"""Fine-tune an encoder in stages, each inside MatryoshkaLoss.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/finetune.py RECIPE [section.key=value ...]
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hf_turkembed import corpus
from hf_turkembed import step as steps
from hf_turkembed.finetuning import (
    ADAPTER_FOLDER,
    Task,
    add_adapter,
    discard_unfinished,
    finetune,
    make_arguments,
    merge_adapter,
    mine_negatives,
)
from hf_turkembed.finetuning.trainer_checkpoints import CHECKPOINTS
from hf_turkembed.modeling.repository import check_encoder, check_widths, save_model
from hf_turkembed.modeling.window import check_length
from hf_turkembed.recipe import FinetuneConfig, Recipe, StageConfig, section_of
from hf_turkembed.record import digest_model
from hf_turkembed.step_identity import only_stage
from input_checks import check_hub_inputs, check_local_data
from inputs import fetch, labelled_source, load_encoder, read_labelled
from startup import clear_errors, read_recipe, start_process_group

# Texts on which a merged adapter has to agree with one beside the weights.
_COMPARED_TEXTS = 32


def main() -> None:
    """Run the stages that are not done yet, in order."""
    recipe = read_recipe(__doc__ or "", "finetune")
    with clear_errors():
        start_process_group()
        config: FinetuneConfig = section_of(recipe, "finetune")
        check_local_data(recipe, ("finetune",))
        check_settings(recipe, config)
        # The trainer's arguments, which were made for the check, reset what a group knows of itself.
        accelerator = start_process_group()
        if accelerator.is_main_process:
            check_hub_inputs(recipe, config, [*unfinished(recipe, config)][1:])
        accelerator.wait_for_everyone()
        for stage in config.stages:
            run_stage(recipe, config, stage, accelerator)
        accelerator.end_training()


def unfinished(recipe: Recipe, config: FinetuneConfig) -> dict[str, StageConfig]:
    """Return the stages that have no output yet."""
    folder = steps.step_folder
    return {name: stage for name, stage in config.stages.items() if not folder(recipe, f"finetune-{name}").exists()}


def check_settings(recipe: Recipe, config: FinetuneConfig) -> None:
    """Check, before the first stage is trained, what the trainer will be told in those that are to come.

    Raises:
        ValueError: If it takes no such setting, the processes cannot share a batch equally or compare the rows of
            their shares, or widths are not distinct and falling; the message names the stage.
    """
    for name, stage in unfinished(recipe, config).items():
        try:
            check_widths(stage.matryoshka_dims)
            arguments = make_arguments(
                steps.step_folder(recipe, f"finetune-{name}.partial"),
                batch_size=stage.batch_size,
                training=stage.training,
                seed=recipe.seed,
            )
            check_share(stage, arguments.world_size)
        except ValueError as error:
            raise ValueError(f"stage `{name}`: {error}") from error


def check_share(stage: StageConfig, processes: int) -> None:
    """Check that a process has rows to compare, for losses that compare those of one process.

    Raises:
        ValueError: If each has one row of a batch.
    """
    within = [name for name, task in stage.tasks.items() if task.loss in ("cosent", "angle")]
    if within and stage.batch_size < 2 * processes:
        raise ValueError(
            f"`batch_size` is {stage.batch_size}: each of {processes} processes has one row, and task `{within[0]}` "
            f"compares the rows of a process; expected at least {2 * processes}."
        )


def run_stage(recipe: Recipe, config: FinetuneConfig, name: str, accelerator: Any) -> None:
    """Run one stage."""
    with steps.open_step(
        recipe, "finetune", stage=name, resumable=True, scratch=(CHECKPOINTS,), group=accelerator
    ) as step:
        if step.done:
            return
        stage = config.stages[name]
        base = fetch(recipe, step.identity, "base_model", only_stage(config, name).base_model)
        check_encoder(base, stage.matryoshka_dims)
        model = load_base(base, config, accelerator)
        tasks, shared = read_tasks(recipe, step, config, name)
        with discard_unfinished(step.partial):
            tasks, mined = mine(model, tasks, step, stage, accelerator)
            if stage.lora is not None:
                add_adapter(model, **asdict(stage.lora), seed=recipe.seed)
            report = finetune(
                model,
                tasks,
                step.partial,
                matryoshka_dims=stage.matryoshka_dims,
                batch_size=stage.batch_size,
                training=stage.training,
                seed=recipe.seed,
            )
        # Every process writes a part of the trainer's last checkpoint.
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            counts = asdict(report) | {"shared_texts": shared, "hard_negatives": mined}
            parts: tuple[str, ...] = ()
            if stage.lora is not None:
                merged = load_base(base, config, accelerator)
                counts["merged_off_by"] = merge(model, merged, step, tasks)
                model, parts = merged, (ADAPTER_FOLDER,)
            save_model(model, step.partial, stage.matryoshka_dims, base)
            if parts:
                # Under which the model is scored that the adapter, published by itself, gives.
                counts["merged_digest"] = digest_model(step.partial, without=CHECKPOINTS)
            steps.finish_step(step, counts=counts, num_processes=accelerator.num_processes, parts=parts)
        accelerator.wait_for_everyone()


def load_base(folder: Path, config: FinetuneConfig, accelerator: Any) -> Any:
    """Load the model that a stage begins with.

    Raises:
        ValueError: If it has a table of positions that is too short for `max_length`.
    """
    model = load_encoder(folder, "float32", accelerator.device)
    check_length(model, config.max_length)
    model.max_seq_length = config.max_length
    return model


def read_tasks(
    recipe: Recipe, step: steps.Step, config: FinetuneConfig, stage: str
) -> tuple[dict[str, Task], dict[str, dict[str, Any]]]:
    """Read the rows of a stage, and set apart those that share a text with held-out data."""
    tasks, shared = {}, {}
    for name, task in config.stages[stage].tasks.items():
        role = f"stages.{stage}.tasks.{name}"
        train = read_labelled(recipe, step.identity, f"{role}.train", task.train, task.kind)
        held_out = {
            key: read_labelled(recipe, step.identity, f"{role}.held_out.{key}.data", suite.data, suite.kind)
            for key, suite in task.held_out.items()
        }
        rows, found = corpus.set_shared_texts_apart(train, held_out, remove=task.shared_texts == "remove")
        corpus.check_training_rows(
            rows,
            config.stages[stage].batch_size,
            str(labelled_source(recipe, step.identity, f"{role}.train", task.train)),
            columns=task.train.columns,
            highest_score=task.train.highest_score,
        )
        tasks[name] = Task(rows=rows, loss=task.loss, mini_batch_size=task.mini_batch_size)
        shared[name] = {key: asdict(value) for key, value in found.items()}
    return tasks, shared


def mine(
    model: Any, tasks: Mapping[str, Task], step: steps.Step, stage: StageConfig, accelerator: Any
) -> tuple[dict[str, Task], dict[str, dict[str, Any]]]:
    """Give the tasks that ask for them hard negatives; what the main process finds, the others read."""
    given, found = {**tasks}, {}
    for name, task in tasks.items():
        settings = stage.tasks[name].hard_negatives
        if settings is not None:
            with accelerator.main_process_first():
                rows, mined = mine_negatives(
                    model, task.rows, step.partial, name, **asdict(settings), batch_size=stage.batch_size
                )
            given[name], found[name] = replace(task, rows=rows), asdict(mined)
    return given, found


def merge(trained: Any, base: Any, step: steps.Step, tasks: Mapping[str, Task]) -> float:
    """Write the adapter beside the model and merge it into the weights of the base; return by how much they differ."""
    columns = [column for task in tasks.values() for column in task.rows.values() if isinstance(column[0], str)]
    texts = [text for column in columns for text in column[:_COMPARED_TEXTS]]
    source = step.identity.input("base_model")
    # Where the base will be published is not known yet; its last name says which it was.
    name = source.name if source.revision is not None else Path(source.name).name
    return merge_adapter(trained, base, step.partial / ADAPTER_FOLDER, base_name=name, texts=texts)


if __name__ == "__main__":
    main()
