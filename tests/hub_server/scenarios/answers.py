"""Answers as they come, below the clients: status, headers and keys that both Hubs have to share."""

import hashlib
from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.utils import build_hf_headers, get_session, httpx

from hub_server.client import Client


def ask(method: str, path: str, *, token: str | bool | None = None, **settings: Any) -> httpx.Response:
    """Send one request and follow nothing."""
    headers = build_hf_headers(token=token)
    return get_session().request(
        method, f"{constants.ENDPOINT}{path}", headers=headers, follow_redirects=False, **settings
    )


def what_is_missing_has_a_code(hub: Client) -> None:
    name, head = hub.new_repo(), "/resolve/main/none.txt"
    commit = hub.api.model_info(name).sha
    cases = [
        (ask("GET", f"/api/models/{hub.new_name()}"), 404, "RepoNotFound"),
        (ask("GET", f"/api/models/{name}", token=False), 401, "RepoNotFound"),
        (ask("HEAD", f"/{name}{head}", token=False), 401, "RepoNotFound"),
        (ask("GET", f"/api/models/{name}/revision/none"), 404, "RevisionNotFound"),
        (ask("HEAD", f"/{name}/resolve/none/none.txt"), 404, "RevisionNotFound"),
        (ask("HEAD", f"/{name}{head}"), 404, "EntryNotFound"),
        (ask("GET", f"/api/models/{name}/tree/main/none"), 404, "EntryNotFound"),
    ]
    for answer, status, code in cases:
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (status, code), answer.url
    assert cases[5][0].headers["X-Repo-Commit"] == commit


def nobody_is_refused_by_name(hub: Client) -> None:
    for token in (False, "hf_nobody"):
        answer = ask("GET", "/api/whoami-v2", token=token)
        assert answer.status_code == 401 and answer.json()["error"]


def a_file_is_described_before_it_is_sent(hub: Client) -> None:
    name = hub.new_repo()
    commit = hub.add(name, "a.txt").oid
    sent = hub.add_large(name, "a.bin", 300_000)
    small = get_hf_file_metadata(hf_hub_url(name, "a.txt", revision=commit))
    assert (small.commit_hash, small.size, len(small.etag)) == (commit, 5, 40)
    large = get_hf_file_metadata(hf_hub_url(name, "a.bin"))
    assert (large.size, large.etag) == (len(sent), hashlib.sha256(sent).hexdigest())
    # The bytes themselves are elsewhere.
    assert not large.location.startswith(constants.ENDPOINT)
    assert large.xet_file_data is not None or not hub.xet


def entries_and_pages_have_their_keys(hub: Client) -> None:
    name = hub.new_repo()
    hub.add(name, "one/a.txt")
    hub.add_large(name, "a.bin", 300_000)
    items = {item["path"]: item for item in ask("GET", f"/api/models/{name}/tree/main").json()}
    assert items["one"].keys() >= {"type", "oid", "size", "path"} and items["one"]["type"] == "directory"
    assert items["a.bin"]["lfs"].keys() >= {"oid", "size", "pointerSize"}
    assert "xetHash" in items["a.bin"] or not hub.xet
    page = ask("GET", f"/api/models/{name}", params={"blobs": True}).json()
    assert page.keys() >= {"_id", "id", "sha", "private", "gated", "siblings", "tags", "createdAt", "lastModified"}
    siblings = {item["rfilename"]: item for item in page["siblings"]}
    assert siblings["a.bin"].keys() >= {"size", "blobId"}
    assert siblings["a.bin"]["lfs"].keys() >= {"sha256", "size", "pointerSize"}


def refusals_say_what_is_there(hub: Client) -> None:
    name = hub.new_repo()
    organization, _, short = name.partition("/")
    body = {"name": short, "organization": organization, "visibility": "private"}
    again = ask("POST", "/api/repos/create", json=body)
    assert again.status_code == 409 and again.json()["url"].endswith(name)
    card = {"content": "---\nlicense: {a: 1}\n---\n", "repoType": "model"}
    wrong = ask("POST", "/api/validate-yaml", json=card)
    assert wrong.status_code == 400 and wrong.json()["errors"][0]["message"]


def a_token_for_xet_is_told_in_body_and_headers(hub: Client) -> None:
    name = hub.new_repo()
    for path in ("xet-write-token/main", f"xet-read-token/{hub.api.model_info(name).sha}"):
        answer = ask("GET", f"/api/models/{name}/{path}")
        assert answer.json().keys() >= {"casUrl", "exp", "accessToken"}
        assert answer.headers["X-Xet-Cas-Url"] == answer.json()["casUrl"]
        assert answer.headers["X-Xet-Access-Token"] and answer.headers["X-Xet-Token-Expiration"]


def the_rate_limit_is_told_with_every_answer(hub: Client) -> None:
    answer = ask("GET", f"/api/models/{hub.new_repo()}")
    assert answer.headers["RateLimit"].startswith('"api";r=') and ";w=" in answer.headers["RateLimit-Policy"]
