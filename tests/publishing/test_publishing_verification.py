"""The loaders themselves, in processes of their own, on real folders: sound ones and broken ones."""

import json
import shutil
import subprocess
import sys

import pytest
from recorded import record_digests

from hf_turkembed.publishing import loader_probe, publish_folder, verify_folder
from hf_turkembed.scores import ScoreReport


@pytest.fixture
def output(step_outputs, tmp_path):
    """Copy what a step left, of a kind, for one test to publish or to damage."""

    def copy(kind):
        return shutil.copytree(step_outputs[kind], tmp_path / "run" / step_outputs[kind].name)

    return copy


def publish(folder, outbox, **changes):
    settings = {
        "repo_id": "example/it",
        "license": "mit",
        "languages": ["tr"],
        "report": ScoreReport(scores=()),
        "target": outbox,
    }
    return publish_folder(folder, **{**settings, **changes})


def failed(verification):
    return [check.name for check in verification.checks if not check.passed]


def test_sound_model_passes_and_is_published(output, tmp_path):
    published = publish(output("model"), tmp_path / "outbox")
    assert published.verification.passed, published.verification.describe_failures()
    names = [check.name for check in published.verification.checks]
    assert len(names) == len(set(names)) == 13 + 3 * 6 + 4 + 4 + 4
    assert [name for name in names if name.startswith("snippet")] == [f"snippet {n} runs" for n in (1, 2, 3, 4)]
    assert published.location == str(tmp_path / "outbox" / "example" / "it")
    found = {path.relative_to(published.location).as_posix() for path in (tmp_path / "outbox").rglob("*.*")}
    assert {file.path for file in published.files} <= found
    assert {"README.md", "modeling_matryoshka.py", "model.safetensors", "2_Dense/model.safetensors"} <= found


def test_model_whose_code_was_changed_is_not_published_and_leaves_nothing(output, tmp_path):
    folder = output("model")
    code = folder / "modeling_matryoshka.py"
    code.write_text(code.read_text(encoding="utf-8") + "import os\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"was not published: remote code: `modeling_matryoshka\.py` is not this"):
        publish(folder, tmp_path / "outbox")
    assert not (tmp_path / "outbox").exists()


def test_model_without_trained_widths_fails_and_says_how_to_mend_it(repo):
    folder = repo("model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["matryoshka_dims"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    record_digests(folder)
    verification = verify_folder(folder)
    assert not verification.passed
    assert "write_matryoshka_code" in verification.describe_failures()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "changes", "names"),
    [
        (
            "sentence_bert_config.json",
            {"max_seq_length": 4},
            [f"sentence-transformers = package at {w}" for w in (32, 16, 8)],
        ),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, ["snippet 1 runs"]),
        ("tokenizer_config.json", {"unk_token": "i"}, ["no unknown token in Turkish"]),
    ],
)
def test_model_whose_loaders_disagree_fails_where_they_do(repo, file, changes, names):
    path = repo("model") / file
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    record_digests(path.parent)
    assert set(failed(verify_folder(path.parent))) >= {*names}


def test_sound_dataset_passes_and_a_dry_run_writes_nothing(output, tmp_path):
    published = publish(output("dataset"), tmp_path / "outbox", dry_run=True)
    assert published.verification.passed, published.verification.describe_failures()
    assert [check.name for check in published.verification.checks][-2:] == ["rows", "snippet 1 runs"]
    assert published.location == str(tmp_path / "outbox" / "datasets" / "example" / "it")
    assert {"README.md", "data/tr/train-00001.parquet"} <= {file.path for file in published.files}
    assert not (tmp_path / "outbox").exists()


def test_dataset_that_lost_a_shard_is_not_published(output, tmp_path):
    folder = output("dataset")
    (folder / "data/tr/train-00001.parquet").unlink()
    with pytest.raises(
        ValueError, match=r"digests: `data/tr/train-00001\.parquet`, which the record names, is missing"
    ):
        publish(folder, tmp_path / "outbox")
    assert not (tmp_path / "outbox").exists()


def test_repo_without_a_card_fails_and_says_who_writes_it(output):
    assert "README.md is missing; `publish` writes it" in verify_folder(output("dataset")).describe_failures()


def test_sound_tokenizer_passes(repo):
    verification = verify_folder(repo("tokenizer"))
    assert verification.kind == "tokenizer"
    assert verification.passed, verification.describe_failures()
    assert verification.checks[-1].name == "snippet 1 runs"


def test_tokenizer_that_does_not_load_fails_with_the_reason(repo):
    folder = repo("tokenizer")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": 5}', encoding="utf-8")
    record_digests(folder)
    verification = verify_folder(folder)
    assert verification.loaded and not verification.passed
    assert failed(verification) == ["loads tokenizer"]
    assert "Error: " in verification.describe_failures()


@pytest.mark.slow
@pytest.mark.parametrize(
    "reach",
    [
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.socket().connect_ex(('127.0.0.1', 9))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
        "socket.getaddrinfo('huggingface.co', 443)",
        "__import__('subprocess').run(['true'])",
        "__import__('os').system('true')",
    ],
)
def test_a_snippet_that_reaches_for_a_network_fails(repo, tmp_path, reach):
    snippets = tmp_path / "snippets.json"
    code = f"import socket\n{reach}\n"
    snippets.write_text(json.dumps({"1": code}), encoding="utf-8")
    command = [loader_probe.__file__, "tokenizer", repo("tokenizer"), tmp_path / "out.npz", "--snippets", snippets]
    ended = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "the probe runs with the network off" in ended.stderr.splitlines()[-1]


def test_folder_of_no_known_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"neither modules\.json"):
        verify_folder(tmp_path)
