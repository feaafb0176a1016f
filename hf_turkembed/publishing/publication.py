"""The publish step for one folder: stage, compare with what stands there, verify, and only then write."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi

from hf_turkembed import record as records
from hf_turkembed.chain import read_whole_chain
from hf_turkembed.publishing import adapters, hub, lineage
from hf_turkembed.publishing.cards import render_card
from hf_turkembed.publishing.hub import HubSettings
from hf_turkembed.publishing.hub_state import HubRepo, HubState, read_state
from hf_turkembed.publishing.outbox import outbox_path, read_outbox, write_to_outbox
from hf_turkembed.publishing.planned_files import Difference, PlannedFile, compare_files, plan_files
from hf_turkembed.publishing.staging import stage_folder
from hf_turkembed.publishing.verification import Verification, verify_folder
from hf_turkembed.scores import ScoreReport

logger = logging.getLogger(__name__)

# One for all repos of a release: it remembers who asks, of which the Hub lets itself be asked only seldom.
_API = HfApi()


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published, or would have been."""

    repo_id: str
    repo_type: lineage.RepoType
    # Folder in the outbox, address of the commit or pull request, or where a dry run would have written.
    location: str
    dry_run: bool
    files: tuple[PlannedFile, ...]
    # What publishing does to the files that stand there; None for a dry run that could not read them.
    difference: Difference | None
    # None where nothing had to be written, since the same files stood there.
    verification: Verification | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A folder that is staged, compared with what stands where it goes, and verified; nothing is written yet."""

    staged: Path
    repo: HubRepo
    # Root of the outbox, or how to write to the Hub.
    target: Path | HubSettings
    # What it is, for the first line of the commit.
    subject: str
    # What stands on the Hub; None for the outbox, and for a dry run that could not read it.
    state: HubState | None
    files: tuple[PlannedFile, ...]
    difference: Difference | None
    verification: Verification | None


def publish_folder(
    folder: Path,
    *,
    repo_id: str,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
    target: Path | HubSettings = Path("outbox"),
    base_model: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Publish the output folder of a step, if it passes verification.

    Args:
        folder: Output folder of `tokenizer`, `corpus`, `clone`, `embed`, `distill` or a stage of `finetune`, or the
            adapter of a stage; never changed.
        repo_id: `org/name`.
        license: Hub licence id, or None where nobody has stated one.
        languages: ISO 639 codes; none for those of the corpus in the records.
        report: Scores of the run, or an empty report.
        target: Root of the local outbox, or how to write to the Hub, which needs an access token.
        base_model: Of an adapter: name under which the model is published that it is loaded onto, where that was a
            folder when the adapter was trained.
        dry_run: Do everything but the last step.

    Returns:
        Where it went, its files, what that changed, and the verification it passed.

    Raises:
        ValueError: If a score misses what the recipe required of it, the folder must not be published as it is, it
            fails verification, or the repo on the Hub is not as `hub.push_folder` needs it; nothing was published.
        FileNotFoundError: If the folder has no record.
        PermissionError: If the target is the Hub and there is no access token.
        OSError: If the outbox or the Hub cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="hf_turkembed_stage_") as scratch:
        prepared = prepare_folder(
            folder,
            Path(scratch),
            repo_id=repo_id,
            license=license,
            languages=languages,
            report=report,
            target=target,
            base_model=base_model,
            dry_run=dry_run,
        )
        return describe_prepared(prepared) if dry_run else write_prepared(prepared)


def prepare_folder(
    folder: Path,
    scratch: Path,
    *,
    repo_id: str,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
    target: Path | HubSettings,
    base_model: str | None = None,
    related: str = "",
    dry_run: bool = False,
) -> Prepared:
    """Do all that can fail before anything is written.

    Args:
        folder: See `publish_folder`, as for all but the following.
        scratch: Where the folder is staged.
        repo_id: `org/name`.
        license: Hub licence id.
        languages: ISO 639 codes.
        report: Scores of the run.
        target: Where it goes.
        base_model: Of an adapter.
        related: Last section of the card, which names the repos of the same release; see `releases`.
        dry_run: Go on where the Hub cannot be read.

    Raises:
        ValueError: See `publish_folder`.
    """
    hub.check_repo_id(repo_id)
    report.check_gate()
    if isinstance(target, HubSettings) and not dry_run:
        hub.check_token()
    kind = lineage.kind_of_output(folder)
    if base_model is not None and kind != "adapter":
        raise ValueError(f"`base_model` is {base_model!r}, but {folder} holds no adapter; leave it out.")
    repo = HubRepo(repo_id=repo_id, repo_type=lineage.repo_type_of(kind))
    card = render_card(
        folder, repo_id=repo_id, license=license, languages=languages, report=report, base_model=base_model
    )
    staged = scratch / str(repo).replace("/", "--")
    stage_folder(folder, staged, card=card + related, report=report)
    if kind == "adapter":
        adapters.name_base(staged, read_whole_chain(folder), base_model)
    files = plan_files(staged)
    base = adapters.find_local_base(folder) if kind == "adapter" else None
    state, difference = None, None
    if isinstance(target, Path):
        difference = compare_files(staged, files, read_outbox(target, repo.repo_id, repo.repo_type))
    elif (state := _read_if_possible(repo) if dry_run else read_state(_API, repo)) is not None:
        difference = compare_files(staged, files, state.digests)
        hub.check_settings(repo, state, target, difference)
    return Prepared(
        staged=staged,
        repo=repo,
        target=target,
        subject=f"the output of {records.read_provenance(folder).identity.step}",
        state=state,
        files=files,
        difference=difference,
        verification=_verify(staged, repo, difference, base),
    )


def write_prepared(prepared: Prepared) -> Published:
    """Write a prepared folder to where it goes.

    Raises:
        ValueError: If somebody else has written to the repo meanwhile; see `hub.push_folder`.
        OSError: If the outbox or the Hub cannot be written.
    """
    repo, target = prepared.repo, prepared.target
    if isinstance(target, Path):
        location = str(outbox_path(target, repo.repo_id, repo.repo_type))
        if prepared.difference:
            write_to_outbox(prepared.staged, target, repo.repo_id, repo.repo_type)
    else:
        state = prepared.state or read_state(_API, repo)
        location = hub.push_folder(prepared.staged, prepared.files, repo, state, target, subject=prepared.subject)
    return _describe(prepared, location, dry_run=False)


def describe_prepared(prepared: Prepared) -> Published:
    """Say what writing a prepared folder would do."""
    repo, target = prepared.repo, prepared.target
    location = f"hub:{repo}"
    if isinstance(target, Path):
        location = str(outbox_path(target, repo.repo_id, repo.repo_type))
    return _describe(prepared, location, dry_run=True)


def describe_published(published: Published) -> list[str]:
    """Lay out what was or would be published, one line for each file with what happens to it, then where."""
    difference = published.difference or Difference(added=(), changed=(), deleted=())
    known = "same" if published.difference is not None else "?"
    states = {path: "added" for path in difference.added} | {path: "changed" for path in difference.changed}
    lines = [
        f"{states.get(file.path, known):<8}{file.sha256}  {file.size:>12}  {file.path}" for file in published.files
    ]
    lines += [f"{'deleted':<8}{'':64}  {'':>12}  {path}" for path in difference.deleted]
    return [*lines, f"{_verb(published)} {published.location}"]


def _verb(published: Published) -> str:
    """Say what became of a folder."""
    if published.dry_run:
        return "would be published to"
    return "published to" if published.difference else "stands already in"


def _read_if_possible(repo: HubRepo) -> HubState | None:
    """Read what stands on the Hub for a dry run, which goes on without it."""
    try:
        return read_state(_API, repo)
    except OSError as error:
        logger.warning("%s cannot be read, so what would change is not known: %s", repo, " ".join(str(error).split()))
        return None


def _verify(staged: Path, repo: HubRepo, difference: Difference | None, base: Path | None) -> Verification | None:
    """Verify a staged folder, unless the same files stand where it goes and nothing will be written.

    Raises:
        ValueError: If it fails.
    """
    if difference is not None and not difference:
        return None
    verification = verify_folder(staged, repo_id=repo.repo_id, base=base)
    if not verification.passed:
        raise ValueError(f"{repo} failed verification and was not published: {verification.describe_failures()}.")
    if not verification.loaded:
        logger.warning("%s: %s.", repo, verification.checks[-1].detail)
    return verification


def _describe(prepared: Prepared, location: str, *, dry_run: bool) -> Published:
    """Put together what is reported."""
    published = Published(
        repo_id=prepared.repo.repo_id,
        repo_type=prepared.repo.repo_type,
        location=location,
        dry_run=dry_run,
        files=prepared.files,
        difference=prepared.difference,
        verification=prepared.verification,
    )
    logger.info("%s: %s %s", prepared.repo, _verb(published), published.location)
    return published
