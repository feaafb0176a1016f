"""A byte-fallback BPE tokenizer in the form of Gemma-3's, trained on a few sentences."""

import json
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

WORD_START = "▁"
SPECIAL_TOKENS = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
PAD_ID, EOS_ID, BOS_ID = range(3)

_UNUSED_TOKENS = tuple(f"<unused{number}>" for number in range(8))
_USER_TOKENS = ("\n", "\n\n", "\t")
_BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
# Characters that are tokens even if no sentence has them.
_ALPHABET = string.ascii_letters + string.digits + string.punctuation + "çğıöşüÇĞİÖŞÜâîûÂÎÛ’"
_MODEL_MAX_LENGTH = 512
_LONGEST_TOKEN = 16


def train_vocabulary(lines: Iterable[str], *, size: int) -> Tokenizer:
    """Train a tokenizer of Gemma-3's form.

    Spaces become `▁` and belong to the word behind them; no token reaches across a word start, an apostrophe or any
    other mark; a character outside the vocabulary falls apart into its bytes; BOS and EOS surround every text.

    Args:
        lines: sentences to learn from.
        size: number of tokens, special ones, bytes and characters included; fewer come out when the sentences hold no
            further pair that is seen twice.

    Returns:
        The tokenizer.

    Raises:
        ValueError: if `size` has no room for the tokens that every vocabulary of this form holds.
    """
    fixed = (*SPECIAL_TOKENS, *_UNUSED_TOKENS, *_USER_TOKENS, *_BYTE_TOKENS)
    if size <= len(fixed):
        raise ValueError(f"`size`={size} has no room for text; {len(fixed)} tokens are fixed, so ask for more.")
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", WORD_START)
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORD_START, "merged_with_next"),
            pre_tokenizers.Punctuation("isolated"),
        ]
    )
    learner.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(fixed),
            initial_alphabet=list(_ALPHABET),
            max_token_length=_LONGEST_TOKEN,
            show_progress=False,
        ),
    )
    return _in_gemma_form(json.loads(learner.to_str())["model"])


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json` and the `tokenizer_config.json` with which transformers loads it unchanged.

    Args:
        tokenizer: a tokenizer of `train_vocabulary`.
        folder: an existing folder.
    """
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "add_bos_token": True,
        "add_eos_token": True,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "mask_token": "<mask>",
        "model_max_length": _MODEL_MAX_LENGTH,
        "pad_token": "<pad>",
        "padding_side": "right",
        # GemmaTokenizer would rebuild the normalizer and the pre-tokenizer instead of reading them.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _in_gemma_form(learnt: dict[str, Any]) -> Tokenizer:
    """Put learnt tokens and merges into a tokenizer of Gemma-3's form."""
    merges = [("\n", "\n"), *(tuple(merge) for merge in learnt["merges"])]
    tokenizer = Tokenizer(
        models.BPE(vocab=learnt["vocab"], merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", WORD_START)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(WORD_START, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        pair="<bos> $A <eos> <bos> $B <eos>",
        special_tokens=[("<bos>", BOS_ID), ("<eos>", EOS_ID)],
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in (*_UNUSED_TOKENS, *_USER_TOKENS)])
    return tokenizer
