"""The model classes that are pushed to the Hub as code, and their registration with AutoModel."""

from transformers import AutoModel

from hf_turkembed.modeling.modeling_matryoshka import MatryoshkaMixin
from hf_turkembed.modeling.modeling_matryoshka_bert import MatryoshkaBertModel
from hf_turkembed.modeling.modeling_matryoshka_gemma3 import MatryoshkaGemma3TextModel
from hf_turkembed.modeling.modeling_matryoshka_gte import MatryoshkaGteModel
from hf_turkembed.modeling.modeling_matryoshka_modernbert import MatryoshkaModernBertModel
from hf_turkembed.modeling.modeling_matryoshka_xlm_roberta import MatryoshkaXLMRobertaModel

MODEL_CLASSES: tuple[type[MatryoshkaMixin], ...] = (
    MatryoshkaBertModel,
    MatryoshkaGemma3TextModel,
    MatryoshkaGteModel,
    MatryoshkaModernBertModel,
    MatryoshkaXLMRobertaModel,
)


def register() -> None:
    """Register the classes for `AutoModel.from_pretrained`; checkpoints without `matryoshka_dims` load as before."""
    for model_class in MODEL_CLASSES:
        model_class.register_for_auto_class("AutoModel")  # type: ignore[no-untyped-call]
        AutoModel.register(model_class.config_class, model_class, exist_ok=True)


__all__ = [
    "MODEL_CLASSES",
    "MatryoshkaBertModel",
    "MatryoshkaGemma3TextModel",
    "MatryoshkaGteModel",
    "MatryoshkaModernBertModel",
    "MatryoshkaXLMRobertaModel",
    "register",
]
