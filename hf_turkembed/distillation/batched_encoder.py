"""An encoder in batches of so many tokens: texts in, vectors of unit norm out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_turkembed.distillation.batching import MOST_PADDING, split_by_tokens
from hf_turkembed.distillation.window import cut_text, tokenize
from hf_turkembed.modeling.window import check_length, find_window

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Of a model that reads texts of any length.
_NO_LIMIT = 10**9


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Texts with their vectors."""

    # Cut to the window, without the prompt.
    texts: list[str]
    # Tokens of each text, special ones and the prompt's included.
    tokens: list[int]
    # `embedding`, and `pre_dense` where it was asked for, `(texts, width)` of unit L2 norm.
    vectors: dict[str, NDArray[np.float32]]


class BatchedEncoder:
    """A model that embeds texts in batches of a number of tokens, longest first.

    Vectors are those that `SentenceTransformer.encode` gives, to within rounding. Where the model's attention can
    leave out padding (flash attention on a GPU), its own packing is used.
    """

    def __init__(
        self,
        model: "SentenceTransformer",
        *,
        max_length: int,
        batch_tokens: int,
        prompt: str | None = None,
        pre_dense: bool = False,
        extend_window: bool = False,
    ) -> None:
        """Prepare a model.

        Args:
            model: In any precision, on any device.
            max_length: Texts are cut to this many tokens.
            batch_tokens: Most tokens of a forward pass, padding included.
            prompt: Name of one of the model's prompts, or none.
            pre_dense: Whether to return what the dense heads are given as well.
            extend_window: Whether `max_length` may go beyond the model's own limit.

        Raises:
            ValueError: If the model has no prompt of that name, its pooling leaves prompts out, it has no dense heads
                though their input is asked for, its window is shorter than `max_length`, or its table of positions is.
        """
        if prompt is not None and prompt not in model.prompts:
            raise ValueError(f"the model has no prompt {prompt!r}; it has {', '.join(model.prompts) or 'none'}.")
        kinds = [type(module).__name__ for module in model]
        if pre_dense and "Dense" not in kinds:
            raise ValueError(f"`pre_dense` asks for what dense heads are given, but the model is {', '.join(kinds)}.")
        window = model_window(model)
        if window < max_length and not extend_window:
            raise ValueError(
                f"`max_length` is {max_length}, but the model reads {window} tokens; lower it, or set "
                "`extend_window: true` to go beyond what it was trained with."
            )
        check_length(model, max_length)
        self.model = model
        self._prompt: str = "" if prompt is None else model.prompts[prompt] or ""
        if self._prompt and not all(getattr(module, "include_prompt", True) for module in model):
            raise ValueError(f"the model's pooling leaves prompts out, so that {prompt!r} cannot be used here.")
        model.max_seq_length = max_length
        self._max_length, self._batch_tokens, self._pre_dense = max_length, batch_tokens, pre_dense
        tokenizer: Any = model.tokenizer
        self._pad = tokenizer.pad_token_id
        self._tokenizer = tokenizer.backend_tokenizer

    @property
    def vector_names(self) -> tuple[str, ...]:
        """Name what `embed` returns."""
        return ("embedding", "pre_dense") if self._pre_dense else ("embedding",)

    def cut(self, texts: Sequence[str]) -> list[str]:
        """Cut texts to the window, without embedding them."""
        return self._tokenize(texts)[0]

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed texts of any length.

        Args:
            texts: The texts, without prompts.
        """
        self.model.eval()
        cut, ids = self._tokenize(texts)
        tokens = [len(row) for row in ids]
        order: list[NDArray[np.int64]] = []
        outputs: list[dict[str, Tensor]] = []
        with torch.inference_mode():
            for group in split_by_tokens(tokens, self._batch_tokens, most_padding=MOST_PADDING):
                order.append(group)
                outputs.append(run_modules(self.model, self._features(cut, ids, group), self.vector_names))
        places = torch.from_numpy(np.concatenate(order))
        vectors = {}
        for name in self.vector_names:
            # In float32 whatever the forward pass ran in: norms that bfloat16 computes are off by up to 0.4 %.
            rows = torch.cat([output[name] for output in outputs]).float().cpu()
            vectors[name] = torch.empty_like(rows).index_copy_(0, places, torch.nn.functional.normalize(rows)).numpy()
        return Embedded(texts=cut, tokens=tokens, vectors=vectors)

    def _tokenize(self, texts: Sequence[str]) -> tuple[list[str], list[NDArray[np.int32]]]:
        """Cut and tokenise texts."""
        # sentence-transformers sets both on the same tokenizer when it encodes.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        cut = list(texts)
        ids = tokenize(self._tokenizer, [self._prompt + text for text in cut])
        for place, row in enumerate(ids):
            if len(row) > self._max_length:
                cut[place] = cut_text(self._tokenizer, cut[place], self._max_length, prefix=self._prompt)
                ids[place] = tokenize(self._tokenizer, [self._prompt + cut[place]])[0]
        return cut, ids

    def _features(
        self, texts: Sequence[str], ids: Sequence[NDArray[np.int32]], group: NDArray[np.int64]
    ) -> dict[str, Any]:
        """Make the model's input of some of the texts."""
        first: Any = self.model[0]
        if first.can_flatten_inputs:
            features: dict[str, Any] = self.model.preprocess([self._prompt + texts[place] for place in group])
        else:
            features = pad(ids, group, self._pad)
        device = self.model.device
        return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in features.items()}


def compile_network(model: "SentenceTransformer") -> None:
    """Compile a model's network for batches of any shape; the first batches then take as long as the compiler.

    Args:
        model: Changed in place. Its embeddings stay the same to rounding.
    """
    first: Any = model[0]
    # sentence-transformers looks at the network's class, which a compiled module around it would hide.
    first.model.forward = torch.compile(first.model.forward, dynamic=True)


def run_modules(
    model: Iterable[Callable[..., Any]], features: dict[str, Any], names: Sequence[str]
) -> dict[str, Tensor]:
    """Run a model's modules one after the other.

    Args:
        model: A sentence-transformers model.
        features: Input of the first module.
        names: Of `embedding` and `pre_dense`, what the dense heads are given.

    Returns:
        What is named, `(rows, width)`.
    """
    found = {}
    for module in model:
        if type(module).__name__ == "Dense" and "pre_dense" not in found:
            found["pre_dense"] = features["sentence_embedding"]
        features = module(features)
    found["embedding"] = features["sentence_embedding"]
    return {name: found[name] for name in names}


def pad(ids: Sequence[NDArray[np.int32]], group: NDArray[np.int64], pad_id: int) -> dict[str, Tensor]:
    """Lay out some rows as `input_ids` and `attention_mask`, `(rows, longest)`, padded on the right."""
    rows = [ids[place] for place in group.tolist()]
    longest = max(map(len, rows))
    input_ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
    for line, row in zip(input_ids, rows, strict=True):
        line[: len(row)] = row
    lengths = np.array([len(row) for row in rows])
    mask = (np.arange(longest) < lengths[:, None]).astype(np.int64)
    return {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}


def model_window(model: "SentenceTransformer") -> int:
    """Return the most tokens a model was made for: its tokenizer's limit, or where there is none its positions."""
    first: Any = model[0]
    window = find_window(first.model.config.to_dict(), model.max_seq_length)
    return _NO_LIMIT if window is None else window
