"""Adapters as repos of their own: the base they belong to, what their card says, and what their files have to hold."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from hf_turkembed import record as records
from hf_turkembed.chain import find_output
from hf_turkembed.checkpoint import StoredTensor, list_file
from hf_turkembed.json_files import read_json
from hf_turkembed.markdown import escape, format_code, format_name, format_value
from hf_turkembed.publishing import history, lineage
from hf_turkembed.publishing.comparisons import Check
from hf_turkembed.publishing.hub import check_repo_id
from hf_turkembed.publishing.lineage import ADAPTER_CONFIG
from hf_turkembed.record import Input, Provenance

ADAPTER_WEIGHTS = "adapter_model.safetensors"
# Keys of an adapter's config that its record does not settle: held against the weights, or the name of its base.
_OF_ITS_OWN = {"base_model_name_or_path", "revision", "target_modules", "peft_version", "inference_mode"}
_TENSOR = re.compile(r"base_model\.model\.(?P<layer>[\w.]+)\.lora_(?P<side>[AB])\.weight")


def choose_base(chain: Sequence[Provenance], base_model: str | None) -> str:
    """Return the Hub id of the model that an adapter is loaded onto.

    Args:
        chain: Records behind the adapter, nearest first.
        base_model: Under which name that model is published, where it was a folder when the adapter was trained.

    Raises:
        ValueError: If that name is missing or none of a repo, or the adapter was trained on another model of the Hub.
    """
    source = _base_of(chain[0])
    if source.revision is not None:
        if base_model not in (None, source.name):
            raise ValueError(
                f"`base_model` is {base_model!r}, but the adapter was trained on {source.name!r}; leave it out."
            )
        return source.name
    if base_model is None:
        raise ValueError(
            f"the adapter was trained on {format_name(source.name)!r}, a folder, and is of no use without it; say "
            "under which name that model is published, with `base_model: ORG/NAME` or `--base-model ORG/NAME`."
        )
    check_repo_id(base_model)
    return base_model


def name_base(folder: Path, chain: Sequence[Provenance], base_model: str | None) -> None:
    """Write the Hub id of its base into the config of a staged adapter, and the commit where one is recorded.

    Raises:
        ValueError: See `choose_base`.
    """
    named = {
        "base_model_name_or_path": choose_base(chain, base_model),
        "revision": _base_of(chain[0]).revision,
    }
    config = {**read_json(folder / ADAPTER_CONFIG), **named}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_base(folder: Path) -> str | None:
    """Return the base that an adapter's config names; None where the folder is no adapter or its config no object."""
    path = folder / ADAPTER_CONFIG
    config = read_json(path) if path.is_file() else None
    return config.get("base_model_name_or_path") if isinstance(config, dict) else None


def describe_adapter(record: Provenance, base_model: str) -> str:
    """Say in one sentence what a published adapter is."""
    stage = format_code(f"finetune-{lineage.stage_name(record)}")
    return f"A low-rank adapter (LoRA) for the sentence encoder {format_code(base_model)}, trained in {stage}."


def describe_training(record: Provenance) -> str:
    """Say how large an adapter is beside its base, and how exactly it can be merged into that."""
    settings, counts = _lora_of(record), record.observed.counts
    layers = escape(", ".join(settings["target_modules"])) or "every linear layer"
    text = f"Rank {format_value(settings['rank'])}, alpha {format_value(settings['alpha'])}, on {layers}."
    if "trained_parameters" in counts and "parameters" in counts:
        trained, all_parameters = counts["trained_parameters"], counts["parameters"]
        share = 100 * trained / all_parameters
        text += f" {trained:,} of {all_parameters:,} parameters ({share:.2g} %) were trained."
    if "merged_off_by" in counts:
        text += (
            " Merged into the weights of the base, it gave embeddings of unit norm whose numbers differ by at most "
            f"{counts['merged_off_by']:.1e} from those with the adapter beside the weights."
        )
    return text


def adapter_limits(chain: Sequence[Provenance], base_model: str) -> list[str]:
    """State the limits of a published adapter."""
    return [
        f"It changes {format_code(base_model)} as it was when the adapter was trained, and fits no other model.",
        f"Trained widths: {format_value(lineage.trained_widths(chain[0]))}.",
        *history.length_limits(chain),
    ]


def wrong_adapter(folder: Path) -> Iterator[str]:
    """Say where the config of an adapter differs from its record, and the headers of its weights from the config."""
    from peft import LoraConfig

    config = read_json(folder / ADAPTER_CONFIG)
    settings = _lora_of(records.read_provenance(folder))
    # All else is as peft has it: whatever scales an adapter, or names code that peft would import.
    made = LoraConfig(
        task_type="FEATURE_EXTRACTION",
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
    )
    expected = json.loads(json.dumps(made.to_dict(), default=list))  # type: ignore[no-untyped-call]
    found = {**LoraConfig().to_dict(), **config}  # type: ignore[no-untyped-call]
    for key in sorted(found.keys() - _OF_ITS_OWN):
        if found[key] != expected.get(key):
            yield f"{ADAPTER_CONFIG} has the `{key}` {found[key]!r}, expected {expected.get(key)!r}"
    try:
        check_repo_id(str(config.get("base_model_name_or_path")))
    except ValueError as error:
        yield f"{ADAPTER_CONFIG} names no base on the Hub: {error}"
    yield from _wrong_tensors(list_file(folder / ADAPTER_WEIGHTS), config["target_modules"], settings["rank"])


def find_base(folder: Path, given: Path | None) -> tuple[Path | None, Check]:
    """Find the model that a staged or published adapter belongs to, without a network.

    Args:
        folder: The adapter.
        given: A folder that should hold it; without one it is looked for in the cache of downloads.

    Returns:
        Its folder, or None where it is not at hand or another one was given; and what to say of that.
    """
    source, name = _base_of(records.read_provenance(folder)), read_base(folder)
    found = _in_cache(source) if given is None else given
    if found is None:
        detail = (
            f"`{name}` is not at hand, so the adapter was not loaded and its snippets did not run; name a folder or a "
            "repo that holds it with `--base-model`"
        )
        return None, Check(name="base model", passed=True, detail=detail)
    if fault := _wrong_base(found, source):
        return None, Check(name="base model", passed=False, detail=fault)
    detail = f"`{name}` is at hand"
    if source.revision is not None and found.resolve().name != source.revision:
        detail = f"{found} was given for `{name}`; that it is its commit {source.revision} is not known"
    return found, Check(name="base model", passed=True, detail=detail)


def find_local_base(folder: Path) -> Path | None:
    """Find, beside an adapter that a step wrote, the model that it was trained on; None where it is elsewhere."""
    source = _base_of(records.read_provenance(folder))
    found = None if source.record is None else find_output(folder, source.record)
    # Of a model that was removed to save room the record may have stayed.
    return found if found is not None and any(found.glob("*.safetensors")) else None


def _base_of(record: Provenance) -> Input:
    """Return the model that a stage began with."""
    return record.identity.input("base_model")


def _lora_of(record: Provenance) -> dict[str, Any]:
    """Return the settings of the adapter in the record of its stage."""
    stage = record.identity.recipe["stages"][lineage.stage_name(record)]
    if not stage["lora"]:
        raise ValueError(f"the record of stage `{lineage.stage_name(record)}` tells of no adapter; run it again.")
    return dict(stage["lora"])


def _in_cache(source: Input) -> Path | None:
    """Find a model of the Hub among the downloads."""
    if source.revision is None:
        return None
    try:
        return Path(snapshot_download(source.name, revision=source.revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _wrong_base(folder: Path, source: Input) -> str:
    """Say why a folder is not the recorded base; empty if it is, or nothing tells."""
    if source.revision is not None:
        return ""
    if source.record is not None and (folder / records.PROVENANCE_FILE).is_file():
        record = records.read_provenance(folder)
        outputs = record.observed.outputs.items()
        same = record.identity.digest == source.record and all(
            (folder / name).is_file() and records.digest_file(folder / name) == digest for name, digest in outputs
        )
    else:
        same = records.digest_path(folder) == source.digest
    return "" if same else f"{folder} is not what the adapter was trained on, by the record; name that model"


def _wrong_tensors(tensors: dict[str, StoredTensor], targets: Sequence[str], rank: int) -> Iterator[str]:
    """Say which tensors are none of a LoRA of this rank on these layers, and which are missing."""
    sides: dict[str, dict[str, StoredTensor]] = {}
    for name, stored in tensors.items():
        if (matched := _TENSOR.fullmatch(name)) is None:
            yield f"`{name}` is no tensor of a low-rank adapter"
            continue
        sides.setdefault(matched["layer"], {})[matched["side"]] = stored
        inner = stored.shape[0 if matched["side"] == "A" else -1] if len(stored.shape) == 2 else None
        if inner != rank or stored.dtype != "F32":
            yield f"`{name}` is {stored.dtype} of shape {stored.shape}, expected F32 of rank {rank}"
    for layer, pair in sides.items():
        if len(pair) != 2:
            yield f"`{layer}` has only one of `lora_A` and `lora_B`"
        if not any(f".{layer}".endswith(f".{target}") for target in targets):
            yield f"`{layer}` is none of the `target_modules` in {ADAPTER_CONFIG}"
    for target in targets:
        if not any(f".{layer}".endswith(f".{target}") for layer in sides):
            yield f"`{target}`, one of the `target_modules` in {ADAPTER_CONFIG}, has no tensors"
