"""What each width and each form of storage of an embedding keeps of its quality, and what search in it costs."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hf_turkembed.findings import Quantization, SearchCost
from hf_turkembed.scoring import metrics
from hf_turkembed.scoring.resampling import Sample
from hf_turkembed.scoring.suites import KINDS, Suite

# Queries that are timed one by one, as a server is asked, after some that are not.
_TIMED_QUERIES = 50
_WARM_UP_QUERIES = 5
_SHOWN = 10


def measure_stored(
    suite: Suite, embeddings: Sequence[NDArray[np.float32]], dims: Sequence[int], quantizations: Sequence[Quantization]
) -> Iterator[tuple[int, Quantization, Sample]]:
    """Yield the rows behind a suite's main metric at every width and with every form of storage.

    Args:
        suite: The held-out data.
        embeddings: Of each of its text columns `(rows, embedding_dim)`.
        dims: Widths, at most that of the embeddings.
        quantizations: Forms of storage.

    Raises:
        ValueError: If an embedding is not finite.
    """
    kind = KINDS[suite.kind]
    for dim in dims:
        columns = [metrics.normalise(metrics.first_dims(column, dim)) for column in embeddings]
        for quantization in quantizations:
            stored = restore(columns, quantization)
            yield dim, quantization, kind.samples(stored, suite.table)[kind.metrics[0]]


def restore(columns: Sequence[NDArray[np.float32]], quantization: Quantization) -> list[NDArray[np.float32]]:
    """Store embeddings and read them again, both sides of a comparison alike.

    Args:
        columns: `(rows, dim)` each, of unit L2 norm; the step of int8 is that of all columns together.
        quantization: `int8` keeps each number to one of 255 steps, `binary` its sign.

    Returns:
        The same shapes: whole numbers for int8, and 1 and -1 for binary, whose cosine follows from the number of bits
        that differ.
    """
    from sentence_transformers.util.quantization import quantize_embeddings

    if quantization == "float32":
        return list(columns)
    if quantization == "int8":
        step = _int8_step(*columns)
        return [_to_int8(column, step).astype(np.float32) for column in columns]
    bits = [np.unpackbits(quantize_embeddings(column, "ubinary"), axis=1) for column in columns]
    # Packed bits fill whole bytes.
    return [2 * b[:, : c.shape[1]].astype(np.float32) - 1 for b, c in zip(bits, columns, strict=True)]


def _int8_step(*columns: NDArray[np.float32]) -> float:
    """Return the width of a step, of which 127 reach the largest number."""
    return max(float(np.abs(column).max()) for column in columns) / 127 or 1.0


def _to_int8(vectors: NDArray[np.float32], step: float) -> NDArray[np.int8]:
    """Round to whole steps, the same and without an offset in every dimension.

    Only so is the product of whole numbers that of the vectors. sentence-transformers steps each dimension over its
    own range, which keeps a little more, but has to be undone before vectors are compared.
    """
    codes: NDArray[np.int8] = np.rint(vectors / step).astype(np.int8)
    return codes


def time_search(
    dims: Sequence[int], quantizations: Sequence[Quantization], vectors: int, seed: int
) -> tuple[SearchCost, ...]:
    """Time exact search for the ten nearest of random vectors, whose values do not matter to it.

    Args:
        dims: Widths.
        quantizations: Forms of storage.
        vectors: Number of vectors that are searched.
        seed: Of the vectors.
    """
    import torch

    generator = np.random.default_rng(seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            return tuple(
                SearchCost(
                    truncate_dim=dim,
                    quantization=quantization,
                    search_ms=round(_time_queries(_SEARCHES[quantization], dim, vectors, generator), 4),
                    vectors=vectors,
                    load=round(os.getloadavg()[0], 2),
                )
                for dim in dims
                for quantization in quantizations
            )
    finally:
        torch.set_num_threads(threads)


def _time_queries(
    prepare: Callable[[NDArray[np.float32]], Callable[[int], object]],
    dim: int,
    vectors: int,
    generator: np.random.Generator,
) -> float:
    """Return the median milliseconds of queries asked one by one, each by a vector that is stored."""
    search = prepare(generator.standard_normal((vectors, dim), dtype=np.float32))
    taken = []
    for number, row in enumerate(generator.integers(0, vectors, size=_WARM_UP_QUERIES + _TIMED_QUERIES)):
        started = time.perf_counter()
        search(int(row))
        if number >= _WARM_UP_QUERIES:
            taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)


def _search_float32(vectors: NDArray[np.float32]) -> Callable[[int], object]:
    """Search by inner product."""
    import torch

    stored = torch.from_numpy(vectors)
    return lambda row: torch.topk(stored @ stored[row], _SHOWN)


def _search_int8(vectors: NDArray[np.float32]) -> Callable[[int], object]:
    """Search by inner product of whole numbers, over their norms, which rounding has changed."""
    import torch

    stored = torch.from_numpy(_to_int8(vectors, _int8_step(vectors)))
    norms = torch.linalg.vector_norm(stored.float(), dim=1)
    # The one product of torch that takes bytes and does not overflow them.
    return lambda row: torch.topk(torch._int_mm(stored, stored[row, :, None]).ravel() / norms, _SHOWN)


def _search_binary(vectors: NDArray[np.float32]) -> Callable[[int], object]:
    """Search by the number of bits that differ, counted in the longest words that rows consist of."""
    from sentence_transformers.util.quantization import quantize_embeddings

    packed = np.asarray(quantize_embeddings(vectors, "ubinary"))
    word = next(size for size in (8, 4, 2, 1) if packed.shape[1] % size == 0)
    stored = np.ascontiguousarray(packed).view(f"u{word}")

    def search(row: int) -> object:
        differ = np.bitwise_count(stored ^ stored[row]).sum(axis=1, dtype=np.uint16)
        nearest = np.argpartition(differ, _SHOWN)[:_SHOWN]
        return nearest[np.argsort(differ[nearest])]

    return search


_SEARCHES: Mapping[Quantization, Callable[[NDArray[np.float32]], Callable[[int], object]]] = {
    "float32": _search_float32,
    "int8": _search_int8,
    "binary": _search_binary,
}
