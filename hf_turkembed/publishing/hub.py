"""The Hub, written to: one commit for a whole repo, its tag, and the collection of a release."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from hf_turkembed.publishing.hub_state import HubRepo, HubState, clear_errors, list_digests, list_tags, read_state
from hf_turkembed.publishing.planned_files import KEPT_FILES, Difference, PlannedFile, compare_files
from hf_turkembed.publishing.retries import FAULTS, WAITS, retry, wait_out

logger = logging.getLogger(__name__)

# First lines of our commits. The Hub appends a number to that of a merged pull request, which may hold more than ours.
_OWN_TITLE = re.compile(r"Publish .+ with hf_turkembed")
# A part of what git takes for a tag: no folders.
_TAG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?!\.))*(?<!\.)(?<!\.lock)")


@dataclass(frozen=True, kw_only=True)
class HubSettings:
    """How a folder goes to the Hub."""

    # Whether a new repo is private; an existing one has to be so already.
    private: bool = False
    # Who gets the files: whoever asks, or whom the owner lets in; None leaves it as it is.
    gated: Literal["auto", "manual"] | None = None
    # Open a pull request instead of writing to the main branch.
    create_pr: bool = False
    # Name of the release, given to the commit that holds it.
    tag: str | None = None
    # Commit, 40 hexadecimal digits, by somebody else, whose files may be overwritten and deleted if it is the head.
    onto: str | None = None

    def __post_init__(self) -> None:
        """Check that what excludes each other is not asked for together."""
        if self.tag is not None and (not _TAG.fullmatch(self.tag) or self.tag in ("HEAD", "main")):
            raise ValueError(f"`tag` is {self.tag!r}, expected the name of a release such as 'v1.0'.")
        if self.create_pr and self.tag is not None:
            raise ValueError("a tag names what stands on the main branch; leave it out with a pull request.")
        if self.create_pr and self.gated is not None:
            raise ValueError("a gate closes at once, for the main branch too; leave it out with a pull request.")
        if self.create_pr and self.onto is not None:
            raise ValueError("a pull request overwrites nothing; leave out the commit that it may go onto.")


def check_repo_id(repo_id: str) -> None:
    """Check that a repo is named as `org/name`.

    Raises:
        ValueError: If it is not, or holds what the Hub does not allow.
    """
    validate_repo_id(repo_id)
    if repo_id.count("/") != 1:
        raise ValueError(f"`repo_id` is {repo_id!r}, expected ORG/NAME; add the user or organisation that owns it.")


def check_token() -> None:
    """Check that there is an access token, without using the network.

    Raises:
        PermissionError: If there is none.
    """
    if get_token() is None:
        raise PermissionError(
            "publishing to the Hub needs an access token and none was found; run `hf auth login` or set HF_TOKEN, "
            "or publish to an outbox."
        )


def check_settings(repo: HubRepo, state: HubState, settings: HubSettings, difference: Difference) -> None:
    """Check that a folder may go into a repo as it stands.

    Raises:
        ValueError: If the repo is public and should be private, its tag names other content, or somebody else wrote
            there last and the caller did not name that commit.
    """
    if settings.onto not in (None, state.head):
        raise ValueError(
            f"{repo} was to be overwritten at {settings.onto}, but its head is {state.head}; look at what it holds "
            "now, and name that commit."
        )
    if settings.private and state.head is not None and not state.private:
        raise ValueError(
            f"{repo} is public, but was to be published as private; make it private on the Hub, or choose another "
            "name."
        )
    if ".gitignore" in state.digests and difference:
        raise ValueError(
            f"{repo} has a .gitignore, by which the client would leave out files and say nothing; remove it there."
        )
    # What is missing there may have been deleted on purpose; a repo that was only just made holds nothing yet.
    filled = state.digests.keys() - KEPT_FILES
    touched = (*difference.changed, *difference.deleted, *(difference.added if filled else ()))
    if touched and not (_is_own(state) or settings.create_pr or settings.onto):
        raise ValueError(
            f"{repo}: commit {state.head} by {', '.join(state.authors)} ({state.title!r}) is the last one and no "
            f"publication from this account; publishing would overwrite, delete or add {len(touched)} files, such as "
            f"`{touched[0]}`. Look at that commit, take over what shall stay, and publish with `--onto {state.head}`; "
            "or open a pull request."
        )
    tagged = state.tags.get(settings.tag or "")
    if tagged is not None and (difference or tagged != state.head):
        raise ValueError(
            f"{repo} has a release `{settings.tag}` already, commit {tagged}, which holds other files or is not the "
            "newest; a release is never moved: choose another tag."
        )


def _is_own(state: HubState) -> bool:
    """Tell whether whoever asks has published what stands in a repo; without a token, whether anybody has."""
    published = _OWN_TITLE.fullmatch(state.title) is not None
    return published and (state.account is None or state.authors == (state.account,))


def push_folder(
    staged: Path, files: Sequence[PlannedFile], repo: HubRepo, state: HubState, settings: HubSettings, *, subject: str
) -> str:
    """Make a repo equal to a staged folder in one commit, creating the repo where there is none.

    Content that the repo holds already is not sent again; files that the folder lacks are deleted. The commit names
    the head that the folder was compared with, so that it is refused if somebody else has written since. After an
    error the repo holds what it held before, or the whole folder; a second call finishes the job.

    Args:
        staged: A verified folder.
        files: What `plan_files` gave for it.
        repo: Where it goes.
        state: What `read_state` gave for the repo.
        settings: How it goes there.
        subject: What the folder is, for the first line of the commit.

    Returns:
        The address of the pull request, else of the commit that holds the folder.

    Raises:
        PermissionError: If there is no access token; the network is not touched.
        ValueError: If somebody else has written to the repo since it was read, or see `check_settings`.
        OSError: If the Hub refuses or cannot be reached.
    """
    check_token()
    difference = compare_files(staged, files, state.digests)
    check_settings(repo, state, settings, difference)
    push = _Push(HfApi(), staged, files, repo, settings, f"Publish {subject} with hf_turkembed")
    with clear_errors(str(repo)):
        state = push.prepare(state)
        if difference:
            commit = push.find_pull_request() or push.commit(state)
        else:
            logger.info("%s: holds these files already.", repo)
            commit = push.existing(str(state.head))
        if settings.tag is not None and settings.tag not in state.tags:
            push.tag(settings.tag, commit.oid)
    return commit.address


def collect_repos(title: str, repos: Mapping[HubRepo, str], *, private: bool) -> str:
    """Make a collection hold repos; the collection is made where their owner has none of that title.

    Args:
        title: What the collection is called.
        repos: Its repos, all of one owner, and what is said of each.
        private: Whether a new collection is private.

    Returns:
        The address of the collection.

    Raises:
        OSError: If the Hub refuses or cannot be reached.
    """
    api, owner, subject = HfApi(), next(iter(repos)).repo_id.partition("/")[0], f"the collection {title!r}"
    with clear_errors(subject):
        make = partial(api.create_collection, title, namespace=owner, private=private, exists_ok=True)
        collection = retry(make, subject)
        held = {(item.item_type, item.item_id) for item in collection.items}
        for repo, note in repos.items():
            if (repo.repo_type, repo.repo_id) not in held:
                add = partial(api.add_collection_item, collection.slug, repo.repo_id, repo.repo_type, note=note)
                retry(partial(add, exists_ok=True), f"{subject}, {repo}")
    return str(collection.url)


@dataclass(frozen=True)
class _Commit:
    """A commit that holds the folder, and its address or that of its pull request."""

    oid: str
    address: str


@dataclass(frozen=True)
class _Push:
    """One folder on its way into one repo."""

    api: HfApi
    staged: Path
    files: Sequence[PlannedFile]
    repo: HubRepo
    settings: HubSettings
    title: str

    def prepare(self, state: HubState) -> HubState:
        """Create the repo where there is none, and close its gate before there is anything behind it."""
        repo_id, repo_type, settings = self.repo.repo_id, self.repo.repo_type, self.settings
        if state.head is None:
            create = partial(self.api.create_repo, repo_id, repo_type=repo_type, private=settings.private or None)
            retry(partial(create, exist_ok=True), f"{self.repo}: creation")
            state = read_state(self.api, self.repo)
            if settings.private and not state.private:
                raise ValueError(
                    f"somebody else has created {self.repo} at the same time, and it is public; nothing was sent. "
                    "Make it private on the Hub, or choose another name."
                )
            if strange := state.digests.keys() - KEPT_FILES:
                raise ValueError(
                    f"somebody else has created {self.repo} at the same time, and written {sorted(strange)[0]!r}; "
                    "look at it, and publish again."
                )
        if settings.gated not in (None, state.gated):
            close = partial(self.api.update_repo_settings, repo_id, repo_type=repo_type, gated=settings.gated)
            retry(close, f"{self.repo}: gate")
        return state

    def commit(self, state: HubState) -> _Commit:
        """Commit what differs; after a failure, look whether the commit has landed before it is tried again."""
        head = str(state.head)
        operations = self._upload(compare_files(self.staged, self.files, state.digests))
        waits = iter(WAITS)
        while True:
            try:
                made = self.api.create_commit(
                    self.repo.repo_id,
                    operations,
                    commit_message=self.title,
                    repo_type=self.repo.repo_type,
                    parent_commit=head,
                    create_pr=self.settings.create_pr,
                )
            except FAULTS as error:
                if landed := self._find_landed(head):
                    return landed
                if (wait := next(waits, None)) is None:
                    raise
                wait_out(error, wait, f"{self.repo}: commit")
            else:
                self._confirm(made.oid)
                return _Commit(made.oid, str(made.pr_url or made.commit_url))

    def find_pull_request(self) -> _Commit | None:
        """Find an open pull request of the same title that proposes exactly these files, if one is asked for."""
        if not self.settings.create_pr:
            return None
        ask = partial(self.api.get_repo_discussions, self.repo.repo_id, repo_type=self.repo.repo_type)
        for found in retry(lambda: [*ask(discussion_type="pull_request")], f"{self.repo}: pull requests"):
            if found.title == self.title and found.status in ("open", "draft"):
                revision = f"refs/pr/{found.num}"
                if self._holds(revision):
                    return _Commit(revision, found.url)
        return None

    def existing(self, oid: str) -> _Commit:
        """Name a commit that is there already."""
        return _Commit(oid, f"{self.api.endpoint}/{self.repo}/commit/{oid}")

    def tag(self, name: str, commit: str) -> None:
        """Give a commit the name of the release."""
        create = partial(self.api.create_tag, self.repo.repo_id, repo_type=self.repo.repo_type, tag=name)
        retry(partial(create, revision=commit, exist_ok=True), f"{self.repo}: tag")
        if (found := list_tags(self.api, self.repo).get(name)) != commit:
            raise ValueError(f"somebody else has given {self.repo} the tag `{name}` at {found}; this is {commit}.")

    def _upload(self, difference: Difference) -> list[CommitOperationAdd | CommitOperationDelete]:
        """Send the large files ahead, and return what the commit consists of."""
        known = {file.path: file.sha256 for file in self.files}
        additions = [CommitOperationAdd(path, self.staged / path) for path in difference.sent]
        for addition in additions:
            # Else the client would read the file once more.
            addition.upload_info.sha256 = bytes.fromhex(known[addition.path_in_repo])
        for path in difference.deleted:
            logger.info("%s: `%s` is not part of this version and will be deleted.", self.repo, path)
        send = partial(self.api.preupload_lfs_files, self.repo.repo_id, additions, free_memory=False)
        try:
            retry(
                partial(send, repo_type=self.repo.repo_type, create_pr=self.settings.create_pr),
                f"{self.repo}: large files",
            )
        except RuntimeError as error:
            # The client has tried several times by now; what it says may hold an address with a signature.
            raise ConnectionError(f"{self.repo}: a large file was not uploaded; publish again to go on.") from error
        return [*additions, *(CommitOperationDelete(path) for path in difference.deleted)]

    def _find_landed(self, head: str) -> _Commit | None:
        """Find out whether a commit has landed though no answer said so.

        Raises:
            ValueError: If the main branch has moved, and not by this commit.
        """
        if found := self.find_pull_request():
            return found
        ask = partial(self.api.repo_info, self.repo.repo_id, repo_type=self.repo.repo_type)
        now = str(retry(ask, f"{self.repo}: head").sha)
        if now == head:
            return None
        if not self.settings.create_pr and self._holds(now):
            return self.existing(now)
        raise ValueError(
            f"somebody else has written to {self.repo}: this was prepared on {head}, and the head is now {now}; "
            "nothing was overwritten. Look at what has changed there, and publish again."
        )

    def _confirm(self, revision: str) -> None:
        """Check that what was committed is the folder."""
        if not self._holds(revision):
            raise OSError(
                f"{self.repo} at {revision} is not the folder that was sent; look at that commit, and publish again."
            )

    def _holds(self, revision: str) -> bool:
        """Tell whether a revision holds exactly the folder."""
        return not compare_files(self.staged, self.files, list_digests(self.api, self.repo, revision))
