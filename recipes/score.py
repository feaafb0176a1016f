"""Score models on held-out text at every width.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/score.py RECIPE [section.key=value ...]
"""

from hf_turkembed import recipe as recipes
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
            scores = []
            for role, source in config.models.items():
                found = step.identity.input(f"models.{role}")
                folder = fetch(recipe, step.identity, f"models.{role}", source)
                model = load_encoder(folder, config.precision, accelerator.device)
                for suite in suites:
                    scores += score_model(
                        model,
                        suite,
                        accelerator,
                        role=role,
                        digest=found.digest or found.revision or "",
                        truncate_dims=config.truncate_dims,
                        batch_size=config.batch_size,
                        precision=config.precision,
                    )
            if accelerator.is_main_process:
                write_scores(step.partial, scores)
                counts = {"models": list(config.models), "scores": len(scores)}
                finish_step(step, counts=counts, num_processes=accelerator.num_processes, outputs=(SCORES_FILE,))
        accelerator.end_training()


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
