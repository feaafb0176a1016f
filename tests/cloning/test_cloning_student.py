"""The clone: rows by spelling, means for new tokens, everything else the teacher's."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import AutoConfig

from hf_turkembed.cloning import clone_model

TABLE = "embed_tokens.weight"


@pytest.fixture
def extended(gemma, tmp_path):
    """The teacher's tokenizer with its last merge dropped and two words made whole, ids moved."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    content = json.loads((gemma / "tokenizer.json").read_text())
    vocab, merges = content["model"]["vocab"], content["model"]["merges"]
    left, right = merges.pop()
    del vocab[left + right]
    ordered = sorted(vocab, key=vocab.__getitem__)
    new = [(a, b) for a in ordered[300:] for b in ordered[300:] if a.isalpha() and b.isalpha() and a + b not in vocab][
        :2
    ]
    merges += [list(pair) for pair in new]
    content["model"]["vocab"] = {token: i for i, token in enumerate([*ordered, *(a + b for a, b in new)])}
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False))
    shutil.copyfile(gemma / "tokenizer_config.json", folder / "tokenizer_config.json")
    return folder


def clone(teacher, tokenizer, output, **settings):
    output.mkdir()
    arguments = {"matryoshka_dims": MATRYOSHKA_DIMS, "max_length": 128, "seed": 0, **settings}
    return clone_model(teacher, tokenizer, output, **arguments)


def vocabulary(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()


def test_shared_tokens_keep_their_row_and_new_ones_are_means_of_their_pieces(gemma, extended, tmp_path):
    report = clone(gemma, extended, tmp_path / "student")
    old, new = load_file(gemma / "model.safetensors")[TABLE], load_file(tmp_path / "student/model.safetensors")[TABLE]
    teacher, student = vocabulary(gemma), vocabulary(extended)
    assert new.shape == (len(student), 32)
    composed = [token for token in student if token not in teacher]
    assert (report.rows_copied, report.rows_composed) == (len(student) - 2, 2) and len(composed) == 2
    for token, row in student.items():
        if token in teacher:
            assert torch.equal(new[row], old[teacher[token]])
    model = Tokenizer.from_file(str(gemma / "tokenizer.json")).model
    for token in composed:
        pieces = [piece.id for piece in model.tokenize(token)]
        assert len(pieces) > 1
        torch.testing.assert_close(new[student[token]], old[pieces].mean(dim=0))


def test_everything_but_the_table_is_the_teachers_bit_for_bit(gemma, extended, tmp_path):
    clone(gemma, extended, tmp_path / "student")
    old, new = load_file(gemma / "model.safetensors"), load_file(tmp_path / "student/model.safetensors")
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old if name != TABLE)
    for name in ("2_Dense/model.safetensors", "3_Dense/model.safetensors", "1_Pooling/config.json", "modules.json"):
        assert (tmp_path / "student" / name).read_bytes() == (gemma / name).read_bytes()


def test_a_clone_with_the_same_tokenizer_is_the_teacher(gemma, tmp_path):
    clone(gemma, gemma, tmp_path / "student")
    teacher, student = (SentenceTransformer(str(folder), device="cpu") for folder in (gemma, tmp_path / "student"))
    torch.testing.assert_close(
        torch.tensor(student.encode(list(TEXTS))), torch.tensor(teacher.encode(list(TEXTS))), atol=1e-6, rtol=0
    )
    assert student.prompts == teacher.prompts


def test_config_and_tokenizer_say_how_long_texts_may_be(gemma, extended, tmp_path):
    clone(gemma, extended, tmp_path / "student", max_length=128)
    config = json.loads((tmp_path / "student/config.json").read_text())
    assert config["vocab_size"] == len(vocabulary(extended)) and config["max_position_embeddings"] == 128
    assert config["sliding_window"] == json.loads((gemma / "config.json").read_text())["sliding_window"]
    assert SentenceTransformer(str(tmp_path / "student"), device="cpu").max_seq_length == 128


@pytest.mark.parametrize("name", ["tokenizer.json", "modules.json"])
def test_a_teacher_without_a_file_it_needs_is_refused(gemma, tmp_path, name):
    shutil.copytree(gemma, tmp_path / "teacher")
    (tmp_path / "teacher" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {name}"):
        clone(tmp_path / "teacher", gemma, tmp_path / "student")


def test_a_teacher_that_would_attend_causally_is_refused(gemma, tmp_path):
    shutil.copytree(gemma, tmp_path / "teacher")
    path = tmp_path / "teacher/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_bidirectional_attention": False}))
    with pytest.raises(ValueError, match="would attend causally"):
        clone(tmp_path / "teacher", gemma, tmp_path / "student")


def test_a_teacher_without_a_table_is_refused(gemma, tmp_path):
    shutil.copytree(gemma, tmp_path / "teacher")
    path = tmp_path / "teacher/model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if k != TABLE}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"has the embedding tables \[\]"):
        clone(tmp_path / "teacher", gemma, tmp_path / "student")


def test_widths_that_do_not_begin_with_the_embedding_dimension_are_refused(gemma, tmp_path):
    with pytest.raises(ValueError, match=r"is \[64, 32\], but the embedding of .* has 32 dim"):
        clone(gemma, gemma, tmp_path / "student", matryoshka_dims=(64, 32))
    assert not any((tmp_path / "student").iterdir())


@pytest.fixture
def copied(gemma, tmp_path):
    """A teacher that may be spoilt."""
    return Path(shutil.copytree(gemma, tmp_path / "teacher"))


def spoil_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def spoil_weights(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def cut_table(folder):
    """Take the last rows from the table and from the config, but not from the tokenizer."""
    spoil_weights(folder / "model.safetensors", lambda w: w.update({TABLE: w[TABLE][:-5].clone()}))
    rows = json.loads((folder / "config.json").read_text())["vocab_size"] - 5
    spoil_json(folder / "config.json", vocab_size=rows)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def add_tokens(folder):
    """Add two tokens of text that the table has no rows for."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["yeni", "uyor"])
    tokenizer.save(str(folder / "tokenizer.json"))


def pickle_only(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


BAD_TEACHERS = {
    "bigger tokenizer": (
        cut_table,
        r"5 tokens without a row, such as .* the table has \d+ rows",
    ),
    "missing head": (lambda t: (t / "2_Dense/model.safetensors").unlink(), r"holds no 2_Dense/model\.safetensors"),
    "head under another name": (
        lambda t: spoil_weights(t / "2_Dense/model.safetensors", lambda w: w.update(x=w.pop("linear.weight"))),
        r"2_Dense/config\.json describes the weights .*, but its model\.safetensors holds",
    ),
    "NaN in the table": (
        lambda t: spoil_weights(t / "model.safetensors", lambda w: w[TABLE][7].fill_(math.nan)),
        r"`embed_tokens\.weight` holds NaN or an infinity in row 7",
    ),
    "infinity in a layer": (
        lambda t: spoil_weights(t / "model.safetensors", lambda w: w["norm.weight"][3:].fill_(math.inf)),
        r"`norm\.weight` holds NaN or an infinity in row 3",
    ),
    "NaN in a head": (
        lambda t: spoil_weights(t / "3_Dense/model.safetensors", lambda w: w["linear.weight"].fill_(math.nan)),
        r"3_Dense/config\.json: its model\.safetensors holds NaN or infinite weights",
    ),
    "truncated weights": (
        lambda t: cut(t / "model.safetensors"),
        r"model\.safetensors is damaged .*download it again",
    ),
    "no safetensors at all": (
        lambda t: (t / "model.safetensors").write_bytes(b"\0" * 50),
        r"model\.safetensors is damaged",
    ),
    "pickle": (pickle_only, r"holds no model\.safetensors; .* \['pytorch_model\.bin'\], and reading pickles can run"),
    "float16": (
        lambda t: spoil_weights(t / "model.safetensors", lambda w: w.update({k: v.half() for k, v in w.items()})),
        "float16, in which Gemma 3's activations overflow",
    ),
    "too wide": (
        lambda t: spoil_json(t / "config_sentence_transformers.json", truncate_dim=64),
        r"config_sentence_transformers\.json has the `truncate_dim` 64, but the embedding has 32",
    ),
    "float16 in the config": (
        lambda t: spoil_json(t / "config.json", dtype="float16"),
        "`dtype` in config.json is float16",
    ),
    "width that is no number": (lambda t: spoil_json(t / "config.json", truncate_dim="8"), "`truncate_dim` '8'"),
    "missing layer": (
        lambda t: spoil_weights(t / "model.safetensors", lambda w: w.pop("layers.1.mlp.up_proj.weight")),
        r"`layers\.1\.mlp\.up_proj\.weight` is missing",
    ),
    "layer of another shape": (
        lambda t: spoil_weights(t / "model.safetensors", lambda w: w.update({"norm.weight": w["norm.weight"][:5]})),
        r"`norm\.weight` has the shape \(5,\), expected \(32,\), as in config\.json",
    ),
    "no pooling": (lambda t: (t / "1_Pooling/config.json").unlink(), r"holds no 1_Pooling/config\.json"),
    "head without settings": (lambda t: (t / "2_Dense/config.json").unlink(), r"holds no 2_Dense/config\.json"),
    "head of another size": (
        lambda t: spoil_json(t / "2_Dense/config.json", in_features=16),
        r"2_Dense/config\.json describes the weights .*\(64, 16\)",
    ),
    "folder outside": (
        lambda t: (t / "modules.json").write_text((t / "modules.json").read_text().replace("2_Dense", "../evil")),
        r"names the folder '\.\./evil'; expected one beside it",
    ),
    "tokens added past the table": (
        add_tokens,
        r"2 tokens without a row, such as 'uyor'",
    ),
    "a module twice": (
        lambda t: (t / "modules.json").write_text((t / "modules.json").read_text().replace("3_Dense", "2_Dense")),
        r"names the folder '2_Dense'; expected one beside it, once",
    ),
    "config that is no JSON": (lambda t: cut(t / "config.json"), r"config\.json is not valid JSON"),
    "modules that are no JSON": (lambda t: cut(t / "modules.json"), r"modules\.json is not valid JSON"),
    "tokenizer that is no JSON": (lambda t: cut(t / "tokenizer.json"), r"tokenizer\.json is not a fast tokenizer"),
    "index of no files": (
        lambda t: (t / "model.safetensors.index.json").write_text('{"metadata": {}}'),
        r"index\.json has no `weight_map`",
    ),
    "float8": (
        lambda t: spoil_weights(
            t / "model.safetensors", lambda w: w.update({TABLE: w[TABLE].to(torch.float8_e4m3fn)})
        ),
        r"`embed_tokens\.weight` is stored as F8_E4M3; convert it",
    ),
    "no architecture of ours": (
        lambda t: spoil_json(t / "config.json", model_type="roberta"),
        "model_type 'roberta'",
    ),
}


@pytest.mark.parametrize("name", BAD_TEACHERS)
def test_a_bad_teacher_is_refused_and_nothing_is_written(copied, extended, tmp_path, name):
    spoil, message = BAD_TEACHERS[name]
    spoil(copied)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        clone(copied, extended, tmp_path / "student")
    assert not any((tmp_path / "student").iterdir())


def test_a_missing_part_of_a_checkpoint_is_named(copied, extended, tmp_path):
    index = {
        "weight_map": {TABLE: "model-00001-of-00002.safetensors", "norm.weight": "model-00002-of-00002.safetensors"}
    }
    (copied / "model.safetensors").rename(copied / "model-00001-of-00002.safetensors")
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FileNotFoundError, match=r"lacks \['model-00002-of-00002\.safetensors'\]"):
        clone(copied, extended, tmp_path / "student")


def test_a_tokenizer_with_holes_is_refused(gemma, extended, tmp_path):
    content = json.loads((extended / "tokenizer.json").read_text())
    content["model"]["vocab"] = {t: i + (i > 300) for t, i in content["model"]["vocab"].items()}
    (extended / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"has \d+ tokens, but ids up to"):
        clone(gemma, extended, tmp_path / "student")


@pytest.mark.parametrize("model_type", ["gte", "bert", "modernbert"])
def test_other_architectures_are_cloned_the_same_way(encoders, extended, tmp_path, model_type):
    teacher = encoders(model_type)
    report = clone(teacher, extended, tmp_path / "student", max_length=64)
    old, new = load_file(teacher / "model.safetensors"), load_file(tmp_path / "student/model.safetensors")
    changed = [name for name in old if not torch.equal(old[name], new[name])]
    assert [name.rpartition("embeddings.")[2] for name in changed] == ["weight"]
    assert report.rows_composed == 2 and report.parameters == sum(tensor.numel() for tensor in new.values())
    student = SentenceTransformer(str(tmp_path / "student"), device="cpu")
    assert student.encode(list(TEXTS)).shape == (len(TEXTS), 32)


def test_a_special_token_that_the_tokenizer_lacks_is_refused_and_nothing_is_written(gemma, extended, tmp_path):
    spoil_json(extended / "tokenizer_config.json", bos_token="<nope>")
    with pytest.raises(ValueError, match="`bos_token` '<nope>', which is not among the tokens"):
        clone(gemma, extended, tmp_path / "student")
    assert not any((tmp_path / "student").iterdir())


@pytest.mark.parametrize(("settings", "message"), [({"max_length": 0}, "is 0"), ({"initialization": "x"}, "is 'x'")])
def test_settings_out_of_range_are_refused(gemma, extended, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        clone(gemma, extended, tmp_path / "student", **settings)


def test_a_window_is_not_stretched_past_a_table_of_positions(encoders, extended, tmp_path):
    with pytest.raises(
        ValueError, match=r"`max_length` is 65, but .* has a table of positions for 64 tokens; lower it"
    ):
        clone(encoders("bert"), extended, tmp_path / "student", max_length=65)


def encode_words(folder, words):
    """Encode one text of so many words at full precision."""
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": "float32"})
    return torch.tensor(model.encode(" ".join(["kedi", "uyuyor"] * (words // 2))))


def test_a_longer_window_leaves_short_texts_alone_and_reads_long_ones_to_their_end(gemma, tmp_path):
    clone(gemma, gemma, tmp_path / "student", max_length=512)
    short = [encode_words(folder, 10) for folder in (gemma, tmp_path / "student")]
    torch.testing.assert_close(short[0], short[1], atol=1e-6, rtol=0)
    teacher, student = (encode_words(folder, 200) for folder in (gemma, tmp_path / "student"))
    assert not torch.allclose(teacher, student, atol=1e-4)


def test_yarn_stretches_the_layers_with_full_attention_and_only_them(gemma, tmp_path):
    clone(gemma, gemma, tmp_path / "student", max_length=256, yarn=True)
    rope = [AutoConfig.from_pretrained(folder).rope_parameters for folder in (gemma, tmp_path / "student")]
    assert rope[1]["sliding_attention"] == rope[0]["sliding_attention"]
    assert rope[1]["full_attention"] == rope[0]["full_attention"] | {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    assert torch.isfinite(encode_words(tmp_path / "student", 200)).all()


@pytest.mark.parametrize(("model_type", "length"), [("gte", 256), ("gemma3_text", 64)])
def test_yarn_is_refused_where_it_stretches_nothing(encoders, tmp_path, model_type, length):
    with pytest.raises(ValueError, match=r"`yarn` (is for Gemma 3|stretches the window of 64 tokens)"):
        clone(encoders(model_type), encoders(model_type), tmp_path / "student", max_length=length, yarn=True)


@pytest.mark.real
@pytest.mark.slow
def test_the_small_teachers_window_is_extended_without_changing_what_fits_it(shared_data, tmp_path):
    teacher = shared_data / "teacher"
    clone(teacher, teacher, tmp_path / "student", matryoshka_dims=(128, 64, 32), max_length=8192)
    short, long = (encode_words(tmp_path / "student", words) for words in (600, 2000))
    torch.testing.assert_close(encode_words(teacher, 600), short, atol=1e-5, rtol=0)
    assert not torch.allclose(encode_words(teacher, 2000), long, atol=1e-4)
    assert SentenceTransformer(str(tmp_path / "student"), device="cpu").max_seq_length == 8192
