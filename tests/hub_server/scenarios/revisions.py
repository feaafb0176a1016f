"""Heads, branches, tags, pull requests, and what is not there."""

from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from hub_server.client import Client, refused
from hub_server.scenarios.uploads import BIG, read_folder


def read(name: str, path: str, revision: str | None = None) -> str:
    return Path(hf_hub_download(name, path, revision=revision)).read_text()


def a_stale_parent_is_refused(hub: Client) -> None:
    name = hub.new_repo()
    old = hub.api.model_info(name).sha
    new = hub.add(name, "a.txt", parent_commit=old).oid
    with refused(412):
        hub.add(name, "b.txt", parent_commit=old)
    (hub.folder / "b.txt").write_text("b")
    with refused(412):
        hub.api.upload_folder(repo_id=name, folder_path=hub.folder, parent_commit=old)
    assert hub.api.model_info(name).sha == new
    assert [commit.title for commit in hub.api.list_repo_commits(name)] == ["Add a.txt", "initial commit"]


def a_branch_goes_its_own_way(hub: Client) -> None:
    name = hub.new_repo()
    hub.api.create_branch(name, branch="release/v1")
    with refused(409):
        hub.api.create_branch(name, branch="release/v1")
    hub.api.create_branch(name, branch="release/v1", exist_ok=True)
    hub.add(name, "dev.txt", revision="release/v1")
    assert read(name, "dev.txt", "release/v1") == "dev.txt"
    assert "dev.txt" not in hub.api.list_repo_files(name)
    hub.api.delete_branch(name, branch="release/v1")
    assert [branch.name for branch in hub.api.list_repo_refs(name).branches] == ["main"]


def a_tag_stays_where_it_was_set(hub: Client) -> None:
    name = hub.new_repo()
    first = hub.add(name, "a.txt").oid
    hub.api.create_tag(name, tag="v1.0", tag_message="First")
    hub.api.create_tag(name, tag="v0.9", revision=first)
    with refused(409):
        hub.api.create_tag(name, tag="v1.0")
    hub.add(name, "b.txt")
    assert hub.api.model_info(name, revision="v1.0").sha == first
    assert {tag.name for tag in hub.api.list_repo_refs(name).tags} == {"v1.0", "v0.9"}
    with pytest.raises(EntryNotFoundError):
        read(name, "b.txt", "v1.0")
    hub.api.delete_tag(name, tag="v0.9")
    assert [tag.name for tag in hub.api.list_repo_refs(name).tags] == ["v1.0"]


def a_commit_opens_a_pull_request(hub: Client) -> None:
    name = hub.new_repo()
    head = hub.api.model_info(name).sha
    commit = hub.add(name, "pr.txt", create_pr=True, parent_commit=head)
    assert commit.pr_num == 1 and commit.pr_revision == "refs/pr/1"
    assert read(name, "pr.txt", "refs/pr/1") == "pr.txt"
    assert hub.api.model_info(name).sha == head
    hub.add(name, "more.txt", revision="refs/pr/1")
    requests = hub.api.list_repo_refs(name, include_pull_requests=True).pull_requests
    assert requests is not None and [request.ref for request in requests] == ["refs/pr/1"]
    assert [discussion.num for discussion in hub.api.get_repo_discussions(name)] == [1]


def a_folder_opens_a_pull_request(hub: Client) -> None:
    name, source = hub.new_repo(), hub.folder / "source"
    source.mkdir()
    (source / "a.bin").write_bytes(BIG[:200_000])
    (source / "a.txt").write_text("a")
    commit = hub.api.upload_folder(repo_id=name, folder_path=source, create_pr=True)
    assert commit.pr_revision == "refs/pr/1"
    snapshot_download(name, revision="refs/pr/1", local_dir=hub.folder / "target")
    assert read_folder(hub.folder / "target").items() >= read_folder(source).items()
    assert hub.api.list_repo_files(name) == [".gitattributes"]


def a_snapshot_is_of_one_commit(hub: Client) -> None:
    name = hub.new_repo()
    first = hub.add(name, "a.txt").oid
    hub.add(name, "b.txt")
    assert Path(snapshot_download(name, revision=first)).name == first
    newest = Path(snapshot_download(name))
    assert {path.name for path in newest.iterdir()} == {".gitattributes", "a.txt", "b.txt"}
    if hub.server:
        hub.server.clear()
        snapshot_download(name)
        assert len(hub.requests("")) == 1


def what_is_missing_is_named(hub: Client) -> None:
    name = hub.new_repo()
    with pytest.raises(RepositoryNotFoundError):
        hub.api.model_info(hub.new_name())
    with pytest.raises(RevisionNotFoundError):
        hub.api.model_info(name, revision="none")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(name, "none.txt")
    with pytest.raises(EntryNotFoundError):
        list(hub.api.list_repo_tree(name, "none"))
    assert not hub.api.file_exists(name, "none.txt") and not hub.api.revision_exists(name, "none")
