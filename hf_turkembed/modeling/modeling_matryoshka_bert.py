"""The BERT encoder with Matryoshka sentence embeddings."""

from transformers import BertModel

from .modeling_matryoshka import MatryoshkaMixin


class MatryoshkaBertModel(MatryoshkaMixin, BertModel):
    """`BertModel` whose `pooler_output` is the sentence embedding; see `MatryoshkaMixin`."""
