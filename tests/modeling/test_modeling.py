"""The model class: what each loader gives, what is refused, and what saving keeps."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import MATRYOSHKA_DIMS, MODEL_TYPES, TEXTS
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer
from transformers.models.bert.modeling_bert import BertModel

from hf_turkembed import MatryoshkaGemma3TextModel
from hf_turkembed.modeling.repository import (
    check_config,
    check_encoder,
    check_loadable,
    save_model,
    write_matryoshka_code,
)


def encode(folder, dim=None, texts=TEXTS, padding_side="right"):
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=padding_side)
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    model = AutoModel.from_pretrained(folder, truncate_dim=dim).eval()
    with torch.no_grad():
        return model(**batch)


def reference(folder, dim):
    model = SentenceTransformer(str(folder), device="cpu")
    return torch.tensor(model.encode(list(TEXTS), normalize_embeddings=True, truncate_dim=dim))


def change_json(path, **changes):
    """Set keys of a JSON file, and remove those set to None."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def keep_only_native_files(folder, target, **changes):
    """Copy what somebody else's checkpoint of the same architecture consists of."""
    target.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(folder / name, target / name)
    change_json(target / "config.json", auto_map=None, matryoshka_dims=None, matryoshka_dimensions=None, **changes)
    return target


@pytest.fixture
def copied(gemma, tmp_path):
    shutil.copytree(gemma, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("dim", MATRYOSHKA_DIMS)
def test_automodel_agrees_with_sentence_transformers_at_every_width(encoders, model_type, dim):
    ours = encode(encoders(model_type), dim).pooler_output
    assert ours.shape == (len(TEXTS), dim)
    torch.testing.assert_close(ours, reference(encoders(model_type), dim), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dim", MATRYOSHKA_DIMS)
def test_rows_have_unit_norm_at_every_width(gemma, dim):
    norms = encode(gemma, dim).pooler_output.norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones(len(TEXTS)))


def test_a_width_is_the_renormalised_prefix_of_the_full_embedding(gemma):
    full = encode(gemma).pooler_output
    prefix = torch.nn.functional.normalize(full[:, :8], dim=-1)
    torch.testing.assert_close(encode(gemma, 8).pooler_output, prefix)


def test_the_last_head_computes_only_the_outputs_that_are_kept(gemma):
    tokenizer = AutoTokenizer.from_pretrained(gemma)
    model = AutoModel.from_pretrained(gemma, truncate_dim=8)
    widths = []
    model.heads[-1].activation.register_forward_hook(lambda module, inputs, output: widths.append(output.shape[-1]))
    model(**tokenizer(["Kedi uyuyor."], return_tensors="pt"))
    assert widths == [8]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_last_hidden_state_is_the_native_one(encoders, model_type):
    folder = encoders(model_type)
    native = AutoModel.from_pretrained(folder).native_class()
    batch = AutoTokenizer.from_pretrained(folder)(list(TEXTS), padding=True, return_tensors="pt")
    expected = native.from_pretrained(folder).eval()(**batch).last_hidden_state
    torch.testing.assert_close(encode(folder).last_hidden_state, expected)


def test_padding_does_not_change_an_embedding(gemma):
    alone = encode(gemma, texts=[TEXTS[1]]).pooler_output
    torch.testing.assert_close(encode(gemma).pooler_output[1:2], alone, atol=1e-6, rtol=0)


def test_cls_pooling_takes_the_first_token_under_left_padding(encoders):
    model = AutoModel.from_pretrained(encoders("gte"))
    hidden = torch.randn(2, 4, 32)
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    expected = torch.nn.functional.normalize(torch.stack([hidden[0, 2], hidden[1, 0]]), dim=-1)
    torch.testing.assert_close(model._sentence_embedding(hidden, mask), expected)


def test_a_tuple_is_returned_on_request(gemma):
    batch = AutoTokenizer.from_pretrained(gemma)(["Kedi uyuyor."], return_tensors="pt")
    hidden, pooled = AutoModel.from_pretrained(gemma)(**batch, return_dict=False)
    assert hidden.shape[-1] == 32 and pooled.shape == (1, 32)


def test_a_repo_in_a_subfolder_is_loaded_with_its_heads(gemma, tmp_path):
    shutil.copytree(gemma, tmp_path / "sub")
    batch = AutoTokenizer.from_pretrained(gemma)(list(TEXTS), padding=True, return_tensors="pt")
    model = AutoModel.from_pretrained(tmp_path, subfolder="sub", truncate_dim=16).eval()
    torch.testing.assert_close(model(**batch).pooler_output, encode(gemma, 16).pooler_output)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "modules.json"])
def test_an_encoder_that_lacks_a_file_is_refused_before_training(copied, name):
    (copied / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {name}"):
        check_encoder(copied, (32, 16))


def test_an_untrained_width_is_refused_and_the_trained_ones_are_named(gemma):
    with pytest.raises(ValueError, match=r"`truncate_dim`=12 .* \(32, 16, 8\)"):
        AutoModel.from_pretrained(gemma, truncate_dim=12)


def test_a_misspelt_argument_is_refused(gemma):
    with pytest.raises(TypeError, match="truncate_dims"):
        AutoModel.from_pretrained(gemma, truncate_dims=8)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_other_peoples_checkpoints_load_as_the_native_class_and_save_as_such(encoders, tmp_path, model_type):
    folder = keep_only_native_files(encoders(model_type), tmp_path / "plain")
    model = AutoModel.from_pretrained(folder)
    native = AutoModel.from_pretrained(encoders(model_type)).native_class()
    assert type(model) is native and native.__module__.startswith("transformers.models.")
    with pytest.raises(ValueError, match="has no `matryoshka_dims`"):
        AutoModel.from_pretrained(folder, truncate_dim=8)
    model.save_pretrained(tmp_path / "saved")
    assert "auto_map" not in (tmp_path / "saved/config.json").read_text()
    assert not list((tmp_path / "saved").glob("*.py"))


def test_a_plain_gemma_may_be_causal_and_in_half_precision(gemma, tmp_path):
    folder = keep_only_native_files(gemma, tmp_path / "plain", use_bidirectional_attention=None)
    model = AutoModel.from_pretrained(folder, dtype=torch.float16)
    assert model.dtype == torch.float16 and model.layers[0].self_attn.is_causal


def test_other_auto_classes_and_random_models_stay_native(encoders):
    config = AutoConfig.from_pretrained(encoders("bert"))
    assert type(AutoModel.from_config(config)) is BertModel
    assert type(AutoModelForMaskedLM.from_config(config)).__name__ == "BertForMaskedLM"


@pytest.mark.parametrize("name", ["modules.json", "3_Dense/config.json", "3_Dense/model.safetensors"])
def test_a_missing_file_of_a_head_is_an_error(copied, name):
    (copied / name).unlink()
    with pytest.raises(OSError, match=f"holds no {name}"):
        AutoModel.from_pretrained(copied)


@pytest.mark.parametrize("folder", ["", "3_Dense"])
def test_pickled_weights_are_not_read(copied, folder):
    weights = copied / folder / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(OSError, match=r"model\.safetensors"):
        AutoModel.from_pretrained(copied)


@pytest.mark.parametrize("kept", [0, 60, -8])
def test_a_damaged_head_is_an_error_that_names_the_file(copied, kept):
    weights = copied / "3_Dense" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"3_Dense/model\.safetensors is truncated or damaged"):
        AutoModel.from_pretrained(copied)


@pytest.mark.parametrize("name", ["modules.json", "3_Dense/config.json"])
def test_a_damaged_description_is_an_error_that_names_the_file(copied, name):
    (copied / name).write_text("{")
    with pytest.raises(ValueError, match=f"{re.escape(name)} is not JSON"):
        AutoModel.from_pretrained(copied)


def test_a_head_that_is_not_finite_is_an_error(copied):
    weights = copied / "2_Dense" / "model.safetensors"
    save_file({"linear.weight": torch.full((64, 32), float("nan"))}, weights)
    with pytest.raises(ValueError, match=r"2_Dense/config.json: .* holds NaN"):
        AutoModel.from_pretrained(copied)


def test_a_head_under_another_name_is_an_error(copied):
    save_file({"weight": torch.zeros(32, 64)}, copied / "3_Dense" / "model.safetensors")
    with pytest.raises(ValueError, match=r"holds \{'weight': \(32, 64\)\}"):
        AutoModel.from_pretrained(copied)


def test_heads_that_do_not_follow_each_other_are_an_error(copied):
    shutil.rmtree(copied / "3_Dense")
    shutil.copytree(copied / "2_Dense", copied / "3_Dense")
    with pytest.raises(ValueError, match="a layer over 32 inputs, but what comes before it gives 64"):
        AutoModel.from_pretrained(copied)


def test_a_repo_without_pooling_is_an_error(copied):
    modules = [m for m in json.loads((copied / "modules.json").read_text()) if m["path"] != "1_Pooling"]
    (copied / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="names no Pooling"):
        AutoModel.from_pretrained(copied)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_width_beyond_the_embedding_is_an_error_even_where_config_names_it(encoders, tmp_path, model_type):
    shutil.copytree(encoders(model_type), tmp_path / "model")
    with pytest.raises(ValueError, match="`truncate_dim`=64 is not one of the trained"):
        AutoModel.from_pretrained(tmp_path / "model", truncate_dim=64)
    change_json(tmp_path / "model/config.json", matryoshka_dims=[64, 32])
    with pytest.raises(ValueError, match="names the width 64 in `matryoshka_dims`, but the embedding has 32"):
        AutoModel.from_pretrained(tmp_path / "model", truncate_dim=64)


@pytest.mark.parametrize("setting", [False, None])
def test_a_gemma_encoder_that_would_attend_causally_is_refused_everywhere(copied, setting):
    change_json(copied / "config.json", use_bidirectional_attention=setting)
    message = f"{copied}/config.json does not set `use_bidirectional_attention`"
    with pytest.raises(ValueError, match=message):
        AutoModel.from_pretrained(copied)
    with pytest.raises(ValueError, match=message):
        check_encoder(copied, (32, 16))
    with pytest.raises(ValueError, match=message):
        check_config(AutoConfig.from_pretrained(copied), copied)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_sound_encoder_passes_the_checks_before_training(encoders, model_type):
    check_encoder(encoders(model_type), (32, 16))


def test_a_head_of_another_shape_is_an_error(copied):
    save_file({"linear.weight": torch.zeros(32, 32)}, copied / "3_Dense" / "model.safetensors")
    with pytest.raises(ValueError, match=r"describes the weights .*\(32, 64\)"):
        AutoModel.from_pretrained(copied)


def test_a_module_the_class_does_not_know_is_an_error(copied):
    modules = json.loads((copied / "modules.json").read_text())
    modules[2]["type"] = "sentence_transformers.base.modules.layer_norm.LayerNorm"
    (copied / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="AutoModel knows Pooling, Dense and Normalize"):
        AutoModel.from_pretrained(copied)


@pytest.mark.parametrize("settings", [{"pooling_mode": "max"}, {"pooling_mode": "mean", "include_prompt": False}])
def test_another_pooling_is_an_error(copied, settings):
    (copied / "1_Pooling" / "config.json").write_text(json.dumps({"embedding_dimension": 32, **settings}))
    with pytest.raises(ValueError, match=r"1_Pooling/config.json asks for pooling"):
        AutoModel.from_pretrained(copied)


def test_heads_are_no_parameters_so_that_sentence_transformers_counts_them_once(gemma):
    model = SentenceTransformer(str(gemma), device="cpu")
    assert isinstance(model[0].model, MatryoshkaGemma3TextModel)
    native = sum(tensor.numel() for tensor in load_file(gemma / "model.safetensors").values())
    assert sum(p.numel() for p in model.parameters()) == native + 2 * 32 * 64
    assert not [name for name in model[0].model.state_dict() if "head" in name]


def test_a_truncated_model_saves_its_full_heads_and_no_truncate_dim(gemma, tmp_path):
    AutoModel.from_pretrained(gemma, truncate_dim=8).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(gemma).save_pretrained(tmp_path)
    assert "truncate_dim" not in (tmp_path / "config.json").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["Gemma3TextModel"]
    torch.testing.assert_close(encode(tmp_path).pooler_output, encode(gemma).pooler_output)
    torch.testing.assert_close(reference(tmp_path, 16), reference(gemma, 16))


def test_a_push_that_would_leave_out_the_heads_is_refused(gemma, tmp_path):
    with pytest.raises(ValueError, match="push_to_hub"):
        AutoModel.from_pretrained(gemma).save_pretrained(tmp_path, push_to_hub=True)


def test_a_model_trained_and_saved_by_sentence_transformers_loads_with_its_new_heads(gemma, tmp_path):
    model = SentenceTransformer(str(gemma), device="cpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    features = model.preprocess(list(TEXTS))
    model(features)["sentence_embedding"][:, :4].sum().backward()
    optimizer.step()
    model.save_pretrained(str(tmp_path))
    assert (reference(tmp_path, 32) - reference(gemma, 32)).abs().max() > 1e-3
    for dim in MATRYOSHKA_DIMS:
        torch.testing.assert_close(encode(tmp_path, dim).pooler_output, reference(tmp_path, dim), atol=1e-6, rtol=0)


def test_saving_a_trained_model_keeps_the_tokenizer_byte_for_byte(gemma, tmp_path):
    model = SentenceTransformer(str(gemma), device="cpu")
    model.encode(list(TEXTS))
    save_model(model, tmp_path, (32, 16), gemma)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (gemma / name).read_bytes()
    assert AutoConfig.from_pretrained(tmp_path).matryoshka_dims == [32, 16]


@pytest.mark.parametrize("dims", [(), (8, 16), (16, 16)])
def test_widths_have_to_be_distinct_and_falling(copied, dims):
    with pytest.raises(ValueError, match="largest first"):
        write_matryoshka_code(copied, dims)


def test_a_model_type_without_a_class_is_refused_with_what_to_add(copied):
    change_json(copied / "config.json", model_type="roberta")
    known = r"'roberta'; Matryoshka classes exist for bert, gemma3_text, gte, modernbert, xlm-roberta\."
    added = r"modeling_matryoshka_roberta.py with the class `MatryoshkaRobertaModel\(MatryoshkaMixin, RobertaModel\)`"
    with pytest.raises(ValueError, match=f"{known}.*{added}"):
        write_matryoshka_code(copied, (32,))
    change_json(copied / "config.json", model_type="robert")
    with pytest.raises(ValueError, match=r"'robert'.* transformers has no network of that type"):
        write_matryoshka_code(copied, (32,))


def test_a_model_built_from_its_config_says_that_it_has_no_pooling(gemma):
    model = MatryoshkaGemma3TextModel(AutoConfig.from_pretrained(gemma))
    with pytest.raises(ValueError, match="has no pooling; load it with `from_pretrained`"):
        model(torch.tensor([[2, 5, 1]]))


@pytest.mark.parametrize("width", [8.0, "8", True])
def test_a_width_is_a_whole_number(gemma, width):
    with pytest.raises(ValueError, match="is not one of the trained `matryoshka_dims`"):
        AutoModel.from_pretrained(gemma, truncate_dim=width)


@pytest.mark.parametrize("widths", [(32, 0), (32, -3)])
def test_widths_are_at_least_one(copied, widths):
    with pytest.raises(ValueError, match="expected distinct widths of at least 1"):
        write_matryoshka_code(copied, widths)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_weights_that_are_missing_damaged_or_of_another_shape_are_refused_before_training(
    encoders, tmp_path, model_type
):
    folder = Path(shutil.copytree(encoders(model_type), tmp_path / "model"))
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = next(
        name for name in weights if name.endswith(("down_proj.weight", "output.dense.weight", "mlp.Wo.weight"))
    )
    save_file({key: value for key, value in weights.items() if key != name}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"the tensor `.*weight` is missing"):
        check_encoder(folder, MATRYOSHKA_DIMS)
    save_file(weights | {name: weights[name][:, :5].clone()}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"the tensor `.*weight` has the shape \(32, 5\), expected \(32, \d+\)"):
        check_encoder(folder, MATRYOSHKA_DIMS)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="damaged"):
        check_encoder(folder, MATRYOSHKA_DIMS)
    with pytest.raises(ValueError, match="are truncated or damaged"):
        AutoModel.from_pretrained(folder)


@pytest.mark.parametrize("place", [".", "2_Dense"])
def test_weights_in_pickles_alone_are_refused_before_any_work(copied, place):
    (copied / place / "model.safetensors").rename(copied / place / "pytorch_model.bin")
    message = "holds its weights in pytorch_model.bin; expected model.safetensors, as pickles"
    for check in (lambda: check_encoder(copied, MATRYOSHKA_DIMS), lambda: check_loadable(copied)):
        with pytest.raises(ValueError, match=f"^{(copied / place).resolve()} {message}"):
            check()


def test_a_folder_without_weights_and_one_that_lacks_a_part_of_them_are_named(copied):
    (copied / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=f"{copied} holds no weights; expected model.safetensors"):
        check_encoder(copied, MATRYOSHKA_DIMS)
    index = {"metadata": {}, "weight_map": {"norm.weight": "model-00001-of-00002.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=f"{copied}: its safetensors are damaged or not all there.*model-00001"):
        check_encoder(copied, MATRYOSHKA_DIMS)


def test_widths_beyond_the_embedding_are_those_that_were_asked_for(copied):
    with pytest.raises(ValueError, match=rf"^`matryoshka_dims` is \[64, 8\], but the embedding of {copied} has 32"):
        check_encoder(copied, (64, 8))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "asks for pooling"),
        ("2_Dense/config.json", {"in_features": 31}, "describes the weights"),
        ("config.json", {"model_type": "robert"}, "has the model_type 'robert'; transformers has no network"),
        ("config.json", {"hidden_size": "wide"}, "describes no network"),
        ("config.json", {"layer_types": ["sliding_attention", "flat"]}, "describes no network"),
    ],
)
def test_an_error_of_an_encoder_names_its_folder(copied, name, changes, message):
    change_json(copied / name, **changes)
    with pytest.raises(ValueError, match=f"^{copied}/{name} {message}"):
        check_encoder(copied, MATRYOSHKA_DIMS)


def test_heads_are_checked_before_texts_are_embedded_where_the_class_reads_them(copied):
    (copied / "3_Dense/model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=f"{copied}/3_Dense/model.safetensors is truncated or damaged"):
        check_loadable(copied)
    change_json(copied / "1_Pooling/config.json", pooling_mode="max")
    change_json(copied / "config.json", matryoshka_dims=None)
    check_loadable(copied)


def test_an_encoder_without_a_class_here_is_loadable_but_not_one_without_a_pooling(copied):
    change_json(copied / "config.json", model_type="electra", embedding_size=32)
    check_loadable(copied)
    with pytest.raises(ValueError, match="'electra'; Matryoshka classes exist for"):
        check_encoder(copied, MATRYOSHKA_DIMS)
    modules = json.loads((copied / "modules.json").read_text())
    (copied / "modules.json").write_text(json.dumps([modules[0], modules[-1]]))
    with pytest.raises(ValueError, match=f"{copied}/modules.json names no Pooling"):
        check_loadable(copied)


def test_modules_in_another_order_are_left_to_sentence_transformers(copied):
    modules = json.loads((copied / "modules.json").read_text())
    moved = [*modules[:2], modules[-1], *modules[2:-1]]
    (copied / "modules.json").write_text(json.dumps(moved))
    for load in (AutoModel.from_pretrained, lambda folder: check_encoder(folder, MATRYOSHKA_DIMS)):
        with pytest.raises(ValueError, match="AutoModel knows one Pooling, then Dense, then Normalize"):
            load(copied)


def test_a_head_over_tokens_is_left_to_sentence_transformers(copied):
    change_json(copied / "2_Dense/config.json", module_input_name="token_embeddings")
    with pytest.raises(ValueError, match="AutoModel knows plain layers"):
        AutoModel.from_pretrained(copied)


@pytest.mark.parametrize("content", ["{}", "[1]", '[{"path": ""}]', '[{"type": "x", "path": "a"}, {"type": "y"}]'])
def test_modules_of_another_form_are_named(copied, content):
    (copied / "modules.json").write_text(content)
    with pytest.raises(ValueError, match=r"modules\.json is no list of modules with `path` and `type`"):
        check_encoder(copied, MATRYOSHKA_DIMS)


@pytest.mark.parametrize("name", ["config.json", "config_sentence_transformers.json"])
def test_a_folder_that_cuts_to_a_width_it_does_not_have_is_refused_before_training(copied, name):
    change_json(copied / name, truncate_dim=999)
    with pytest.raises(ValueError, match=f"{name} has the `truncate_dim` 999, but the embedding has 32 dimensions"):
        check_encoder(copied, MATRYOSHKA_DIMS)
    (copied / name).write_text("[]")
    with pytest.raises(ValueError, match=rf"{name} is no JSON object"):
        check_encoder(copied, MATRYOSHKA_DIMS)


def test_only_the_main_process_writes(gemma, tmp_path):
    AutoModel.from_pretrained(gemma).save_pretrained(tmp_path, is_main_process=False)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
