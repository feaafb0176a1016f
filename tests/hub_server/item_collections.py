"""Collections of repos."""

import time
import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from hub_server.errors import HubError
from hub_server.listings import timestamp
from hub_server.store import Call


def create(call: Call) -> Response:
    account, body = call.signed_in(), call.json()
    if not account.may_write(body["namespace"]):
        raise HubError(403, f"You don't have the rights to create a collection under {body['namespace']!r}")
    for slug, found in call.store.collections.items():
        if (found["owner"], found["title"]) == (body["namespace"], body["title"]):
            return JSONResponse({"error": "This collection already exists", "slug": slug}, 409)
    words = "-".join("".join(letter if letter.isalnum() else " " for letter in body["title"].lower()).split())
    slug = f"{body['namespace']}/{words}-{uuid.uuid4().hex[:24]}"
    collection = {
        "slug": slug,
        "title": body["title"],
        "owner": body["namespace"],
        "items": [],
        "lastUpdated": timestamp(time.time()),
        "position": len(call.store.collections),
        "private": body.get("private", False),
        "theme": "orange",
        "upvotes": 0,
        "description": body.get("description"),
    }
    call.store.collections[slug] = collection
    return JSONResponse(collection)


def show(call: Call) -> Response:
    return JSONResponse(_find(call, writing=False))


def delete(call: Call) -> Response:
    del call.store.collections[_find(call, writing=True)["slug"]]
    return JSONResponse({})


def add_item(call: Call) -> Response:
    collection, body = _find(call, writing=True), call.json()
    item = body["item"]
    if any((found["id"], found["type"]) == (item["id"], item["type"]) for found in collection["items"]):
        return JSONResponse({"error": "This item is already in the collection"}, 409)
    if (item["type"], item["id"]) not in call.store.repositories:
        raise HubError(404, f"There is no {item['type']} {item['id']}", "RepoNotFound")
    added = {"_id": uuid.uuid4().hex[:24], "id": item["id"], "type": item["type"]}
    added |= {"position": len(collection["items"]), "note": {"text": body["note"]} if "note" in body else None}
    collection["items"].append(added)
    collection["lastUpdated"] = timestamp(time.time())
    return JSONResponse(collection)


def delete_item(call: Call) -> Response:
    collection = _find(call, writing=True)
    kept = [item for item in collection["items"] if item["_id"] != call["item"]]
    if len(kept) == len(collection["items"]):
        raise HubError(404, "There is no such item")
    collection["items"] = kept
    return JSONResponse({})


def _find(call: Call, *, writing: bool) -> dict[str, Any]:
    account, collection = call.account, call.store.collections.get(call["repo"])
    member = account is not None and collection is not None and account.belongs_to(collection["owner"])
    if collection is None or (collection["private"] and not member):
        raise HubError(404 if account else 401, "Collection not found")
    if writing and not call.signed_in().may_write(collection["owner"]):
        raise HubError(403, f"You don't have the rights to change {collection['slug']}")
    return collection


ROUTES = [
    ("POST", "/api/collections", create),
    ("GET", "/api/collections/{repo}", show),
    ("DELETE", "/api/collections/{repo}", delete),
    ("POST", "/api/collections/{repo}/items", add_item),
    ("DELETE", "/api/collections/{repo}/items/{item}", delete_item),
]
