"""A small corpus, and what fills a store with its vectors."""

from samples import TEXTS
from sentence_transformers import SentenceTransformer

from hf_turkembed.corpus import TextRow
from hf_turkembed.distillation import BatchedEncoder, embed_corpus

CORPUS = {"tr": [f"{text} {number}" for number in range(5) for text in TEXTS], "en": list(TEXTS)}


def encoder(folder, dtype="float32", **settings):
    """Load an encoder in batches of a few texts."""
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": dtype})
    return BatchedEncoder(model, **{"max_length": 64, "batch_tokens": 256, **settings})


def embed(teacher, folder, corpus=CORPUS, settings=None, **arguments):
    """Fill a store."""
    rows = {language: map(TextRow, texts) for language, texts in corpus.items()}
    arguments = {"shard_rows": 7, "validation_rows": 1, **arguments}
    embed_corpus(encoder(teacher, **(settings or {})), rows, folder, **arguments)
