"""Checkpoints in safetensors, read and written a tensor at a time."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hf_turkembed.json_files import read_json

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_INDEX = "model.safetensors.index.json"
# Bytes of one value, by the format's name for its type; the types that encoders are stored in.
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor on disk."""

    file: Path
    name: str
    # The format's name for the type, such as `F32` or `BF16`.
    dtype: str
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Count the values."""
        return math.prod(self.shape)


def list_tensors(folder: Path) -> dict[str, StoredTensor]:
    """List the tensors of a checkpoint of one file, or of several with an index.

    Args:
        folder: A model folder.

    Returns:
        The tensors by name.

    Raises:
        FileNotFoundError: If there is no checkpoint in safetensors, or one of its files is missing.
        ValueError: If a file is damaged, or a tensor is of a type that encoders are not stored in, such as float8.
    """
    return {name: stored for file in _checkpoint_files(folder) for name, stored in list_file(file).items()}


def list_file(file: Path) -> dict[str, StoredTensor]:
    """List the tensors of one file by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: See `list_tensors`.
    """
    tensors: dict[str, StoredTensor] = {}
    with _opened(file) as stream:
        for name in stream.keys():
            stored = stream.get_slice(name)
            dtype = stored.get_dtype()
            if dtype not in _BYTES:
                raise ValueError(f"{file}: `{name}` is stored as {dtype}; convert it to float32 or bfloat16.")
            tensors[name] = StoredTensor(file=file, name=name, dtype=dtype, shape=tuple(stored.get_shape()))
    return tensors


def read_tensor(stored: StoredTensor) -> Tensor:
    """Read a tensor.

    Raises:
        ValueError: If the file is damaged, or the tensor holds NaN or an infinity.
    """
    with _opened(stored.file) as stream:
        tensor: Tensor = stream.get_tensor(stored.name)
    _check_finite(tensor, stored, 0)
    return tensor


def read_blocks(stored: StoredTensor, rows: int) -> Iterator[tuple[int, Tensor]]:
    """Read a matrix in blocks of rows.

    Args:
        stored: A tensor of two dimensions.
        rows: Rows of a block; the last may have fewer.

    Yields:
        The number of the first row, and the block.

    Raises:
        ValueError: If the file is damaged, or the tensor holds NaN or an infinity.
    """
    for start in range(0, stored.shape[0], rows):
        # Opened anew for each block, as what was read of an open file stays mapped into memory.
        with _opened(stored.file) as stream:
            block: Tensor = stream.get_slice(stored.name)[start : start + rows]
        _check_finite(block, stored, start)
        yield start, block


def write_checkpoint(path: Path, tensors: Mapping[str, StoredTensor], replaced: Mapping[str, Tensor]) -> None:
    """Write a checkpoint with some tensors replaced and all others copied bit for bit, one at a time.

    Args:
        path: File to write.
        tensors: The tensors by the name that each will have.
        replaced: New values by that name, each of the type that the old one has.

    Raises:
        ValueError: If a file is damaged, or a tensor holds NaN or an infinity.

    References:
        https://github.com/huggingface/safetensors#format
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    # Wide types first, as the format's own writer does, so that every tensor is aligned.
    order = sorted(tensors.items(), key=lambda item: (-_BYTES[item[1].dtype], item[0]))
    end = 0
    for name, stored in order:
        shape = list(replaced[name].shape if name in replaced else stored.shape)
        start, end = end, end + math.prod(shape) * _BYTES[stored.dtype]
        header[name] = {"dtype": stored.dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for name, stored in order:
                tensor = replaced[name] if name in replaced else read_tensor(stored)
                stream.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _checkpoint_files(folder: Path) -> list[Path]:
    """Find the files of a checkpoint."""
    if (folder / _INDEX).is_file():
        index = read_json(folder / _INDEX)
        if not isinstance(index, dict) or not index.get("weight_map"):
            raise ValueError(f"{folder / _INDEX} has no `weight_map`, which names each tensor's file; fetch it again.")
        files = [folder / name for name in sorted(set(index["weight_map"].values()))]
        if missing := [file.name for file in files if not file.is_file()]:
            raise FileNotFoundError(f"{folder} lacks {missing}, which {_INDEX} names; download them.")
        return files
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
    reason = f" It has {pickles}, and reading pickles can run code; convert them." if pickles else ""
    raise FileNotFoundError(f"{folder} holds no model.safetensors; expected weights in safetensors form.{reason}")


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open a file, mapped from disk."""
    try:
        with safe_open(file, framework="pt") as stream:
            yield stream
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged ({error}); download it again.") from error


def _check_finite(tensor: Tensor, stored: StoredTensor, first_row: int) -> None:
    """Raise if a tensor holds NaN or an infinity; name its first such row."""
    # One pass without a copy; both ends are NaN where any value is.
    if not tensor.dtype.is_floating_point or not tensor.numel() or torch.stack(tensor.aminmax()).isfinite().all():
        return
    rows = torch.isfinite(tensor).logical_not().reshape(len(tensor), -1).any(dim=1).nonzero()
    raise ValueError(
        f"{stored.file}: `{stored.name}` holds NaN or an infinity in row {first_row + int(rows[0])}; expected finite "
        "weights."
    )
