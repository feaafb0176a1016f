"""The server as an ASGI application: every request is matched, answered or spoiled, and written down."""

import inspect
import re
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from hub_server import administration, commits, downloads, item_collections, lfs, listings, references, validation, xet
from hub_server.errors import HubError
from hub_server.faults import Fault, Message, Send, read_part, reset, spoil
from hub_server.rate_limits import RateLimit
from hub_server.store import Call, Store

Receive = Callable[[], Any]
Handler = Callable[[Call], Any]

_PARTS = (administration, commits, downloads, item_collections, lfs, listings, references, validation, xet)
_PLACEHOLDERS = {"type": "models|datasets", "repo": "[^/]+/[^/]+", "path": ".+"}
# More than any test needs.
_QUOTA, _WINDOW = 100_000, 300


def compile_route(template: str) -> re.Pattern[str]:
    """Turn a template into an expression over the path as it is sent, where a name's own slashes are quoted."""
    pieces = re.split(r"\{(\w+)\}", template)
    expressions = [
        f"(?P<{piece}>{_PLACEHOLDERS.get(piece, '[^/]+')})" if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    ]
    return re.compile("".join(expressions))


class Body:
    """What arrives of a request, counted."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        # Bytes.
        self.received = 0
        self._ended = False

    async def __call__(self) -> Message:
        message: Message = await self._receive()
        self.received += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Wait for the rest: a client that is still sending would miss an answer that comes early."""
        while not self._ended:
            await self()


class Application:
    """Answers requests out of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.routes = [(method, compile_route(path), run) for part in _PARTS for method, path, run in part.ROUTES]
        # Requests that no route answers, and errors of the server itself: a test that meets one has failed.
        self.problems: list[str] = []
        self.clear()

    def clear(self) -> None:
        """Forget what was asked and what was to go wrong."""
        self.faults: list[Fault] = []
        self.log: list[dict[str, Any]] = []
        self.rate_limit = RateLimit(_QUOTA, _WINDOW)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode()
        if path.startswith("/_control/"):
            response = await self._control(path, Request(scope, receive))
            return await response(scope, receive, send)
        # Of uvicorn; ASGI itself has no way to break a connection off.
        transport = receive.__self__.transport  # type: ignore[attr-defined]
        body = Body(receive)
        request = Request(scope, body)
        fault = next((fault for fault in self.faults if fault.takes(scope["method"], path)), None)
        entry = {
            "method": scope["method"],
            "path": path,
            "authorized": "authorization" in request.headers,
            "fault": fault.kind if fault else None,
            "status": None,
            "received": 0,
        }
        self.log.append(entry)
        try:
            if fault and fault.kind == "cut_request":
                await read_part(request, fault.size)
                return reset(transport)
            response = await self._answer(request, path, fault)
            await body.drain()
        except ClientDisconnect:
            return
        finally:
            entry["received"] = body.received
        entry["status"] = response.status_code
        if fault and fault.kind == "lose_answer":
            return reset(transport)
        await response(scope, receive, spoil(send, fault, transport) if fault else send)

    async def _answer(self, request: Request, path: str, fault: Fault | None) -> Response:
        """Answer as the fault, the limit or the route says."""
        try:
            if fault and fault.kind == "refuse":
                return JSONResponse({"error": "refused on demand"}, fault.status, headers=fault.headers)
            limits = self.rate_limit.take() if path.startswith("/api/") else {}
            response = await self._route(request, path)
            response.headers.update(limits)
            return response
        except HubError as error:
            return error.response()
        except ClientDisconnect:
            raise
        except Exception:
            self.problems.append(f"{request.method} {path}\n{traceback.format_exc()}")
            return HubError(500, "the test server failed").response()

    async def _route(self, request: Request, path: str) -> Response:
        """Answer by the first route that fits."""
        for method, pattern, handler in self.routes:
            match = pattern.fullmatch(path)
            if match and method == request.method:
                call = Call(self.store, request, {name: unquote(value) for name, value in match.groupdict().items()})
                if inspect.iscoroutinefunction(handler):
                    return await handler(call)
                call.body = await request.body()
                return await run_in_threadpool(handler, call)
        self.problems.append(f"no route answers {request.method} {path}")
        raise HubError(404, f"This server knows no {request.method} {path}")

    async def _control(self, path: str, request: Request) -> Response:
        """Let a test set faults, and read what was asked."""
        if path == "/_control/clear":
            self.clear()
        elif path == "/_control/problems":
            problems, self.problems = self.problems, []
            return JSONResponse(problems)
        elif path == "/_control/fault":
            self.faults.append(Fault(**await request.json()))
        elif path == "/_control/rate_limit":
            self.rate_limit = RateLimit(**await request.json())
        return JSONResponse(self.log)
