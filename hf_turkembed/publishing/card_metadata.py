"""The YAML header of a card: what the Hub reads and indexes."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml
from huggingface_hub import CardData, DatasetCardData, EvalResult, ModelCardData

from hf_turkembed.markdown import format_name
from hf_turkembed.publishing import licences, lineage
from hf_turkembed.record import Provenance
from hf_turkembed.scores import Score

CARD_FILE = "README.md"
# The Hub's keys that the cards use; a misspelt key would be accepted by the card classes and never read.
ALLOWED_KEYS = frozenset(
    {
        "base_model",
        "base_model_relation",
        "configs",
        "datasets",
        "language",
        "library_name",
        "license",
        "metrics",
        "model-index",
        "pipeline_tag",
        "size_categories",
        "source_datasets",
        "tags",
        "task_categories",
    }
)
_CONFIG_NAME = re.compile(r"[\w-]+")
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def model_metadata(
    chain: Sequence[Provenance],
    *,
    repo_id: str,
    license: str | None,
    languages: Sequence[str],
    own_scores: Sequence[Score],
) -> str:
    """Return the header of a model card as YAML.

    Args:
        chain: Records behind the model, nearest first.
        repo_id: `org/name` on the Hub.
        license: Hub licence id, or None for none.
        languages: ISO 639 codes.
        own_scores: Scores of this model only; those on made-up text stay out of `model-index`.
    """
    base = lineage.find_base_model(chain)
    on_hub = base is not None and lineage.is_on_hub(base)
    results = [_eval_result(score, value) for score, value in listed_scores(own_scores)]
    steps = {record.identity.step for record in chain}
    return _to_yaml(
        ModelCardData(
            language=list(languages) or None,
            license=license,
            library_name="sentence-transformers",
            pipeline_tag="sentence-similarity",
            tags=[
                "feature-extraction",
                "matryoshka",
                *(["distillation"] if "distill" in steps else []),
                "hf_turkembed",
            ],
            base_model=base.name if base is not None and on_hub else None,
            base_model_relation="finetune" if on_hub else None,
            datasets=lineage.find_datasets(chain) or None,
            metrics=sorted({score.metric for score in own_scores}) or None,
            model_name=repo_id.partition("/")[2] if results else None,
            eval_results=results or None,
        )
    )


def listed_scores(own_scores: Sequence[Score]) -> list[tuple[Score, float]]:
    """List the scores that are published as data, with their values: none that is missing or on made-up text."""
    return [(s, float(s.value)) for s in own_scores if s.value is not None and not s.dataset.synthetic]


def model_index(name: str, own_scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the scores of a model as its header holds them; empty where none is published as data."""
    results = [_eval_result(score, value) for score, value in listed_scores(own_scores)]
    if not results:
        return []
    data = ModelCardData(model_name=name, eval_results=results)
    index: list[dict[str, Any]] = data.to_dict()["model-index"]  # type: ignore[no-untyped-call]
    return index


def adapter_metadata(
    chain: Sequence[Provenance], *, base_model: str, license: str | None, languages: Sequence[str]
) -> str:
    """Return the header of the card of a repo that holds an adapter only, as YAML.

    Args:
        chain: Records behind the adapter, nearest first.
        base_model: Hub id of the model that it is loaded onto.
        license: Hub licence id, or None for none.
        languages: ISO 639 codes.
    """
    return _to_yaml(
        ModelCardData(
            language=list(languages) or None,
            license=license,
            library_name="peft",
            pipeline_tag="sentence-similarity",
            tags=["lora", "sentence-transformers", "feature-extraction", "matryoshka", "hf_turkembed"],
            base_model=base_model,
            base_model_relation="adapter",
            datasets=lineage.find_datasets(chain) or None,
        )
    )


def tokenizer_metadata(chain: Sequence[Provenance], *, license: str | None, languages: Sequence[str]) -> str:
    """Return the header of the card of a repo that holds a tokenizer only, as YAML."""
    source = chain[0].identity.input("source")
    return _to_yaml(
        ModelCardData(
            language=list(languages) or None,
            license=license,
            library_name="transformers",
            tags=["tokenizer", "hf_turkembed"],
            # The Hub has no word for how a tokenizer relates to the model that it was made from.
            base_model=source.name if lineage.is_on_hub(source) else None,
            datasets=lineage.find_datasets(chain) or None,
        )
    )


def dataset_metadata(
    chain: Sequence[Provenance],
    *,
    license: str | None,
    languages: Sequence[str],
    task_categories: Sequence[str] = ("sentence-similarity", "feature-extraction"),
    tags: Sequence[str] = ("embeddings", "distillation", "hf_turkembed"),
) -> str:
    """Return the header of a dataset card as YAML, with one config for each language that has rows.

    Args:
        chain: Records behind the dataset, nearest first.
        license: Hub licence id, or None for none.
        languages: ISO 639 codes.
        task_categories: The Hub's tasks that it is for.
        tags: What else it is found by.

    Raises:
        ValueError: If the record of the dataset does not say which languages it holds.
    """
    configs = dataset_configs(chain[0])
    stated = licences.header_licence(license, chain)
    rows = chain[0].observed.counts.get("rows")
    return _to_yaml(
        DatasetCardData(
            language=list(languages) or None,
            license=stated,
            task_categories=list(task_categories),
            size_categories=None if rows is None else [_size_category(rows)],
            source_datasets=lineage.find_datasets(chain) or None,
            tags=list(tags),
            configs=[_config(chain[0], name, is_default=name == default_config(configs)) for name in configs],
        )
    )


def dataset_configs(record: Provenance) -> list[str]:
    """List the configs of a dataset: the languages that its record counted.

    Raises:
        ValueError: If the record counted none, or what is no name of a folder.
    """
    languages = record.observed.counts.get("languages")
    if not languages:
        raise ValueError(
            f"the record of `{record.identity.step}` counts no `languages`, so the dataset has no configs; "
            "run the step again."
        )
    if strange := [name for name in languages if not _CONFIG_NAME.fullmatch(name)]:
        raise ValueError(
            f"the record of `{record.identity.step}` counts the language {strange[0]!r}, which is no code."
        )
    return list(languages)


def splits_of(record: Provenance, config: str) -> list[str]:
    """List the splits of a config that have rows; all are for training where the record does not say."""
    splits = record.observed.counts.get("splits") or {"train": {config: 1}}
    return [name for name, rows in splits.items() if config in rows]


def default_config(configs: Sequence[str]) -> str:
    """Return the config that is loaded when none is named: Turkish where there is any, else the first."""
    return "tr" if "tr" in configs else configs[0]


def _config(record: Provenance, name: str, *, is_default: bool) -> dict[str, Any]:
    """Describe one config in the form the Hub reads."""
    config: dict[str, Any] = {
        "config_name": name,
        "data_files": [
            {"split": split, "path": f"data/{name}/{split}-*.parquet"} for split in splits_of(record, name)
        ],
    }
    return {**config, "default": True} if is_default else config


def _eval_result(score: Score, value: float) -> EvalResult:
    """Turn a score into an entry of `model-index`; a local dataset is named by a slug and its digest."""
    dataset = score.dataset
    name = format_name(dataset.name)
    return EvalResult(
        task_type=score.task,
        dataset_type=name if dataset.revision is not None else name.replace("/", "-"),
        dataset_name=f"{name} ({score.suite})",
        dataset_config=dataset.config,
        dataset_split=dataset.split,
        dataset_revision=dataset.revision,
        dataset_args=None if dataset.digest is None else {"sha256": dataset.digest},
        metric_type=score.metric,
        metric_value=value,
        metric_name=f"{score.metric} at {score.truncate_dim} dimensions",
        metric_args={"truncate_dim": score.truncate_dim},
    )


def _size_category(rows: int) -> str:
    """Return the Hub's size category for a number of rows."""
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


def _to_yaml(data: CardData) -> str:
    """Serialise a header whose keys the Hub knows and whose numbers are finite."""
    content = data.to_dict()  # type: ignore[no-untyped-call]
    if unknown := sorted(set(content) - ALLOWED_KEYS):
        raise ValueError(f"the card's header has the keys {unknown}, which are not among {sorted(ALLOWED_KEYS)}.")
    return dump_yaml(_plain(content, "header")).strip()


def dump_yaml(content: Any) -> str:
    """Write YAML in the form of the Hub's own cards: in the given order, letters as they are."""
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return text


def _plain(value: Any, key: str) -> Any:
    """Copy nested values as what YAML has words for: a NumPy number would become a Python object in it."""
    if isinstance(value, dict):
        return {str(name): _plain(item, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{key}.{place}") for place, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the card's {key} is {value}; expected a finite number.")
    if value is not None and not isinstance(value, (str, bool, int, float)):
        raise ValueError(f"the card's {key} is a {type(value).__name__}; expected a text, a number or a list of them.")
    return value
