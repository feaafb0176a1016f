"""What lies on the server's disk, what it notices, and what it refuses to be told."""

import hashlib
import subprocess
import urllib.error
import urllib.request

import numpy as np
import pytest

from hub_server.application import compile_route
from hub_server.faults import Fault
from hub_server.rate_limits import RateLimit
from hub_server.repositories import Repository
from hub_server.validation import find_errors

UPLOAD = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo(sys.argv[1])
HfApi().upload_folder(repo_id=sys.argv[1], folder_path=sys.argv[2])
"""


def ask(hub, method, path, body=None):
    request = urllib.request.Request(f"{hub.endpoint}{path}", body, method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    return caught.value


@pytest.mark.launch
@pytest.mark.parametrize("xet", [True, False], ids=["xet", "lfs"])
def test_a_repo_is_sound_git_and_its_large_files_are_what_was_sent(hub, run_client, tmp_path, xet):
    name = f"acme/sound-{xet}".lower()
    folder = tmp_path / "source"
    folder.mkdir()
    generator = np.random.default_rng(int(xet))
    files = {
        # By xet the first is not compressed, the second is, and the third is with every fourth byte together.
        "noise.bin": generator.bytes(300_000),
        "text.bin": b"\0" + b"ayn\xc4\xb1 s\xc3\xb6z " * 40_000,
        "floats.safetensors": generator.normal(size=100_000).astype(np.float32).tobytes(),
    }
    for path, data in files.items():
        (folder / path).write_bytes(data)
    done = run_client("-c", UPLOAD, name, folder, xet=xet)
    assert done.returncode == 0, done.stderr
    git = ["git", "-C", str(hub.folder / "models" / name)]
    checked = subprocess.run([*git, "fsck", "--strict"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    for path, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        pointer = subprocess.run([*git, "show", f"main:{path}"], capture_output=True, text=True).stdout
        assert pointer == f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(data)}\n"
        assert (hub.folder / "lfs" / digest).read_bytes() == data


def test_a_request_that_no_route_answers_is_a_problem(hub):
    refusal = ask(hub, "GET", "/api/models/acme/none/invented")
    assert refusal.code == 404
    assert hub.take_problems() == ["no route answers GET /api/models/acme/none/invented"]


def test_a_large_file_that_is_not_what_it_was_announced_as_is_refused(hub):
    refusal = ask(hub, "PUT", f"/lfs/{hashlib.sha256(b'a').hexdigest()}", b"b")
    assert refusal.code == 400
    assert "announced was" in refusal.headers["X-Error-Message"]
    assert not (hub.folder / "lfs" / hashlib.sha256(b"a").hexdigest()).exists()


def test_a_refusal_says_why_in_headers_too(hub):
    refusal = ask(hub, "GET", "/api/models/acme/none")
    assert refusal.code == 401
    assert refusal.headers["X-Error-Code"] == "RepoNotFound"
    assert refusal.headers["X-Error-Message"] == "Repository not found"


def test_the_log_says_what_was_asked_and_how_it_ended(hub):
    hub.fault("refuse", "/api/models", status=503)
    ask(hub, "GET", "/api/models/acme/none?expand=sha")
    assert hub.requests() == [
        {
            "method": "GET",
            "path": "/api/models/acme/none",
            "received": 0,
            "authorized": False,
            "fault": "refuse",
            "status": 503,
        }
    ]


def test_a_quoted_slash_stays_within_its_name():
    route = compile_route("/api/{type}/{repo}/tree/{revision}/{path}")
    match = route.fullmatch("/api/models/acme/name/tree/refs%2Fpr%2F1/a%2Fb")
    assert match.groupdict() == {
        "type": "models",
        "repo": "acme/name",
        "revision": "refs%2Fpr%2F1",
        "path": "a%2Fb",
    }
    assert route.fullmatch("/api/spaces/acme/name/tree/main/a") is None


def test_a_fault_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected one of"):
        Fault(kind="explode", route="/")


def test_a_window_that_is_over_begins_anew(monkeypatch):
    now = 0.0
    monkeypatch.setattr("hub_server.rate_limits.time.monotonic", lambda: now)
    limit = RateLimit(quota=1, window=10)
    assert limit.take()["RateLimit"] == '"api";r=0;t=10'
    with pytest.raises(Exception, match="rate limit"):
        limit.take()
    now = 10.0
    assert limit.take()["RateLimit"] == '"api";r=0;t=10'


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ("a: [", "YAML is invalid"),
        ("[a]", '"metadata" must be a mapping'),
        ("license: 3", '"license" must be a string'),
        ("language: [tr, no]", '"language" must be a string'),
        ("tags: tr", '"tags" must be an array'),
        ("model-index: [{name: a}]", '"model-index[0]" must have'),
    ],
)
def test_wrong_metadata_is_named(metadata, error):
    (found,) = find_errors(f"---\n{metadata}\n---\ntext")
    assert found.startswith(error)


def test_metadata_may_be_missing_or_right():
    assert find_errors("# no metadata") == []
    assert find_errors("---\nlicense: mit\nlanguage: [tr, en]\ntags: [a]\n---\n") == []


def test_a_file_cannot_be_a_folder_as_well(tmp_path):
    repo = Repository(tmp_path / "repo", "model", "acme/name", private=False)
    blob = repo.add_blob(b"a")
    with pytest.raises(Exception, match="both a file and a folder"):
        repo.add_commit("refs/heads/main", {"a": blob, "a/b": blob}, "no", "writer", None)
