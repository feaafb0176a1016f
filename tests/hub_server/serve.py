"""Starts the server: `python -m hub_server.serve FOLDER PAGE_SIZE` writes its address, then serves."""

import socket
import sys
from pathlib import Path

import uvicorn

from hub_server.application import Application
from hub_server.store import Store


def main(folder: str, page_size: str) -> None:
    # With the protocol named, asyncio sends small answers at once; else each waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    application = Application(Store(Path(folder), base_url, int(page_size)))
    sys.stdout.write(f"{base_url}\n")
    sys.stdout.flush()
    # Faults need the transport of this implementation of HTTP, which would complain of each connection they break off.
    config = uvicorn.Config(
        application,
        log_level="critical",
        http="h11",
        lifespan="off",
        ws="none",
        # Clients that were killed or struck leave requests that never end.
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
