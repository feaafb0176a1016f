"""The Gemma-3 text encoder (EmbeddingGemma) with Matryoshka sentence embeddings."""

from transformers import Gemma3TextModel

from .modeling_matryoshka import MatryoshkaMixin


class MatryoshkaGemma3TextModel(MatryoshkaMixin, Gemma3TextModel):
    """`Gemma3TextModel` whose `pooler_output` is the sentence embedding; see `MatryoshkaMixin`."""
