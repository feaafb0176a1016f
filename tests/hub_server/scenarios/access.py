"""Tokens and roles: who sees what, who may write, and where a token never goes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from hub_server.client import Client, refused
from hub_server.scenarios.uploads import BIG

READER, STRANGER, COLLEAGUE = "hf_reader", "hf_stranger", "hf_colleague"


def an_unknown_token_is_refused(hub: Client) -> None:
    for call in (hub.api.whoami, lambda token: hub.api.create_repo(hub.new_name(), token=token)):
        with refused(401):
            call(token="hf_nobody")


def only_members_with_a_writing_token_write(hub: Client) -> None:
    name = hub.new_repo(private=False)
    for token in (READER, STRANGER):
        with refused(403):
            hub.api.create_repo(hub.new_name(), token=token)
        with refused(403):
            hub.add(name, "a.txt", token=token)
        with refused(403):
            hub.api.upload_folder(repo_id=name, folder_path=_one_file(hub), token=token)
        with refused(403):
            hub.api.delete_repo(name, token=token)
        with refused(403):
            hub.api.create_tag(name, tag="v1", token=token)
    with refused(401):
        hub.add(name, "a.txt", token=False)
    hub.add(name, "a.txt", token=COLLEAGUE)
    assert "a.txt" in hub.api.list_repo_files(name)


def a_reader_finds_a_repo_that_is_there_already(hub: Client) -> None:
    name = hub.new_repo()
    assert hub.api.create_repo(name, exist_ok=True, token=READER).repo_id == name


def a_private_repo_is_not_there_for_strangers(hub: Client) -> None:
    name = hub.new_repo(private=True)
    hub.add(name, "a.txt")
    for token in (STRANGER, False):
        with pytest.raises(RepositoryNotFoundError):
            hub.api.model_info(name, token=token)
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(name, "a.txt", token=token)
    assert Path(hf_hub_download(name, "a.txt", token=READER)).read_text() == "a.txt"
    hub.api.update_repo_settings(name, visibility="public")
    assert hub.api.model_info(name, token=False).private is False


def a_gated_repo_shows_its_page_and_keeps_its_files(hub: Client) -> None:
    name = hub.new_repo(private=False)
    hub.add(name, "a.txt")
    hub.api.update_repo_settings(name, gated="manual")
    assert hub.api.model_info(name, token=STRANGER).gated == "manual"
    for token in (STRANGER, False):
        with pytest.raises(GatedRepoError, match="restricted"):
            hf_hub_download(name, "a.txt", token=token)
        with pytest.raises(GatedRepoError):
            snapshot_download(name, token=token, cache_dir=hub.folder)
    with pytest.raises(GatedRepoError):
        hub.api.auth_check(name, token=STRANGER)
    hub.api.auth_check(name, token=READER)
    hub.api.grant_access(name, "stranger")
    assert Path(hf_hub_download(name, "a.txt", token=STRANGER)).read_text() == "a.txt"


def a_stranger_proposes_and_does_not_commit(hub: Client) -> None:
    name = hub.new_repo(private=False)
    commit = hub.add(name, "a.txt", create_pr=True, token=STRANGER)
    assert commit.pr_revision == "refs/pr/1"
    hub.api.upload_folder(repo_id=name, folder_path=_one_file(hub), create_pr=True, token=STRANGER)
    hub.add(name, "a.txt", create_pr=True)
    with refused(403):
        hub.add(name, "b.txt", revision="refs/pr/3", token=STRANGER)
    assert hub.api.list_repo_files(name) == [".gitattributes"]


def commits_of_several_at_once_all_land(hub: Client) -> None:
    name = hub.new_repo()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: hub.add(name, f"{number}.txt"), range(8)))
    assert len(hub.api.list_repo_commits(name)) == 9
    assert {f"{number}.txt" for number in range(8)} < set(hub.api.list_repo_files(name))


def a_token_stays_with_the_hub(hub: Client) -> None:
    name = hub.new_repo()
    hub.api.create_commit(name, [CommitOperationAdd("a.bin", BIG)], commit_message="Add")
    hf_hub_download(name, "a.bin")
    storage = [request for request in hub.requests("") if request["path"].startswith(("/lfs/", "/xorbs/", "/files/"))]
    assert storage
    assert not any(request["authorized"] for request in storage if not request["path"].endswith("/verify"))


def _one_file(hub: Client) -> Path:
    folder = hub.folder / "one"
    folder.mkdir(exist_ok=True)
    (folder / "b.bin").write_bytes(BIG[:50_000])
    return folder
