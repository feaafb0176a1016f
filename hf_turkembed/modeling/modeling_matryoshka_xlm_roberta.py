"""The XLM-RoBERTa encoder (multilingual-e5, bge-m3, paraphrase-multilingual) with Matryoshka sentence embeddings."""

from transformers import XLMRobertaModel

from .modeling_matryoshka import MatryoshkaMixin


class MatryoshkaXLMRobertaModel(MatryoshkaMixin, XLMRobertaModel):
    """`XLMRobertaModel` whose `pooler_output` is the sentence embedding; see `MatryoshkaMixin`.

    As in transformers, the first token has the position behind the id of padding, so that 514 positions are 512
    tokens. Positions follow from `input_ids`, on whichever side padding stands; with `inputs_embeds` alone padding
    counts as tokens, so pad on the right, or pass `position_ids`.
    """
