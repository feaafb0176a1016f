"""The clone: rows by spelling, means for new tokens, everything else the teacher's."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from hf_turkembed.cloning import clone_model, compose_table

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
    arguments = {"matryoshka_dims": MATRYOSHKA_DIMS, "max_length": 128, **settings}
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_means_are_taken_in_float32_and_stored_as_the_teacher_stores(dtype):
    tokenizer = Tokenizer.from_str(
        json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2}, "merges": []}, "added_tokens": []})
    )
    table = torch.tensor([[1.0], [2.0], [256.0]], dtype=dtype)
    result, copied, pieces = compose_table(table, {"a": 0, "b": 1, "c": 2}, {"a": 0, "abc": 1}, tokenizer)
    assert result.dtype == dtype and (copied, pieces) == (1, 3)
    assert result[1] == torch.tensor([259 / 3]).to(dtype)


def test_a_token_the_teacher_cannot_spell_is_refused():
    tokenizer = Tokenizer.from_str(
        json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, "added_tokens": []})
    )
    with pytest.raises(ValueError, match="cannot spell the new token 'x'"):
        compose_table(torch.zeros(2, 1), {"a": 0, "b": 1}, {"x": 0}, tokenizer)


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
    with pytest.raises(ValueError, match="begins with 64, but the teacher gives 32"):
        clone(gemma, gemma, tmp_path / "student", matryoshka_dims=(64, 32))
