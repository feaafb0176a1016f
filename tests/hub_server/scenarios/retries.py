"""Faults that the clients wait out; each costs the seconds of their backoff."""

import time
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx

from hub_server.client import Client


def the_wait_is_as_long_as_the_server_says(hub: Client) -> None:
    name = hub.new_repo()
    limit = {"RateLimit": '"api";r=0;t=1', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
    for number, headers in enumerate(({"Retry-After": "1"}, limit)):
        hub.server.fault("refuse", "/preupload/", status=429, headers=headers)
        begin = time.perf_counter()
        hub.add(name, f"{number}.txt")
        assert 2 <= time.perf_counter() - begin < 6


def errors_before_the_commit_are_tried_again(hub: Client) -> None:
    name = hub.new_repo()
    routes = ["/preupload/", "/cas/v1/xorbs/", "/cas/v1/shards"] if hub.xet else ["/preupload/", "/batch", "/lfs/"]
    for number, route in enumerate(routes):
        hub.server.fault("refuse", route, status=(500, 503)[number % 2])
        sent = hub.add_large(name, f"{number}.bin", 300_000)
        assert [request for request in hub.requests(route) if request["fault"]], route
        assert Path(hf_hub_download(name, f"{number}.bin")).read_bytes() == sent


def an_upload_that_is_cut_off_begins_again(hub: Client) -> None:
    name = hub.new_repo()
    hub.server.fault("cut_request", "/lfs/.*/parts/2|/cas/v1/xorbs", size=1_000_000, count=2)
    sent = hub.add_large(name, "a.bin", 11_000_000)
    assert len([request for request in hub.requests("") if request["fault"]]) == 2
    assert Path(hf_hub_download(name, "a.bin")).read_bytes() == sent


def a_damaged_header_of_a_chunk_is_fetched_again(hub: Client) -> None:
    if not hub.xet:
        pytest.skip("only xet has chunks")
    name = hub.new_repo()
    sent = hub.add_large(name, "a.bin", 300_000)
    hub.server.fault("corrupt", "/xorbs/", method="GET", size=0)
    assert Path(hf_hub_download(name, "a.bin")).read_bytes() == sent


def a_folder_whose_answer_is_lost_makes_a_second_commit_by_xet(hub: Client) -> None:
    name = hub.new_repo()
    (hub.folder / "a.txt").write_text("a")
    hub.server.fault("lose_answer", "/commit/")
    if hub.xet:
        hub.api.upload_folder(repo_id=name, folder_path=hub.folder)
        assert len(hub.api.list_repo_commits(name)) == 3
    else:
        with pytest.raises(httpx.TransportError):
            hub.api.upload_folder(repo_id=name, folder_path=hub.folder)
        assert len(hub.api.list_repo_commits(name)) == 2


def a_lost_answer_with_a_parent_shows_as_412(hub: Client) -> None:
    name = hub.new_repo()
    (hub.folder / "a.txt").write_text("a")
    hub.server.fault("lose_answer", "/commit/")
    head = hub.api.model_info(name).sha
    with pytest.raises((httpx.TransportError, HfHubHTTPError)) as caught:
        hub.api.upload_folder(repo_id=name, folder_path=hub.folder, parent_commit=head)
    assert not hub.xet or caught.value.response.status_code == 412
    assert len(hub.api.list_repo_commits(name)) == 2


def a_snapshot_waits_for_the_tree_and_not_for_files(hub: Client) -> None:
    name = hub.new_repo()
    sent = hub.add_large(name, "a.bin", 300_000)
    hub.add(name, "a.txt")
    hub.server.fault("refuse", "/tree/", status=503)
    hub.server.fault("refuse", "/resolve/.*/a.txt", method="HEAD", status=503)
    folder = Path(snapshot_download(name))
    assert (folder / "a.bin").read_bytes() == sent and (folder / "a.txt").read_text() == "a.txt"
    hub.add(name, "b.txt")
    hub.server.fault("refuse", "/resolve/.*/b.txt", method="GET", status=503)
    with pytest.raises(HfHubHTTPError, match="503"):
        snapshot_download(name)
    assert (Path(snapshot_download(name)) / "b.txt").read_text() == "b.txt"
