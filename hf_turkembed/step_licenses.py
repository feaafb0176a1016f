"""The licences that a step's models state in their cards."""

from pathlib import Path

import yaml
from huggingface_hub import metadata_load, try_to_load_from_cache

from hf_turkembed import recipe as recipes
from hf_turkembed.recipe import Recipe
from hf_turkembed.record import Identity
from hf_turkembed.step_identity import only_stage


def local_licenses(recipe: Recipe, identity: Identity, stage: str | None) -> dict[str, str]:
    """Read the licences that local models state in their cards, by role.

    Args:
        recipe: The whole recipe.
        identity: Names the inputs of the step.
        stage: Name of a stage of `finetune`.

    Raises:
        ValueError: If the header of a card is not valid YAML.
    """
    section = recipes.section_of(recipe, identity.step)
    sources = dict(recipes.find_sources(section if stage is None else only_stage(section, stage)))
    cards = {
        found.role: recipes.local_path(recipe, sources[found.role]) / "README.md"
        for found in identity.inputs
        if found.kind == "model" and found.revision is None
    }
    return {role: stated for role, card in cards.items() if (stated := _stated_license(card))}


def hub_licenses(identity: Identity) -> dict[str, str]:
    """Read the licences that models of the Hub state in their cards, by role, as they were downloaded for the step.

    Raises:
        ValueError: If the header of a card is not valid YAML.
    """
    cards = {
        found.role: try_to_load_from_cache(found.name, "README.md", revision=found.revision)
        for found in identity.inputs
        if found.kind == "model" and found.revision is not None
    }
    paths = {role: Path(card) for role, card in cards.items() if isinstance(card, str)}
    return {role: stated for role, card in paths.items() if (stated := _stated_license(card))}


def _stated_license(card: Path) -> str | None:
    """Return the licence id that a card states."""
    try:
        stated = (metadata_load(card) or {}).get("license") if card.is_file() else None
    except yaml.YAMLError as error:
        raise ValueError(f"{card}: its header is not valid YAML ({error}); correct it, or remove the file.") from error
    return stated if isinstance(stated, str) else None
