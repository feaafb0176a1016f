"""What the clients make of faults; where they do not try again, who publishes has to."""

import time
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.utils import httpx

from hub_server.client import Client, refused


def a_refused_commit_is_not_tried_again(hub: Client) -> None:
    name = hub.new_repo()
    for status, headers in ((429, {"Retry-After": "1"}), (500, {}), (503, {})):
        head = hub.api.model_info(name).sha
        hub.server.fault("refuse", "/commit/", status=status, headers=headers)
        with refused(status):
            hub.add(name, f"{status}.txt")
        assert hub.api.model_info(name).sha == head
        assert hub.api.model_info(name, revision=hub.add(name, f"{status}.txt").oid).sha != head


def a_refused_repo_or_card_is_not_tried_again(hub: Client) -> None:
    for status in (429, 500, 503):
        name = hub.new_name()
        hub.server.fault("refuse", "/api/repos/create", status=status)
        with refused(status):
            hub.api.create_repo(name)
        assert not hub.api.repo_exists(name)
        hub.server.fault("refuse", "/api/validate-yaml", status=status)
        with pytest.raises((HfHubHTTPError, ValueError, KeyError)):
            _upload_card(hub, hub.new_repo())


def a_commit_whose_answer_is_lost_has_landed(hub: Client) -> None:
    name = hub.new_repo()
    head = hub.api.model_info(name).sha
    hub.server.fault("lose_answer", "/commit/")
    with pytest.raises(httpx.TransportError):
        hub.add(name, "a.txt", parent_commit=head)
    assert [commit.title for commit in hub.api.list_repo_commits(name)] == ["Add a.txt", "initial commit"]
    # The parent keeps the second try from becoming a second commit, unless the client sees that there is nothing left.
    assert hub.add(name, "a.txt", parent_commit=head).oid == hub.api.model_info(name).sha
    with refused(412):
        hub.add(name, "b.txt", parent_commit=head)


def a_commit_that_is_cut_off_changes_nothing(hub: Client) -> None:
    name = hub.new_repo()
    head = hub.api.model_info(name).sha
    hub.server.fault("cut_request", "/commit/", size=10)
    with pytest.raises(httpx.TransportError):
        hub.add(name, "a.txt")
    assert hub.api.model_info(name).sha == head


def wrong_bytes_reach_the_disk(hub: Client) -> None:
    name = hub.new_repo()
    sent = hub.add_large(name, "a.bin", 300_000)
    hub.server.fault("corrupt", "/files/|/xorbs/", method="GET", size=1000)
    # Neither way does a client look at digests: who depends on the bytes has to.
    received = Path(hf_hub_download(name, "a.bin")).read_bytes()
    assert len(received) == len(sent)
    assert sum(left != right for left, right in zip(sent, received, strict=True)) == 1


def slow_bytes_are_waited_for(hub: Client) -> None:
    name = hub.new_repo()
    sent = hub.add_large(name, "a.bin", 60_000)
    hub.server.fault("slow", "/files/|/xorbs/", method="GET", seconds=0.5)
    begin = time.perf_counter()
    assert Path(hf_hub_download(name, "a.bin")).read_bytes() == sent
    assert time.perf_counter() - begin > 0.4


def a_download_that_is_cut_off_leaves_nothing_that_is_not_whole(hub: Client) -> None:
    name = hub.new_repo()
    sent = hub.add_large(name, "a.bin", 2_000_000)
    hub.server.fault("cut_answer", "/files/|/xorbs/", method="GET", size=500_000)
    if not hub.xet:
        with pytest.raises(httpx.ReadError):
            hf_hub_download(name, "a.bin")
        with pytest.raises(LocalEntryNotFoundError):
            hf_hub_download(name, "a.bin", local_files_only=True)
    assert Path(hf_hub_download(name, "a.bin")).read_bytes() == sent


def requests_beyond_the_limit_are_refused_with_the_time_to_wait(hub: Client) -> None:
    name = hub.new_repo()
    hub.server.limit_rate(quota=2, window=60)
    hub.api.model_info(name)
    hub.api.model_info(name)
    with pytest.raises(HfHubHTTPError, match="you have reached your 'api' rate limit") as caught:
        hub.api.model_info(name)
    assert caught.value.response.status_code == 429
    hub.server.clear()


def a_fault_strikes_as_often_as_it_was_told_and_no_other_route(hub: Client) -> None:
    name = hub.new_repo()
    hub.server.fault("refuse", f"/api/models/{name}/refs", method="GET", status=418, count=2, skip=1)
    hub.api.list_repo_refs(name)
    for _ in range(2):
        hub.api.model_info(name)
        with refused(418):
            hub.api.list_repo_refs(name)
    hub.api.list_repo_refs(name)


def _upload_card(hub: Client, name: str) -> None:
    card = b"---\nlicense: mit\n---\n"
    hub.api.upload_file(repo_id=name, path_in_repo="README.md", path_or_fileobj=card)
