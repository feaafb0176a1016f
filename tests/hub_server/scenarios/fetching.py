"""Our downloads: by revision, from the cache, of private and gated repos, and never of wrong bytes."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants, snapshot_download
from huggingface_hub.hf_api import RepoFile

from hf_turkembed.corpus import TextRow, plan_shards, read_shards, write_texts
from hf_turkembed.publishing.downloads import fetch_folder
from hf_turkembed.recipe import Recipe
from hf_turkembed.record import Identity, Input
from hub_server.client import Client
from hub_server.publications import FAULTS, digests, no_waiting
from inputs import fetch

_LARGE = "/files/|/xorbs/"
_FAULTS = ("429 with Retry-After", "503", "answer lost", "answer cut off", "answer slow")


def a_revision_is_fetched_by_its_name(hub: Client) -> None:
    name = hub.new_repo("dataset")
    first = hub.add(name, "a.txt", repo_type="dataset").oid
    hub.api.create_tag(name, tag="v1", repo_type="dataset")
    hub.add(name, "b.txt", repo_type="dataset")
    for revision in (first, "v1"):
        assert _files(fetch_folder(f"datasets/{name}@{revision}")) == {".gitattributes", "a.txt"}
    assert _files(fetch_folder(f"datasets/{name}")) == {".gitattributes", "a.txt", "b.txt"}
    with pytest.raises(FileNotFoundError, match="has no revision 'v2'"):
        fetch_folder(f"datasets/{name}@v2")


def what_was_fetched_is_there_without_a_network(hub: Client) -> None:
    name = hub.new_repo()
    commit = hub.add(name, "a.txt").oid
    folder = fetch_folder(name)
    hub.add(name, "b.txt")
    with _offline():
        assert fetch_folder(name) == fetch_folder(f"{name}@{commit}") == folder
        for wanted in (f"{name}@v1", hub.new_name()):
            with pytest.raises(FileNotFoundError, match=r"is not in the cache.*since HF_HUB_OFFLINE is set"):
                fetch_folder(wanted)


def a_private_repo_is_fetched_with_a_token_that_may(hub: Client) -> None:
    name = hub.new_repo(private=True)
    hub.add(name, "a.txt")
    for token in ("hf_stranger", ""):
        with _signed_in(token), pytest.raises(FileNotFoundError, match=r"shows no model .* or it is private"):
            fetch_folder(name)
    with _signed_in("hf_reader"):
        assert "a.txt" in _files(fetch_folder(name))


def a_gated_repo_is_refused_with_what_to_do(hub: Client) -> None:
    name = hub.new_repo(private=False)
    hub.add(name, "a.txt")
    hub.api.update_repo_settings(name, gated="manual")
    for token in ("hf_stranger", ""):
        with _signed_in(token), pytest.raises(PermissionError, match=f"is gated: ask for access at .*{name}"):
            fetch_folder(name)
    hub.api.grant_access(name, "stranger")
    with _signed_in("hf_stranger"):
        assert "a.txt" in _files(fetch_folder(name))


def shards_of_a_dataset_repo_are_inputs_of_a_step(hub: Client) -> None:
    name = hub.new_repo("dataset")
    rows = {"tr": [TextRow(text) for text in ("bir", "iki", "üç")], "en": [TextRow("four")]}
    with tempfile.TemporaryDirectory() as scratch:
        write_texts(Path(scratch), plan_shards(rows, 2))
        commit = hub.api.upload_folder(folder_path=scratch, repo_id=name, repo_type="dataset").oid
    recipe = Recipe(output_dir="", seed=0, steps=())
    for revision in (commit, None):
        asked = Input(role="vectors", kind="dataset", name=name, revision=revision)
        identity = Identity(step="distill", recipe={}, inputs=(asked,), code="", seed=0)
        folder = fetch(recipe, identity, "vectors", name)
        assert {row for shard in read_shards(folder, 9) for row in shard.rows} == {*rows["tr"], *rows["en"]}


def wrong_bytes_are_detected_and_fetched_anew(hub: Client) -> None:
    for route, path in ((_LARGE, "a.bin"), ("/resolve/.*/b.txt", "b.txt")):
        name = hub.new_repo()
        hub.add_large(name, "a.bin", 300_000)
        hub.add(name, "b.txt")
        tree = [item for item in hub.api.list_repo_tree(name) if isinstance(item, RepoFile)]
        hub.server.clear()
        hub.server.fault("corrupt", route, method="GET", size=3 if path == "b.txt" else 1000)
        with pytest.raises(OSError, match=f"downloaded as {path} has another digest"):
            fetch_folder(name)
        hub.server.clear()
        expected = {item.path: item.lfs.sha256 if item.lfs else item.blob_id for item in tree}
        assert digests(fetch_folder(name), large=".bin") == expected
        hub.survived += 1


def bytes_that_went_bad_in_the_cache_are_detected_without_a_network(hub: Client) -> None:
    name = hub.new_repo()
    hub.add(name, "a.txt")
    path = fetch_folder(name) / "a.txt"
    path.resolve().write_bytes(b"A.txt")
    with _offline(), pytest.raises(OSError, match=r"downloaded as a\.txt has another digest"):
        fetch_folder(name)
    assert (fetch_folder(name) / "a.txt").read_text() == "a.txt"


def an_error_at_any_request_of_a_download_is_survived(hub: Client) -> None:
    routes = ("/revision/main", "/tree/", "/resolve/.*/b.txt", _LARGE)
    for place, route in enumerate(routes):
        for number, fault in enumerate(_FAULTS):
            name = hub.new_repo()
            data = hub.add_large(name, "a.bin", 60_000 + 10 * place + number)
            hub.add(name, "b.txt")
            hub.server.clear()
            hub.server.fault(route=route, method="GET", **FAULTS[fault])
            with no_waiting():
                folder = fetch_folder(name)
            assert any(request["fault"] for request in hub.requests("")), f"{fault} at {route}"
            assert (folder / "a.bin").read_bytes() == data and (folder / "b.txt").read_text() == "b.txt"
            hub.survived += 1


def a_fetched_folder_is_what_the_client_would_give(hub: Client) -> None:
    name = hub.new_repo()
    hub.add_large(name, "sub/a.bin", 20_000)
    assert str(fetch_folder(name)) == snapshot_download(name)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def _signed_in(token: str) -> Iterator[None]:
    """Be somebody else; nobody, where the token is empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", token)
        yield


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield
