"""All that the server holds, and one request on its way through it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request

from hub_server.accounts import Account, account_of
from hub_server.errors import HubError
from hub_server.objects import Objects
from hub_server.repositories import Repository
from hub_server.xet_files import XetFiles


class Store:
    """The state of one server."""

    def __init__(self, folder: Path, base_url: str, page_size: int) -> None:
        self.folder, self.base_url, self.page_size = folder, base_url, page_size
        # Another origin, as the Hub's own storage is: clients must not send it their token.
        self.storage_url = base_url.replace("127.0.0.1", "localhost")
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        self.objects = Objects(folder / "lfs")
        self.xet = XetFiles(folder / "xet")

    def has_object(self, sha256: str) -> bool:
        """Look for a large file, and put it together first where it came in pieces by xet."""
        if self.objects.path(sha256).exists():
            return True
        if sha256 not in self.xet.by_sha256:
            return False
        temporary = self.objects.temporary()
        self.xet.assemble(self.xet.by_sha256[sha256], temporary)
        self.objects.adopt(temporary, sha256)
        return True


@dataclass
class Call:
    """A request, matched to a route."""

    store: Store
    request: Request
    # What stands in the path, unquoted.
    arguments: dict[str, str]
    body: bytes = b""

    def __getitem__(self, name: str) -> str:
        return self.arguments[name]

    @property
    def account(self) -> Account | None:
        return account_of(self.request.headers.get("authorization"))

    @property
    def repo_type(self) -> str:
        datasets = self.arguments.get("type") == "datasets" or self.request.url.path.startswith("/datasets/")
        return "dataset" if datasets else "model"

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def form(self, name: str) -> list[str]:
        return parse_qs(self.body.decode()).get(name, [])

    def flag(self, name: str) -> bool:
        return self.request.query_params.get(name, "").lower() in ("1", "true")

    def signed_in(self) -> Account:
        """Return who is asking, and refuse nobody."""
        account = self.account
        if account is None:
            raise HubError(401, "Invalid username or password.")
        return account

    def repository(self, access: str = "read") -> Repository:
        """Find the repo of the path.

        Args:
            access: `read`; `contribute`, for what leads to a pull request, which needs a token that may write; or
                `write`, which needs to be of the repo's organisation as well.
        """
        account = self.account
        found = self.store.repositories.get((self.repo_type, self["repo"]))
        if found is None or not found.visible_to(account):
            raise HubError(404 if account else 401, "Repository not found", "RepoNotFound")
        if access == "read":
            return found
        account = self.signed_in()
        if account.role != "write" or (access == "write" and not account.may_write(found.namespace)):
            raise HubError(403, f"You don't have the required permissions to write to {found.repo_id}")
        return found
