"""Files at a revision: small ones from git, large ones from storage elsewhere."""

import re
from urllib.parse import quote

from starlette.responses import FileResponse, Response

from hub_server.errors import HubError
from hub_server.store import Call

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def resolve(call: Call) -> Response:
    repo = call.repository()
    commit = repo.resolve(call["revision"])
    repo.check_gate(call.account)
    oid = repo.blobs(commit).get(call["path"])
    headers = {"X-Repo-Commit": commit}
    if oid is None:
        raise HubError(404, f"Entry not found: {call['path']}", "EntryNotFound", headers)
    entry = repo.entry(call["path"], oid)
    headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(entry.path.rpartition('/')[2])}"
    headers["Accept-Ranges"] = "bytes"
    if entry.sha256 is None:
        return _slice(repo.read_blob(oid), call.request.headers.get("range"), {**headers, "ETag": f'"{oid}"'})
    headers |= {"X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.sha256}"'}
    headers["Location"] = f"{call.store.storage_url}/files/{entry.sha256}"
    if xet_hash := call.store.xet.hash_of(entry.sha256):
        address = f"{call.store.base_url}/api/{repo.repo_type}s/{repo.repo_id}/xet-read-token/{commit}"
        headers |= {"X-Xet-Hash": xet_hash, "Link": f'<{address}>; rel="xet-auth"'}
    return Response(status_code=302, headers=headers)


def download(call: Call) -> Response:
    if call.request.headers.get("authorization"):
        raise HubError(400, "Only one auth mechanism allowed")
    return FileResponse(call.store.objects.path(call["oid"]), headers={"ETag": f'"{call["oid"]}"'})


def _slice(data: bytes, asked: str | None, headers: dict[str, str]) -> Response:
    """Answer the whole file or one range of it."""
    bounds = _RANGE.fullmatch(asked or "")
    if bounds is None:
        return Response(data, headers=headers, media_type="text/plain")
    first, last = int(bounds[1]), min(int(bounds[2] or len(data)), len(data) - 1)
    if first >= len(data):
        raise HubError(416, "Range not satisfiable", headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers=headers, media_type="text/plain")


ROUTES = [
    (method, path, handler)
    for method in ("GET", "HEAD")
    for path, handler in (
        ("/{repo}/resolve/{revision}/{path}", resolve),
        ("/datasets/{repo}/resolve/{revision}/{path}", resolve),
        ("/files/{oid}", download),
    )
]
