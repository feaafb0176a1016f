"""What a model's records say it was trained on, read again so that evaluations can be held against it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hf_turkembed import corpus
from hf_turkembed import recipe as recipes
from hf_turkembed.chain import read_chain
from hf_turkembed.recipe import FinetuneConfig, Recipe, TaskConfig
from hf_turkembed.record import PROVENANCE_FILE, Identity, Input, Provenance, digest_path, read_provenance
from hf_turkembed.scoring.diagnostics import TrainedOn
from hf_turkembed.strict_yaml import build
from inputs import read_labelled


def read_trained_on(recipe: Recipe, folder: Path) -> TrainedOn:
    """Read the rows of all fine-tuning stages in a model's chain of records, and the texts of its distillation.

    Args:
        recipe: Says where `{data_root}` and `{output_dir}` lie.
        folder: A model.

    Raises:
        ValueError: If a record is damaged, or data with the recorded digest cannot be read.
    """
    if not (folder / PROVENANCE_FILE).is_file():
        reason = "no record says what it was trained on"
        return TrainedOn(missing=reason, distilled_missing=reason)
    chain = read_chain(folder)
    if beyond := _find_unread(chain):
        reason = f"the record behind {beyond} is not at hand"
        return TrainedOn(missing=reason, distilled_missing=reason)
    rows, missing = _read_finetuned(recipe, chain)
    distilled, distilled_missing = _read_distilled(recipe, folder, chain)
    return TrainedOn(
        rows=rows,
        missing=missing,
        unrecorded=_find_unrecorded(chain),
        distilled=distilled,
        distilled_missing=distilled_missing,
    )


def _read_finetuned(recipe: Recipe, chain: Sequence[Provenance]) -> tuple[list[tuple[str, ...]], str]:
    """Read the rows of all fine-tuning stages; or say why not all of them can be read."""
    rows: list[tuple[str, ...]] = []
    finetuned = [record.identity for record in chain if record.identity.step == "finetune"]
    for identity in finetuned:
        for found in identity.inputs:
            if found.role.startswith("stages.") and not _is_at_hand(recipe, found):
                return [], f"`{found.name}`, which it was fine-tuned on, is not at hand or has changed"
        try:
            config: FinetuneConfig = build(FinetuneConfig, identity.recipe, PROVENANCE_FILE)
        except ValueError as error:
            return [], f"its record is of another version ({error})"
        for name, stage in config.stages.items():
            for key, task in stage.tasks.items():
                rows += _read_rows(recipe, identity, f"stages.{name}.tasks.{key}", task)
    return rows, "" if finetuned else "it was not fine-tuned, as far as its records tell"


def _read_distilled(recipe: Recipe, folder: Path, chain: Sequence[Provenance]) -> tuple[list[str], str]:
    """Read the texts of all distillations, without those kept from training; or say why they cannot be read."""
    texts: list[str] = []
    distilled = [record.identity for record in chain if record.identity.step == "distill"]
    for found in (identity.input("vectors") for identity in distilled):
        store = _find_store(recipe, folder, found)
        if store is None or digest_path(store) != found.digest:
            return [], f"`{found.name}`, which it was distilled on, is not at hand or has changed"
        for shard in sorted(store.glob("data/*/train-*.parquet")):
            texts += pq.read_table(shard, columns=["text"]).column("text").to_pylist()
    return texts, "" if distilled else "it was not distilled, as far as its records tell"


def _find_store(recipe: Recipe, folder: Path, found: Input) -> Path | None:
    """Find a store of vectors by its record among the steps beside a model, or where the recipe says."""
    run, name = folder.resolve().parent, Path(found.name).name
    near = [*run.glob(name), *run.parent.glob(f"*/{name}")] if found.record is not None else []
    for place in near:
        if (place / PROVENANCE_FILE).is_file() and read_provenance(place).identity.digest == found.record:
            return place
    return recipes.local_path(recipe, found.name) if _is_at_hand(recipe, found) and found.revision is None else None


def _read_rows(recipe: Recipe, identity: Identity, role: str, task: TaskConfig) -> list[tuple[str, ...]]:
    """Read the texts of the rows that a task trained on, without those that were set apart."""
    table: dict[str, list[Any]] = read_labelled(recipe, identity, f"{role}.train", task.train, task.kind)
    if task.shared_texts == "remove":
        held_out = {
            name: read_labelled(recipe, identity, f"{role}.held_out.{name}.data", suite.data, suite.kind)
            for name, suite in task.held_out.items()
        }
        table, _ = corpus.set_shared_texts_apart(table, held_out, remove=True)
    return list(zip(*(column for column in table.values() if isinstance(column[0], str)), strict=True))


def _find_unread(chain: list[Provenance]) -> str | None:
    """Name the base model of a fine-tuning that was made by a step whose record was not found."""
    known = {record.identity.digest for record in chain}
    bases = (record.identity.input("base_model") for record in chain if record.identity.step == "finetune")
    return next((f"`{base.name}`" for base in bases if base.record not in (None, *known)), None)


def _find_unrecorded(chain: Sequence[Provenance]) -> str:
    """Name a model that others began with, a teacher or a base, which no step of ours made or whose record is gone."""
    known = {record.identity.digest for record in chain}
    inputs = (found for record in chain for found in record.identity.inputs)
    return next((found.name for found in inputs if found.kind == "model" and found.record not in known), "")


def _is_at_hand(recipe: Recipe, found: Input) -> bool:
    """Tell whether data can be read as it was when it was trained on."""
    if found.revision is not None:
        return True
    if not recipes.is_local(found.name) or ("{data_root}" in found.name and recipe.data_root is None):
        return False
    path = recipes.local_path(recipe, found.name)
    return path.exists() and digest_path(path) == found.digest
