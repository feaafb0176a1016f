"""One repo of the Hub: a bare git repository, and beside it what git does not hold."""

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo

from hub_server.accounts import Account
from hub_server.errors import HubError

_LFS_SUFFIXES = ("arrow", "bin", "gz", "h5", "npy", "npz", "onnx", "parquet", "pt", "safetensors", "tar", "zip", "zst")
_ATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in _LFS_SUFFIXES)
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"
_POINTER_PATTERN = re.compile(_POINTER.format(oid="([0-9a-f]{64})", size=r"(\d+)").encode())


@dataclass(frozen=True)
class Entry:
    """A file at some commit."""

    path: str
    # Of the git blob, which for LFS is the pointer.
    oid: str
    # Bytes of the file itself.
    size: int
    # Of the file itself, where it is in LFS.
    sha256: str | None
    pointer_size: int


@dataclass
class PullRequest:
    """A pull request; its commits are at `refs/pr/N`."""

    number: int
    title: str
    author: str
    created: float
    status: str = "draft"


class Repository:
    """A model or a dataset."""

    def __init__(self, folder: Path, repo_type: str, repo_id: str, *, private: bool) -> None:
        folder.mkdir(parents=True)
        self.git = Repo.init_bare(str(folder), default_branch=b"main")
        self.folder, self.repo_type, self.repo_id, self.private = folder, repo_type, repo_id, private
        self.namespace = repo_id.split("/")[0]
        self.gated: str | bool = False
        # Names of the accounts that may read the files though the repo is gated.
        self.granted: set[str] = set()
        self.pull_requests: list[PullRequest] = []
        self.created = time.time()
        self.lock = threading.RLock()
        attributes = self.add_blob(_ATTRIBUTES.encode())
        self.add_commit("refs/heads/main", {".gitattributes": attributes}, "initial commit", "system", None)

    @property
    def url_path(self) -> str:
        return self.repo_id if self.repo_type == "model" else f"{self.repo_type}s/{self.repo_id}"

    def visible_to(self, account: Account | None) -> bool:
        return not self.private or (account is not None and account.belongs_to(self.namespace))

    def check_gate(self, account: Account | None) -> None:
        """Refuse the files of a gated repo to whoever was not let in."""
        member = account is not None and (account.belongs_to(self.namespace) or account.name in self.granted)
        if self.gated and not member:
            message = f"Access to {self.repo_type} {self.repo_id} is restricted. Ask its authors for access."
            raise HubError(403 if account else 401, message, "GatedRepo")

    def refs(self) -> dict[str, str]:
        """Map the names of branches, tags and pull requests to commits."""
        refs = {name.decode(): oid for name, oid in self.git.get_refs().items() if name != b"HEAD"}
        return {name: self._commit_at(oid) for name, oid in sorted(refs.items())}

    def resolve(self, revision: str) -> str:
        """Return the commit of a branch, a tag, a ref or a commit."""
        refs = self.refs()
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in refs:
                return refs[name]
        if re.fullmatch("[0-9a-f]{40}", revision) and revision.encode() in self.git.object_store:
            return self._commit_at(revision.encode())
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def commit(self, oid: str) -> Commit:
        commit = self.git[oid.encode()]
        assert isinstance(commit, Commit)
        return commit

    def blobs(self, commit: str) -> dict[str, str]:
        """Map the paths at a commit to git blobs."""
        tree = self.commit(commit).tree
        return {item.path.decode(): item.sha.decode() for item in iter_tree_contents(self.git.object_store, tree)}

    def read_blob(self, oid: str) -> bytes:
        return self.git[oid.encode()].as_raw_string()

    def entry(self, path: str, oid: str) -> Entry:
        data = self.read_blob(oid)
        pointer = _POINTER_PATTERN.fullmatch(data) if len(data) < 200 else None
        if pointer is None:
            return Entry(path, oid, len(data), None, 0)
        return Entry(path, oid, int(pointer[2]), pointer[1].decode(), len(data))

    def entries(self, commit: str) -> list[Entry]:
        return [self.entry(path, oid) for path, oid in self.blobs(commit).items()]

    def folder_oid(self, commit: str, path: str) -> str:
        tree = self.git[self.commit(commit).tree]
        assert isinstance(tree, Tree)
        return tree.lookup_path(self.git.object_store.__getitem__, path.encode())[1].decode()

    def add_blob(self, data: bytes) -> str:
        blob = Blob.from_string(data)
        self.git.object_store.add_object(blob)
        return blob.id.decode()

    def add_pointer(self, sha256: str, size: int) -> str:
        return self.add_blob(_POINTER.format(oid=sha256, size=size).encode())

    def add_commit(self, ref: str, blobs: dict[str, str], message: str, author: str, parent: str | None) -> str:
        """Write a commit of the given files and point a ref at it."""
        commit = Commit()
        commit.tree = self._add_tree(blobs)
        commit.parents = [parent.encode()] if parent else []
        commit.author = commit.committer = f"{author} <{author}@localhost>".encode()
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = message.encode()
        self.git.object_store.add_object(commit)
        self.git.refs[ref.encode()] = commit.id
        return commit.id.decode()

    def set_ref(self, ref: str, commit: str, message: str | None = None) -> None:
        """Point a ref at a commit, by a tag of its own where there is a message."""
        target = commit.encode()
        if message:
            tag = Tag()
            tag.name, tag.message = ref.removeprefix("refs/tags/").encode(), message.encode()
            tag.object, tag.tagger = (Commit, target), b"writer <writer@localhost>"
            tag.tag_time, tag.tag_timezone = int(time.time()), 0
            self.git.object_store.add_object(tag)
            target = tag.id
        self.git.refs[ref.encode()] = target

    def remove_ref(self, ref: str) -> None:
        del self.git.refs[ref.encode()]

    def _commit_at(self, oid: bytes) -> str:
        """Follow tags to the commit."""
        found = self.git[oid]
        while isinstance(found, Tag):
            found = self.git[found.object[1]]
        return found.id.decode()

    def _add_tree(self, blobs: dict[str, str]) -> bytes:
        """Write the trees over the given files, and return the root."""
        tree = Tree()
        folders: dict[str, dict[str, str]] = {}
        for path, oid in blobs.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = oid
            else:
                tree.add(name.encode(), 0o100644, oid.encode())
        for name, inner in folders.items():
            if name in blobs:
                raise HubError(400, f"`{name}` would be both a file and a folder")
            tree.add(name.encode(), 0o040000, self._add_tree(inner))
        self.git.object_store.add_object(tree)
        return tree.id
