"""Faults on demand: what goes wrong, on which route, after how many requests and how often."""

import asyncio
import re
import socket
import struct
from asyncio import Transport
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

# Refuse with `status` and `headers`; break off when `size` bytes of the request have come; do the work and break off
# without an answer; break off when `size` bytes of the answer have gone; spread the answer over `seconds`; change its
# byte at `size`.
KINDS = ("refuse", "cut_request", "lose_answer", "cut_answer", "slow", "corrupt")
_PIECES = 20


@dataclass
class Fault:
    """Something that goes wrong."""

    kind: str
    # A regular expression, searched for in the path as it is sent.
    route: str
    # None for any.
    method: str | None = None
    # How often, and how many matching requests pass unharmed before.
    count: int = 1
    skip: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    size: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` is {self.kind!r}, expected one of {KINDS}.")

    def takes(self, method: str, path: str) -> bool:
        """Say whether a request is to suffer, and count it."""
        if self.count == 0 or self.method not in (None, method) or not re.search(self.route, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= 1
        return True


def reset(transport: Transport) -> None:
    """Break a connection off at once, by RST."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def read_part(request: Request, size: int) -> None:
    """Read the first bytes of a request."""
    received = 0
    async for block in request.stream():
        received += len(block)
        if received >= size:
            return


def spoil(send: Send, fault: Fault, transport: Transport) -> Send:
    """Return how to send an answer that suffers from a fault."""
    sent = 0

    async def send_spoiled(message: Message) -> None:
        nonlocal sent
        body = message.get("body", b"")
        if not body:
            return await send(message)
        if fault.kind == "corrupt" and sent <= fault.size < sent + len(body):
            place = fault.size - sent
            body = body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]
        if fault.kind == "cut_answer" and sent + len(body) > fault.size:
            await send({**message, "body": body[: fault.size - sent], "more_body": True})
            # What was sent should arrive before the end does.
            await asyncio.sleep(0.1)
            return reset(transport)
        sent += len(body)
        if fault.kind == "slow":
            return await _send_slowly(send, {**message, "body": body}, fault.seconds)
        await send({**message, "body": body})

    return send_spoiled


async def _send_slowly(send: Send, message: Message, seconds: float) -> None:
    body, step = message["body"], -(-len(message["body"]) // _PIECES)
    for begin in range(0, len(body), step):
        await asyncio.sleep(seconds / _PIECES)
        last = begin + step >= len(body)
        more = message.get("more_body", False) if last else True
        await send({**message, "body": body[begin : begin + step], "more_body": more})
