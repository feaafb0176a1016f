"""Large files by git LFS, at once or in parts."""

import hashlib
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, Response

from hub_server.errors import HubError
from hub_server.store import Call

# Bytes; a larger file comes in parts of this size.
_PART = 5_000_000


def batch(call: Call) -> Response:
    call.repository("contribute")
    body = call.json()
    if body["operation"] != "upload" or body.get("hash_algo", "sha256") != "sha256":
        raise HubError(400, f"This server knows uploads by SHA-256 only, not {body['operation']!r}")
    multipart = "multipart" in body["transfers"]
    answers = [_describe(call, item["oid"], item["size"], multipart) for item in body["objects"]]
    return JSONResponse({"transfer": "multipart" if multipart else "basic", "objects": answers})


async def upload(call: Call) -> Response:
    temporary = await _receive(call)
    call.store.objects.adopt(temporary, call["oid"])
    return Response()


async def upload_part(call: Call) -> Response:
    temporary = await _receive(call)
    temporary.rename(_part(call, int(call["number"])))
    return Response(headers={"ETag": _etag(_part(call, int(call["number"])))})


def complete(call: Call) -> Response:
    _refuse_token(call)
    temporary = call.store.objects.temporary()
    parts = call.json()["parts"]
    if [part["partNumber"] for part in parts] != list(range(1, len(parts) + 1)):
        raise HubError(400, "The parts are not numbered from 1 without a gap")
    with temporary.open("wb") as output:
        for part in parts:
            path = _part(call, part["partNumber"])
            if not path.exists() or _etag(path) != part["etag"]:
                raise HubError(400, f"Part {part['partNumber']} was not received as {part['etag']}")
            output.write(path.read_bytes())
    call.store.objects.adopt(temporary, call["oid"])
    return Response()


def verify(call: Call) -> Response:
    call.signed_in()
    path = call.store.objects.path(call["oid"])
    if not path.exists() or path.stat().st_size != call.json()["size"]:
        raise HubError(404, "There is no such LFS object")
    return JSONResponse({})


def _describe(call: Call, oid: str, size: int, multipart: bool) -> dict[str, Any]:
    """Say where an object goes; nowhere, if it is there."""
    answer: dict[str, Any] = {"oid": oid, "size": size}
    if call.store.has_object(oid):
        return answer
    address = f"{call.store.storage_url}/lfs/{oid}"
    upload: dict[str, Any] = {"href": address}
    if multipart and size > _PART:
        parts = {str(number): f"{address}/parts/{number}" for number in range(1, -(-size // _PART) + 1)}
        upload = {"href": f"{address}/complete", "header": {"chunk_size": str(_PART), **parts}}
    answer["actions"] = {"upload": upload, "verify": {"href": f"{call.store.base_url}/lfs/{oid}/verify"}}
    return answer


async def _receive(call: Call) -> Path:
    """Write the body to a file."""
    _refuse_token(call)
    temporary = call.store.objects.temporary()
    with temporary.open("wb") as output:
        async for block in call.request.stream():
            output.write(block)
    return temporary


def _refuse_token(call: Call) -> None:
    """Refuse a token, as storage with signed addresses does."""
    if call.request.headers.get("authorization"):
        raise HubError(400, "Only one auth mechanism allowed")


def _part(call: Call, number: int) -> Path:
    return call.store.objects.folder / "incoming" / f"{call['oid']}.{number}"


def _etag(path: Path) -> str:
    return f'"{hashlib.md5(path.read_bytes()).hexdigest()}"'


ROUTES = [
    ("POST", "/{repo}.git/info/lfs/objects/batch", batch),
    ("POST", "/datasets/{repo}.git/info/lfs/objects/batch", batch),
    ("PUT", "/lfs/{oid}", upload),
    ("PUT", "/lfs/{oid}/parts/{number}", upload_part),
    ("POST", "/lfs/{oid}/complete", complete),
    ("POST", "/lfs/{oid}/verify", verify),
]
