"""Train, adapt, prove and publish Turkish sentence-embedding models on the Hugging Face Hub."""

from hf_turkembed.modeling import MatryoshkaBertModel, MatryoshkaGemma3TextModel, MatryoshkaGteModel, register
from hf_turkembed.version import __version__

register()

__all__ = ["MatryoshkaBertModel", "MatryoshkaGemma3TextModel", "MatryoshkaGteModel", "__version__"]
