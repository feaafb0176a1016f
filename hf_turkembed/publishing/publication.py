"""The publish step for one folder: stage, verify, and only then the outbox or the Hub."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hf_turkembed import record as records
from hf_turkembed.publishing import hub, lineage
from hf_turkembed.publishing.cards import render_card
from hf_turkembed.publishing.hub import PlannedFile
from hf_turkembed.publishing.outbox import outbox_path, write_to_outbox
from hf_turkembed.publishing.staging import stage_folder
from hf_turkembed.publishing.verification import Verification, verify_folder
from hf_turkembed.scores import ScoreReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published, or would have been."""

    repo_id: str
    repo_type: lineage.RepoType
    # Folder in the outbox, address of the commit or pull request, or where a dry run would have written.
    location: str
    dry_run: bool
    files: tuple[PlannedFile, ...]
    verification: Verification


def publish_folder(
    folder: Path,
    *,
    repo_id: str,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
    target: Literal["outbox", "hub"] = "outbox",
    outbox: Path = Path("outbox"),
    private: bool = False,
    create_pr: bool = False,
    dry_run: bool = False,
) -> Published:
    """Publish the output folder of a step, if it passes verification.

    Args:
        folder: Output folder of `tokenizer`, `clone`, `embed`, `distill` or a stage of `finetune`; never changed.
        repo_id: `org/name`.
        license: Hub licence id, or None where nobody has stated one.
        languages: ISO 639 codes; none for those of the corpus in the records.
        report: Scores of the run, or an empty report.
        target: The local outbox, or the Hub, which needs an access token.
        outbox: Root of the outbox.
        private: Whether a new Hub repo is private.
        create_pr: Open a pull request on the Hub instead of writing to the main branch.
        dry_run: Do everything but the last step.

    Returns:
        Where it went, its files, and the verification it passed.

    Raises:
        ValueError: If a score misses what the recipe required of it, the folder must not be published as it is, or
            it fails verification; nothing was published.
        FileNotFoundError: If the folder has no record.
        PermissionError: If the target is the Hub and there is no access token.
        OSError: If the outbox or the Hub cannot be written.
    """
    hub.check_repo_id(repo_id)
    report.check_gate()
    if target == "hub" and not dry_run:
        hub.check_token()
    step = records.read_provenance(folder).identity.step
    repo_type = lineage.repo_type_of(lineage.kind_of_step(step))
    card = render_card(folder, repo_id=repo_id, license=license, languages=languages, report=report)
    with tempfile.TemporaryDirectory(prefix="hf_turkembed_stage_") as scratch:
        staged = Path(scratch, repo_id.partition("/")[2])
        stage_folder(folder, staged, card=card, report=report)
        verification = verify_folder(staged)
        if not verification.passed:
            raise ValueError(
                f"{folder} failed verification and was not published: {verification.describe_failures()}."
            )
        files = hub.plan_files(staged)
        if dry_run:
            location = str(outbox_path(outbox, repo_id, repo_type)) if target == "outbox" else f"hub:{repo_id}"
        elif target == "outbox":
            location = str(write_to_outbox(staged, outbox, repo_id, repo_type))
        else:
            message = f"Publish the output of {step} with hf_turkembed"
            location = hub.push_folder(
                staged, repo_id=repo_id, repo_type=repo_type, message=message, private=private, create_pr=create_pr
            )
    logger.info("%s: published to %s", repo_id, location)
    return Published(
        repo_id=repo_id,
        repo_type=repo_type,
        location=location,
        dry_run=dry_run,
        files=files,
        verification=verification,
    )
