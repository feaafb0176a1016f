"""The release that the section `publish` of a recipe describes."""

from pathlib import Path

from hf_turkembed import recipe as recipes
from hf_turkembed.publishing import HubSettings, Release, publish_release
from hf_turkembed.recipe import PublishConfig, Recipe
from hf_turkembed.scores import SCORES_FILE, read_scores


def publish_recipe(recipe: Recipe, *, dry_run: bool = False) -> Release:
    """Publish the folders of a recipe together, to the outbox or the Hub.

    Args:
        recipe: A recipe with a section `publish`, whose other steps are done.
        dry_run: Stage and verify everything, and write nothing.

    Raises:
        ValueError: If the recipe has no such section, or see `publish_release`.
        FileNotFoundError: If a folder or the scores are missing: their steps have not run.
        OSError: See `publish_release`.
    """
    config: PublishConfig = recipes.section_of(recipe, "publish")
    settings = HubSettings(private=config.private, gated=config.gated, tag=config.tag, create_pr=config.create_pr)
    return publish_release(
        {repo.repo_id: recipes.local_path(recipe, repo.folder) for repo in config.repos.values()},
        license=config.license,
        languages=config.languages,
        report=read_scores(recipes.local_path(recipe, config.scores) / SCORES_FILE),
        target=settings if config.target == "hub" else Path(config.outbox),
        onto={repo.repo_id: repo.onto for repo in config.repos.values() if repo.onto is not None},
        base_models={repo.repo_id: repo.base_model for repo in config.repos.values() if repo.base_model is not None},
        collection=config.collection,
        dry_run=dry_run,
    )
