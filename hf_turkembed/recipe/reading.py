"""A whole recipe: YAML read strictly into frozen dataclasses, and the sources that it names."""

import dataclasses
import os
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from hf_turkembed.recipe.classification import ClassifyConfig
from hf_turkembed.recipe.finetuning import FinetuneConfig
from hf_turkembed.recipe.making import (
    CloneConfig,
    CorpusStepConfig,
    DistillConfig,
    EmbedConfig,
    SandboxConfig,
    TokenizerConfig,
)
from hf_turkembed.recipe.publishing import PublishConfig
from hf_turkembed.recipe.scoring import ScoreConfig
from hf_turkembed.recipe.sources import DataSource, ModelSource, is_local, portable_name, split_revision
from hf_turkembed.strict_yaml import build, strip_optional


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: what every step of it needs."""

    output_dir: str
    seed: int
    # Steps that `recipes/pipeline.py` runs, in order.
    steps: tuple[str, ...]
    # accelerate_configs/<topology>.yaml, for the steps that use the process group.
    topology: str = "cpu"
    # Root of local data that sources name as `{data_root}`.
    data_root: str | None = None
    # US dollars an hour of this machine, for the cost in the records.
    price_per_hour: float | None = None
    sandbox: SandboxConfig | None = None
    tokenizer: TokenizerConfig | None = None
    corpus: CorpusStepConfig | None = None
    clone: CloneConfig | None = None
    embed: EmbedConfig | None = None
    distill: DistillConfig | None = None
    finetune: FinetuneConfig | None = None
    classify: ClassifyConfig | None = None
    score: ScoreConfig | None = None
    publish: PublishConfig | None = None

    def __post_init__(self) -> None:
        """Check that every listed step has its section."""
        for step in self.steps:
            if step not in STEPS:
                raise ValueError(f"`steps` names {step!r}; the steps are {', '.join(STEPS)}.")
            if getattr(self, step) is None:
                raise ValueError(f"`steps` names {step!r}, but the recipe has no section `{step}`; add one.")
        if self.data_root is None and any("{data_root}" in source for _, source in find_sources(self)):
            raise ValueError("the recipe reads local data: say where it lies with `data_root=DIR`.")


STEPS = ("sandbox", "tokenizer", "corpus", "clone", "embed", "distill", "finetune", "classify", "score", "publish")


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `section.key=value` overrides, whose values are YAML.

    Args:
        path: A YAML file.
        overrides: Strings such as `distill.learning_rate=1.0e-4`.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If the YAML is invalid, a key is unknown or missing, a value has the wrong type, or sections
            contradict each other; the message names file and key.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe; the ones that come with the project are under recipes/.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, expected a mapping of keys and sections.")
    # What anchors share, an override of one place would change in all of them.
    content = _copy_apart(content)
    for override in overrides:
        _apply_override(content, override)
    recipe: Recipe = build(Recipe, content, str(path))
    return recipe


def section_of(recipe: Recipe, step: str) -> Any:
    """Return the recipe's section for `step`.

    Raises:
        ValueError: If the recipe has none.
    """
    section = getattr(recipe, step)
    if section is None:
        raise ValueError(f"the recipe has no section `{step}`, which this step reads; add one.")
    return section


def local_path(recipe: Recipe, source: str) -> Path:
    """Return the path that a local source names, relative ones as seen from the working directory.

    Raises:
        ValueError: If the source names `{data_root}` and the recipe has none.
    """
    if "{data_root}" in source and recipe.data_root is None:
        raise ValueError(f"{source!r} needs `data_root=DIR`.")
    filled = source.replace("{output_dir}", recipe.output_dir).replace("{data_root}", recipe.data_root or "")
    return Path(os.path.normpath(os.path.expanduser(filled)))


def locate(recipe: Recipe, source: str) -> str:
    """Return what `from_pretrained` and `load_dataset` take: a local path, or a Hub id without its revision."""
    return str(local_path(recipe, source)) if is_local(source) else split_revision(source)[0]


def portable_section(section: Any) -> Any:
    """Return a section as plain data, its sources in portable form."""
    if dataclasses.is_dataclass(section) and not isinstance(section, type):
        return {f.name: portable_section(getattr(section, f.name)) for f in dataclasses.fields(section)}
    if isinstance(section, Mapping):
        return {key: portable_section(value) for key, value in section.items()}
    if isinstance(section, tuple):
        return [portable_section(value) for value in section]
    return portable_name(section) if isinstance(section, str) else section


def find_sources(section: Any, role: str = "") -> Iterator[tuple[str, str]]:
    """Yield (role, source) for every ModelSource and DataSource below a section, roles as dotted keys."""
    for name, kind, value in _typed_fields(section):
        yield from _sources_in(value, kind, f"{role}.{name}".lstrip("."))


def source_kind(section: Any, role: str) -> Literal["model", "dataset"]:
    """Tell which kind of Hub repo the source at a dotted `role` names."""
    head, _, rest = role.partition(".")
    for name, kind, value in _typed_fields(section):
        if name == head:
            while rest and not dataclasses.is_dataclass(value):
                head, _, rest = rest.partition(".")
                kind = [k for k in typing.get_args(strip_optional(kind)) if k is not Ellipsis][-1]
                value = value[head] if isinstance(value, Mapping) else value[int(head)]
            if rest:
                return source_kind(value, rest)
            return "dataset" if strip_optional(kind) is DataSource else "model"
    raise KeyError(role)


def _typed_fields(section: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, resolved type and value of a dataclass's fields."""
    hints = typing.get_type_hints(type(section))
    for entry in dataclasses.fields(section):
        yield entry.name, hints[entry.name], getattr(section, entry.name)


def _sources_in(value: Any, kind: Any, role: str) -> Iterator[tuple[str, str]]:
    """Yield the sources in one field."""
    kind = strip_optional(kind)
    if value is None:
        return
    if kind in (ModelSource, DataSource):
        yield role, value
    elif dataclasses.is_dataclass(value):
        yield from find_sources(value, role)
    elif isinstance(value, Mapping) and typing.get_args(kind):
        for key, item in value.items():
            yield from _sources_in(item, typing.get_args(kind)[1], f"{role}.{key}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _sources_in(item, typing.get_args(kind)[0], f"{role}.{index}")


def _copy_apart(value: Any) -> Any:
    """Copy mappings and lists so that no two places hold the same one."""
    if isinstance(value, dict):
        return {key: _copy_apart(item) for key, item in value.items()}
    return [_copy_apart(item) for item in value] if isinstance(value, list) else value


def _apply_override(content: dict[str, Any], override: str) -> None:
    """Set one dotted key of the raw recipe; the key itself is checked when the recipe is built."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ValueError(f"override {override!r} is not of the form section.key=value.")
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise ValueError(f"override {override!r}: `{parent}` is not a section.")
    try:
        # YAML would read the brace as the start of a mapping.
        content[last] = text if text.startswith(("{output_dir}", "{data_root}")) else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"override {override!r}: the value is not valid YAML: {error}") from error
