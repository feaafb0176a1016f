"""Publish what a run made: cards that name each other, verification, and then the outbox or the Hub.

python recipes/publish.py RECIPE [section.key=value ...]
"""

from hf_turkembed.json_files import as_plain, write_json
from hf_turkembed.recipe_release import publish_recipe
from hf_turkembed.step import finish_step, open_step
from startup import clear_errors, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "publish")
    with clear_errors(), open_step(recipe, "publish") as step:
        if step.done:
            return
        release = publish_recipe(recipe)
        for result in release.repos:
            write_json(step.partial / f"{result.repo_id.replace('/', '--')}.json", as_plain(result))
        counts = {result.repo_id: {"files": len(result.files)} for result in release.repos}
        finish_step(step, counts=counts | {"collection": release.collection})


if __name__ == "__main__":
    main()
