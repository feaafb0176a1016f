"""What other servers read of a published folder, held against their sources; no server is run.

Tables hold the keys without which a server refuses a folder or reads it wrongly, each with the file that reads it.
"""

import json
import shutil

import pytest
from safetensors.torch import load_file
from samples import CLS_POOLED, MATRYOSHKA_DIMS, MODEL_TYPES, TEXTS
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModel

from hf_turkembed.modeling.server_files import write_server_files
from hf_turkembed.publishing.staging import stage_folder
from hf_turkembed.scores import ScoreReport

# huggingface/text-embeddings-inference at 8a7cf4ac, router/src/lib.rs: ModelConfig, PoolConfig, STConfig.
TEI_FILES = {
    "config.json": {"architectures": list, "model_type": str, "max_position_embeddings": int},
    "1_Pooling/config.json": {"pooling_mode_cls_token": bool, "pooling_mode_mean_tokens": bool},
    "sentence_bert_config.json": {"max_seq_length": int},
}
# The same, by model type: Gemma3Config and GTEConfig of backends/candle/src/models/{gemma3,gte}.rs at 8a7cf4ac, and
# BertConfig of bert.rs at 4d944459, ModernBertConfig of modernbert.rs at 0aef8dbe.
TEI_CONFIG = {
    "gemma3_text": {
        "attention_bias": bool,
        "hidden_activation": str,
        "hidden_size": int,
        "intermediate_size": int,
        "num_attention_heads": int,
        "num_hidden_layers": int,
        "num_key_value_heads": int,
        "pad_token_id": int,
        "query_pre_attn_scalar": int,
        "rms_norm_eps": float,
        "rope_local_base_freq": float,
        "rope_theta": float,
        "_sliding_window_pattern": int,
        "vocab_size": int,
    },
    "gte": {
        "hidden_act": str,
        "hidden_size": int,
        "intermediate_size": int,
        "layer_norm_eps": float,
        "layer_norm_type": str,
        "num_attention_heads": int,
        "num_hidden_layers": int,
        "position_embedding_type": str,
        "type_vocab_size": int,
        "vocab_size": int,
    },
    "bert": {
        "hidden_act": str,
        "hidden_dropout_prob": float,
        "hidden_size": int,
        "initializer_range": float,
        "intermediate_size": int,
        "layer_norm_eps": float,
        "num_attention_heads": int,
        "num_hidden_layers": int,
        "pad_token_id": int,
        "type_vocab_size": int,
        "vocab_size": int,
    },
    # `usize`, `f64` and `bool` that are not optional; a table of layers or of rotary settings is not read.
    "modernbert": {
        "attention_bias": bool,
        "attention_dropout": float,
        "bos_token_id": int,
        "classifier_activation": str,
        "cls_token_id": int,
        "eos_token_id": int,
        "global_attn_every_n_layers": int,
        "global_rope_theta": float,
        "hidden_activation": str,
        "hidden_size": int,
        "initializer_cutoff_factor": float,
        "initializer_range": float,
        "intermediate_size": int,
        "local_attention": int,
        "local_rope_theta": float,
        "norm_bias": bool,
        "norm_eps": float,
        "num_attention_heads": int,
        "num_hidden_layers": int,
        "pad_token_id": int,
        "sep_token_id": int,
        "vocab_size": int,
    },
}
# `load_roberta` of the same file as BERT's.
TEI_CONFIG["xlm-roberta"] = TEI_CONFIG["bert"]
# The same, backends/src/lib.rs at 028192f1: ModuleType, whose other names it does not parse.
TEI_MODULES = {f"sentence_transformers.models.{name}" for name in ("Dense", "Normalize", "Pooling", "Transformer")}
# The same, backends/candle/src/models/dense.rs at 0d1b698f: DenseConfig and DenseActivation.
TEI_DENSE = {"in_features": int, "out_features": int, "bias": bool}
TEI_ACTIVATIONS = {"torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Tanh"}
# The same, gemma3.rs and bert.rs, and vllm-project/vllm, vllm/model_executor/models/bert_with_rope.py at 3340a0da
# (SnowflakeGteNewModel, which is its GteModel): tensors of a layer.
TENSORS = {
    "gemma3_text": {
        "embed_tokens",
        "norm",
        *(f"layers.0.{norm}_layernorm" for norm in ("input", "post_attention", "pre_feedforward", "post_feedforward")),
        *(f"layers.0.self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")),
        *(f"layers.0.mlp.{part}" for part in ("gate_proj", "up_proj", "down_proj")),
    },
    "gte": {
        "embeddings.word_embeddings",
        "embeddings.LayerNorm",
        *(f"encoder.layer.0.attention.{part}" for part in ("qkv_proj", "o_proj")),
        *(f"encoder.layer.0.{part}" for part in ("attn_ln", "mlp_ln", "mlp.up_gate_proj", "mlp.down_proj")),
    },
    "bert": {
        *(f"embeddings.{part}_embeddings" for part in ("word", "position", "token_type")),
        *(f"encoder.layer.0.attention.self.{part}" for part in ("query", "key", "value")),
        *(f"encoder.layer.0.{part}.dense" for part in ("attention.output", "intermediate", "output")),
    },
    "modernbert": {
        "embeddings.tok_embeddings",
        "embeddings.norm",
        "final_norm",
        *(f"layers.1.{part}" for part in ("attn_norm", "attn.Wqkv", "attn.Wo", "mlp_norm", "mlp.Wi", "mlp.Wo")),
    },
}
TENSORS["xlm-roberta"] = TENSORS["bert"]
# vllm-project/vllm, vllm/model_executor/models/registry.py at 0002bff0: names of architectures.
VLLM_ARCHITECTURES = {
    "gemma3_text": "Gemma3TextModel",
    "gte": "GteModel",
    "bert": "BertModel",
    "xlm-roberta": "XLMRobertaModel",
    "modernbert": "ModernBertModel",
}
# The same: config.json keys that change what is computed or allowed, and where they are read.
VLLM_CONFIG = {
    # vllm/model_executor/models/config.py: Gemma3TextModelConfig.
    "gemma3_text": {"use_bidirectional_attention": True},
    # bert_with_rope.py: BertWithRopeEmbedding; config.py: SnowflakeGteNewModelConfig.
    "gte": {"position_embedding_type": "rope", "hidden_act": "gelu"},
    "bert": {},
    # roberta.py at 14a1f942: positions are moved by it, as in transformers.
    "xlm-roberta": {"pad_token_id": 1},
    # modernbert.py at 8ae7ba4d: always exact GELU; layers and bases from these, by transformers 4 or 5.
    "modernbert": {
        "hidden_activation": "gelu",
        "global_attn_every_n_layers": 2,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
    },
}

each_architecture = pytest.mark.parametrize("model_type", MODEL_TYPES)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def lacking(content, table):
    """List the keys of a table that a file lacks or holds with another type."""
    kinds = {float: (int, float)}
    return {key for key, kind in table.items() if not isinstance(content.get(key), kinds.get(kind, kind))}


@pytest.fixture
def resaved(encoders, tmp_path):
    """The encoders as sentence-transformers writes them when it saves them again."""

    def save(model_type):
        folder = tmp_path / model_type
        SentenceTransformer(str(encoders(model_type)), device="cpu").save_pretrained(
            str(folder), create_model_card=False
        )
        return folder

    return save


@each_architecture
def test_text_embeddings_inference_finds_the_keys_of_every_file(encoders, model_type):
    for name, table in TEI_FILES.items():
        assert not lacking(read(encoders(model_type) / name), table), name


@pytest.mark.parametrize("model_type", [name for name in MODEL_TYPES if name != "gte"])
def test_text_embeddings_inference_finds_the_keys_of_the_network(encoders, model_type):
    config = read(encoders(model_type) / "config.json")
    assert not lacking(config, TEI_CONFIG[model_type])
    # Where this key is there, it has to be one pair of base and kind, not one for each kind of layer.
    assert not lacking(config.get("rope_parameters") or {"rope_theta": 1, "rope_type": ""}, {"rope_theta": float})


def test_text_embeddings_inference_refuses_gte_rather_than_turn_it_wrongly(encoders):
    # It would take the base alone out of `rope_parameters`, and gte-multilingual-base needs the factor as well; so
    # this one key stays away, and README says that this server does not read GTE.
    assert lacking(read(encoders("gte") / "config.json"), TEI_CONFIG["gte"]) == {"layer_norm_type"}


def test_text_embeddings_inference_computes_the_gemma_that_transformers_computes(gemma):
    ours, native = read(gemma / "config.json"), AutoConfig.from_pretrained(gemma)
    layers = range(native.num_hidden_layers)
    period = ours["_sliding_window_pattern"]
    kinds = ["sliding_attention" if (layer + 1) % period > 0 else "full_attention" for layer in layers]
    assert kinds == native.layer_types
    # It lets tokens see each other at up to half the window; transformers keeps the first distance that is too far.
    assert ours["sliding_window"] // 2 == native.sliding_window - 1
    assert ours["rope_theta"] == native.rope_parameters["full_attention"]["rope_theta"]
    assert ours["rope_local_base_freq"] == native.rope_parameters["sliding_attention"]["rope_theta"]


@each_architecture
def test_a_model_that_its_class_saves_again_has_the_same_files(encoders, tmp_path, model_type):
    folder = encoders(model_type)
    AutoModel.from_pretrained(folder).save_pretrained(tmp_path)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in sorted(names - {"tokenizer.json", "tokenizer_config.json"}):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


@each_architecture
def test_both_servers_find_pooling_heads_and_weights(encoders, model_type):
    folder = encoders(model_type)
    modules = read(folder / "modules.json")
    assert {module["type"] for module in modules} <= TEI_MODULES
    for module in modules:
        if module["type"].endswith("Dense"):
            settings = read(folder / module["path"] / "config.json")
            assert not lacking(settings, TEI_DENSE) and settings["activation_function"] in TEI_ACTIVATIONS
            assert set(load_file(folder / module["path"] / "model.safetensors")) == {"linear.weight"}
    names = {name.rpartition(".")[0] for name in load_file(folder / "model.safetensors")}
    assert TENSORS[model_type] <= names


@each_architecture
def test_vllm_finds_its_architecture_and_the_widths_that_a_request_may_ask_for(encoders, model_type):
    config = read(encoders(model_type) / "config.json")
    assert config["architectures"] == [VLLM_ARCHITECTURES[model_type]]
    assert config.items() >= VLLM_CONFIG[model_type].items()
    # vllm/config/model.py: ModelConfig.matryoshka_dimensions.
    assert config["matryoshka_dimensions"] == config["matryoshka_dims"] == list(MATRYOSHKA_DIMS)
    flags = {key for key, value in read(encoders(model_type) / "1_Pooling/config.json").items() if value is True}
    pooling = "pooling_mode_cls_token" if model_type in CLS_POOLED else "pooling_mode_mean_tokens"
    assert flags == {"include_prompt", pooling}


@each_architecture
def test_the_older_form_says_the_same_to_every_loader(resaved, model_type):
    folder = resaved(model_type)
    newer = {path: path.read_bytes() for path in folder.rglob("*.json")}
    config = AutoConfig.from_pretrained(folder).to_dict()
    embeddings = SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS))
    write_server_files(folder)
    assert {path.name for path, content in newer.items() if path.read_bytes() != content} == {
        "modules.json",
        "sentence_bert_config.json",
        "config.json",
    }
    ours = {
        "_sliding_window_pattern",
        "global_attn_every_n_layers",
        "matryoshka_dimensions",
        "position_embedding_type",
    }
    changed = AutoConfig.from_pretrained(folder).to_dict()
    assert {k: v for k, v in changed.items() if k not in ours} == {k: v for k, v in config.items() if k not in ours}
    model = SentenceTransformer(str(folder), device="cpu")
    assert (model.encode(list(TEXTS)) == embeddings).all()
    assert model.max_seq_length == 64
    assert AutoModel.from_pretrained(folder).pooling_mode == ("cls" if model_type in CLS_POOLED else "mean")
    older = {path: path.read_bytes() for path in folder.rglob("*.json")}
    write_server_files(folder)
    assert older == {path: path.read_bytes() for path in folder.rglob("*.json")}


@each_architecture
def test_a_published_folder_has_the_older_form_whoever_saved_it(resaved, encoders, tmp_path, model_type):
    folder = resaved(model_type)
    for path in encoders(model_type).glob("*.py"):
        shutil.copyfile(path, folder / path.name)
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    for name in ("modules.json", "1_Pooling/config.json", "sentence_bert_config.json"):
        assert read(tmp_path / "staged" / name) == read(encoders(model_type) / name)


def test_layers_without_a_period_are_not_given_one(gemma, tmp_path):
    shutil.copytree(gemma, tmp_path / "model")
    config = read(gemma / "config.json") | {"layer_types": ["full_attention", "sliding_attention"]}
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    write_server_files(tmp_path / "model")
    assert "_sliding_window_pattern" not in read(tmp_path / "model/config.json")


def test_a_config_that_names_only_the_period_keeps_it(gemma, tmp_path):
    shutil.copytree(gemma, tmp_path / "model")
    config = {key: value for key, value in read(gemma / "config.json").items() if key != "layer_types"}
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    write_server_files(tmp_path / "model")
    assert read(tmp_path / "model/config.json") == config


def test_scaled_rotary_embeddings_stay_as_transformers_writes_them(gemma, tmp_path):
    shutil.copytree(gemma, tmp_path / "model")
    rope = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    config = {key: value for key, value in read(gemma / "config.json").items() if not key.startswith("rope_")}
    (tmp_path / "model/config.json").write_text(json.dumps(config | {"rope_parameters": rope}))
    write_server_files(tmp_path / "model")
    assert read(tmp_path / "model/config.json")["rope_parameters"] == rope
