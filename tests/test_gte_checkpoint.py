"""The older layout of GTE, converted: the same network as an independent description of it, and nothing else."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from legacy_gte import CONFIG, make_tensors, write_legacy_gte
from safetensors.torch import load_file, save_file
from samples import ROOT, TEXTS
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, GteModel

from hf_turkembed import record
from hf_turkembed.chain import read_chain
from hf_turkembed.cloning import clone_model
from hf_turkembed.gte_checkpoint import convert_gte_checkpoint
from hf_turkembed.modeling.repository import check_encoder, write_matryoshka_code
from hf_turkembed.publishing import check_loaders, fetch_folder, lineage
from hf_turkembed.recipe import load_recipe
from hf_turkembed.record import Identity, Input
from input_checks import check_local_data
from inputs import load_encoder

LONG_TEXT = " ".join(TEXTS * 5)


@pytest.fixture(scope="session")
def legacy(tmp_path_factory):
    """The older layout in float32; to be copied before it is written to."""
    return write_legacy_gte(tmp_path_factory.mktemp("legacy") / "gte")


@pytest.fixture(scope="session")
def converted(legacy, tmp_path_factory):
    output = tmp_path_factory.mktemp("converted") / "gte"
    convert_gte_checkpoint(legacy, output)
    return output


@pytest.fixture
def copied(legacy, tmp_path):
    shutil.copytree(legacy, tmp_path / "source")
    return tmp_path / "source"


def layer_norm(x, tensors, name):
    centered = x - x.mean(-1, keepdim=True)
    variance = centered.square().mean(-1, keepdim=True)
    return (
        centered / (variance + CONFIG["layer_norm_eps"]).sqrt() * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
    )


def reference(ids, mask, *, factor=8.0, theta=20000.0):
    """Encode one row of ids as the older network does: in float64 but for its angles, rotations as complex numbers."""
    tensors = {name.removeprefix("new."): t.double() for name, t in make_tensors(CONFIG, torch.float32).items()}
    hidden, heads = CONFIG["hidden_size"], CONFIG["num_attention_heads"]
    size = hidden // heads
    pairs = torch.arange(size // 2, dtype=torch.float64)
    speed = (factor * theta) ** (-2 * pairs / size) / factor ** (2 / size)
    angles = (torch.arange(len(ids))[:, None] * speed.float()).double()
    turn = torch.polar(torch.ones_like(angles), angles)

    def rotate(x):
        turned = torch.complex(x[..., : size // 2], x[..., size // 2 :]) * turn
        return torch.cat([turned.real, turned.imag], dim=-1)

    x = tensors["embeddings.word_embeddings.weight"][ids] + tensors["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(x, tensors, "embeddings.LayerNorm")
    for index in range(CONFIG["num_hidden_layers"]):
        w = {k.removeprefix(f"encoder.layer.{index}."): t for k, t in tensors.items()}
        packed = x @ w["attention.qkv_proj.weight"].T + w["attention.qkv_proj.bias"]
        q, k, v = (part.view(len(ids), heads, size).transpose(0, 1) for part in packed.split(hidden, dim=-1))
        logits = rotate(q) @ rotate(k).transpose(1, 2) / math.sqrt(size)
        weights = logits.masked_fill(mask == 0, -math.inf).softmax(-1)
        mixed = (weights @ v).transpose(0, 1).reshape(len(ids), hidden)
        x = layer_norm(x + mixed @ w["attention.o_proj.weight"].T + w["attention.o_proj.bias"], w, "attn_ln")
        up, gate = (x @ w["mlp.up_gate_proj.weight"].T).split(CONFIG["intermediate_size"], dim=-1)
        gated = up * gate * (1 + torch.erf(gate / math.sqrt(2))) / 2
        x = layer_norm(x + gated @ w["mlp.down_proj.weight"].T + w["mlp.down_proj.bias"], w, "mlp_ln")
    return x


def tokens(folder, texts, side="right"):
    return AutoTokenizer.from_pretrained(folder, padding_side=side)(list(texts), padding=True, return_tensors="pt")


def difference(model, batch, **settings):
    """Return the largest difference from the reference at tokens that are not padding."""
    with torch.no_grad():
        found = model(**batch).last_hidden_state
    worst = 0.0
    for row, ids, mask in zip(found, batch["input_ids"], batch["attention_mask"], strict=True):
        expected = reference(ids, mask, **settings)
        worst = max(worst, (row - expected).abs()[mask == 1].max().item())
    return worst


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_hidden_states_are_those_of_the_older_network_with_padding_on_either_side(converted, side, attention):
    batch = tokens(converted, TEXTS, side)
    assert 0 < batch["attention_mask"].sum() < batch["attention_mask"].numel()
    model = AutoModel.from_pretrained(converted, attn_implementation=attention).eval()
    assert difference(model, batch) < 1e-5


@pytest.mark.parametrize("side", ["right", "left"])
def test_hidden_states_are_those_of_the_older_network_beyond_512_tokens(converted, side):
    batch = tokens(converted, [LONG_TEXT, TEXTS[1]], side)
    assert batch["input_ids"].shape[1] > 512
    assert difference(AutoModel.from_pretrained(converted).eval(), batch) < 1e-5


@pytest.mark.parametrize("settings", [{"factor": 1.0}, {"factor": 1.0, "theta": 160000.0}])
def test_a_rotation_without_the_whole_scaling_would_be_seen(converted, settings):
    batch = tokens(converted, TEXTS)
    assert difference(AutoModel.from_pretrained(converted).eval(), batch, **settings) > 0.1


def test_a_text_has_the_same_embedding_alone_and_padded_on_either_side(converted, tmp_path):
    shutil.copytree(converted, tmp_path / "model")
    write_matryoshka_code(tmp_path / "model", (32, 16))
    model = AutoModel.from_pretrained(tmp_path / "model", truncate_dim=16).eval()
    alone = model(**tokens(converted, [TEXTS[1]])).pooler_output[0]
    for side in ("right", "left"):
        padded = model(**tokens(converted, TEXTS, side)).pooler_output[1]
        torch.testing.assert_close(padded, alone, atol=1e-5, rtol=0)


def test_sentence_transformers_gives_the_normalised_first_token(converted):
    model = SentenceTransformer(str(converted), device="cpu")
    assert model.max_seq_length == 8192
    found = model.encode([*TEXTS, LONG_TEXT])
    for row, text in zip(found, [*TEXTS, LONG_TEXT], strict=True):
        batch = tokens(converted, [text])
        first = reference(batch["input_ids"][0], batch["attention_mask"][0])[0]
        np.testing.assert_allclose(row, first / first.norm(), atol=1e-5)


def test_the_matryoshka_class_gives_the_native_hidden_states_and_passes_verification(converted, tmp_path):
    shutil.copytree(converted, tmp_path / "model")
    write_matryoshka_code(tmp_path / "model", (32, 16))
    ours, native = AutoModel.from_pretrained(tmp_path / "model").eval(), GteModel.from_pretrained(converted).eval()
    assert type(ours).__name__ == "MatryoshkaGteModel"
    batch = tokens(converted, [*TEXTS, LONG_TEXT])
    with torch.no_grad():
        assert torch.equal(ours(**batch).last_hidden_state, native(**batch).last_hidden_state)
    # The tokenizer has seen six sentences.
    wrong = [check.name for check in check_loaders(tmp_path / "model", "model") if not check.passed]
    assert wrong == ["no unknown token in Turkish"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_weights_keep_their_precision_and_every_bit(tmp_path, dtype):
    report = convert_gte_checkpoint(write_legacy_gte(tmp_path / "old", getattr(torch, dtype)), tmp_path / "new")
    old, new = load_file(tmp_path / "old/model.safetensors"), load_file(tmp_path / "new/model.safetensors")
    layer = "new.encoder.layer.2."
    qkv, up_gate = old[f"{layer}attention.qkv_proj.weight"], old[f"{layer}mlp.up_gate_proj.weight"]
    parts = [new[f"layers.2.self_attn.{name}_proj.weight"] for name in "qkv"]
    assert torch.equal(torch.cat(parts), qkv)
    assert torch.equal(torch.cat([new[f"layers.2.mlp.{name}_proj.weight"] for name in ("up", "gate")]), up_gate)
    assert torch.equal(new["embeddings.word_embeddings.weight"], old["new.embeddings.word_embeddings.weight"])
    assert {tensor.dtype for tensor in new.values()} == {getattr(torch, dtype)}
    assert report.dtype == json.loads((tmp_path / "new/config.json").read_text())["dtype"] == dtype
    sizes = [sum(t.numel() for name, t in tensors.items() if "classifier" not in name) for tensors in (old, new)]
    assert sizes[0] == sizes[1] == report.parameters


def test_a_model_that_was_trained_and_saved_keeps_the_native_names(converted, tmp_path):
    SentenceTransformer(str(converted), device="cpu").save_pretrained(str(tmp_path))
    assert load_file(tmp_path / "model.safetensors").keys() == load_file(converted / "model.safetensors").keys()


def test_tokenizer_pooling_and_limits_are_copied_and_code_and_card_are_not(legacy, converted):
    kept = {
        "1_Pooling/config.json",
        "modules.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    for name in kept:
        assert (converted / name).read_bytes() == (legacy / name).read_bytes()
    written = {path.relative_to(converted).as_posix() for path in converted.rglob("*") if path.is_file()}
    assert written == {*kept, "config.json", "model.safetensors", "provenance.json"}
    config = json.loads((converted / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("gte", ["GteModel"])
    assert "auto_map" not in config and "rope_scaling" not in config


def test_text_is_cut_as_the_tokenizer_file_cuts_it(legacy, converted):
    plain = Tokenizer.from_file(str(legacy / "tokenizer.json"))
    model = SentenceTransformer(str(converted), device="cpu")
    for text in (*TEXTS, LONG_TEXT):
        assert model.preprocess([text])["input_ids"][0].tolist() == plain.encode(text).ids


def test_a_checkpoint_without_the_prefix_of_a_head_is_the_same(copied, converted, tmp_path):
    tensors = load_file(copied / "model.safetensors")
    bare = {name.removeprefix("new."): tensor for name, tensor in tensors.items() if "classifier" not in name}
    save_file(bare, copied / "model.safetensors")
    assert convert_gte_checkpoint(copied, tmp_path / "new").dropped == ()
    assert record.digest_file(tmp_path / "new/model.safetensors") == record.digest_file(
        converted / "model.safetensors"
    )


def test_a_checkpoint_in_several_files_is_the_same(copied, converted, tmp_path):
    tensors = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    names, files = sorted(tensors), [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for number, file in enumerate(files):
        save_file({name: tensors[name] for name in names[number::2]}, copied / file)
    index = {"weight_map": {name: files[position % 2] for position, name in enumerate(names)}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    assert convert_gte_checkpoint(copied, tmp_path / "new").dropped == ("classifier.bias", "classifier.weight")
    assert record.digest_file(tmp_path / "new/model.safetensors") == record.digest_file(
        converted / "model.safetensors"
    )


def test_a_checkpoint_without_scaling_keeps_its_base(copied, tmp_path):
    write_config(copied, rope_scaling=None, rope_theta=160000)
    convert_gte_checkpoint(copied, tmp_path / "new")
    model = AutoModel.from_pretrained(tmp_path / "new").eval()
    assert difference(model, tokens(tmp_path / "new", TEXTS), factor=1.0, theta=160000.0) < 1e-5


def write_config(folder, **changes):
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value != "left out"}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_scaling": "ntk"}, "expected null, or the type 'ntk'"),
        ({"num_attention_heads": 0}, "`num_attention_heads` to 0, expected a number of at least 1"),
        ({"rope_scaling": {"type": "dynamic", "factor": 8.0}}, r"`rope_scaling` \{'type': 'dynamic'.*'ntk'"),
        ({"rope_scaling": {"type": "ntk", "factor": 8.0, "mixed_b": 0.6}}, "expected null, or the type 'ntk'"),
        ({"rope_scaling": {"type": "ntk", "factor": 8.0, "beta": 1}}, "expected null, or the type 'ntk'"),
        ({"rope_scaling": {"type": "ntk"}}, "factor None, expected a number of at least 1"),
        ({"rope_scaling": {"type": "ntk", "factor": 0.5}}, "factor 0.5, expected a number of at least 1"),
        ({"logn_attention_scale": True}, "sets `logn_attention_scale` to True"),
        ({"layer_norm_type": "rms_norm"}, "sets `layer_norm_type` to 'rms_norm'; `GteModel` knows only 'layer_norm'"),
        ({"position_embedding_type": "absolute"}, "`position_embedding_type` to 'absolute'"),
        ({"pack_qkv": False}, "`pack_qkv` to False"),
        ({"embedding_size": 16}, r"unknown keys \['embedding_size'\]"),
        ({"rope_theta": "left out"}, r"lacks \['rope_theta'\]"),
        ({"model_type": "gte"}, "model_type 'gte', expected 'new'"),
        ({"num_hidden_layers": 2}, r"holds the tensor `new.encoder.layer.2.\S+`, for which"),
        ({"vocab_size": 319}, r"word_embeddings.weight` has the shape \(320, 32\), expected \(319, 32\)"),
    ],
)
def test_a_network_that_is_not_understood_is_refused(copied, tmp_path, changes, message):
    write_config(copied, **changes)
    with pytest.raises(ValueError, match=message):
        convert_gte_checkpoint(copied, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


BIAS = "new.encoder.layer.1.attention.qkv_proj.bias"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({BIAS: None}, "lacks 1 tensors of the network, such as `encoder.layer.1.attention.qkv_proj.bias`"),
        ({BIAS: torch.zeros(95)}, rf"model.safetensors: `{BIAS}` has the shape \(95,\), expected \(96,\)"),
        ({BIAS: torch.full((96,), float("nan"))}, f"`{BIAS}` holds NaN or an infinity"),
        ({BIAS: torch.full((96,), float("-inf"))}, f"`{BIAS}` holds NaN or an infinity"),
        ({BIAS: torch.zeros(96, dtype=torch.float16)}, r"types \['torch.float16', 'torch.float32'\], expected one"),
        ({BIAS.removeprefix("new."): torch.zeros(96)}, "attention.qkv_proj.bias`, for which `GteModel` has no place"),
        ({"new.pooler.dense.weight": torch.zeros(32, 32)}, "`new.pooler.dense.weight`, for which `GteModel` has no"),
        ({"lm_head.decoder.bias": torch.zeros(320)}, "`lm_head.decoder.bias`, for which `GteModel` has no place"),
    ],
)
def test_weights_that_are_not_those_of_the_network_are_refused(copied, tmp_path, changes, message):
    tensors = {**load_file(copied / "model.safetensors"), **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, copied / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        convert_gte_checkpoint(copied, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_whole_numbers_are_refused_as_weights(copied, tmp_path):
    tensors = load_file(copied / "model.safetensors")
    save_file({name: tensor.to(torch.int8) for name, tensor in tensors.items()}, copied / "model.safetensors")
    with pytest.raises(ValueError, match=r"types \['torch.int8'\], expected one floating type"):
        convert_gte_checkpoint(copied, tmp_path / "new")


def test_a_file_that_was_cut_off_is_named(copied, tmp_path):
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged .* download it again"):
        convert_gte_checkpoint(copied, tmp_path / "new")


def test_weights_that_are_pickles_are_not_read(copied, tmp_path):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"holds no model\.safetensors; .* reading pickles can run code"):
        convert_gte_checkpoint(copied, tmp_path / "new")


@pytest.mark.parametrize(
    "name", ["config.json", "modules.json", "tokenizer.json", "tokenizer_config.json", "1_Pooling/config.json"]
)
def test_a_folder_that_is_no_whole_model_is_refused(copied, tmp_path, name):
    (copied / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {name}"):
        convert_gte_checkpoint(copied, tmp_path / "new")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "custom_st.Pooling"}, "module 'custom_st.Pooling'; expected Transformer, Pooling, Normalize"),
        ({"type": "sentence_transformers.models.Dense"}, r"models\.Dense'; expected Transformer, Pooling, Normalize"),
        ({"path": "../1_Pooling"}, "folder '../1_Pooling'; expected one such as '1_Pooling' beside it"),
        ({"path": ".."}, r"folder '\.\.'; expected one such as"),
        ({"path": ""}, "folder ''; expected one such as"),
    ],
)
def test_a_module_that_is_not_known_is_refused(copied, tmp_path, changes, message):
    modules = json.loads((copied / "modules.json").read_text())
    modules[1] |= changes
    (copied / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match=message):
        convert_gte_checkpoint(copied, tmp_path / "new")


def test_a_folder_that_exists_is_not_written_to(legacy, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(FileExistsError, match="new exists; name a new folder, or remove it"):
        convert_gte_checkpoint(legacy, tmp_path / "new")


def test_work_that_breaks_off_leaves_nothing_behind(legacy, tmp_path, monkeypatch):
    def full_disk(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(OSError, match="no space left"):
        convert_gte_checkpoint(legacy, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "meet",
    [
        pytest.param(lambda folder: check_encoder(folder, (32, 16)), id="finetune"),
        pytest.param(lambda folder: load_encoder(folder, "float32", "cpu"), id="score"),
        pytest.param(
            lambda folder: clone_model(folder, folder, folder, matryoshka_dims=(32,), max_length=64, seed=0),
            id="clone",
        ),
    ],
)
def test_a_step_that_meets_the_older_layout_names_the_command(legacy, meet):
    with pytest.raises(ValueError, match=r"model_type 'new'.* `hf-turkembed convert-gte \S+gte OUTPUT`"):
        meet(legacy)


def test_the_recipe_of_turkembed_takes_a_converted_base_and_refuses_the_older_layout(legacy, converted, tmp_path):
    recipe = ROOT / "recipes/turkembed/turkembed.yaml"
    (tmp_path / "old").symlink_to(legacy)
    (tmp_path / "base").symlink_to(converted)
    folder = f"output_dir={tmp_path}"
    widths = [f"finetune.stages.{stage}.matryoshka_dims=[32, 16]" for stage in ("nli", "sts")]
    check_local_data(load_recipe(recipe, [folder, "finetune.base_model={output_dir}/base", *widths]), ("finetune",))
    with pytest.raises(ValueError, match="hf-turkembed convert-gte"):
        check_local_data(load_recipe(recipe, [folder, "finetune.base_model={output_dir}/old"]), ("finetune",))


def test_a_model_made_from_a_converted_repo_of_the_hub_names_that_repo(legacy, tmp_path, monkeypatch):
    commit = "9" * 40
    snapshots = tmp_path / "hub" / "models--example--gte" / "snapshots"
    shutil.copytree(legacy, snapshots / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = fetch_folder(f"example/gte@{commit}")
    convert_gte_checkpoint(folder, tmp_path / "run" / "base", repo="example/gte")
    base = record.read_provenance(tmp_path / "run" / "base")
    assert base.identity.inputs == (Input(role="source", kind="model", name="example/gte", revision=commit),)
    digest = record.digest_path(tmp_path / "run" / "base")
    link = Input(role="base_model", kind="model", name="base", digest=digest, record=base.identity.digest)
    trained = Identity(step="finetune", recipe={}, inputs=(link,), code="0", seed=0)
    (tmp_path / "run" / "finetune-nli").mkdir()
    record.write_provenance(
        tmp_path / "run" / "finetune-nli", record.Provenance(identity=trained, observed=base.observed)
    )
    chain = read_chain(tmp_path / "run" / "finetune-nli")
    assert lineage.find_base_model(chain) == base.identity.inputs[0]


def test_a_local_source_is_named_by_its_digest(legacy, converted):
    (source,) = record.read_provenance(converted).identity.inputs
    assert (source.name, source.digest, source.revision) == ("gte", record.digest_path(legacy), None)
