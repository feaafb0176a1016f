"""`hf-turkembed publish`, `hf-turkembed release` and `hf-turkembed card`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hf_turkembed.cli.parameters import (
    BaseModelId,
    DryRun,
    Folder,
    Json,
    Languages,
    License,
    Quiet,
    QuietProgress,
    RepoId,
    Scores,
    Verbose,
)
from hf_turkembed.cli.printing import print_json
from hf_turkembed.json_files import as_plain

if TYPE_CHECKING:
    from hf_turkembed.publishing import Published
    from hf_turkembed.scores import ScoreReport


def publish(
    folder: Folder,
    repo_id: RepoId,
    outbox: Annotated[Path | None, typer.Option(help="Root of the local outbox. Default: outbox.")] = None,
    to_hub: Annotated[bool, typer.Option("--hub", help="Publish to the Hub instead; needs an access token.")] = False,
    license: License = None,
    language: Languages = None,
    scores: Scores = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request on the Hub.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Create a new Hub repo as private.")] = False,
    gated: Annotated[
        Literal["auto", "manual"] | None, typer.Option(help="Give files to whoever asks, or whom the owner lets in.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Name of the release, a tag on the Hub that is never moved.")] = None,
    onto: Annotated[
        str | None, typer.Option(help="Commit by somebody else that may be overwritten, if it is the head.")
    ] = None,
    base_model: BaseModelId = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Render the card of a step's folder, verify it, and publish it to the outbox or the Hub."""
    if to_hub and outbox is not None:
        raise ValueError("`--outbox` and `--hub` exclude each other; choose one target.")
    if (create_pr or private or gated or tag or onto) and not to_hub:
        raise ValueError(
            "`--create-pr`, `--private`, `--gated`, `--tag` and `--onto` are about the Hub; add `--hub`, or leave "
            "them out."
        )
    from hf_turkembed.publishing import HubSettings, describe_published, publish_folder

    if scores is None and (beside := folder.parent / "score").is_dir():
        raise ValueError(
            f"{beside} holds scores of the same run, which the card shows and whose requirements have to hold; "
            f"add `--scores {beside}`."
        )
    settings = HubSettings(private=private, gated=gated, create_pr=create_pr, tag=tag, onto=onto)
    published = publish_folder(
        folder,
        repo_id=repo_id,
        license=license,
        languages=language or (),
        report=_read_report(scores),
        target=settings if to_hub else outbox or Path("outbox"),
        base_model=base_model,
        dry_run=dry_run,
    )
    if as_json:
        print_json(_as_json(published))
        return
    if quiet:
        return
    for line in describe_published(published):
        typer.echo(line)


def release(
    recipe: Annotated[Path, typer.Argument(help="A recipe with a section `publish`, whose other steps are done.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Values in place of the recipe's, such as publish.target=hub.", metavar="[SECTION.KEY=VALUE]..."
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Publish the folders of a recipe together: all are verified before the first is written."""
    from hf_turkembed.publishing import describe_published
    from hf_turkembed.recipe import load_recipe
    from hf_turkembed.recipe_release import publish_recipe

    released = publish_recipe(load_recipe(recipe, overrides or ()), dry_run=dry_run)
    if as_json:
        print_json({"repos": [*map(_as_json, released.repos)], "collection": released.collection})
        return
    if quiet:
        return
    for published in released.repos:
        typer.echo("\n".join([published.repo_id, *describe_published(published), ""]))
    if released.collection is not None:
        typer.echo(f"collected in {released.collection}")


def card(
    folder: Folder,
    repo_id: Annotated[
        str | None, typer.Option(help="Name of the repo, ORG/NAME. Default: ORG and the folder's name.")
    ] = None,
    license: License = None,
    language: Languages = None,
    scores: Scores = None,
    base_model: BaseModelId = None,
    as_json: Json = False,
    quiet: QuietProgress = False,
    verbose: Verbose = False,
) -> None:
    """Print the card of a step's folder."""
    from huggingface_hub import RepoCard

    from hf_turkembed.publishing import render_card
    from hf_turkembed.publishing.hub import check_repo_id

    repo_id = repo_id or f"ORG/{folder.resolve().name}"
    check_repo_id(repo_id)
    text = render_card(
        folder,
        repo_id=repo_id,
        license=license,
        languages=language or (),
        report=_read_report(scores),
        base_model=base_model,
    )
    if as_json:
        metadata = RepoCard(text).data.to_dict()  # type: ignore[no-untyped-call]
        print_json({"repo_id": repo_id, "metadata": metadata, "text": text})
    else:
        typer.echo(text, nl=False)


def _as_json(published: "Published") -> dict[str, Any]:
    """Return the form that `--json` prints."""
    verification = published.verification
    return {**as_plain(published), "verification": verification and verification.as_json()}


def _read_report(folder: Path | None) -> "ScoreReport":
    """Read the scores of a folder, or none."""
    from hf_turkembed.scores import SCORES_FILE, ScoreReport, read_scores

    return ScoreReport(scores=()) if folder is None else read_scores(folder / SCORES_FILE)
