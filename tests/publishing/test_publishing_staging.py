"""Staging: everything of a folder or an error that names the file, and nothing private in its texts."""

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file
from score_samples import REPORT, make_score

from hf_turkembed import record
from hf_turkembed.json_files import read_json, write_json
from hf_turkembed.publishing import stage_folder
from hf_turkembed.publishing.private_text import find_private_text
from hf_turkembed.publishing.staging import list_files
from hf_turkembed.scores import ScoreReport, read_scores


@pytest.fixture
def folder(tmp_path):
    """A small folder as a step leaves it."""
    path = tmp_path / "run" / "distill"
    (path / "1_Pooling").mkdir(parents=True)
    (path / "config.json").write_text("{}", encoding="utf-8")
    (path / "1_Pooling" / "config.json").write_text("{}", encoding="utf-8")
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def test_staged_folder_holds_every_file_and_the_card_and_the_scores(folder, tmp_path):
    stage_folder(folder, tmp_path / "staged", card="# card", report=ScoreReport(scores=(make_score(),)))
    assert list_files(tmp_path / "staged") == [
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "model.safetensors",
        "scores.json",
    ]
    assert read_scores(tmp_path / "staged" / "scores.json").scores == (make_score(),)


def test_the_profile_of_the_folder_is_drawn_and_that_of_other_models_is_not(folder, tmp_path):
    own = replace(REPORT, scores=(make_score(model_digest=record.digest_model(folder)),))
    stage_folder(folder, tmp_path / "own", card="# card", report=own)
    assert (tmp_path / "own" / "matryoshka_profile.png").read_bytes()[:4] == b"\x89PNG"
    stage_folder(folder, tmp_path / "other", card="# card", report=REPORT)
    assert not (tmp_path / "other" / "matryoshka_profile.png").exists()


def test_staging_leaves_the_source_as_it_is(gemma, tmp_path):
    before = record.digest_path(gemma)
    stage_folder(gemma, tmp_path / "staged", card="# card", report=ScoreReport(scores=()))
    (tmp_path / "staged" / "config.json").write_text("changed", encoding="utf-8")
    assert record.digest_path(gemma) == before


def test_card_replaces_the_readme_of_the_folder(folder, tmp_path):
    (folder / "README.md").write_text("old", encoding="utf-8")
    stage_folder(folder, tmp_path / "staged", card="new", report=ScoreReport(scores=()))
    assert (tmp_path / "staged" / "README.md").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pytorch_model.bin", "may run code"),
        ("1_Pooling/weights.pt", "may run code"),
        ("state.pkl", "may run code"),
        ("last.ckpt", "may run code"),
        ("adapter.pth", "may run code"),
        ("embeddings.npz", "may run code"),
        ("model.h5", "may run code"),
        ("STATE.PKL", "may run code"),
        ("model.Pt", "may run code"),
        ("optimizer.safetensors", "state of training"),
        ("Optimizer.safetensors", "state of training"),
        ("checkpoint-10/model.safetensors", "state of training"),
        ("scheduler.json", "state of training"),
        ("rng_state_0.json", "state of training"),
        ("trainer_state.json", "state of training"),
        (".progress.json", "is hidden"),
        (".git/config", "is hidden"),
        (".eval_results/sts.json", "is hidden"),
        (".eval_results/.sts.yaml", "is hidden"),
        ("__pycache__/modeling.txt", "is hidden or a cache"),
    ],
)
def test_file_that_must_not_be_published_is_named(folder, tmp_path, name, reason):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    with pytest.raises(ValueError, match=reason) as caught:
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert name.split("/")[0] in str(caught.value)


@pytest.mark.parametrize("target", ["../secret.txt", "/etc/hostname"])
def test_link_that_leads_out_of_the_folder_is_refused(folder, tmp_path, target):
    (folder.parent / "secret.txt").write_text("secret", encoding="utf-8")
    (folder / "notes.txt").symlink_to(target)
    with pytest.raises(ValueError, match=r"`notes\.txt` is a link that leads out"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_link_to_a_folder_is_refused(folder, tmp_path):
    (folder / "again").symlink_to("1_Pooling")
    with pytest.raises(ValueError, match="`again` is a link to a folder"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_link_inside_the_folder_becomes_a_file(folder, tmp_path):
    (folder / "same.json").symlink_to("config.json")
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert not (tmp_path / "staged" / "same.json").is_symlink()
    assert (tmp_path / "staged" / "same.json").read_text(encoding="utf-8") == "{}"


@pytest.mark.parametrize("suffix", [".json", ".md", ".py", ".txt"])
@pytest.mark.parametrize(
    "private",
    [
        lambda folder: str(folder),
        lambda folder: f"{folder.parent}/clone/model.safetensors",
        lambda folder: f"{Path.home()}/.cache/huggingface",
        lambda folder: f"{Path.cwd()}/recipes",
        lambda folder: f"{tempfile.gettempdir()}/x1y2",
    ],
    ids=["folder", "run", "home", "working directory", "temporary"],
)
def test_path_of_this_machine_is_found_with_file_and_line(folder, tmp_path, suffix, private):
    (folder / f"notes{suffix}").write_text(f"first\nbase: {private(folder)!r}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"`notes\{suffix}`, line 2, holds the path"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_access_token_is_found_and_not_repeated(folder, tmp_path):
    token = "hf_" + "a1B2" * 8
    (folder / "notes.txt").write_text(f"token={token}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"`notes\.txt`, line 1, holds what looks like an access token") as caught:
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert token not in str(caught.value)


@pytest.mark.parametrize("name", ["notes.txt", "LICENSE", "notes.json"])
@pytest.mark.parametrize(
    "secret",
    [
        "hf_oauth_" + "a1B2" * 8,
        "ghp_" + "a1B2" * 9,
        "AKIA" + "A1B2" * 4,
        "sk-proj-" + "a1B2" * 8,
        "glpat-" + "a1B2" * 5,
        "AIza" + "a1B2c" * 7,
        "xoxb-" + "a1B2" * 4,
        "sk_live_" + "a1B2" * 6,
        "https://user:password@example.org",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "sk-proj-a_B1-" + "a1B2" * 8,
        "gsk_" + "a1B2" * 12,
        "nvapi-" + "a1B2" * 12,
        "sk-ant-api03-" + "a1B2" * 8,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "a1B2_-" * 5,
        "npm_" + "a1B2" * 9,
        "pypi-AgEIcHlwaS5vcmc" + "a1B2" * 8,
        "ya29." + "a1B2" * 8,
        "AWS_SECRET_ACCESS_KEY=" + "a1B/" * 10,
        "secretAccessKey: " + "a1B+" * 10,
        "https://example.org/x?X-Amz-Date=1&X-Amz-Signature=" + "a1b2" * 16,
        "https://example.org/x?Expires=1&Signature=" + "a1B2" * 6 + "%3D",
        "https://example.org/x?sv=1&sig=" + "a1B2" * 6 + "%3D",
        "https://a1B2c3D4e5F6g7H8i9J0@example.org/x.git",
    ],
)
def test_secrets_of_other_services_and_keys_are_found_too(folder, tmp_path, name, secret):
    (folder / name).write_text(f"first\n{secret}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"`{name}`, line 2, holds what looks like an access token") as caught:
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert secret not in str(caught.value)


NO_PATHS = [
    "{data_root}/data/a/b.tsv",
    "https://example.org/data/team/run1/x",
    "<output_dir>/data/a/b",
    "../data/a/b",
    "S:\nBu ne?\nC: Bir ev.\nS:",
    "see /usr/share/common-licenses and /tmp",
    "1/2/3 ve/veya/ya da",
    "e-posta ali@example.org, https://example.org/@ali",
    "risk-yonetimi-ve-ic-kontrol-sistemi",
    "example/sk-en-parallel-sentences-v2",
    "example/cs-sk-web-crawl-deduplicated-2024",
]
TOKEN = "hf_" + "a1B2" * 8


@pytest.mark.parametrize(
    "path",
    [
        "/workspace/ali/teacher",
        "file:///home/ali/teacher",
        "~/models/base",
        "D:/models/base",
        r"\\server\share",
        "/data/my models/teacher",
        r"D:\my work\teacher",
        "~/my models/teacher",
        "/gölge/depo/öğretmen",
        r"c:\users\ali\teacher",
    ],
)
def test_a_value_that_is_a_path_is_found_wherever_it_leads(folder, tmp_path, path):
    (folder / "config.json").write_text(json.dumps({"a": [{"name_or_path": path}]}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"`config\.json`.* holds the path"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


@pytest.mark.parametrize(
    "text",
    [
        "a/b/c",
        "/soru/ metin: ",
        "/s/ sesi",
        "/^[a-z]+/i",
        "~3/4/5 gün",
        "{data_root}/data/x.tsv",
        "</s>",
        "/",
        "/home",
        "// comment",
        "and/or",
        *NO_PATHS,
    ],
)
def test_what_is_no_path_is_published(folder, tmp_path, text):
    (folder / "config.json").write_text(json.dumps({"a": text}), encoding="utf-8")
    (folder / "notes.md").write_text(f"# {text}\n", encoding="utf-8")
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "added_tokens.json", "tokenizer_report.json"])
def test_a_token_behind_escapes_is_found(folder, tmp_path, name):
    (folder / name).write_text('{"b":\n"\\n\\"\\\\' + r"\u0068f_" + "a1B2" * 8 + '"}', encoding="utf-8")
    with pytest.raises(ValueError, match=rf"`{name}`, line 2, holds what looks like an access token"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_a_path_behind_escapes_is_found(folder, tmp_path):
    (folder / "config.json").write_text(r'{"a": "made in \/home\/ali\u002fx"}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"`config\.json`, line 1, holds the path '/home/ali/x' of one machine"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_a_string_that_begins_after_a_quote_in_another_is_no_path(folder, tmp_path):
    (folder / "config.json").write_text(json.dumps({"a": 'he said "/or/ else"'}), encoding="utf-8")
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


@pytest.mark.parametrize(
    "path",
    [
        "/data/team/run1/x",
        "/workspace/ali/x",
        "/content/drive/MyDrive/x",
        "~/models/x",
        "~ali/models/x",
        "/projects/models/base",
        r"D:\work\models\x",
        "D:/work/models/x",
    ],
)
@pytest.mark.parametrize("name", ["notes.md", "notes.json"])
def test_a_path_in_running_text_is_found(folder, tmp_path, name, path):
    text = f"trained on {path}, and on more"
    (folder / name).write_text(text if name == "notes.md" else json.dumps({"a": text}), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"`notes\.\w+`, line 1, holds the path {re.escape(repr(path))} of one"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def write_rows(path, text, *, kind=None):
    """Write 30 rows into row groups of seven, of which the 24th holds a text."""
    rows = [f"Satır {number}" for number in range(1, 31)]
    rows[23] = text
    columns = {"text": pa.array([*rows[:10], None, *rows[11:]], kind), "language": ["tr"] * 30, "tokens": [3] * 30}
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), path, row_group_size=7)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
@pytest.mark.parametrize(
    "secret",
    [TOKEN, "sk-proj-" + "a_B1" * 8, "-----BEGIN PRIVATE KEY-----\n" + "a1B2" * 16, "a.secret+of=this/machine"],
)
def test_a_token_in_a_row_is_found_with_its_number(folder, tmp_path, monkeypatch, secret, kind):
    monkeypatch.setenv("HF_TOKEN", "a.secret+of=this/machine")
    write_rows(folder / "data" / "tr" / "train-00000.parquet", f"Şifre: {secret}!", kind=kind)
    with pytest.raises(
        ValueError, match=r"`data/tr/train-00000\.parquet`, row 24 of column `text`, holds what"
    ) as caught:
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "Dosya /home/ali/x/y altında, C:\\Users\\ali\\x içinde.",
        "http://kullanıcı:parola@example.org ve http://bilgi2@example.org",
        "-----BEGIN PRIVATE KEY----- satırıyla başlar",
        "https://example.org/risk-yonetimi-ve-ic-kontrol-sistemi-2024",
        "#ASIAPACIFICECONOMICFORUM",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "a1B2_-" * 5,
    ],
)
def test_what_texts_of_others_hold_is_published(folder, tmp_path, text):
    write_rows(folder / "data" / "tr" / "train-00000.parquet", text)
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_rows_that_cannot_be_read_are_said(folder, tmp_path):
    path = folder / "data" / "tr" / "train-00000.parquet"
    write_rows(path, "Kedi")
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train-00000\.parquet cannot be read"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


TABLE = pa.table({"a": [1]})


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("notes.txt", lambda path: path.write_text(f"token={TOKEN}", encoding="utf-16")),
        ("NOTES.TXT", lambda path: path.write_text(f"token={TOKEN}", encoding="utf-8")),
        ("more.safetensors", lambda path: save_file({"w": np.zeros(1)}, path, {"note": TOKEN})),
        ("more.parquet", lambda path: pq.write_table(TABLE.replace_schema_metadata({"note": TOKEN}), path)),
    ],
)
def test_a_token_is_found_in_whatever_holds_text(folder, tmp_path, name, write):
    write(folder / name)
    with pytest.raises(ValueError, match=rf"`{name}`, line \d, holds what looks like an access token"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


@pytest.mark.parametrize("path", ["/mnt/users/ali/secret", "/home/someone/models/base", "C:\\Users\\ali\\base"])
def test_paths_of_other_machines_are_found(folder, tmp_path, path):
    (folder / "config.json").write_text(json.dumps({"_name_or_path": path}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"`config\.json`, line 1, holds the path"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_addresses_are_no_paths(folder, tmp_path):
    (folder / "notes.txt").write_text("see https://example.org/home/someone/models/base", encoding="utf-8")
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_token_of_this_machine_is_found_whatever_it_looks_like(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "a.secret+of=this/machine")
    (folder / "notes.txt").write_text("token=a.secret+of=this/machine\n", encoding="utf-8")
    with pytest.raises(ValueError, match="looks like an access token") as caught:
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert "secret" not in str(caught.value)


def test_card_is_searched_like_any_other_text(folder, tmp_path):
    with pytest.raises(ValueError, match=r"`README\.md`, line 1"):
        stage_folder(folder, tmp_path / "staged", card=f"made in {folder}", report=ScoreReport(scores=()))


def test_vocabulary_with_names_of_top_folders_is_no_leak(tmp_path):
    vocabulary = {"/tmp": 1, "/home": 2, "▁/root": 3, "hf_": 4, "/tmp/": 5}
    (tmp_path / "tokenizer.json").write_text(json.dumps(vocabulary, indent=1), encoding="utf-8")
    assert [*find_private_text(tmp_path, ["tokenizer.json"], ["/tmp", "/root", "/home"])] == []


@pytest.mark.real
def test_real_vocabulary_is_no_leak(shared_data, tmp_path):
    stage_folder(shared_data / "teacher", tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert (tmp_path / "staged" / "tokenizer.json").is_file()


def test_lost_code_of_the_model_class_is_written_again(gemma, tmp_path):
    folder = tmp_path / "saved"
    stage_folder(gemma, folder, card="", report=ScoreReport(scores=()))
    code = [name for name in list_files(folder) if name.endswith(".py")]
    for name in code:
        (folder / name).unlink()
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))
    assert code
    assert [(tmp_path / "staged" / name).read_bytes() for name in code] == [(gemma / n).read_bytes() for n in code]


def test_lost_code_of_a_foreign_class_is_refused(gemma, tmp_path):
    folder = tmp_path / "saved"
    stage_folder(gemma, folder, card="", report=ScoreReport(scores=()))
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "auto_map": {"AutoModel": "modeling_other.OtherModel"}})
    with pytest.raises(ValueError, match=r"modeling_other\.OtherModel.*write_matryoshka_code"):
        stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=()))


def test_results_of_an_earlier_version_are_replaced(folder, tmp_path):
    (folder / ".eval_results").mkdir()
    (folder / ".eval_results" / "example--sts-tr.yaml").write_text("[]", encoding="utf-8")
    own = record.digest_model(folder)
    stage_folder(folder, tmp_path / "staged", card="", report=ScoreReport(scores=(make_score(model_digest=own),)))
    found = (tmp_path / "staged" / ".eval_results" / "example--sts-tr.yaml").read_text(encoding="utf-8")
    assert "value: 0.78125" in found
    assert (tmp_path / "staged" / "scores.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_folder_and_scores_give_the_same_repo(folder, tmp_path):
    report = ScoreReport(scores=(make_score(model_digest=record.digest_model(folder)),))
    for name in ("one", "two"):
        stage_folder(folder, tmp_path / name, card="# card", report=report)
    assert record.digest_path(tmp_path / "one") == record.digest_path(tmp_path / "two")


@pytest.mark.parametrize(("license", "stands"), [("gemma", True), ("mit", False)])
def test_notice_that_a_licence_asks_for_stands_beside_the_model(folder, tmp_path, license, stands):
    card = f"---\nlicense: {license}\n---\n# card\n"
    stage_folder(folder, tmp_path / "staged", card=card, report=ScoreReport(scores=()))
    assert (tmp_path / "staged" / "NOTICE").is_file() == stands


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        stage_folder(tmp_path / "none", tmp_path / "staged", card="", report=ScoreReport(scores=()))
