"""Files in xet: what a shard says of them, and their bytes put together from xorbs.

A file is a list of terms, a term a run of chunks in a xorb, a xorb a row of chunks behind one another.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow

from hub_server.errors import HubError

_RECORD = 48
_END = b"\xff" * 32
_HAS_VERIFICATION, _HAS_METADATA = 1 << 31, 1 << 30
_FOOTER = b"XETBLOB"
_PLAIN, _LZ4, _GROUPED_LZ4 = 0, 1, 2


@dataclass(frozen=True)
class Term:
    """Chunks `start` to `end` of a xorb, the last left out."""

    xorb: str
    # Bytes of the file.
    size: int
    start: int
    end: int


@dataclass(frozen=True)
class XetFile:
    """One file."""

    hash: str
    terms: tuple[Term, ...]
    sha256: str | None

    @property
    def size(self) -> int:
        return sum(term.size for term in self.terms)


class XetFiles:
    """The store behind xet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.by_hash: dict[str, XetFile] = {}
        self.by_sha256: dict[str, XetFile] = {}

    def xorb(self, name: str) -> Path:
        return self.folder / name

    def add_shard(self, shard: bytes) -> None:
        """Take in the files that a shard describes, whose xorbs must be there."""
        for file in read_shard(shard):
            missing = [term.xorb for term in file.terms if not self.xorb(term.xorb).exists()]
            if missing:
                raise HubError(400, f"shard names the xorb {missing[0]}, which was not uploaded")
            self.by_hash[file.hash] = file
            if file.sha256:
                self.by_sha256[file.sha256] = file

    def hash_of(self, sha256: str | None) -> str | None:
        """Return the xet hash of a large file, None where it came by LFS."""
        file = self.by_sha256.get(sha256 or "")
        return file.hash if file else None

    def assemble(self, file: XetFile, target: Path) -> None:
        """Write the bytes of a file."""
        with target.open("wb") as output:
            for term in file.terms:
                data = self.xorb(term.xorb).read_bytes()
                offsets = chunk_offsets(data)
                for position in offsets[term.start : term.end]:
                    output.write(_unpack(data, position))


def read_shard(shard: bytes) -> Iterator[XetFile]:
    """Read the first part of a shard, the files."""
    position = _RECORD
    while (name := shard[position : position + 32]) != _END:
        flags, count = struct.unpack_from("<II", shard, position + 32)
        terms = []
        for record in range(position + _RECORD, position + _RECORD * (count + 1), _RECORD):
            size, start, end = struct.unpack_from("<III", shard, record + 36)
            terms.append(Term(_hex(shard[record : record + 32]), size, start, end))
        position += _RECORD * (1 + count * (2 if flags & _HAS_VERIFICATION else 1))
        sha256 = None
        if flags & _HAS_METADATA:
            sha256 = _hex(shard[position : position + 32])
            position += _RECORD
        yield XetFile(_hex(name), tuple(terms), sha256)


def chunk_offsets(xorb: bytes) -> list[int]:
    """List where the chunks of a xorb begin, and where the last one ends."""
    offsets = [0]
    while offsets[-1] < len(xorb) and not xorb.startswith(_FOOTER, offsets[-1]):
        packed = int.from_bytes(xorb[offsets[-1] + 1 : offsets[-1] + 4], "little")
        offsets.append(offsets[-1] + 8 + packed)
    return offsets


def _unpack(xorb: bytes, position: int) -> bytes:
    """Return the bytes of the chunk that begins at a position."""
    header = xorb[position : position + 8]
    packed, scheme, size = int.from_bytes(header[1:4], "little"), header[4], int.from_bytes(header[5:8], "little")
    data = xorb[position + 8 : position + 8 + packed]
    if scheme == _PLAIN:
        return data
    if scheme not in (_LZ4, _GROUPED_LZ4):
        raise HubError(400, f"xorb is compressed by the scheme {scheme}, which this server does not know")
    unpacked: bytes = pyarrow.Codec("lz4").decompress(data, size, asbytes=True)
    if scheme == _LZ4:
        return unpacked
    # Every fourth byte lies behind one another.
    grouped, result, begin = np.frombuffer(unpacked, np.uint8), np.empty(size, np.uint8), 0
    for offset in range(4):
        length = len(result[offset::4])
        result[offset::4] = grouped[begin : begin + length]
        begin += length
    return result.tobytes()


def _hex(digest: bytes) -> str:
    """Write a digest as the protocol does: four little-endian numbers of 64 bits."""
    return "".join(digest[begin : begin + 8][::-1].hex() for begin in range(0, 32, 8))
