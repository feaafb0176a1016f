"""A release: several folders of one run, published one after the other, whose cards and collection name each other."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from hf_turkembed import record as records
from hf_turkembed.publishing import hub, lineage
from hf_turkembed.publishing.hub import HubSettings
from hf_turkembed.publishing.hub_state import HubRepo
from hf_turkembed.publishing.publication import Published, describe_prepared, prepare_folder, write_prepared
from hf_turkembed.publishing.release_section import ROLES, format_related
from hf_turkembed.scores import ScoreReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Release:
    """What was published together."""

    repos: tuple[Published, ...]
    # Address of the collection on the Hub that holds them, where one was asked for.
    collection: str | None


def publish_release(
    folders: Mapping[str, Path],
    *,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
    target: Path | HubSettings,
    onto: Mapping[str, str] = MappingProxyType({}),
    collection: str | None = None,
    dry_run: bool = False,
    base_models: Mapping[str, str] = MappingProxyType({}),
) -> Release:
    """Publish folders of one run, each to a repo of its own; what stands there already is left as it is.

    All of them are staged and verified before the first is written. After an error of the Hub's, what was published
    stays; a second call goes on where the first one stopped.

    Args:
        folders: Output folders of steps by `org/name`, published in this order.
        license: As for `publish_folder`, for all of them, as are the following.
        languages: ISO 639 codes.
        report: Scores of the run.
        target: Root of the local outbox, or how to write to the Hub.
        onto: Commits that may be overwritten by `org/name`, see `HubSettings.onto`.
        collection: Title of a collection on the Hub that holds the repos; the outbox has none.
        dry_run: Stage and verify everything, and write nothing.
        base_models: Of adapters, by their `org/name`: as for `publish_folder`.

    Returns:
        What was published, or would have been, in the same order.

    Raises:
        ValueError: If the repos of a collection belong to several owners, or see `publish_folder`.
        OSError: See `publish_folder`.
    """
    # Before any folder is read: what the scores forbid is said first, whatever else is wrong.
    report.check_gate()
    owners = sorted({repo_id.partition("/")[0] for repo_id in folders})
    if collection is not None and len(owners) > 1:
        raise ValueError(f"a collection holds repos of one owner, not of {', '.join(owners)}; publish them apart.")
    roles = {_repo_of(repo_id, folder): _role(folder) for repo_id, folder in folders.items()}
    with tempfile.TemporaryDirectory(prefix="hf_turkembed_stage_") as scratch:
        # All folders before any is written: one that may not be published must not leave half a release behind.
        prepared = [
            prepare_folder(
                folder,
                Path(scratch),
                repo_id=repo_id,
                license=license,
                languages=languages,
                report=report,
                target=replace(target, onto=onto.get(repo_id)) if isinstance(target, HubSettings) else target,
                dry_run=dry_run,
                base_model=base_models.get(repo_id),
                related=format_related({repo: role for repo, role in roles.items() if repo.repo_id != repo_id}),
            )
            for repo_id, folder in folders.items()
        ]
        published = tuple(map(describe_prepared if dry_run else write_prepared, prepared))
    address = None
    if collection is not None and isinstance(target, HubSettings) and not dry_run:
        address = hub.collect_repos(collection, roles, private=target.private)
        logger.info("collected in %s", address)
    return Release(repos=published, collection=address)


def _repo_of(repo_id: str, folder: Path) -> HubRepo:
    """Return the repo that a folder becomes."""
    return HubRepo(repo_id=repo_id, repo_type=lineage.repo_type_of(lineage.kind_of_output(folder)))


def _role(folder: Path) -> str:
    """Say what a folder is within its release."""
    record = records.read_provenance(folder)
    if record.identity.step == "finetune":
        stage = f"stage `{lineage.stage_name(record)}`"
        return f"the adapter of {stage}" if lineage.kind_of_output(folder) == "adapter" else f"fine-tuned, {stage}"
    return ROLES[record.identity.step]
