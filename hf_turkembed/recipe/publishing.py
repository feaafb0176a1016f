"""Section of the step `publish`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hf_turkembed.recipe.sources import ModelSource


@dataclass(frozen=True, kw_only=True)
class RepoConfig:
    """One folder to publish, and where."""

    folder: ModelSource
    repo_id: str


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """What is published, and to where: the local outbox, or the Hub."""

    repos: Mapping[str, RepoConfig]
    # Folder of the score step whose scores.json the cards quote.
    scores: ModelSource
    # Hub licence id, as the teacher's terms demand.
    license: str
    languages: tuple[str, ...]
    target: Literal["outbox", "hub"] = "outbox"
    outbox: str = "outbox"
    private: bool = False
