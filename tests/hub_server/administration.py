"""Accounts and repos: who am I, create, delete, settings, access."""

import re
import shutil

from starlette.responses import JSONResponse, Response

from hub_server.accounts import describe
from hub_server.errors import HubError
from hub_server.repositories import Repository
from hub_server.store import Call

_NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]{0,94}(?<![.-])(?<!\.git)")


def whoami(call: Call) -> Response:
    return JSONResponse(describe(call.signed_in()))


def list_agents(call: Call) -> Response:
    """Answer a question of the `hf` command: by which variables it would know who runs it."""
    return JSONResponse({"standardEnvVars": [], "harnesses": {}})


def create(call: Call) -> Response:
    account, body = call.signed_in(), call.json()
    namespace, repo_type = body.get("organization") or account.name, body.get("type") or "model"
    if not account.may_write(namespace):
        message = f'You don\'t have the rights to create a {repo_type} under the namespace "{namespace}"'
        raise HubError(403, message)
    if not _NAME.fullmatch(body["name"]) or repo_type not in ("model", "dataset"):
        raise HubError(400, f"Invalid repo name or type: {body['name']!r}, {repo_type!r}")
    repo_id = f"{namespace}/{body['name']}"
    found = call.store.repositories.get((repo_type, repo_id))
    if found is not None:
        message = f"You already created this {repo_type} repo"
        return JSONResponse({"error": message, "url": f"{call.store.base_url}/{found.url_path}"}, 409)
    folder = call.store.folder / f"{repo_type}s" / repo_id
    repo = Repository(folder, repo_type, repo_id, private=body.get("visibility") == "private")
    call.store.repositories[repo_type, repo_id] = repo
    return JSONResponse({"url": f"{call.store.base_url}/{repo.url_path}", "name": repo_id, "id": repo_id})


def delete(call: Call) -> Response:
    account, body = call.signed_in(), call.json()
    namespace, repo_type = body.get("organization") or account.name, body.get("type") or "model"
    key = (repo_type, f"{namespace}/{body['name']}")
    found = call.store.repositories.get(key)
    if found is None or not found.visible_to(account):
        raise HubError(404, "Repository not found", "RepoNotFound")
    if not account.may_write(namespace):
        raise HubError(403, f"You don't have the rights to delete {key[1]}")
    del call.store.repositories[key]
    found.git.close()
    shutil.rmtree(found.folder)
    return JSONResponse({})


def change_settings(call: Call) -> Response:
    repo, body = call.repository("write"), call.json()
    if unknown := body.keys() - {"visibility", "gated"}:
        raise HubError(400, f"Unknown settings: {sorted(unknown)}")
    if "visibility" in body:
        repo.private = body["visibility"] == "private"
    repo.gated = body.get("gated", repo.gated)
    return JSONResponse({})


def grant_access(call: Call) -> Response:
    call.repository("write").granted.add(call.json()["user"])
    return JSONResponse({})


def check_access(call: Call) -> Response:
    call.repository().check_gate(call.account)
    return JSONResponse({})


def check_write_access(call: Call) -> Response:
    call.repository("write")
    return JSONResponse({})


ROUTES = [
    ("GET", "/api/whoami-v2", whoami),
    ("GET", "/api/agent-harnesses", list_agents),
    ("POST", "/api/repos/create", create),
    ("DELETE", "/api/repos/delete", delete),
    ("PUT", "/api/{type}/{repo}/settings", change_settings),
    ("POST", "/api/{type}/{repo}/user-access-request/grant", grant_access),
    ("GET", "/api/{type}/{repo}/auth-check", check_access),
    ("GET", "/api/{type}/{repo}/auth-check/write", check_write_access),
]
