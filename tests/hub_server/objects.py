"""Large files on disk, each named by its SHA-256."""

import hashlib
import uuid
from pathlib import Path

from hub_server.errors import HubError


class Objects:
    """The store behind LFS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "incoming").mkdir(parents=True)

    def path(self, sha256: str) -> Path:
        return self.folder / sha256

    def temporary(self) -> Path:
        return self.folder / "incoming" / uuid.uuid4().hex

    def adopt(self, temporary: Path, sha256: str) -> None:
        """Take in a file that was received, if it is what it was announced as."""
        digest = hashlib.sha256()
        with temporary.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        found = digest.hexdigest()
        if found != sha256:
            temporary.unlink()
            raise HubError(400, f"LFS object has the SHA-256 {found}, announced was {sha256}")
        temporary.rename(self.path(sha256))
