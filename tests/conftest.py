"""What all tests share: no network but loopback, and a small real encoder."""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest
from mergeless import build_unigram, unigram_config, write
from samples import CLS_POOLED, MATRYOSHKA_DIMS, ROOT, TEXTS

pytest_plugins = ["hub_server.fixtures"]
# huggingface_hub reads this once, when it is imported; imported before, tests would wait for a Hub.
assert "huggingface_hub" not in sys.modules, "`samples` must not import the package"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# mteb makes this folder when it is imported, by default one in the home.
os.environ["MTEB_CACHE"] = str(Path(tempfile.gettempdir()) / "hf_turkembed-tests-mteb")

PROMPTS = {"query": "task: search result | query: ", "STS": "task: sentence similarity | query: "}


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """Fail on any connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address!r}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data and of the real small teacher, where this machine has it."""
    folder = Path(os.environ.get("TURKEMBED_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir() or not (folder / "teacher").is_dir():
        pytest.skip(f"no real data: {folder} holds no data/ and teacher/; set TURKEMBED_SHARED")
    return folder


def train_byte_fallback_tokenizer(folder: Path) -> None:
    """Train a byte-fallback BPE tokenizer in Gemma's form and save it as a fast tokenizer."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    words = [" " + word for text in TEXTS * 3 for word in text.split()]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False
    )
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        mask_token="<mask>",
        padding_side="right",
        model_max_length=64,
    )
    fast.save_pretrained(folder)


def train_unigram_tokenizer(folder: Path) -> None:
    """Train a Unigram tokenizer in XLM-R's form, padding at id 1, on beginnings of words and an alphabet."""
    alphabet = ["abcçdefgğhıijklmnoöprsştuüvyzqwx", "ABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZQWX", "0123456789.,;:?!'"]
    words = [word for text in (*TEXTS, *PROMPTS.values(), *alphabet) for word in text.split()]
    spec = build_unigram([word[:end] for word in words for end in range(2, len(word) + 1)], size=300)
    write(folder, spec, unigram_config(spec) | {"model_max_length": 64})


def build_encoder(folder: Path, model_type: str) -> None:
    """Build a small encoder with random weights in the sentence-transformers layout."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from transformers import (
        AutoModel,
        AutoTokenizer,
        BertConfig,
        Gemma3TextConfig,
        GteConfig,
        ModernBertConfig,
        XLMRobertaConfig,
    )

    from hf_turkembed.modeling.repository import write_matryoshka_code

    torch.manual_seed(0)
    backbone = folder.with_name(f"{folder.name}-backbone")
    train = train_unigram_tokenizer if model_type == "xlm-roberta" else train_byte_fallback_tokenizer
    train(backbone)
    vocab_size = len(AutoTokenizer.from_pretrained(backbone))
    common = {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = {
        "gemma3_text": lambda: Gemma3TextConfig(
            **common,
            num_key_value_heads=1,
            head_dim=16,
            sliding_window=16,
            use_bidirectional_attention=True,
            layer_types=["sliding_attention", "full_attention"],
        ),
        "gte": lambda: GteConfig(**common),
        "bert": lambda: BertConfig(**common, **no_dropout),
        # Two positions that no token has: 66 of them are 64 tokens.
        "xlm-roberta": lambda: XLMRobertaConfig(
            **common | {"max_position_embeddings": 66, "pad_token_id": 1}, **no_dropout, type_vocab_size=1
        ),
        "modernbert": lambda: ModernBertConfig(
            **common,
            **dict.fromkeys(("bos_token_id", "cls_token_id"), 2),
            eos_token_id=1,
            sep_token_id=1,
            local_attention=16,
        ),
    }[model_type]()
    AutoModel.from_config(config).save_pretrained(backbone)
    modules = [Transformer(str(backbone)), Pooling(32, pooling_mode="cls" if model_type in CLS_POOLED else "mean")]
    if model_type == "gemma3_text":
        identity = torch.nn.Identity()
        modules += [Dense(32, 64, bias=False, activation_function=identity)]
        modules += [Dense(64, 32, bias=False, activation_function=identity)]
    model = SentenceTransformer(modules=[*modules, Normalize()], prompts=PROMPTS, device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(backbone / name, folder / name)
    write_matryoshka_code(folder, MATRYOSHKA_DIMS)


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Small encoders by model type, built once; to be copied before they are written to."""
    root = tmp_path_factory.mktemp("encoders")
    built: dict[str, Path] = {}

    def encoder(model_type: str) -> Path:
        if model_type not in built:
            build_encoder(root / model_type, model_type)
            built[model_type] = root / model_type
        return built[model_type]

    return encoder


@pytest.fixture(scope="session")
def gemma(encoders):
    """A small Gemma-3 text encoder with two dense heads."""
    return encoders("gemma3_text")
