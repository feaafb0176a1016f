"""Publish what a run made: cards that name each other, verification, and then the outbox or the Hub.

python recipes/publish.py RECIPE [section.key=value ...]
"""

from pathlib import Path

from hf_turkembed import recipe as recipes
from hf_turkembed.publishing import HubSettings, publish_release
from hf_turkembed.record import as_plain, write_json
from hf_turkembed.scores import SCORES_FILE, read_scores
from hf_turkembed.step import finish_step, open_step
from inputs import clear_errors, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "publish")
    with clear_errors(), open_step(recipe, "publish") as step:
        config = recipe.publish
        if step.done or config is None:
            return
        settings = HubSettings(private=config.private, gated=config.gated, tag=config.tag)
        release = publish_release(
            {repo.repo_id: recipes.local_path(recipe, repo.folder) for repo in config.repos.values()},
            license=config.license,
            languages=config.languages,
            report=read_scores(recipes.local_path(recipe, config.scores) / SCORES_FILE),
            target=settings if config.target == "hub" else Path(config.outbox),
            collection=config.collection,
            base_models={repo.repo_id: repo.base_model for repo in config.repos.values() if repo.base_model},
        )
        for result in release.repos:
            write_json(step.partial / f"{result.repo_id.replace('/', '--')}.json", as_plain(result))
        counts = {result.repo_id: {"files": len(result.files)} for result in release.repos}
        finish_step(step, counts=counts | {"collection": release.collection})


if __name__ == "__main__":
    main()
