"""Score models on held-out text at every width.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/score.py RECIPE [section.key=value ...]
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hf_turkembed import recipe as recipes
from hf_turkembed.modeling.repository import trained_widths
from hf_turkembed.recipe import Recipe, ScoreConfig
from hf_turkembed.record import SCORES_FILE, Identity, ScoreDataset, write_scores
from hf_turkembed.scoring import Suite, score_model
from hf_turkembed.step import finish_step, open_step
from inputs import clear_errors, fetch, load_encoder, read_labelled, read_recipe, start_process_group


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "score")
    with clear_errors():
        accelerator = start_process_group()
        with open_step(recipe, "score", group=accelerator) as step:
            config = recipe.score
            if step.done or config is None:
                return
            suites = read_suites(recipe, step.identity, config)
            models = {
                role: fetch(recipe, step.identity, f"models.{role}", source) for role, source in config.models.items()
            }
            widths = choose_widths(models, config.truncate_dims)
            scores = []
            for role, folder in models.items():
                found = step.identity.input(f"models.{role}")
                model = load_encoder(folder, config.precision, accelerator.device)
                for suite in suites:
                    scores += score_model(
                        model,
                        suite,
                        accelerator,
                        role=role,
                        digest=found.digest or found.revision or "",
                        truncate_dims=widths[role],
                        batch_size=config.batch_size,
                        precision=config.precision,
                    )
            if accelerator.is_main_process:
                write_scores(step.partial, scores)
                counts = {"models": list(config.models), "scores": len(scores)}
                finish_step(step, counts=counts, num_processes=accelerator.num_processes, outputs=(SCORES_FILE,))
        accelerator.end_training()


def choose_widths(models: Mapping[str, Path], truncate_dims: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Choose the widths each model is scored at: those asked for that it declares, or all where it declares none.

    Raises:
        ValueError: If a width was trained by none of the models that say what they were trained at.
    """
    declared = {role: trained_widths(folder) for role, folder in models.items()}
    known = {width for widths in declared.values() for width in widths or ()}
    if untrained := [width for width in truncate_dims if known and width not in known]:
        raise ValueError(
            f"`score.truncate_dims` asks for {untrained}, which no model was trained at; the trained "
            f"`matryoshka_dims` are {', '.join(map(str, sorted(known, reverse=True)))}."
        )
    return {
        role: tuple(width for width in truncate_dims if widths is None or width in widths)
        for role, widths in declared.items()
    }


def read_suites(recipe: Recipe, identity: Identity, config: ScoreConfig) -> list[Suite]:
    """Read the held-out data of every suite."""
    suites = []
    for name, suite in config.suites.items():
        role = f"suites.{name}.data"
        found = identity.input(f"{role}.source")
        dataset = ScoreDataset(
            name=recipes.portable_name(suite.data.source),
            revision=found.revision,
            digest=found.digest,
            config=suite.data.config,
            split=suite.data.split,
            synthetic=suite.data.synthetic,
        )
        table = read_labelled(recipe, identity, role, suite.data, suite.kind)
        suites.append(Suite(name=name, kind=suite.kind, table=table, dataset=dataset, prompt=suite.prompt))
    return suites


if __name__ == "__main__":
    main()
