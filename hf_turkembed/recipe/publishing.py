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
    # Commit of the Hub, by somebody else, that may be overwritten if it is the head.
    onto: str | None = None
    # Of an adapter that was trained on a local folder: name under which that model is published.
    base_model: str | None = None


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
    # Of the Hub alone: whether pull requests are opened instead of writing to the main branches, whether new repos are
    # private, who gets their files (None: that stays as it is), the tag that every repo gets, and the title of the
    # collection that holds them.
    create_pr: bool = False
    private: bool = False
    gated: Literal["auto", "manual"] | None = None
    tag: str | None = None
    collection: str | None = None

    def __post_init__(self) -> None:
        """Check that no two folders go to one repo."""
        names = [repo.repo_id for repo in self.repos.values()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"`repos` names {twice[0]!r} twice; give every folder a `repo_id` of its own.")
