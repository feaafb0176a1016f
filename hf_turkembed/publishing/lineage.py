"""What kind of repo a folder is, and what the chain of records behind it says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from hf_turkembed.record import Input, Provenance, read_provenance

RepoKind = Literal["model", "adapter", "tokenizer", "corpus", "dataset"]
RepoType = Literal["model", "dataset"]

_KINDS: dict[str, RepoKind] = {
    "clone": "model",
    "distill": "model",
    "finetune": "model",
    "tokenizer": "tokenizer",
    "corpus": "corpus",
    "embed": "dataset",
}
# Told from a whole model by this file of peft.
ADAPTER_CONFIG = "adapter_config.json"
# The input whose weights a step starts from.
_WEIGHTS = {"convert-gte": "source", "clone": "teacher", "distill": "student", "finetune": "base_model"}


def kind_of_output(folder: Path) -> RepoKind:
    """Return the kind of repo that the output of a step is, or the part of one that has a record of its own.

    Raises:
        FileNotFoundError: If the folder has no record.
        ValueError: If the output of that step is not published.
    """
    step = read_provenance(folder).identity.step
    if step not in _KINDS:
        raise ValueError(f"the output of step `{step}` is not published; those of {', '.join(_KINDS)} are.")
    return "adapter" if (folder / ADAPTER_CONFIG).is_file() else _KINDS[step]


def kind_of_folder(folder: Path) -> RepoKind:
    """Tell the kind of a repo from its files, for folders that no step of this package made.

    Raises:
        ValueError: If the files are those of no known kind.
    """
    if (folder / "modules.json").is_file():
        return "model"
    if (folder / ADAPTER_CONFIG).is_file():
        return "adapter"
    if next(folder.glob("data/*/*.parquet"), None) is not None:
        return "corpus" if _is_corpus(folder) else "dataset"
    if (folder / "tokenizer.json").is_file():
        return "tokenizer"
    raise ValueError(
        f"{folder} holds neither modules.json (a model), nor {ADAPTER_CONFIG} (an adapter), nor "
        "data/<language>/*.parquet (a dataset), nor tokenizer.json; expected the output folder of a step, or a repo "
        "published from one."
    )


def _is_corpus(folder: Path) -> bool:
    """Tell texts from vectors by the record; that a record is damaged is another check's matter."""
    try:
        return read_provenance(folder).identity.step == "corpus"
    except (OSError, ValueError):
        return False


def repo_type_of(kind: RepoKind) -> RepoType:
    """Return the Hub's repo type for a kind of folder."""
    return "dataset" if kind in ("corpus", "dataset") else "model"


def order_chain(chain: Sequence[Provenance]) -> list[Provenance]:
    """Sort a chain so that every record comes after those of its inputs, the published one last.

    Args:
        chain: Records as `chain.read_chain` gives them, nearest first.
    """
    known = {record.identity.digest: record for record in chain}
    ordered: dict[str, Provenance] = {}

    def visit(digest: str) -> None:
        for source in known[digest].identity.inputs:
            if source.record in known and source.record not in ordered:
                visit(source.record)
        ordered[digest] = known[digest]

    visit(chain[0].identity.digest)
    return list(ordered.values())


def find_step(chain: Sequence[Provenance], step: str) -> Provenance | None:
    """Return the nearest record of a step, or None if the chain has none."""
    return next((record for record in chain if record.identity.step == step), None)


def has_input(record: Provenance, role: str) -> Input | None:
    """Return the input of a record that plays `role`, or None."""
    return next((source for source in record.identity.inputs if source.role == role), None)


def find_base_model(chain: Sequence[Provenance]) -> Input | None:
    """Follow the weights of a published model back to where the chain takes them from.

    Returns:
        The first input, from the published folder backwards, that no record of the chain made; None if the chain
        itself made the weights from nothing, or the folder holds none.
    """
    known = {record.identity.digest: record for record in chain}
    record: Provenance | None = chain[0]
    while record is not None and record.identity.step in _WEIGHTS:
        source = has_input(record, _WEIGHTS[record.identity.step])
        if source is None or source.record not in known:
            return source
        record = known[source.record]
    return None


def find_datasets(chain: Sequence[Provenance]) -> list[str]:
    """List the Hub ids of the datasets that went into the chain, sorted; held-out text did not."""
    return sorted(
        {
            source.name
            for record in chain
            for source in record.identity.inputs
            if is_on_hub(source) and source.kind == "dataset" and not _is_held_out(source.role)
        }
    )


def _is_held_out(role: str) -> bool:
    """Tell whether an input was only compared with, by its dotted role."""
    return role.startswith("heldout.") or ".held_out." in role


def is_on_hub(source: Input) -> bool:
    """Tell whether an input came from the Hub rather than from a local folder."""
    return source.revision is not None


def trained_widths(record: Provenance) -> tuple[int, ...]:
    """Return the Matryoshka widths of the model a step wrote, full width first.

    Raises:
        ValueError: If the record holds something else there.
    """
    recipe = _stage(record) if record.identity.step == "finetune" else record.identity.recipe
    widths = tuple(record.observed.counts.get("matryoshka_dims", recipe["matryoshka_dims"]))
    if not widths or not all(type(width) is int for width in widths):
        raise ValueError(
            f"the record of `{record.identity.step}` has the `matryoshka_dims` {widths}, expected integers."
        )
    return widths


def languages_of(record: Provenance) -> tuple[str, ...]:
    """Return the languages of the text a step read, in the order of its recipe; none if it read no corpus.

    A language that the recipe names but whose text was all unusable is not among them.
    """
    shares = record.observed.counts.get("corpus", {})
    recipe = record.identity.recipe
    languages = (recipe.get("text" if record.identity.step == "corpus" else "corpus") or {}).get("languages", ())
    return tuple(language for language in languages if language not in shares or shares[language]["weight"])


def is_made_up(chain: Sequence[Provenance]) -> bool:
    """Tell whether a program made up any of the text behind a chain."""
    stages = [_stage(record) for record in chain if record.identity.step == "finetune"]
    return find_step(chain, "sandbox") is not None or any(
        task["train"].get("synthetic") for stage in stages for task in stage["tasks"].values()
    )


def stage_name(record: Provenance) -> str:
    """Return the name of the stage that a record of `finetune` belongs to."""
    return str(next(iter(record.identity.recipe["stages"])))


def _stage(record: Provenance) -> dict[str, Any]:
    """Return the recipe of the one stage that a record of `finetune` holds."""
    return dict(record.identity.recipe["stages"][stage_name(record)])
