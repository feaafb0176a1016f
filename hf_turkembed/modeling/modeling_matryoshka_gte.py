"""The GTE encoder (gte-multilingual-base) with Matryoshka sentence embeddings."""

from transformers import GteModel

from .modeling_matryoshka import MatryoshkaMixin


class MatryoshkaGteModel(MatryoshkaMixin, GteModel):
    """`GteModel` whose `pooler_output` is the sentence embedding; see `MatryoshkaMixin`."""
