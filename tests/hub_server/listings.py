"""What there is: a repo's page, its tree, its refs and its commits."""

import time
from typing import Any
from urllib.parse import urlencode

import yaml
from starlette.responses import JSONResponse, Response

from hub_server.errors import HubError
from hub_server.repositories import Entry, Repository
from hub_server.store import Call
from hub_server.validation import read_metadata


def timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def show_repo(call: Call) -> Response:
    repo = call.repository()
    commit = repo.resolve(call.arguments.get("revision", "main"))
    entries = repo.entries(commit)
    card = _card(repo, entries)
    page = {
        "_id": repo.repo_id,
        "id": repo.repo_id,
        "author": repo.namespace,
        "sha": commit,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": card.get("tags", []),
        "cardData": card,
        "createdAt": timestamp(repo.created),
        "lastModified": timestamp(repo.commit(commit).commit_time),
        "siblings": [_sibling(entry, call.flag("blobs")) for entry in entries],
    }
    if repo.repo_type == "model":
        page |= {"modelId": repo.repo_id, "pipeline_tag": card.get("pipeline_tag")}
        page["library_name"] = card.get("library_name")
    if wanted := call.request.query_params.getlist("expand"):
        page = {key: value for key, value in page.items() if key in (*wanted, "_id", "id")}
    return JSONResponse(page, headers={"X-Repo-Commit": commit})


def list_tree(call: Call) -> Response:
    repo = call.repository()
    commit = repo.resolve(call["revision"])
    path = call.arguments.get("path", "").strip("/")
    inside = f"{path}/" if path else ""
    found: list[dict[str, Any]] = []
    folders: set[str] = set()
    for name, oid in repo.blobs(commit).items():
        if not name.startswith(inside):
            continue
        parts = name.removeprefix(inside).split("/")
        deepest = len(parts) if call.flag("recursive") else min(len(parts), 2)
        folders.update(inside + "/".join(parts[:depth]) for depth in range(1, deepest))
        if len(parts) == 1 or call.flag("recursive"):
            found.append(_file(call, repo.entry(name, oid)))
    if path and not found and not folders:
        raise HubError(404, f'{path} does not exist on "{commit}"', "EntryNotFound", {"X-Repo-Commit": commit})
    found += [_folder(repo, commit, folder) for folder in folders]
    if call.flag("expand"):
        found = [item | {"lastCommit": _last_commit(repo, commit, item["path"])} for item in found]
    found.sort(key=lambda item: item["path"])
    return _page(call, found, {"X-Repo-Commit": commit})


def show_paths(call: Call) -> Response:
    repo = call.repository()
    commit = repo.resolve(call["revision"])
    blobs = repo.blobs(commit)
    found = []
    for path in (path.rstrip("/") for path in call.form("paths")):
        if path in blobs:
            found.append(_file(call, repo.entry(path, blobs[path])))
        elif any(name.startswith(f"{path}/") for name in blobs):
            found.append(_folder(repo, commit, path))
    return JSONResponse(found)


def list_refs(call: Call) -> Response:
    repo = call.repository()
    kinds: dict[str, list[dict[str, str]]] = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
    for ref, commit in repo.refs().items():
        kind = {"heads": "branches", "tags": "tags", "pr": "pullRequests"}[ref.split("/")[1]]
        name = ref if kind == "pullRequests" else ref.split("/", 2)[2]
        kinds[kind].append({"name": name, "ref": ref, "targetCommit": commit})
    return JSONResponse(kinds)


def list_commits(call: Call) -> Response:
    repo = call.repository()
    commits = []
    for step in repo.git.get_walker(include=[repo.resolve(call["revision"]).encode()]):
        title, _, message = step.commit.message.decode().partition("\n\n")
        author = step.commit.author.decode().split(" <")[0]
        commits.append(
            {
                "id": step.commit.id.decode(),
                "title": title,
                "message": message,
                "date": timestamp(step.commit.commit_time),
                "authors": [{"user": author}],
            }
        )
    return _page(call, commits, {})


def _page(call: Call, items: list[dict[str, Any]], headers: dict[str, str]) -> Response:
    """Answer one page, and name the next."""
    begin = int(call.request.query_params.get("cursor", 0))
    end = begin + call.store.page_size
    if end < len(items):
        parameters = urlencode({**call.request.query_params, "cursor": end})
        address = f"{call.store.base_url}{call.request.scope['raw_path'].decode()}?{parameters}"
        headers["Link"] = f'<{address}>; rel="next"'
    return JSONResponse(items[begin:end], headers=headers)


def _card(repo: Repository, entries: list[Entry]) -> dict[str, Any]:
    for entry in entries:
        if entry.path == "README.md" and entry.sha256 is None:
            try:
                return read_metadata(repo.read_blob(entry.oid).decode()) or {}
            except yaml.YAMLError:
                return {}
    return {}


def _sibling(entry: Entry, with_blobs: bool) -> dict[str, Any]:
    if not with_blobs:
        return {"rfilename": entry.path}
    sibling: dict[str, Any] = {"rfilename": entry.path, "size": entry.size, "blobId": entry.oid}
    if entry.sha256:
        sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
    return sibling


def _file(call: Call, entry: Entry) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": entry.path}
    if entry.sha256:
        item["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
        if xet_hash := call.store.xet.hash_of(entry.sha256):
            item["xetHash"] = xet_hash
    return item


def _folder(repo: Repository, commit: str, path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": repo.folder_oid(commit, path), "size": 0, "path": path}


def _last_commit(repo: Repository, commit: str, path: str) -> dict[str, str]:
    step = next(iter(repo.git.get_walker(include=[commit.encode()], paths=[path.encode()], max_entries=1)))
    title = step.commit.message.decode().split("\n")[0]
    return {"id": step.commit.id.decode(), "title": title, "date": timestamp(step.commit.commit_time)}


ROUTES = [
    ("GET", "/api/{type}/{repo}", show_repo),
    ("GET", "/api/{type}/{repo}/revision/{revision}", show_repo),
    ("GET", "/api/{type}/{repo}/tree/{revision}", list_tree),
    ("GET", "/api/{type}/{repo}/tree/{revision}/{path}", list_tree),
    ("POST", "/api/{type}/{repo}/paths-info/{revision}", show_paths),
    ("GET", "/api/{type}/{repo}/refs", list_refs),
    ("GET", "/api/{type}/{repo}/commits/{revision}", list_commits),
]
