"""Publish what a run made: card, verification, and then the outbox or the Hub.

python recipes/publish.py RECIPE [section.key=value ...]
"""

from pathlib import Path

from hf_turkembed import recipe as recipes
from hf_turkembed.publishing import publish_folder
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
        report = read_scores(recipes.local_path(recipe, config.scores) / SCORES_FILE)
        published = [
            publish_folder(
                recipes.local_path(recipe, repo.folder),
                repo_id=repo.repo_id,
                license=config.license,
                languages=config.languages,
                report=report,
                target=config.target,
                outbox=Path(config.outbox),
                private=config.private,
            )
            for repo in config.repos.values()
        ]
        for result in published:
            write_json(step.partial / f"{result.repo_id.replace('/', '--')}.json", as_plain(result))
        counts = {result.repo_id: {"files": len(result.files)} for result in published}
        finish_step(step, counts=counts)


if __name__ == "__main__":
    main()
