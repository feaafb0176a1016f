"""What stands in a repo of the Hub: its head, the digests of its files, its tags."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from json import JSONDecodeError

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import GitCommitInfo, RepoFile
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from hf_turkembed.publishing.lineage import RepoType
from hf_turkembed.publishing.retries import retry

_QUERY = re.compile(r"(?<=\S)\?[^\s'\"]*=[^\s'\"]*")


@dataclass(frozen=True, kw_only=True)
class HubRepo:
    """The name of a repo."""

    repo_id: str
    repo_type: RepoType

    def __str__(self) -> str:
        """Return the name as addresses have it."""
        return self.repo_id if self.repo_type == "model" else f"datasets/{self.repo_id}"


@dataclass(frozen=True, kw_only=True)
class HubState:
    """A repo at the head of its main branch."""

    # Commit, 40 hexadecimal digits; None where there is no repo.
    head: str | None = None
    # First line of that commit, and the accounts that wrote it.
    title: str = ""
    authors: tuple[str, ...] = ()
    # Who asks; None without an access token.
    account: str | None = None
    private: bool = False
    gated: str | bool = False
    # SHA-256 of large files, git's id of others, by path.
    digests: Mapping[str, str] = field(default_factory=dict)
    # Commits by tag.
    tags: Mapping[str, str] = field(default_factory=dict)


def read_state(api: HfApi, repo: HubRepo) -> HubState:
    """Read what stands on a repo's main branch.

    Raises:
        OSError: If the Hub refuses or cannot be reached.
    """
    with clear_errors(str(repo)):
        try:
            info = retry(lambda: api.repo_info(repo.repo_id, repo_type=repo.repo_type), f"{repo}: head")
        except RepositoryNotFoundError:
            return HubState()
        head = str(info.sha)
        last = _read_commit(api, repo, head)
        return HubState(
            head=head,
            title=str(last.title),
            authors=tuple(last.authors),
            account=_read_account(api),
            private=bool(info.private),
            gated=getattr(info, "gated", None) or False,
            digests=list_digests(api, repo, head),
            tags=list_tags(api, repo),
        )


def _read_commit(api: HfApi, repo: HubRepo, commit: str) -> GitCommitInfo:
    """Read what is said of a commit."""
    ask = partial(api.list_repo_commits, repo.repo_id, repo_type=repo.repo_type, revision=commit)
    return retry(ask, f"{repo}: last commit")[0]


def _read_account(api: HfApi) -> str | None:
    """Read whose access token is used, which the Hub answers seldom and the client remembers; None without a token."""
    if get_token() is None:
        return None
    return str(retry(lambda: api.whoami(cache=True), "the access token")["name"])


def list_digests(api: HfApi, repo: HubRepo, revision: str) -> dict[str, str]:
    """Map the paths of a repo at a revision to SHA-256 for large files, to git's id for others."""

    def listed() -> list[RepoFile]:
        tree = api.list_repo_tree(repo.repo_id, recursive=True, revision=revision, repo_type=repo.repo_type)
        return [item for item in tree if isinstance(item, RepoFile)]

    files = retry(listed, f"{repo}: files")
    return {file.path: str(file.blob_id if file.lfs is None else file.lfs.sha256) for file in files}


def list_tags(api: HfApi, repo: HubRepo) -> dict[str, str]:
    """Map the tags of a repo to commits."""
    refs = retry(lambda: api.list_repo_refs(repo.repo_id, repo_type=repo.repo_type), f"{repo}: tags")
    return {tag.name: tag.target_commit for tag in refs.tags}


@contextmanager
def clear_errors(subject: str) -> Iterator[None]:
    """Turn the client's errors into those of the standard library, of one line, which callers expect.

    Args:
        subject: What the Hub was asked about.

    Raises:
        PermissionError: If the Hub refuses for want of rights.
        ConnectionError: If it refuses otherwise, cannot be reached, or its answers arrive damaged.
    """
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        kind = PermissionError if status in (401, 403) else ConnectionError
        advice = {401: " Run `hf auth login`, or set another HF_TOKEN.", 403: " Use a token with that right."}
        # What follows the path of an address may be a signature.
        reason = _QUERY.sub("?…", " ".join(str(error).split()))
        raise kind(f"the Hub refused what was asked about {subject}: {reason}{advice.get(status, '')}") from error
    except httpx.TransportError as error:
        raise ConnectionError(
            f"the Hub could not be reached for {subject}: {error or type(error).__name__}"
        ) from error
    except (UnicodeDecodeError, JSONDecodeError) as error:
        raise ConnectionError(f"the Hub's answer about {subject} arrived damaged: {error}") from error
