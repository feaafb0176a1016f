"""Repos of the Hub, downloaded: the bytes that its digests name, or an error that says what to do."""

import hashlib
import logging
from pathlib import Path

from huggingface_hub import constants, get_cached_repo_tree, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)

from hf_turkembed.publishing.hub import check_repo_id
from hf_turkembed.publishing.hub_state import HubRepo, clear_errors
from hf_turkembed.publishing.planned_files import git_id
from hf_turkembed.publishing.retries import may_pass, retry
from hf_turkembed.record import digest_file

logger = logging.getLogger(__name__)

# What git holds in place of a large file.
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"


def fetch_folder(repo: str, only: str | None = None) -> Path:
    """Return a local folder for a folder or a Hub repo, which is downloaded and compared with its digests.

    Args:
        repo: A folder, `ORG/NAME` for a model or tokenizer, or `datasets/ORG/NAME`; the latter two with `@REVISION`
            for another than the newest.
        only: The one file of a repo that is wanted; None for all.

    Raises:
        FileNotFoundError: If it is neither a folder nor a repo that the access token shows, or has no such revision.
        PermissionError: If the repo is gated, and its owner has not let this user in.
        OSError: If the repo cannot be downloaded, or arrives damaged.
    """
    if Path(repo).is_dir():
        return Path(repo)
    name, _, revision = repo.partition("@")
    repo_id = name.removeprefix("datasets/")
    try:
        check_repo_id(repo_id)
    except ValueError as error:
        message = f"{repo!r} is neither a folder nor a Hub repo ORG/NAME or datasets/ORG/NAME."
        raise FileNotFoundError(message) from error
    found = HubRepo(repo_id=repo_id, repo_type="model" if repo_id == name else "dataset")
    with clear_errors(repo):
        try:
            folder = retry(lambda: _download(found, revision or None, only), f"{found}: download")
        except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError, LocalEntryNotFoundError) as error:
            raise _explain(error, found, revision) from error
    check_download(found, folder)
    return folder


def check_download(repo: HubRepo, folder: Path) -> None:
    """Compare downloaded files with the digests that the Hub gave for them; the client itself does not.

    Args:
        repo: Where the files are from.
        folder: What `snapshot_download` returned, in whole or in part.

    Raises:
        OSError: If files are damaged; they are removed, so that the next download fetches them again.
    """
    try:
        tree = get_cached_repo_tree(repo.repo_id, repo_type=repo.repo_type, revision=folder.name)
    except CachedRepoTreeNotFoundError:
        logger.warning("%s: an older client has left no list of files in the cache; they are not checked.", repo)
        return
    there = [(folder / file.path, file.blob_id) for file in tree if (folder / file.path).is_file()]
    damaged = [path for path, oid in there if not _is_what_git_names(path, oid)]
    for path in damaged:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
    if damaged:
        names = ", ".join(path.relative_to(folder).as_posix() for path in damaged)
        raise OSError(
            f"{repo} at {folder.name} arrived damaged: what was downloaded as {names} has another digest than the Hub "
            "names, and was removed from the cache; run it again to download anew."
        )


def _is_what_git_names(path: Path, oid: str) -> bool:
    """Tell whether git's id is that of a file, or of the pointer that git holds in place of a large file.

    The cache names no SHA-256 for what came by xet, but the pointer holds it.
    """
    pointer = _POINTER.format(sha256=digest_file(path), size=path.stat().st_size).encode()
    pointer_id = hashlib.sha1(b"blob %d\0%b" % (len(pointer), pointer), usedforsecurity=False).hexdigest()
    return oid == pointer_id or oid == git_id(path)


def _download(repo: HubRepo, revision: str | None, only: str | None) -> Path:
    """Download a repo; what kept the client from asking the Hub is raised as itself."""
    try:
        return Path(snapshot_download(repo.repo_id, repo_type=repo.repo_type, revision=revision, allow_patterns=only))
    except LocalEntryNotFoundError as error:
        if error.__cause__ is not None and may_pass(error.__cause__):
            raise error.__cause__ from None
        raise
    except XetDownloadError as error:
        raise ConnectionError(f"{repo} could not be downloaded: {error}") from error


def _explain(error: Exception, repo: HubRepo, revision: str) -> OSError:
    """Say what to do about a repo that is not given."""
    address = f"{constants.ENDPOINT}/{repo}"
    if isinstance(error, GatedRepoError):
        return PermissionError(
            f"{repo} is gated: ask for access at {address}, then log in with `hf auth login` or set HF_TOKEN."
        )
    if isinstance(error, RepositoryNotFoundError):
        return FileNotFoundError(
            f"the Hub shows no {repo.repo_type} {repo.repo_id!r}: the name is wrong, or it is private; then log in "
            "with `hf auth login`, or set HF_TOKEN to a token that may read it."
        )
    if isinstance(error, RevisionNotFoundError):
        return FileNotFoundError(f"{repo} has no revision {revision!r}; {address} lists branches, tags and commits.")
    wanted = f"{repo} at {revision!r}" if revision else str(repo)
    reason = "since HF_HUB_OFFLINE is set" if constants.is_offline_mode() else "for now"
    return FileNotFoundError(
        f"{wanted} is not in the cache, and the Hub cannot be asked {reason}; download it once with a network."
    )
