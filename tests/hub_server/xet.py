"""Large files by xet: tokens, uploads of xorbs and shards, and how a file is put together again."""

import re
import time
from typing import Any

from starlette.responses import FileResponse, JSONResponse, Response

from hub_server.errors import HubError
from hub_server.store import Call
from hub_server.xet_files import Term, chunk_offsets

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_SECONDS = 3600
_READ, _WRITE = "xet-read", "xet-write"


def give_read_token(call: Call) -> Response:
    repo = call.repository()
    repo.check_gate(call.account)
    repo.resolve(call["revision"])
    return _token(call, _READ)


def give_write_token(call: Call) -> Response:
    call.repository("contribute")
    return _token(call, _WRITE)


async def upload_xorb(call: Call) -> Response:
    _check_token(call, _WRITE)
    temporary = call.store.objects.temporary()
    with temporary.open("wb") as output:
        async for block in call.request.stream():
            output.write(block)
    is_new = not call.store.xet.xorb(call["hash"]).exists()
    temporary.rename(call.store.xet.xorb(call["hash"]))
    return JSONResponse({"was_inserted": is_new})


def upload_shard(call: Call) -> Response:
    _check_token(call, _WRITE)
    call.store.xet.add_shard(call.body)
    return JSONResponse({"result": 1})


def reconstruct(call: Call) -> Response:
    """Name the terms of a file, or of the range that is asked for, and where their bytes are."""
    _check_token(call, _READ, _WRITE)
    file = call.store.xet.by_hash.get(call["hash"])
    if file is None:
        raise HubError(404, "There is no such file")
    asked = _RANGE.fullmatch(call.request.headers.get("range", ""))
    first, last = (int(asked[1]), int(asked[2] or file.size - 1)) if asked else (0, file.size - 1)
    if first >= file.size:
        raise HubError(416, f"The file has {file.size} bytes")
    terms: list[dict[str, Any]] = []
    places: dict[str, list[dict[str, Any]]] = {}
    position, skipped = 0, 0
    for term in file.terms:
        if position + term.size > first and position <= last:
            skipped = skipped if terms else first - position
            chunks = {"start": term.start, "end": term.end}
            terms.append({"hash": term.xorb, "unpacked_length": term.size, "range": chunks})
            places.setdefault(term.xorb, []).append({"range": chunks, **_place(call, term)})
        position += term.size
    return JSONResponse({"offset_into_first_range": skipped, "terms": terms, "fetch_info": places})


def download_xorb(call: Call) -> Response:
    if call.request.headers.get("authorization"):
        raise HubError(400, "Only one auth mechanism allowed")
    return FileResponse(call.store.xet.xorb(call["hash"]))


def not_offered(call: Call) -> Response:
    """Decline what clients can do without: chunks of others, and the second version of the protocol."""
    return JSONResponse({"error": "not offered"}, 404)


def take_telemetry(call: Call) -> Response:
    return Response(status_code=204)


def _token(call: Call, scope: str) -> Response:
    """Answer in the body and in headers: one client reads the one, one the other."""
    address, expires = f"{call.store.base_url}/cas", int(time.time()) + _SECONDS
    headers = {"X-Xet-Cas-Url": address, "X-Xet-Access-Token": scope, "X-Xet-Token-Expiration": str(expires)}
    return JSONResponse({"casUrl": address, "exp": expires, "accessToken": scope}, headers=headers)


def _check_token(call: Call, *scopes: str) -> None:
    if call.request.headers.get("authorization", "").removeprefix("Bearer ") not in scopes:
        raise HubError(401, f"This needs a token for {' or '.join(scopes)}")


def _place(call: Call, term: Term) -> dict[str, Any]:
    """Say where the bytes of a term are within their xorb."""
    offsets = chunk_offsets(call.store.xet.xorb(term.xorb).read_bytes())
    address = f"{call.store.storage_url}/xorbs/{term.xorb}"
    return {"url": address, "url_range": {"start": offsets[term.start], "end": offsets[term.end] - 1}}


ROUTES = [
    ("GET", "/api/{type}/{repo}/xet-read-token/{revision}", give_read_token),
    ("GET", "/api/{type}/{repo}/xet-write-token/{revision}", give_write_token),
    ("POST", "/cas/v1/xorbs/default/{hash}", upload_xorb),
    ("POST", "/cas/v1/shards", upload_shard),
    ("GET", "/cas/v1/reconstructions/{hash}", reconstruct),
    ("GET", "/xorbs/{hash}", download_xorb),
    ("GET", "/cas/v1/chunks/default/{hash}", not_offered),
    ("POST", "/cas/v1/xorb-grants/default/{hash}", not_offered),
    ("POST", "/cas/v2/shards", not_offered),
    ("GET", "/cas/v2/reconstructions/{hash}", not_offered),
    ("POST", "/v1/telemetry", take_telemetry),
]
