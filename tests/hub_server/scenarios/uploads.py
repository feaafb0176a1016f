"""Folders and files: they arrive as they were, and what is there is not sent again."""

import os
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.hf_api import RepoFile, RepoFolder

from hub_server.client import Client, refused

# More than two parts of a multipart upload.
BIG = os.urandom(11_000_000)
FILES = {
    "README.md": "---\nlicense: apache-2.0\nlanguage: tr\n---\n# Kartı\n".encode(),
    "config.json": b"{}",
    "model.safetensors": BIG,
    "alt klasör/ışık.txt": "ğüşıöç İ".encode() * 100,
    "alt klasör/derin/binary.dat": bytes(range(256)) * 8,
    "empty.txt": b"",
    "one/two/three.txt": b"3",
}


def write_folder(folder: Path, **changes: bytes) -> Path:
    for name, data in {**FILES, **changes}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read_folder(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def the_owner_of_the_token_is_known(hub: Client) -> None:
    me = hub.api.whoami()
    assert hub.namespace in (me["name"], *(organization["name"] for organization in me["orgs"]))


def a_repo_is_created_once(hub: Client) -> None:
    for repo_type in ("model", "dataset"):
        name = hub.new_repo(repo_type)
        assert hub.api.create_repo(name, repo_type=repo_type, exist_ok=True).repo_id == name
        with refused(409):
            hub.api.create_repo(name, repo_type=repo_type)
        assert hub.api.repo_exists(name, repo_type=repo_type)
        hub.api.delete_repo(name, repo_type=repo_type)
        assert not hub.api.repo_exists(name, repo_type=repo_type)


def a_folder_arrives_as_it_was(hub: Client) -> None:
    for repo_type in ("model", "dataset"):
        name = hub.new_repo(repo_type)
        source = write_folder(hub.folder / repo_type / "source")
        hub.api.upload_folder(repo_id=name, repo_type=repo_type, folder_path=source)
        target = hub.folder / repo_type / "target"
        snapshot_download(name, repo_type=repo_type, local_dir=target)
        assert {**FILES, ".gitattributes": None} == {**read_folder(target), ".gitattributes": None}


def large_files_travel_as_the_mode_says(hub: Client) -> None:
    name = hub.new_repo()
    data = os.urandom(12_000_000)
    hub.api.upload_file(repo_id=name, path_in_repo="big.bin", path_or_fileobj=data)
    assert Path(hf_hub_download(name, "big.bin", local_dir=hub.folder)).read_bytes() == data
    found = hub.api.get_paths_info(name, ["big.bin"])[0]
    assert isinstance(found, RepoFile) and found.lfs is not None and found.lfs.size == len(data)
    if hub.server:
        assert (found.xet_hash is not None) == hub.xet
        paths = [request["path"] for request in hub.requests("")]
        assert any(path.startswith("/cas/") for path in paths) == hub.xet
        assert any(path.endswith("/objects/batch") for path in paths) != hub.xet
        assert any("/parts/3" in path for path in paths) != hub.xet


def the_same_folder_again_makes_no_commit(hub: Client) -> None:
    name, source = hub.new_repo(), write_folder(hub.folder / "source")
    first = hub.api.upload_folder(repo_id=name, folder_path=source)
    assert hub.api.upload_folder(repo_id=name, folder_path=source).oid == first.oid
    additions = [CommitOperationAdd(path, source / path) for path in FILES]
    again = hub.api.create_commit(name, additions, commit_message="the same")
    assert again.oid == hub.api.list_repo_commits(name)[0].commit_id == first.oid


def one_changed_file_is_the_only_one_sent(hub: Client) -> None:
    name = hub.new_repo()
    source = write_folder(hub.folder / "source", **{"model.safetensors": os.urandom(1_000_000)})
    hub.api.upload_folder(repo_id=name, folder_path=source)
    before = _blobs(hub, name)
    (source / "config.json").write_bytes(b'{"new": 1}')
    if hub.server:
        hub.server.clear()
    hub.api.upload_folder(repo_id=name, folder_path=source)
    if hub.server:
        assert sum(request["received"] for request in hub.requests("")) < 10_000
    after = _blobs(hub, name)
    assert [path for path in after if after[path] != before[path]] == ["config.json"]


def ignored_files_stay_behind(hub: Client) -> None:
    name = hub.new_repo()
    source = write_folder(hub.folder / "source", **{".gitignore": b"*.log\n", "train.log": b"no", "one/a.log": b"no"})
    hub.api.upload_folder(repo_id=name, folder_path=source)
    files = set(hub.api.list_repo_files(name))
    assert files >= {".gitignore", *FILES} and not {"train.log", "one/a.log"} & files


def large_files_may_go_ahead_of_their_commit(hub: Client) -> None:
    name = hub.new_repo()
    additions = [CommitOperationAdd("a.safetensors", os.urandom(1_000_000)), CommitOperationAdd("b.txt", b"b")]
    hub.api.preupload_lfs_files(name, additions)
    if hub.server:
        hub.server.clear()
    hub.api.create_commit(name, additions, commit_message="both at once")
    if hub.server:
        assert sum(request["received"] for request in hub.requests("")) < 10_000
    assert {"a.safetensors", "b.txt"} <= set(hub.api.list_repo_files(name))


def files_and_folders_are_deleted(hub: Client) -> None:
    name, source = hub.new_repo(), write_folder(hub.folder / "source")
    hub.api.upload_folder(repo_id=name, folder_path=source)
    hub.api.delete_file("config.json", name)
    hub.api.delete_folder("alt klasör", name)
    hub.api.upload_folder(repo_id=name, folder_path=source, allow_patterns="README.md", delete_patterns="one/*")
    left = {".gitattributes", "README.md", "model.safetensors", "empty.txt"}
    assert set(hub.api.list_repo_files(name)) == left
    with pytest.raises(EntryNotFoundError):
        hub.api.delete_file("config.json", name)


def files_are_copied_without_being_sent(hub: Client) -> None:
    name = hub.new_repo()
    additions = [CommitOperationAdd("a.bin", BIG[:100_000]), CommitOperationAdd("a.txt", b"a")]
    hub.api.create_commit(name, additions, commit_message="originals")
    copies = [CommitOperationCopy("a.bin", "b.bin"), CommitOperationCopy("a.txt", "b.txt")]
    hub.api.create_commit(name, copies, commit_message="copies")
    ids = {item.path: item.blob_id for item in hub.api.get_paths_info(name, ["a.bin", "b.bin", "a.txt", "b.txt"])}
    assert ids["a.bin"] == ids["b.bin"] and ids["a.txt"] == ids["b.txt"]


def a_tree_is_listed_over_its_pages(hub: Client) -> None:
    name, source = hub.new_repo(), write_folder(hub.folder / "source")
    hub.api.upload_folder(repo_id=name, folder_path=source)
    items = {item.path: item for item in hub.api.list_repo_tree(name, recursive=True, expand=True)}
    folders = {path for path, item in items.items() if isinstance(item, RepoFolder)}
    assert folders == {"alt klasör", "alt klasör/derin", "one", "one/two"}
    assert items.keys() - folders == {*FILES, ".gitattributes"}
    assert all(item.size == len(FILES[path]) for path, item in items.items() if path in FILES)
    inner = [item.path for item in hub.api.list_repo_tree(name, "alt klasör")]
    assert sorted(inner) == ["alt klasör/derin", "alt klasör/ışık.txt"]
    found = hub.api.get_paths_info(name, ["one", "alt klasör/ışık.txt", "nowhere"])
    assert sorted(type(item).__name__ for item in found) == ["RepoFile", "RepoFolder"]
    info = hub.api.model_info(name, files_metadata=True)
    assert info.card_data is not None and info.card_data.license == "apache-2.0" and info.siblings is not None
    sizes = {file.rfilename: file.size for file in info.siblings}
    assert sizes["model.safetensors"] == len(BIG)


def _blobs(hub: Client, name: str) -> dict[str, str]:
    """Map the paths of a repo to git blobs."""
    items = hub.api.list_repo_tree(name, recursive=True)
    return {item.path: item.blob_id for item in items if isinstance(item, RepoFile)}
