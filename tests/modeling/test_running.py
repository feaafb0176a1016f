"""The model class in the settings that people run it in: precision, padding, length, compilation, devices, saving."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import CLS_POOLED, MATRYOSHKA_DIMS, MODEL_TYPES, TEXTS
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from transformers import AutoModel, AutoTokenizer

from hf_turkembed.modeling.repository import write_matryoshka_code
from hf_turkembed.publishing import check_loaders

each_architecture = pytest.mark.parametrize("model_type", MODEL_TYPES)


def tokens(folder, texts=TEXTS, padding_side="right"):
    return AutoTokenizer.from_pretrained(folder, padding_side=padding_side)(
        list(texts), padding=True, return_tensors="pt"
    )


def encode(folder, batch, **settings):
    with torch.no_grad():
        return AutoModel.from_pretrained(folder, **settings).eval()(**batch).pooler_output


def encode_plainly(folder, texts=TEXTS, padding_side="right", **settings):
    """Encode with sentence-transformers."""
    model = SentenceTransformer(str(folder), device="cpu", **settings)
    model.tokenizer.padding_side = padding_side
    return torch.tensor(model.encode(list(texts), normalize_embeddings=True))


def assert_close(left, right, atol=1e-6):
    torch.testing.assert_close(left, right, atol=atol, rtol=0)


@each_architecture
def test_a_text_alone_has_the_embedding_that_it_has_in_a_batch(encoders, model_type):
    folder = encoders(model_type)
    together = encode(folder, tokens(folder))
    for row, text in enumerate(TEXTS):
        assert_close(encode(folder, tokens(folder, [text])), together[row : row + 1])


@each_architecture
def test_left_padding_gives_what_sentence_transformers_gives(encoders, model_type):
    folder = encoders(model_type)
    left = encode(folder, tokens(folder, padding_side="left"))
    assert_close(left, encode_plainly(folder, padding_side="left"))
    # BERT has a vector for each absolute position, and transformers counts padding as positions.
    if model_type != "bert":
        assert_close(left, encode(folder, tokens(folder)))


@each_architecture
def test_states_of_all_layers_are_there_on_request_and_only_then(encoders, model_type):
    folder = encoders(model_type)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        plain, asked = model(**tokens(folder)), model(**tokens(folder), output_hidden_states=True)
    assert plain.hidden_states is None and plain.attentions is None
    assert len(asked.hidden_states) == 3
    assert_close(asked.pooler_output, plain.pooler_output)


@each_architecture
def test_an_empty_text_has_an_embedding_of_unit_norm(encoders, model_type):
    folder = encoders(model_type)
    embedding = encode(folder, tokens(folder, [""]))
    assert_close(embedding.norm(dim=-1), torch.ones(1))
    assert_close(embedding, encode_plainly(folder, [""]))


@each_architecture
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_row_of_nothing_but_padding_is_finite_and_leaves_the_others_alone(encoders, model_type, attention):
    folder = encoders(model_type)
    batch = tokens(folder)
    whole = encode(folder, batch, attn_implementation=attention)
    batch["attention_mask"][1] = 0
    embeddings = encode(folder, batch, attn_implementation=attention)
    assert embeddings.isfinite().all()
    others = [row for row in range(len(TEXTS)) if row != 1]
    assert_close(embeddings[others], whole[others])
    batch["attention_mask"][:] = 0
    assert encode(folder, batch, attn_implementation=attention).isfinite().all()


@pytest.mark.parametrize(
    # ModernBERT takes as long as Gemma 3, whose layers of near tokens are masked alike.
    "model_type",
    [pytest.param(name, marks=pytest.mark.slow if name == "modernbert" else ()) for name in MODEL_TYPES],
)
def test_8192_tokens_are_pooled_as_the_native_hidden_states_say(encoders, tmp_path, model_type):
    folder, length = tmp_path / "long", 8192
    shutil.copytree(encoders(model_type), folder)
    config = json.loads((folder / "config.json").read_text())
    positions = config["max_position_embeddings"] - 64 + length
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": positions}))
    if model_type in ("bert", "xlm-roberta"):
        weights = load_file(folder / "model.safetensors")
        weights["embeddings.position_embeddings.weight"] = torch.randn(positions, 32) * 0.02
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    batch = {
        "input_ids": torch.randint(5, config["vocab_size"], (1, length), generator=torch.Generator().manual_seed(0))
    }
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        output = model(**batch)
        hidden = model.native_class().from_pretrained(folder).eval()(**batch).last_hidden_state
    pooled = hidden[:, 0] if model_type in CLS_POOLED else hidden.mean(dim=1)
    for name in ("2_Dense", "3_Dense") if model_type == "gemma3_text" else ():
        pooled = pooled @ load_file(folder / name / "model.safetensors")["linear.weight"].T
    assert_close(output.last_hidden_state, hidden)
    assert_close(output.pooler_output, torch.nn.functional.normalize(pooled, dim=-1))


@each_architecture
def test_bfloat16_keeps_the_direction_however_it_is_asked_for(encoders, model_type):
    folder = encoders(model_type)
    batch, full = tokens(folder), encode(folder, tokens(folder))
    with torch.no_grad():
        converted = AutoModel.from_pretrained(folder).to(torch.bfloat16).eval()(**batch).pooler_output
    for embeddings in (encode(folder, batch, dtype=torch.bfloat16), converted):
        assert embeddings.dtype == torch.bfloat16
        assert torch.nn.functional.cosine_similarity(embeddings.float(), full).min() > 0.999


@pytest.mark.parametrize("dtype", [torch.float16, "float16"])
def test_gemma_is_not_loaded_in_float16(gemma, dtype):
    with pytest.raises(ValueError, match=r"does not run in float16: its activations exceed that range"):
        AutoModel.from_pretrained(gemma, dtype=dtype)


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda model: model.half(), id="half"),
        pytest.param(lambda model: model.to(torch.float16), id="to"),
        pytest.param(lambda model: model.to(device="cpu", dtype=torch.float16), id="to device"),
        pytest.param(lambda model: torch.nn.Sequential(model).half(), id="within another module"),
    ],
)
def test_gemma_is_not_converted_to_float16(gemma, convert):
    with pytest.raises(ValueError, match="does not run in float16"):
        convert(AutoModel.from_pretrained(gemma))


def test_gemma_does_not_run_in_float16_through_autocast(gemma):
    model, batch = AutoModel.from_pretrained(gemma), tokens(gemma)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(**batch).pooler_output.isfinite().all()
    with torch.autocast("cpu", torch.float16), pytest.raises(ValueError, match="does not run in float16"):
        model(**batch)


@pytest.mark.parametrize("model_type", [name for name in MODEL_TYPES if name != "gemma3_text"])
def test_the_others_run_in_float16(encoders, model_type):
    folder = encoders(model_type)
    full = encode(folder, tokens(folder))
    half = encode(folder, tokens(folder), dtype=torch.float16)
    assert half.dtype == torch.float16
    assert torch.nn.functional.cosine_similarity(half.float(), full).min() > 0.9999


def compiled(folder, **settings):
    """Encode batches of two lengths with one compiled model."""
    torch.compiler.reset()
    model = torch.compile(AutoModel.from_pretrained(folder, truncate_dim=8).eval(), **settings)
    with torch.no_grad():
        return [model(**tokens(folder, texts)).pooler_output for texts in (TEXTS, TEXTS[1:2])]


@pytest.mark.parametrize(
    # XLM-R differs from BERT in its positions alone.
    "model_type",
    [pytest.param(name, marks=pytest.mark.slow if name == "xlm-roberta" else ()) for name in MODEL_TYPES],
)
def test_a_compiled_model_gives_the_same_without_leaving_the_graph(encoders, model_type):
    folder = encoders(model_type)
    for embeddings, texts in zip(compiled(folder, backend="eager", fullgraph=True), (TEXTS, TEXTS[1:2]), strict=True):
        assert_close(embeddings, encode(folder, tokens(folder, texts), truncate_dim=8))


@pytest.mark.slow
@each_architecture
def test_a_model_compiled_to_machine_code_gives_the_same(encoders, model_type):
    folder = encoders(model_type)
    for embeddings, texts in zip(compiled(folder, fullgraph=True), (TEXTS, TEXTS[1:2]), strict=True):
        assert_close(embeddings, encode(folder, tokens(folder, texts), truncate_dim=8), atol=1e-5)


@each_architecture
@pytest.mark.parametrize("device_map", ["cpu", "auto", {"": "cpu"}])
def test_a_device_map_gives_the_same(encoders, model_type, device_map):
    folder = encoders(model_type)
    assert_close(encode(folder, tokens(folder), device_map=device_map), encode(folder, tokens(folder)))


@each_architecture
def test_weights_that_stay_on_disk_give_the_same(encoders, tmp_path, model_type):
    folder = encoders(model_type)
    first, *others = dict(AutoModel.from_pretrained(folder).named_children())
    device_map = {first: "disk", **dict.fromkeys(others, "cpu")}
    embeddings = encode(folder, tokens(folder), device_map=device_map, offload_folder=tmp_path)
    assert_close(embeddings, encode(folder, tokens(folder)))


@each_architecture
def test_heads_with_bias_and_activation_give_what_sentence_transformers_gives(encoders, tmp_path, model_type):
    torch.manual_seed(0)
    model = SentenceTransformer(str(encoders(model_type)), device="cpu")
    modules = [*list(model)[:2], Dense(32, 24, activation_function=torch.nn.GELU()), Dense(24, 20)]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path), create_model_card=False)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(encoders(model_type) / name, tmp_path / name)
    write_matryoshka_code(tmp_path, (20, 10))
    full = encode(tmp_path, tokens(tmp_path))
    assert full.shape == (len(TEXTS), 20)
    assert_close(full, encode_plainly(tmp_path))
    narrow = encode(tmp_path, tokens(tmp_path), truncate_dim=10)
    assert_close(narrow, torch.nn.functional.normalize(full[:, :10], dim=-1))


@each_architecture
def test_heads_live_once_in_their_own_folders(encoders, tmp_path, model_type):
    model = AutoModel.from_pretrained(encoders(model_type))
    assert set(model.state_dict()) == set(model.native_class()(model.config).state_dict())
    model.save_pretrained(tmp_path)
    before, after = (load_file(folder / "model.safetensors") for folder in (encoders(model_type), tmp_path))
    assert before.keys() == after.keys()
    heads = sorted(path.parent.name for path in tmp_path.glob("*/*.safetensors"))
    assert heads == (["2_Dense", "3_Dense"] if model_type == "gemma3_text" else [])


SAVE_AGAIN = """
import sys
from pathlib import Path
from transformers import AutoModel, AutoTokenizer

for source, target in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    model = AutoModel.from_pretrained(source, trust_remote_code=True, truncate_dim=8)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source).save_pretrained(target)
assert not [name for name in sys.modules if name.startswith("hf_turkembed")]
"""


@pytest.fixture(scope="module")
def saved_without_the_package(encoders, tmp_path_factory):
    """Each encoder, loaded with the repo's own code in a process without this package, and saved again."""
    root = tmp_path_factory.mktemp("saved")
    folders = [str(path) for model_type in MODEL_TYPES for path in (encoders(model_type), root / model_type)]
    done = subprocess.run([sys.executable, "-c", SAVE_AGAIN, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return root


@pytest.mark.launch
@pytest.mark.parametrize(
    "model_type", ["gemma3_text", *(pytest.param(name, marks=pytest.mark.slow) for name in MODEL_TYPES[1:])]
)
def test_saved_without_the_package_it_loads_the_same_in_every_way(saved_without_the_package, encoders, model_type):
    folder = saved_without_the_package / model_type
    assert [check for check in check_loaders(folder, "model") if not check.passed] == []
    for dim in MATRYOSHKA_DIMS:
        before = encode(encoders(model_type), tokens(folder), truncate_dim=dim)
        assert_close(encode(folder, tokens(folder), truncate_dim=dim), before)


def test_only_padding_gives_numbers_in_float16_too(encoders):
    folder = encoders("bert")
    batch = tokens(folder)
    batch["attention_mask"][0] = 0
    assert encode(folder, batch, dtype=torch.float16).isfinite().all()


def test_a_mask_may_be_of_booleans_and_must_be_of_tokens(encoders):
    for model_type in MODEL_TYPES[1:]:
        folder = encoders(model_type)
        batch = tokens(folder)
        expected = encode(folder, batch)
        assert_close(encode(folder, {**batch, "attention_mask": batch["attention_mask"].bool()}), expected)
    mask = torch.ones(len(TEXTS), 1, batch["input_ids"].shape[1], batch["input_ids"].shape[1], dtype=torch.bool)
    with pytest.raises(ValueError, match="`attention_mask` has 4 dimensions"):
        encode(folder, {**batch, "attention_mask": mask})
