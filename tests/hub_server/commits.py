"""Commits: first the server says how each file should come, then it takes them all at once."""

import base64
import fnmatch
import json
from typing import Any

from dulwich.ignore import IgnoreFilter
from starlette.responses import JSONResponse, Response

from hub_server.errors import HubError
from hub_server.references import open_pull_request
from hub_server.repositories import Repository
from hub_server.store import Call, Store
from hub_server.validation import find_errors

# Bytes of a file that git itself may hold.
_REGULAR_LIMIT = 10_000_000


def preupload(call: Call) -> Response:
    repo = call.repository(_access(call))
    blobs, body = repo.blobs(repo.resolve(call["revision"])), call.json()
    patterns = _large_patterns(repo, blobs)
    rules = body.get("gitIgnore")
    if rules is None:
        rules = repo.read_blob(blobs[".gitignore"]).decode() if ".gitignore" in blobs else ""
    ignored = IgnoreFilter(line.encode() for line in rules.splitlines() if line.strip() and not line.startswith("#"))
    answers = []
    for file in body["files"]:
        path, sample = file["path"], base64.b64decode(file["sample"])
        large = file["size"] > _REGULAR_LIMIT or _matches(path, patterns) or _is_binary(sample)
        answer = {"path": path, "uploadMode": "lfs" if large else "regular"}
        answer["shouldIgnore"] = bool(ignored.is_ignored(path))
        if path in blobs:
            entry = repo.entry(path, blobs[path])
            answer["oid"] = entry.sha256 or entry.oid
        answers.append(answer)
    return JSONResponse({"files": answers})


def commit(call: Call) -> Response:
    repo = call.repository(_access(call))
    lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    header = next((line["value"] for line in lines if line["key"] == "header"), {})
    if not header.get("summary"):
        raise HubError(400, "A commit needs a header with a summary")
    changes = [line for line in lines if line["key"] != "header"]
    message = "\n\n".join(filter(None, (header["summary"], header.get("description"))))
    author = call.signed_in().name
    with repo.lock:
        head = repo.resolve(call["revision"])
        parent = header.get("parentCommit")
        if parent and parent != head:
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        ref = _branch(call, repo)
        blobs = _apply(call.store, repo, repo.blobs(head), changes)
        answer: dict[str, Any] = {"success": True}
        if call.flag("create_pr"):
            request = open_pull_request(repo, header["summary"], author, head)
            ref = f"refs/pr/{request.number}"
            answer["pullRequestUrl"] = f"{call.store.base_url}/{repo.url_path}/discussions/{request.number}"
        oid = repo.add_commit(ref, blobs, message, author, head)
    answer |= {"commitOid": oid, "commitUrl": f"{call.store.base_url}/{repo.url_path}/commit/{oid}"}
    return JSONResponse(answer)


def _access(call: Call) -> str:
    """Say what a change needs: less, where it only becomes a pull request."""
    return "contribute" if call.flag("create_pr") or call["revision"].startswith("refs/pr/") else "write"


def _branch(call: Call, repo: Repository) -> str:
    """Return the ref that a commit moves."""
    revision, account = call["revision"], call.signed_in()
    ref = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
    if ref not in repo.refs() and not call.flag("create_pr"):
        raise HubError(400, f"Cannot commit to {revision}: it is not a branch")
    if ref.startswith("refs/pr/") and not account.may_write(repo.namespace):
        request = repo.pull_requests[int(ref.removeprefix("refs/pr/")) - 1]
        if request.author != account.name:
            raise HubError(403, f"Cannot commit to {ref}: it is not yours")
    return ref


def _apply(store: Store, repo: Repository, blobs: dict[str, str], changes: list[dict[str, Any]]) -> dict[str, str]:
    """Return the files after the changes, in their order."""
    apply = {
        "file": _put_regular,
        "lfsFile": _put_large,
        "deletedFile": _delete_file,
        "deletedFolder": _delete_folder,
    }
    for change in changes:
        path = change["value"]["path"]
        if not path or {"", ".", "..", ".git"} & set(path.rstrip("/").split("/")):
            raise HubError(400, f"Invalid path {path!r}")
        if change["key"] not in apply:
            raise HubError(400, f"Unknown operation {change['key']!r}")
        apply[change["key"]](store, repo, blobs, change["value"])
    return blobs


def _put_regular(store: Store, repo: Repository, blobs: dict[str, str], value: dict[str, Any]) -> None:
    data = base64.b64decode(value["content"]) if value["encoding"] == "base64" else value["content"].encode()
    if len(data) > _REGULAR_LIMIT:
        raise HubError(400, f"{value['path']} has {len(data)} bytes; larger files go to LFS")
    if value["path"] == "README.md" and (errors := find_errors(data.decode())):
        raise HubError(400, f"Invalid metadata in README.md: {errors[0]}")
    blobs[value["path"]] = repo.add_blob(data)


def _put_large(store: Store, repo: Repository, blobs: dict[str, str], value: dict[str, Any]) -> None:
    if not store.has_object(value["oid"]):
        raise HubError(400, f"LFS pointer pointed to a file that does not exist: {value['path']}")
    size = store.objects.path(value["oid"]).stat().st_size
    if value.get("size", size) != size:
        raise HubError(400, f"{value['path']} has {size} bytes, not {value['size']}")
    blobs[value["path"]] = repo.add_pointer(value["oid"], size)


def _delete_file(store: Store, repo: Repository, blobs: dict[str, str], value: dict[str, Any]) -> None:
    if value["path"] not in blobs:
        raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
    del blobs[value["path"]]


def _delete_folder(store: Store, repo: Repository, blobs: dict[str, str], value: dict[str, Any]) -> None:
    inside = [name for name in blobs if name.startswith(f"{value['path'].rstrip('/')}/")]
    if not inside:
        raise HubError(404, "A folder with this name doesn't exist", "EntryNotFound")
    for name in inside:
        del blobs[name]


def _large_patterns(repo: Repository, blobs: dict[str, str]) -> list[str]:
    """List what .gitattributes sends to LFS."""
    if ".gitattributes" not in blobs:
        return []
    lines = repo.read_blob(blobs[".gitattributes"]).decode().splitlines()
    return [line.split()[0] for line in lines if "filter=lfs" in line]


def _matches(path: str, patterns: list[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatch.fnmatch(path if "/" in pattern else name, pattern) for pattern in patterns)


def _is_binary(sample: bytes) -> bool:
    """Look for bytes that no text has; a letter may be cut off at the end of the sample."""
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 3:
            return True
    return b"\0" in sample


ROUTES = [
    ("POST", "/api/{type}/{repo}/preupload/{revision}", preupload),
    ("POST", "/api/{type}/{repo}/commit/{revision}", commit),
]
