"""A small multilingual sentence encoder of EmbeddingGemma's form, trained from scratch on the sandbox's text."""

import json
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.losses import CoSENTLoss, MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import Gemma3TextConfig, Gemma3TextModel
from transformers.models.gemma3.modeling_gemma3 import Gemma3DecoderLayer

from hf_turkembed.sandbox.vocabulary import BOS_ID, EOS_ID, PAD_ID, train_vocabulary, write_tokenizer

logger = logging.getLogger(__name__)

PROMPTS = {
    "query": "task: search result | query: ",
    "document": "title: none | text: ",
    "STS": "task: sentence similarity | query: ",
}
MATRYOSHKA_DIMS = (128, 64, 32)

_VOCABULARY_SIZE = 6000
_HIDDEN_SIZE = 128
_HEAD_SIZE = 256
# Of so many steps one trains the layers too; the others train the table of embeddings and the heads alone, for a tenth
# of the cost.
_STEPS_PER_LAYERED = 10
# Share of the batches whose sentences stand behind a prompt.
_PROMPTED_SHARE = 0.25
# Sentences that are padded to the same length.
_GROUP_SIZE = 64
# What is left of each layer's output at the start; at full strength it would drown the embeddings that come first.
_INITIAL_LAYER_SCALE = 0.05


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """How long and with what one part of the training goes on."""

    steps: int
    with_layers: bool
    learning_rate: float
    triplets: int
    translations: int
    pairs: int


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Columns of sentences: anchors, positives, negatives, translations, their Turkish, first and second of pairs."""

    columns: tuple[tuple[str, ...], ...]
    # Scores of the pairs, from 0 to 1.
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _Text:
    """What there is to train on."""

    triplets: list[tuple[str, ...]]
    translations: list[tuple[str, ...]]
    pairs: list[tuple[str, ...]]


def train_sandbox_teacher(text: Path, output: Path, *, seed: int, steps: int = 500) -> dict[str, float]:
    """Train a tokenizer and a teacher on the sandbox's text and save them as a sentence-transformers model.

    The teacher is a bidirectional Gemma-3 of three layers, mean pooling, two linear heads and a normalisation, trained
    contrastively on triplets and translations (https://huggingface.co/papers/1807.03748) and by rank on scored pairs,
    at widths 128, 64 and 32 (https://huggingface.co/papers/2205.13147). The same text and seed give the same
    bytes on one machine; it runs in a single thread, so that neither the number of cores nor their load matters.

    Args:
        text: folder that `write_sandbox_text` wrote.
        output: folder to save the model in; made if it is not there.
        seed: seed of the weights and of the order of the text.
        steps: optimizer steps; the last tenth of them trains the layers too.

    Returns:
        `vocabulary` (tokens), `parameters`, `steps` and the `loss` of the last step, summed over the widths.

    Raises:
        ValueError: if `steps` leaves a stage of the training without a step.
        FileNotFoundError: if a file of the text is missing.
    """
    if steps < 2:
        raise ValueError(f"`steps`={steps} leaves a stage of the training without a step; ask for 2 or more.")
    layered = max(1, steps // _STEPS_PER_LAYERED)
    tokenizer = train_vocabulary(_vocabulary_lines(text), size=_VOCABULARY_SIZE)
    rows = _read_text(text)
    rng = random.Random(seed)
    with _single_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(tokenizer)
        for stage in (
            _Stage(
                steps=steps - layered, with_layers=False, learning_rate=3e-3, triplets=64, translations=32, pairs=48
            ),
            _Stage(steps=layered, with_layers=True, learning_rate=5e-4, triplets=24, translations=12, pairs=24),
        ):
            loss = _train(model, tokenizer, rows, stage, rng)
    output.mkdir(parents=True, exist_ok=True)
    model.eval().save(str(output), create_model_card=False)
    # The writing of transformers names a tokenizer class that its older releases do not know.
    write_tokenizer(tokenizer, output)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"vocabulary": tokenizer.get_vocab_size(), "parameters": parameters, "steps": steps, "loss": loss}


@contextmanager
def _single_thread() -> Iterator[None]:
    """Let torch use one thread, and as many as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _vocabulary_lines(text: Path) -> list[str]:
    """Read as many lines of every language as the smallest corpus has: Turkish gets no more room than the others."""
    paths = [*sorted((text / "corpus").glob("*.txt")), *sorted((text / "corpus-further").glob("*.txt"))]
    if not paths:
        raise FileNotFoundError(f"{text / 'corpus'} holds no `xx.txt`; write the sandbox's text there first.")
    corpora = [path.read_text(encoding="utf-8").splitlines() for path in paths]
    share = min(len(lines) for lines in corpora)
    return [line for lines in corpora for line in lines[:share]] + list(PROMPTS.values()) * 10


def _read_text(text: Path) -> _Text:
    """Read triplets, translations and scored pairs."""
    lines = (text / "nli" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return _Text(
        triplets=[tuple(json.loads(line)[key] for key in ("anchor", "positive", "negative")) for line in lines],
        translations=[row for path in sorted((text / "parallel").glob("*-tr.tsv")) for row in _read_table(path)],
        pairs=_read_table(text / "sts" / "train.tsv"),
    )


def _read_table(path: Path) -> list[tuple[str, ...]]:
    """Read the rows of a table below its header."""
    return [tuple(line.split("\t")) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def _build(tokenizer: Tokenizer) -> SentenceTransformer:
    """Build the untrained model."""
    config = Gemma3TextConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=_HIDDEN_SIZE,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=512,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        max_position_embeddings=2048,
        use_bidirectional_attention=True,
        use_cache=False,
        pad_token_id=PAD_ID,
        eos_token_id=EOS_ID,
        bos_token_id=BOS_ID,
    )
    backbone = Gemma3TextModel(config)
    # Multiplied by the square root of the width, as Gemma does, the embeddings get unit variance.
    nn.init.normal_(backbone.embed_tokens.weight, std=_HIDDEN_SIZE**-0.5)
    for layer in cast(list[Gemma3DecoderLayer], backbone.layers):
        # The norms of Gemma multiply by one more than their weight.
        nn.init.constant_(layer.post_attention_layernorm.weight, _INITIAL_LAYER_SCALE - 1)
        nn.init.constant_(layer.post_feedforward_layernorm.weight, _INITIAL_LAYER_SCALE - 1)
    with TemporaryDirectory() as folder:
        backbone.save_pretrained(folder)
        write_tokenizer(tokenizer, Path(folder))
        transformer = Transformer(folder)
    heads = [
        Dense(_HIDDEN_SIZE, _HEAD_SIZE, bias=False, activation_function=nn.Identity()),
        Dense(_HEAD_SIZE, _HIDDEN_SIZE, bias=False, activation_function=nn.Identity()),
    ]
    modules = [transformer, Pooling(_HIDDEN_SIZE, "mean"), *heads, Normalize()]
    return SentenceTransformer(modules=modules, prompts=PROMPTS, similarity_fn_name="cosine", device="cpu")


def _train(model: SentenceTransformer, tokenizer: Tokenizer, text: _Text, stage: _Stage, rng: random.Random) -> float:
    """Train for one stage and return the loss of its last step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=stage.learning_rate, fused=True)
    warmup = max(1, stage.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warmup) * (1 - step / stage.steps)
    )
    model.train()
    batches = _batches(text, stage, rng)
    for _ in range(stage.steps):
        batch = next(batches)
        prompt = rng.choice(list(PROMPTS.values())) if rng.random() < _PROMPTED_SHARE else ""
        sentences = [prompt + sentence for column in batch.columns for sentence in column]
        loss = _loss(model, _embed(model, tokenizer, sentences, stage.with_layers), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    logger.info(
        "%d steps %s the layers: loss %.3f", stage.steps, "with" if stage.with_layers else "without", loss.item()
    )
    return loss.item()


def _batches(text: _Text, stage: _Stage, rng: random.Random) -> Iterator[_Batch]:
    """Draw batches for ever."""
    streams = (
        _draw(text.triplets, stage.triplets, rng),
        _draw(text.translations, stage.translations, rng),
        _draw(text.pairs, stage.pairs, rng),
    )
    for triplets, translations, pairs in zip(*streams, strict=True):
        scores, first, second = zip(*pairs, strict=True)
        yield _Batch(
            columns=(*zip(*triplets, strict=True), *zip(*translations, strict=True), first, second),
            scores=tuple(float(score) / 5 for score in scores),
        )


def _draw(rows: Sequence[tuple[str, ...]], count: int, rng: random.Random) -> Iterator[list[tuple[str, ...]]]:
    """Go through the rows in a new order each time, so many at a time."""
    while True:
        order = rng.sample(rows, len(rows))
        for start in range(0, max(1, len(order) - count + 1), count):
            yield order[start : start + count]


def _embed(model: SentenceTransformer, tokenizer: Tokenizer, sentences: list[str], with_layers: bool) -> Tensor:
    """Embed sentences, shape (sentences, 128), with unit norm, in groups of like length that need little padding."""
    encodings = tokenizer.encode_batch_fast(sentences)
    order = sorted(range(len(sentences)), key=lambda place: len(encodings[place]))
    groups = [order[start : start + _GROUP_SIZE] for start in range(0, len(order), _GROUP_SIZE)]
    embeddings = [_embed_group(model, [encodings[place] for place in group], with_layers) for group in groups]
    return torch.cat(embeddings)[torch.tensor(order).argsort()]


def _embed_group(model: SentenceTransformer, encodings: list[Encoding], with_layers: bool) -> Tensor:
    """Embed a padded group; without its layers the backbone is a bag of tokens."""
    longest = max(len(encoding) for encoding in encodings)
    for encoding in encodings:
        encoding.pad(longest, pad_id=PAD_ID, pad_token="<pad>")
    features = {
        "input_ids": torch.tensor([encoding.ids for encoding in encodings]),
        "attention_mask": torch.tensor([encoding.attention_mask for encoding in encodings]),
    }
    if with_layers:
        features = model(features)
    else:
        backbone = cast(Gemma3TextModel, model[0].model)
        features["token_embeddings"] = backbone.norm(backbone.embed_tokens(features["input_ids"]))
        for module in list(model)[1:]:
            features = module(features)
    return features["sentence_embedding"]


def _loss(model: SentenceTransformer, embeddings: Tensor, batch: _Batch) -> Tensor:
    """Sum the losses of triplets, translations and pairs over the widths."""
    contrast, rank = MultipleNegativesRankingLoss(model), CoSENTLoss(model)
    scores = torch.tensor(batch.scores)
    total = embeddings.new_zeros(())
    for dim in MATRYOSHKA_DIMS:
        truncated = functional.normalize(embeddings[:, :dim], dim=-1)
        columns = truncated.split([len(column) for column in batch.columns])
        total = total + contrast.compute_loss_from_embeddings(list(columns[:3]), scores)
        total = total + contrast.compute_loss_from_embeddings(list(columns[3:5]), scores) / 2
        total = total + rank.compute_loss_from_embeddings(list(columns[5:]), scores) / 3
    return total
