"""How many tokens an encoder reads: positions that begin behind the id of padding, and limits that count them."""

import json
import shutil

import pytest
import torch
from samples import TEXTS
from sentence_transformers import SentenceTransformer
from transformers import CONFIG_MAPPING, AutoModel, AutoTokenizer

from hf_turkembed.distillation import BatchedEncoder
from hf_turkembed.modeling.repository import check_window
from hf_turkembed.modeling.server_files import write_server_files
from hf_turkembed.modeling.window import BEHIND_PADDING, check_length, find_window, limit_length

LONG = "kedi uyuyor " * 100


@pytest.fixture
def unlimited(encoders, tmp_path):
    """An XLM-R of 66 positions, of whose files none names the longest text."""
    folder = shutil.copytree(encoders("xlm-roberta"), tmp_path / "unlimited")
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        settings = read(folder / name)
        del settings[key]
        (folder / name).write_text(json.dumps(settings))
    return folder


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def load(folder):
    return SentenceTransformer(str(folder), device="cpu")


@pytest.mark.parametrize("model_type", BEHIND_PADDING)
def test_a_network_takes_as_many_tokens_as_its_window_says_and_not_one_more(model_type):
    torch.manual_seed(0)
    size = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    config = CONFIG_MAPPING[model_type](**size, num_attention_heads=1, max_position_embeddings=12)
    if model_type == "xmod":
        config.default_language = config.languages[0]
    network = AutoModel.from_config(config).eval()
    window = find_window(config.to_dict(), None)
    assert window == 12 - config.pad_token_id - 1
    network(input_ids=torch.full((1, window), 5))
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        network(input_ids=torch.full((1, window + 1), 5))


@pytest.mark.parametrize(
    ("config", "limit", "window"),
    [
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, None, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 514, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 128, 128),
        # bge-m3.
        ({"model_type": "xlm-roberta", "max_position_embeddings": 8194, "pad_token_id": 1}, 10**30, 8192),
        ({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}, None, 512),
        # Rotary positions go beyond what a model was trained with.
        ({"model_type": "gemma3_text", "max_position_embeddings": 2048}, 8192, 8192),
        ({"model_type": "modernbert", "max_position_embeddings": 8192}, None, 8192),
        ({"model_type": "xlnet", "max_position_embeddings": -1}, None, None),
        ({"model_type": "t5"}, 77, 77),
    ],
)
def test_the_window_is_what_files_say_and_no_more_than_text_has_positions_for(config, limit, window):
    assert find_window(config, limit) == window


def test_a_model_that_takes_positions_for_tokens_reads_long_texts_once_its_limit_is_lowered(unlimited):
    model = load(unlimited)
    assert model.max_seq_length == 66
    with pytest.raises(RuntimeError, match="index 66 is out of bounds"):
        model.encode(LONG)
    limit_length(model)
    assert model.max_seq_length == 64
    whole = model.tokenizer(LONG)["input_ids"]
    assert len(whole) > 66
    ids = torch.tensor([[*whole[:63], whole[-1]]])
    with torch.no_grad():
        expected = AutoModel.from_pretrained(unlimited).eval()(input_ids=ids).pooler_output[0]
    torch.testing.assert_close(torch.tensor(model.encode(LONG, normalize_embeddings=True)), expected)


def test_teachers_read_up_to_their_window_and_no_setting_goes_beyond_a_table(unlimited, encoders):
    found = BatchedEncoder(load(unlimited), max_length=64, batch_tokens=256).embed([LONG, "kedi"])
    assert 60 < found.tokens[0] <= 64
    with pytest.raises(ValueError, match="`max_length` is 65, but the model reads 64 tokens"):
        BatchedEncoder(load(unlimited), max_length=65, batch_tokens=256)
    for folder in (unlimited, encoders("bert")):
        with pytest.raises(ValueError, match=f"is 65, but {folder} has a table of positions for 64 tokens; lower it"):
            BatchedEncoder(load(folder), max_length=65, batch_tokens=256, extend_window=True)
    check_length(load(encoders("modernbert")), 65)


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta"])
def test_a_table_that_is_too_short_is_found_without_reading_weights(encoders, tmp_path, model_type):
    folder = shutil.copytree(encoders(model_type), tmp_path / "model")
    (folder / "model.safetensors").unlink()
    check_window(folder, 64)
    with pytest.raises(ValueError, match=f"`max_length` is 65, but {folder} has a table of positions for 64 tokens"):
        check_window(folder, 65)


def test_rotary_positions_have_no_table(encoders):
    check_window(encoders("modernbert"), 65)


@pytest.mark.parametrize(("limit", "written"), [(None, 64), (66, 64), (32, 32)])
def test_servers_are_told_no_more_tokens_than_there_are_positions_for(unlimited, limit, written):
    path = unlimited / "sentence_bert_config.json"
    path.write_text(json.dumps(read(path) | {"max_seq_length": limit}))
    write_server_files(unlimited)
    assert read(path)["max_seq_length"] == written
    assert load(unlimited).max_seq_length == written


def test_a_limit_beyond_rotary_positions_stays(encoders, tmp_path):
    folder = shutil.copytree(encoders("modernbert"), tmp_path / "model")
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps(read(path) | {"max_seq_length": 128}))
    write_server_files(folder)
    assert read(path)["max_seq_length"] == 128 > read(folder / "config.json")["max_position_embeddings"]


def test_vectors_in_place_of_ids_are_positioned_as_tokens_so_that_padding_belongs_on_the_right(encoders):
    folder = encoders("xlm-roberta")
    model = AutoModel.from_pretrained(folder).eval()

    def embed(side, **positions):
        batch = AutoTokenizer.from_pretrained(folder, padding_side=side)(
            list(TEXTS), padding=True, return_tensors="pt"
        )
        vectors = model.get_input_embeddings()(batch["input_ids"])
        ids = {key: value(batch["attention_mask"]) for key, value in positions.items()}
        with torch.no_grad():
            whole = model(**batch).pooler_output
            return model(inputs_embeds=vectors, attention_mask=batch["attention_mask"], **ids).pooler_output, whole

    torch.testing.assert_close(*embed("right"), atol=1e-6, rtol=0)
    left, whole = embed("left")
    assert (left - whole).abs().max() > 1e-3
    torch.testing.assert_close(*embed("left", position_ids=lambda mask: mask.cumsum(1) * mask + 1), atol=1e-6, rtol=0)
