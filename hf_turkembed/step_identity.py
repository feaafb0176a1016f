"""What a step's identity is made of: its section of the recipe, and its inputs by digest or by commit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_turkembed import recipe as recipes
from hf_turkembed import record
from hf_turkembed.recipe import Recipe
from hf_turkembed.record import Identity, Input
from hf_turkembed.version import __version__


def identify(recipe: Recipe, step: str, stage: str | None = None) -> Identity:
    """Work out a step's identity: its section, its inputs by digest or revision, the code's version, the seed.

    Args:
        recipe: The whole recipe.
        step: One of `recipe.STEPS`.
        stage: Name of a stage of `finetune`; its identity leaves out the other stages, and its base is the stage
            before it.

    Raises:
        ValueError: If the recipe has no section for the step.
        FileNotFoundError: If a local input does not exist; the message names the key.
    """
    section = recipes.section_of(recipe, step)
    if stage is not None:
        section = only_stage(section, stage)
    inputs = tuple(_identify_input(recipe, section, role, source) for role, source in recipes.find_sources(section))
    return Identity(
        step=step, recipe=recipes.portable_section(section), inputs=inputs, code=__version__, seed=recipe.seed
    )


def only_stage(section: recipes.FinetuneConfig, stage: str) -> recipes.FinetuneConfig:
    """Return a finetune section with one stage alone, and what it begins with as the base model."""
    names = list(section.stages)
    before = names.index(stage) - 1
    own = section.stages[stage]
    base = own.base_model
    if base is None:
        base = section.base_model if before < 0 else recipes.ModelSource(f"{{output_dir}}/finetune-{names[before]}")
    return replace(section, base_model=base, stages={stage: replace(own, base_model=None)})


def check_external_inputs(recipe: Recipe) -> None:
    """Check that the local inputs which no step of the recipe makes exist, before any work.

    Raises:
        FileNotFoundError: If one is missing; the message names its key and where it was looked for.
    """
    made = {name.split("-")[0] for name in recipe.steps}
    for step in recipe.steps:
        section = recipes.section_of(recipe, step)
        for role, source in recipes.find_sources(section):
            below = source.removeprefix("{output_dir}/")
            if recipes.is_local(source) and (below == source or below.split("/")[0].split("-")[0] not in made):
                _require(recipe, f"{step}.{role}", source)


def _identify_input(recipe: Recipe, section: Any, role: str, source: str) -> Input:
    """Name one input by digest (local) or by commit (Hub)."""
    kind, name = recipes.source_kind(section, role), recipes.portable_name(source)
    if not recipes.is_local(source):
        repo_id, revision = recipes.split_revision(source)
        return Input(role=role, kind=kind, name=repo_id, revision=_resolve_revision(role, repo_id, revision, kind))
    path = _require(recipe, role, source)
    # The record lies in the input itself, or beside it where the input is a part of a step's output.
    records = [folder for folder in (path, path.parent) if (folder / record.PROVENANCE_FILE).is_file()]
    link = record.read_provenance(records[0]).identity.digest if records else None
    if records and records[0] == path:
        # A bit that flipped on a disk would be read as another text, vector or weight.
        record.check_outputs(path)
    return Input(role=role, kind=kind, name=name, digest=record.digest_path(path), record=link)


def _require(recipe: Recipe, role: str, source: str) -> Path:
    """Return the path of a local input that exists."""
    path = recipes.local_path(recipe, source)
    if not path.exists():
        raise FileNotFoundError(
            f"`{role}` names {source!r}, but {path} does not exist; run the step that makes it, or correct the path."
        )
    return path


def _resolve_revision(role: str, repo_id: str, revision: str | None, kind: str) -> str:
    """Ask the Hub for the commit behind a branch, a tag or the default branch; a full commit needs no asking."""
    if revision is not None and len(revision) == 40:
        return revision
    from httpx2 import HTTPError
    from huggingface_hub import HfApi

    try:
        commit = HfApi().repo_info(repo_id, revision=revision, repo_type=kind).sha
    except (OSError, HTTPError) as error:
        raise ConnectionError(
            f"`{role}` names the {kind} {repo_id!r} on the Hub, which did not say which commit that is: "
            f"{' '.join(str(error).split())} Check name, network and access, or pin it with @<commit>."
        ) from error
    if commit is None:
        raise ValueError(f"the Hub names no commit for {repo_id!r} at revision {revision!r}; pin one with @<commit>.")
    return commit
