"""What files and cards hold: a repo damaged in one way fails the check that is about it, and no other."""

import json
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import metadata_load, metadata_save
from recorded import record_digests
from safetensors.torch import load_file, save_file
from score_samples import make_benchmark, make_score

from hf_turkembed import record
from hf_turkembed.json_files import read_json, write_json
from hf_turkembed.publishing import cards, render_card, stage_folder, verification, verify_folder
from hf_turkembed.publishing.card_checks import check_card
from hf_turkembed.score_figure import plot_scores
from hf_turkembed.scores import ScoreReport, read_scores
from hf_turkembed.tokenizer import plot_fertility_change


@pytest.fixture(autouse=True)
def no_loaders(monkeypatch):
    """Loaders are other tests' matter, and must not be reached by a damaged repo."""
    monkeypatch.setattr(verification, "check_loaders", lambda folder, kind, **_: [])


def edit_json(path, **changes):
    write_json(path, {**read_json(path), **changes})


def edit_text(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def edit_header(folder, **changes):
    header = {**metadata_load(folder / "README.md"), **changes}
    metadata_save(folder / "README.md", header)


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def store_as_bfloat16(folder):
    path = folder / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path, {"format": "pt"})


def drop_a_tensor(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["norm.weight"]
    save_file(tensors, path, {"format": "pt"})


def forget_digest(folder, name):
    content = read_json(folder / "provenance.json")
    del content["observed"]["outputs"][name]
    write_json(folder / "provenance.json", content)


def misreport(folder, key):
    report = read_json(folder / "tokenizer_report.json")
    report["after"] = {**report["after"], key: report["after"][key] + 1} if key else []
    write_json(folder / "tokenizer_report.json", report)


def raise_a_score(folder):
    header = metadata_load(folder / "README.md")
    header["model-index"][0]["results"][0]["metrics"][0]["value"] += 0.01
    metadata_save(folder / "README.md", header)


def record_widths(folder, widths):
    """Write other widths into the record."""
    content = read_json(folder / "provenance.json")
    content["observed"]["counts"]["matryoshka_dims"] = widths
    write_json(folder / "provenance.json", content)


def render_again(folder):
    """Write the card that the records give."""
    report = read_scores(folder / "scores.json")
    card = render_card(folder, repo_id="acme/model", license="mit", languages=["tr"], report=report)
    (folder / "README.md").write_text(card, encoding="utf-8")


def own_column_of_another(folder):
    """Mark the teacher's column as this model's own."""
    edit_text(folder / "README.md", "**student (this model)**", "student")
    edit_text(folder / "README.md", "| teacher |", "| **teacher (this model)** |")


def drop_scores_section(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    before, _, after = text.partition("## Scores\n")
    (folder / "README.md").write_text(before + after[after.index("\n## How it was made") + 1 :], encoding="utf-8")


def end_lines(path, ending):
    path.write_bytes(path.read_bytes().replace(b"\n", ending))


def edit_header_text(folder, value):
    edit_text(folder / "README.md", "license: mit", f"license: {value}")


def reverse_header(folder):
    """Write the keys of the header in another order."""
    _, header, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    keys = dict(reversed(yaml.safe_load(header).items()))
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(keys, sort_keys=False)}---\n{body}", encoding="utf-8")


def add(folder, name, text=""):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


DAMAGE = {
    "model": [
        ("a file of notes", "files", lambda f: add(f, "notes.txt")),
        ("a card in another encoding", "card header", lambda f: (f / "README.md").write_bytes(b"---\n\xff\n---\n")),
        ("a card with other line ends", "card", lambda f: end_lines(f / "README.md", b"\r\n")),
        ("a card of one line", "card", lambda f: end_lines(f / "README.md", b"\r")),
        ("results with other line ends", "evaluation results", lambda f: end_lines(f / RESULTS, b"\r\n")),
        ("a header of another form", "card header", lambda f: edit_header_text(f, "!!timestamp x")),
        ("a header without end", "card header", lambda f: edit_header_text(f, "[" * 5000)),
        ("a hidden file", "files", lambda f: add(f, ".env", "HF_TOKEN=x")),
        ("a pickle", "files", lambda f: add(f, "pytorch_model.bin")),
        ("a state of training", "files", lambda f: add(f, "optimizer.json")),
        ("a table", "files", lambda f: add(f, "data/train.csv")),
        ("a licence that is a link", "files", lambda f: (f / "LICENSE").symlink_to("/etc/hostname")),
        ("a folder that is a link", "files", lambda f: (f / "sub").symlink_to("/etc", target_is_directory=True)),
        ("a path", "private text", lambda f: edit_json(f / "config.json", _name_or_path="/workspace/ali/teacher")),
        ("a token in a licence", "private text", lambda f: add(f, "LICENSE", "hf_" + "a1B2" * 8)),
        (
            "code of others for the tokenizer",
            "code of others",
            lambda f: edit_json(f / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil/repo--tok.Tok", None]}),
        ),
        (
            "a pipeline of others",
            "code of others",
            lambda f: edit_json(f / "config.json", custom_pipelines={"x": {"impl": "evil/repo--p.P"}}),
        ),
        ("a flipped bit", "digests", lambda f: flip_a_bit(f / "model.safetensors")),
        ("a flipped bit in a head", "digests", lambda f: flip_a_bit(f / "2_Dense/model.safetensors")),
        ("another tokenizer", "digests", lambda f: edit_text(f / "tokenizer.json", '"version"', ' "version"')),
        ("another pooling", "digests", lambda f: edit_json(f / "1_Pooling/config.json", pooling_mode="cls")),
        ("another epsilon", "digests", lambda f: edit_json(f / "config.json", rms_norm_eps=0.5)),
        ("another window", "digests", lambda f: edit_json(f / "tokenizer_config.json", model_max_length=4)),
        ("settings of unknown origin", "digests", lambda f: forget_digest(f, "2_Dense/config.json")),
        ("weights of unknown origin", "digests", lambda f: forget_digest(f, "model.safetensors")),
        ("a record of nothing", "digests", lambda f: add(f, "provenance.json", "{}")),
        ("no record", "digests", lambda f: (f / "provenance.json").unlink()),
        ("no widths", "trained widths", lambda f: edit_json(f / "config.json", matryoshka_dims=None)),
        ("widths that are a text", "trained widths", lambda f: edit_json(f / "config.json", matryoshka_dims="ab")),
        ("rising widths", "trained widths", lambda f: edit_json(f / "config.json", matryoshka_dims=[16, 32])),
        (
            "code with a comment",
            "remote code",
            lambda f: edit_text(f / "modeling_matryoshka.py", "import", "#\nimport"),
        ),
        ("more code", "remote code", lambda f: add(f, "modeling_more.py")),
        ("missing code", "remote code", lambda f: (f / "modeling_matryoshka.py").unlink()),
        ("a class of others", "remote code", lambda f: edit_json(f / "config.json", auto_map={"AutoModel": "a--b.C"})),
        ("a width that is a text", "weights fit config.json", lambda f: edit_json(f / "config.json", hidden_size="x")),
        ("widths that were not trained", "trained widths", lambda f: record_widths(f, [32, 16, 4])),
        ("no modules", "weights fit config.json", lambda f: write_json(f / "modules.json", {})),
        ("another width", "weights fit config.json", lambda f: edit_json(f / "config.json", hidden_size=48)),
        ("another vocabulary", "weights fit config.json", lambda f: edit_json(f / "config.json", vocab_size=64)),
        ("another head", "weights fit config.json", lambda f: edit_json(f / "3_Dense/config.json", in_features=9)),
        ("another precision", "weights fit config.json", store_as_bfloat16),
        ("a missing tensor", "weights fit config.json", drop_a_tensor),
        ("no card", "card header", lambda f: (f / "README.md").unlink()),
        ("a misspelt key", "card header", lambda f: edit_header(f, licence="mit")),
        ("Norwegian read as false", "card header", lambda f: edit_text(f / "README.md", "\n- tr\n", "\n- no\n")),
        ("a header that is no YAML", "card header", lambda f: edit_text(f / "README.md", "license: ", "license: [")),
        ("a header that is a list", "card header", lambda f: edit_header(f, license=["mit"])),
        ("a picture that is not there", "card links", lambda f: (f / "scores.png").unlink()),
        ("another snippet", "card", lambda f: edit_text(f / "README.md", "Hava bugün", "Hava dün")),
        ("one more snippet", "card", lambda f: add_text(f, '```python\nprint("x")\n```')),
        (
            "a raised score in a table",
            "card",
            lambda f: edit_text(f / "README.md", "| 0.7812", "| 0.8812"),
        ),
        (
            "one more score",
            "card",
            lambda f: edit_text(f / "README.md", "\n| sts-test", "\n| x |\n| sts-test"),
        ),
        (
            "a raised score of the teacher",
            "card",
            lambda f: edit_text(f / "README.md", "reaches 0.8", "reaches 0.7"),
        ),
        ("a raised profile", "card", lambda f: edit_text(f / "README.md", "| 0.7800 [", "| 0.8800 [")),
        ("a notice of nobody", "notice", lambda f: add(f, "NOTICE", "changed")),
        ("another pipeline", "card", lambda f: edit_header(f, pipeline_tag="text-generation")),
        ("another library", "card", lambda f: edit_header(f, library_name="keras")),
        ("another base", "card", lambda f: edit_header(f, base_model="acme/other")),
        ("other metrics", "card", lambda f: edit_header(f, metrics=["accuracy"])),
        ("other datasets", "card", lambda f: edit_header(f, datasets=["acme/none"])),
        ("another column as its own", "card", own_column_of_another),
        ("scores that are left out", "card", drop_scores_section),
        ("praise", "card", lambda f: edit_text(f / "README.md", "A sentence encoder", "The best sentence encoder")),
        ("another history", "card", lambda f: edit_text(f / "README.md", "| `distill` |", "| `pretrain` |")),
        ("a section more", "card", lambda f: add_text(f, "## Awards\n\nMany.")),
        (
            "a release that was none",
            "card",
            lambda f: add_text(f, "## Released together with\n\n- [a/b](https://huggingface.co/c/d): the tokenizer"),
        ),
        ("a header in another order", "card", reverse_header),
        (
            "a figure of other numbers",
            "figures",
            lambda f: plot_scores(OTHER, f / "scores.png"),
        ),
        ("no figure", "figures", lambda f: (f / "matryoshka_profile.png").write_bytes(b"\x89PNG")),
        ("damaged scores", "scores", lambda f: add(f, "scores.json", "{}")),
        ("a raised score in the header", "card", raise_a_score),
        ("a raised score as a result", "evaluation results", lambda f: edit_text(f / RESULTS, "0.75", "0.85")),
        ("missing results", "evaluation results", lambda f: (f / RESULTS).unlink()),
        ("more results", "evaluation results", lambda f: add(f, ".eval_results/mteb--sts.yaml", "[]")),
    ],
    "tokenizer": [
        ("weights", "files", lambda f: add(f, "modeling_more.py")),
        ("another vocabulary", "digests", lambda f: edit_text(f / "tokenizer.json", '"version"', ' "version"')),
        ("another size in the report", "tokenizer report", lambda f: misreport(f, "vocab_size")),
        ("other dead tokens in the report", "tokenizer report", lambda f: misreport(f, "unreachable")),
        ("a report of another form", "tokenizer report", lambda f: misreport(f, None)),
        ("another snippet", "card", lambda f: edit_text(f / "README.md", "acme/tokenizer", "acme tokenizer")),
        ("a figure of other numbers", "figures", lambda f: plot_fertility_change({"tr": 0.0}, f / "fertility.png")),
        ("other measures", "card", lambda f: edit_text(f / "README.md", "| vocabulary size |", "| size |")),
        ("a key of nobody", "card header", lambda f: edit_header(f, tag=["x"])),
    ],
    "dataset": [
        ("a script", "files", lambda f: add(f, "it.py")),
        ("a lost shard", "digests", lambda f: (f / "data/tr/train-00001.parquet").unlink()),
        ("another shard", "digests", lambda f: flip_a_bit(f / "data/tr/train-00001.parquet")),
        ("a language as a flag", "card header", lambda f: edit_header(f, language=[False])),
        ("another snippet", "card", lambda f: edit_text(f / "README.md", '"tr", split', '"en", split')),
        (
            "other files of a config",
            "card",
            lambda f: edit_text(f / "README.md", "/tr/train-*", "/en/train-*"),
        ),
        ("other counts", "card", lambda f: edit_text(f / "README.md", "| tr | 12 |", "| tr | 12,000 |")),
    ],
}
OTHER = ScoreReport(scores=(make_score(),))
RESULTS = ".eval_results/example--sts-tr.yaml"
CASES = [pytest.param(kind, *case[1:], id=f"{kind}: {case[0]}") for kind, cases in DAMAGE.items() for case in cases]


def add_text(folder, text):
    path = folder / "README.md"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_repo_as_it_is_published_passes_every_check_and_is_loaded(repo, kind):
    found = verify_folder(repo(kind), repo_id=f"acme/{kind}")
    assert found.describe_failures() == ""
    assert found.loaded and found.passed


@pytest.mark.parametrize(("kind", "name", "damage"), CASES)
def test_a_damaged_repo_fails_the_check_that_is_about_it_and_is_not_loaded(repo, kind, name, damage):
    folder = repo(kind)
    damage(folder)
    if name != "digests":
        record_digests(folder)
    found = verify_folder(folder)
    assert [check.name for check in found.checks if not check.passed] == [name], found.describe_failures()
    assert not found.loaded and not found.passed
    json.dumps(found.as_json(), allow_nan=False)


@pytest.mark.parametrize("name", ["config.json", "modules.json", "provenance.json", "scores.json"])
@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        "7",
        '{"inputs": 1}',
        "[" * 200_000 + "]" * 200_000,
        "\udcff",
        '{"schema_version": 1, "identity": 1e999}',
    ],
    ids=["a list", "cut off", "a number", "another form", "too deep", "no UTF-8", "too large"],
)
def test_a_file_of_any_form_fails_checks_and_ends_nothing(repo, name, content):
    folder = repo("model")
    (folder / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    found = verify_folder(folder)
    assert not found.loaded and not found.passed


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1e400", "[" * 3000 + "]" * 3000])
def test_a_score_that_no_reader_can_hold_fails_a_check_and_ends_nothing(repo, value):
    folder = repo("model")
    edit_text(folder / "scores.json", '"value": 0.8125', f'"value": {value}')
    found = verify_folder(folder)
    assert [check.name for check in found.checks if not check.passed] == ["scores"]


@pytest.mark.parametrize("name", ["special_tokens_map.json", "config_sentence_transformers.json"])
def test_a_config_without_end_fails_a_check_and_ends_nothing(repo, name):
    folder = repo("model")
    (folder / name).write_text("[" * 200_000 + "]" * 200_000, encoding="utf-8")
    found = verify_folder(folder)
    assert not found.loaded and not found.passed


def test_every_check_has_damage_that_fails_it(repo):
    for kind, cases in DAMAGE.items():
        names = {check.name for check in verify_folder(repo(kind)).checks}
        # That of the scores is there only where they cannot be read; some are the same for all kinds.
        alike = {"card links", "code of others", "notice", "private text"}
        assert names == {case[1] for case in cases} - {"scores"} | (names & (alike if kind != "model" else set()))


CODE = "1\n\n```python\nraise SystemExit('run')\n```\n"


def test_widths_that_are_code_are_refused(repo):
    folder = repo("model")
    record_widths(folder, [32, "8);print('run');(8"])
    with pytest.raises(ValueError, match="expected integers"):
        render_again(folder)
    assert not verify_folder(folder).loaded


@pytest.mark.parametrize(("name", "key"), [("provenance.json", "code"), ("scores.json", "command")])
def test_code_in_a_record_stands_in_the_card_as_text(repo, name, key):
    folder = repo("model")
    content = read_json(folder / name)
    (content["identity"] if name == "provenance.json" else content)[key] = CODE
    write_json(folder / name, content)
    render_again(folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "raise SystemExit" in card and not re.search(r"^```python\nraise", card, re.MULTILINE)


def test_python_that_came_in_by_a_record_all_the_same_is_found(repo, monkeypatch):
    folder = repo("model")
    monkeypatch.setattr(cards.history, "format_versions", lambda record: CODE)
    render_again(folder)
    found = verify_folder(folder)
    assert not found.loaded and 'there is Python outside its section "Use"' in found.describe_failures()


@pytest.mark.parametrize("name", ["provenance.json", "scores.json"])
@pytest.mark.parametrize("seed", ["1", 1.5, None, CODE])
def test_a_seed_that_is_no_integer_is_refused(repo, name, seed):
    folder = repo("model")
    content = read_json(folder / name)
    if name == "scores.json":
        content["resampling"] = {"resamples": 10, "seed": seed, "confidence": 0.95}
    else:
        content["identity"]["seed"] = seed
    write_json(folder / name, content)
    assert not verify_folder(folder).loaded


def test_snippets_that_load_another_repo_are_found(repo):
    assert (
        "its snippets load 'acme/tokenizer', but this is 'example/other'"
        in verify_folder(repo("tokenizer"), repo_id="example/other").describe_failures()
    )


def test_a_check_that_finds_much_names_the_first_and_counts_the_rest(repo):
    folder = repo("tokenizer")
    for number in range(8):
        add(folder, f"notes-{number}.txt")
    assert verify_folder(folder).describe_failures().endswith("; and 3 more")


def test_results_are_those_of_the_model_index_and_of_the_hub_alone(repo):
    folder = repo("model")
    [path] = (folder / ".eval_results").iterdir()
    listed = metadata_load(folder / "README.md")["model-index"][0]["results"][0]
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == [
        {
            "dataset": {"id": "example/sts-tr", "task_id": "default", "revision": "2" * 40},
            "value": metric["value"],
            "notes": f"{metric['name']}, split test",
        }
        for metric in listed["metrics"]
    ]
    assert len(listed["metrics"]) == 2


def test_a_model_that_was_scored_under_no_name_of_its_own_shows_nothing(repo, step_outputs):
    assert record.digest_model(step_outputs["model"]) in (repo("model") / "scores.json").read_text(encoding="utf-8")
    assert not (repo("tokenizer") / "scores.png").exists()


def test_scores_on_a_benchmark_stand_in_the_card_and_are_held_against_their_file(step_outputs, tmp_path):
    own = record.digest_model(step_outputs["model"])
    benchmark = make_benchmark()
    scores = [replace(s, model_digest=own if s.model == "student" else s.model_digest) for s in benchmark.scores]
    scores = [replace(s, model_digest="1" * 40) if s.model == "teacher" else s for s in scores]
    report = ScoreReport(scores=(), benchmark=replace(benchmark, scores=tuple(scores)))
    card = render_card(step_outputs["model"], repo_id="acme/model", license="mit", languages=["tr"], report=report)
    folder = tmp_path / "staged"
    stage_folder(step_outputs["model"], folder, card=card, report=report)
    assert "| **student (this model)** | 0.7812 (1 of 3) |" in card and "- Missing: MnliTr of student" in card
    results = metadata_load(folder / "README.md")["model-index"][0]["results"]
    assert [result["dataset"]["type"] for result in results] == ["example/snli_tr"]
    assert not (folder / "scores.png").exists()
    assert all(check.passed for check in check_card(folder, "model", "acme/model"))
    edit_text(folder / "README.md", "0.7812 (1 of 3)", "0.9812 (1 of 3)")
    assert [check.name for check in check_card(folder, "model", "acme/model") if not check.passed] == ["card"]


@pytest.mark.parametrize("shared", [False, True], ids=["of the repo", "of all repos"])
def test_a_download_is_links_into_the_cache_and_nowhere_else(repo, tmp_path, shared):
    cache = tmp_path / "hub"
    blobs = cache / "models--acme--tokenizer" / "blobs"
    snapshot = blobs.parent / "snapshots" / ("1" * 40)
    snapshot.parent.mkdir(parents=True)
    blobs.mkdir()
    repo("tokenizer").rename(snapshot)
    place = cache / "blobs" / "ab" if shared else blobs
    place.mkdir(parents=True, exist_ok=True)
    (snapshot / "tokenizer.json").rename(place / "x")
    if shared:
        (blobs / "y").symlink_to(place / "x")
    (snapshot / "tokenizer.json").symlink_to(blobs / ("y" if shared else "x"))
    assert verify_folder(snapshot).describe_failures() == ""
    (place / "x").rename(tmp_path / "x")
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "tokenizer.json").symlink_to(tmp_path / "x")
    assert "`tokenizer.json` is a link that leads out of the repo" in verify_folder(snapshot).describe_failures()
