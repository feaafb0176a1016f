"""Branches, tags and pull requests."""

import time
from typing import Any

from starlette.responses import JSONResponse, Response

from hub_server.errors import HubError
from hub_server.listings import timestamp
from hub_server.repositories import PullRequest, Repository
from hub_server.store import Call


def create_branch(call: Call) -> Response:
    repo = call.repository("write")
    commit = repo.resolve(call.json().get("startingPoint") or "main")
    return _create(repo, f"refs/heads/{call['branch']}", commit, None)


def delete_branch(call: Call) -> Response:
    repo = call.repository("write")
    if call["branch"] == "main":
        raise HubError(403, "Cannot delete the default branch")
    return _delete(repo, f"refs/heads/{call['branch']}")


def create_tag(call: Call) -> Response:
    repo, body = call.repository("write"), call.json()
    return _create(repo, f"refs/tags/{body['tag']}", repo.resolve(call["revision"]), body.get("message"))


def delete_tag(call: Call) -> Response:
    return _delete(call.repository("write"), f"refs/tags/{call['revision']}")


def open_pull_request(repo: Repository, title: str, author: str, head: str) -> PullRequest:
    """Open a pull request that as yet changes nothing."""
    request = PullRequest(len(repo.pull_requests) + 1, title, author, time.time())
    repo.pull_requests.append(request)
    repo.set_ref(f"refs/pr/{request.number}", head)
    return request


def create_discussion(call: Call) -> Response:
    repo, body, account = call.repository("contribute"), call.json(), call.signed_in()
    if not body.get("pullRequest"):
        raise HubError(400, "This server knows no discussions but pull requests")
    with repo.lock:
        request = open_pull_request(repo, body["title"], account.name, repo.resolve("main"))
    return JSONResponse({"num": request.number})


def show_discussion(call: Call) -> Response:
    repo, number = call.repository(), int(call["number"])
    if not 0 < number <= len(repo.pull_requests):
        raise HubError(404, f"There is no discussion {number}")
    return JSONResponse(_describe(repo, repo.pull_requests[number - 1]) | {"events": [], "filesWithConflicts": []})


def list_discussions(call: Call) -> Response:
    repo = call.repository()
    found = [_describe(repo, request) for request in reversed(repo.pull_requests)]
    return JSONResponse({"discussions": found, "count": len(found), "start": 0})


def _describe(repo: Repository, request: PullRequest) -> dict[str, Any]:
    return {
        "num": request.number,
        "title": request.title,
        "status": request.status,
        "author": {"name": request.author},
        "createdAt": timestamp(request.created),
        "isPullRequest": True,
        "repo": {"name": repo.repo_id, "type": repo.repo_type},
        "changes": {"base": "refs/heads/main"},
    }


def _create(repo: Repository, ref: str, commit: str, message: str | None) -> Response:
    with repo.lock:
        if ref in repo.refs():
            raise HubError(409, f"Reference {ref} already exists")
        repo.set_ref(ref, commit, message)
    return JSONResponse({})


def _delete(repo: Repository, ref: str) -> Response:
    with repo.lock:
        if ref not in repo.refs():
            raise HubError(404, f"Reference {ref} does not exist", "RevisionNotFound")
        repo.remove_ref(ref)
    return JSONResponse({})


ROUTES = [
    ("POST", "/api/{type}/{repo}/branch/{branch}", create_branch),
    ("DELETE", "/api/{type}/{repo}/branch/{branch}", delete_branch),
    ("POST", "/api/{type}/{repo}/tag/{revision}", create_tag),
    ("DELETE", "/api/{type}/{repo}/tag/{revision}", delete_tag),
    ("POST", "/api/{type}/{repo}/discussions", create_discussion),
    ("GET", "/api/{type}/{repo}/discussions", list_discussions),
    ("GET", "/api/{type}/{repo}/discussions/{number}", show_discussion),
]
