"""A small corpus, what fills a store with its vectors, and how students are trained on it."""

from samples import TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed.corpus import TextRow, plan_shards
from hf_turkembed.distillation import BatchedEncoder, Schedule, embed_corpus

CORPUS = {"tr": [f"{text} {number}" for number in range(5) for text in TEXTS], "en": list(TEXTS)}

SCHEDULE = Schedule(
    epochs=2,
    batch_size=8,
    batch_tokens=128,
    learning_rate=1e-2,
    embedding_learning_rate=1e-2,
    warmup_ratio=0.1,
    weight_decay=0.01,
    max_grad_norm=1.0,
    checkpoint_steps=3,
)


def encoder(folder, dtype="float32", **settings):
    """Load an encoder in batches of a few texts."""
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": dtype})
    return BatchedEncoder(model, **{"max_length": 64, "batch_tokens": 256, **settings})


def embed(teacher, folder, corpus=CORPUS, settings=None, shard_rows=7, validation_rows=1, test_rows=0, **arguments):
    """Fill a store."""
    rows = {language: map(TextRow, texts) for language, texts in corpus.items()}
    shards = plan_shards(rows, shard_rows, validation_rows=validation_rows, test_rows=test_rows)
    embed_corpus(encoder(teacher, **(settings or {})), shards, folder, **arguments)
