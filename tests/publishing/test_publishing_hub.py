"""What is refused before the network is touched, the plan of a dry run, and how long a publication waits.

The rest needs a Hub: `tests/hub_server/scenarios/publishing.py` and `fetching.py`.
"""

import hashlib
import re
import subprocess
from datetime import datetime, timezone
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx

from hf_turkembed.publishing import fetch_folder, hub, retries
from hf_turkembed.publishing.hub import HubSettings
from hf_turkembed.publishing.hub_state import HubRepo, HubState, clear_errors
from hf_turkembed.publishing.planned_files import (
    Difference,
    PlannedFile,
    compare_files,
    git_id,
    plan_files,
)

REPO = HubRepo(repo_id="org/name", repo_type="model")


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    """A machine where nobody is logged in."""
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture
def waits(monkeypatch):
    """The seconds that would have been waited."""
    found = []
    now = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=found.append, time=lambda: now))
    return found


@pytest.mark.parametrize("tag", ["", "a b", "v1..2", "v1.0~1", "main", "HEAD", "refs/heads/x", "v1.lock", "v1.", "-v"])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match=r"expected the name of a release such as 'v1\.0'"):
        HubSettings(tag=tag)


@pytest.mark.parametrize("tag", ["v1.0", "1", "v1.0-rc.1+turkish_2"])
def test_what_git_takes_for_a_tag_is_taken(tag):
    assert HubSettings(tag=tag).tag == tag


def test_an_error_does_not_tell_the_signature_of_an_address():
    error = HfHubHTTPError(
        "403 for 'https://cdn.example/x?X-Signature=abc&Expires=9'",
        response=httpx.Response(403, request=httpx.Request("GET", "http://localhost")),
    )
    with pytest.raises(PermissionError, match=r"https://cdn\.example/x\?…") as caught, clear_errors("org/name"):
        raise error
    assert "abc" not in str(caught.value)


def refusal(status, **headers):
    """An answer that refuses."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=named, request=httpx.Request("POST", "http://localhost"))
    return HfHubHTTPError("refused", response=response)


def failing(*errors):
    """A call that fails so often, and then gives 7."""
    left = list(errors)

    def call():
        if left:
            raise left.pop(0)
        return 7

    return call


@pytest.mark.parametrize("repo_id", ["name", "a/b/c", "org/", "org/na me", "org/..", "org/a--b", "datasets/org/name"])
def test_repo_id_that_is_not_org_and_name_is_refused(repo_id):
    with pytest.raises(ValueError, match=r"(?i)repo.id"):
        hub.check_repo_id(repo_id)


def test_push_without_a_token_is_refused_before_the_network(no_token, tmp_path):
    with pytest.raises(PermissionError, match="needs an access token"):
        hub.push_folder(tmp_path, (), REPO, HubState(), HubSettings(), subject="it")


def test_a_tag_and_a_pull_request_exclude_each_other():
    with pytest.raises(ValueError, match="leave it out with a pull request"):
        HubSettings(create_pr=True, tag="v1")


def test_a_gate_and_a_pull_request_exclude_each_other():
    with pytest.raises(ValueError, match="a gate closes at once, for the main branch too"):
        HubSettings(create_pr=True, gated="manual")


@pytest.mark.parametrize(("status", "advice"), [(401, "Run `hf auth login`"), (403, "Use a token with that right")])
def test_a_refusal_for_want_of_rights_says_what_to_do(status, advice):
    with pytest.raises(PermissionError, match=advice), clear_errors("acme/model"):
        raise refusal(status)


def test_plan_lists_every_file_with_size_and_digest(tmp_path, no_token):
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"# card")
    assert plan_files(tmp_path) == (
        PlannedFile(path="1_Pooling/config.json", size=2, sha256=hashlib.sha256(b"{}").hexdigest()),
        PlannedFile(path="README.md", size=6, sha256=hashlib.sha256(b"# card").hexdigest()),
    )


def test_git_gives_a_file_the_same_name(tmp_path):
    path = tmp_path / "file"
    path.write_bytes("ğ\r\n".encode() * 1000)
    named = subprocess.run(["git", "hash-object", "--no-filters", path], capture_output=True, text=True, check=True)
    assert git_id(path) == named.stdout.strip()


def test_a_difference_says_what_publishing_does(tmp_path):
    for name in ("large", "new", "same", "small"):
        (tmp_path / name).write_text(name)
    files, old = plan_files(tmp_path), "0" * 40
    there = {".gitattributes": old, "gone": old, "large": "0" * 64, "same": git_id(tmp_path / "same"), "small": old}
    assert compare_files(tmp_path, files, there) == Difference(
        added=("new",), changed=("large", "small"), deleted=("gone",)
    )
    known = {name: git_id(tmp_path / name) for name in ("new", "same", "small")}
    large = hashlib.sha256(b"large").hexdigest()
    assert not compare_files(tmp_path, files, {".gitattributes": old, "large": large, **known})


@pytest.mark.parametrize(
    ("state", "settings", "difference", "message"),
    [
        (HubState(head="1" * 40), HubSettings(private=True), (), "is public, but was to be published as private"),
        (HubState(head="1" * 40, tags={"v1": "1" * 40}), HubSettings(tag="v1"), ("a",), "is never moved"),
        (HubState(head="2" * 40, tags={"v1": "1" * 40}), HubSettings(tag="v1"), (), "is never moved"),
    ],
)
def test_a_repo_that_must_not_be_changed_so_is_refused(state, settings, difference, message):
    with pytest.raises(ValueError, match=message):
        hub.check_settings(REPO, state, settings, Difference(added=difference, changed=(), deleted=()))


def test_a_call_is_made_again_with_growing_waits_and_at_last_raises(waits):
    assert retries.retry(failing(*[refusal(503)] * 5), "it") == 7
    assert waits == [1, 2, 4, 8, 8]
    with pytest.raises(HfHubHTTPError):
        retries.retry(failing(*[refusal(503)] * 6), "it")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "30"}, 31),
        ({"Retry_After": format_datetime(datetime(2026, 1, 1, 0, 1, tzinfo=timezone.utc), usegmt=True)}, 61),
        ({"Retry_After": "soon"}, 1),
        ({"RateLimit": '"api";r=0;t=55', "Retry_After": "2"}, 56),
        ({"RateLimit": '"api";r=3;t=55'}, 1),
    ],
)
def test_the_wait_is_what_the_server_asks_for(waits, headers, seconds):
    assert retries.retry(failing(refusal(429, **headers)), "it") == 7
    assert waits == [seconds]


def test_a_wait_beyond_all_patience_is_an_error(waits):
    with pytest.raises(ConnectionError, match=re.escape("it: the Hub asks to wait for 7201 s; run it again then.")):
        retries.retry(failing(refusal(429, Retry_After="7200")), "it")
    assert waits == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413])
def test_what_will_not_pass_is_raised_at_once(waits, status):
    with pytest.raises(HfHubHTTPError):
        retries.retry(failing(refusal(status)), "it")
    assert waits == []


def test_lost_connections_and_damaged_answers_pass(waits):
    damaged = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    assert retries.retry(failing(httpx.ReadError("reset"), damaged), "it") == 7


def test_folder_is_fetched_from_where_it_is(tmp_path):
    assert fetch_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["./none", "/none/at/all", "none"])
def test_name_that_is_neither_a_folder_nor_a_repo_is_refused(name):
    with pytest.raises(FileNotFoundError, match="neither a folder nor a Hub repo"):
        fetch_folder(name)
