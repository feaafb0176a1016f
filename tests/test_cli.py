"""The command line: what it prints, its exit status, and what it must not import."""

import io
import json
import runpy
import subprocess
import sys

import numpy as np
import pytest
from legacy_gte import write_legacy_gte

from hf_turkembed.cli import main

COMMANDS = ["verify", "publish", "release", "card", "tokenizer-report", "convert-gte", "encode"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process; gives exit status, standard output and standard error."""

    def runner(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["hf-turkembed", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return runner


@pytest.fixture
def texts(tmp_path):
    """Two text files, named by language."""
    (tmp_path / "tr.txt").write_text("Kedi uyuyor.\nŞoför ağacın gölgesinde bekledi.\n", encoding="utf-8")
    (tmp_path / "en.txt").write_text("The cat sleeps.\n", encoding="utf-8")
    return [tmp_path / "tr.txt", tmp_path / "en.txt"]


def test_help_and_the_package_behind_it_bring_in_none_of_the_heavy_packages():
    code = (
        "import sys, hf_turkembed; print('package:', *{name.split('.')[0] for name in sys.modules})\n"
        "from hf_turkembed.cli import main; sys.argv = ['hf-turkembed', 'publish', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('help:', *{name.split('.')[0] for name in sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    package, *_, command = (line.split() for line in printed.splitlines())
    heavy = {"sentence_transformers", "datasets", "matplotlib", "mteb", "evaluate", "peft"}
    assert "--dry-run" in printed
    assert (package[0], command[0]) == ("package:", "help:")
    assert not heavy & set(command) and not {*heavy, "typer"} & set(package)


def test_module_runs_as_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hf_turkembed", "verify", "no/such/folder"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("hf_turkembed", run_name="__main__")
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: 'no/such/folder' is neither a folder nor a Hub repo")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"hf-turkembed {command}" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_quiet_or_verbose_and_speak_json(run, command):
    _, out, _ = run(command, "--help")
    assert "--quiet" in out and "--verbose" in out
    # What `encode` prints is JSON in any case.
    assert ("--json" in out) == (command != "encode")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "nowhere"], "neither a folder nor a Hub repo"),
        (["publish", "{folder}", "--repo-id", "org/name"], "holds no provenance.json"),
        (["publish", "{folder}", "--repo-id", "name"], "expected ORG/NAME"),
        (["publish", "{folder}", "--repo-id", "org/name", "--hub", "--outbox", "x"], "exclude each other"),
        (["publish", "{folder}", "--repo-id", "org/name", "--private"], "add `--hub`"),
        (["publish", "{folder}", "--repo-id", "org/name", "--create-pr"], "add `--hub`"),
        (["publish", "{folder}", "--repo-id", "org/name", "--tag", "v1"], "add `--hub`"),
        (["publish", "{folder}", "--repo-id", "org/name", "--gated", "auto"], "add `--hub`"),
        (["publish", "{folder}", "--repo-id", "org/name", "--hub", "--tag", "v1", "--create-pr"], "leave it out"),
        (["publish", "{folder}", "--repo-id", "org/name", "--scores", "{folder}"], "scores.json"),
        (["publish", "{folder}", "--repo-id", "org/name", "--onto", "0" * 40], "add `--hub`"),
        (["release", "{folder}/none.yaml"], "none.yaml"),
        (["card", "{folder}", "--repo-id", "org/name"], "holds no provenance.json"),
        (["card", "{folder}", "--repo-id", "a/b/c"], "a/b/c"),
        (["convert-gte", "nowhere", "{folder}/new"], "neither a folder nor a Hub repo"),
        (["convert-gte", "nowhere@main", "{folder}/new"], "neither a folder nor a Hub repo"),
        (["convert-gte", "{folder}", "{folder}/new"], "holds no config.json"),
        (["convert-gte", "{folder}", "{folder}"], "exists; name a new folder"),
        (["tokenizer-report", "nowhere", "--text", "{text}"], "neither a folder nor a Hub repo"),
        (["tokenizer-report", "{folder}", "--text", "{text}"], "holds no tokenizer.json"),
        (["tokenizer-report", "nowhere", "--text", "{folder}/none.txt"], "none.txt"),
        (["tokenizer-report", "nowhere", "--text", "{text}", "--text", "{text}"], "same stem"),
    ],
)
def test_error_is_one_line_and_exit_status_1(run, tmp_path, texts, arguments, message):
    filled = [argument.format(folder=tmp_path, text=texts[0]) for argument in arguments]
    code, _, err = run(*filled)
    assert code == 1
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err


def test_an_error_has_its_trace_where_it_is_asked_for(run):
    code, _, err = run("verify", "nowhere", "--verbose")
    assert code == 1
    assert "Traceback" in err and err.splitlines()[-1].startswith("error: 'nowhere' is neither")
    assert len(run("verify", "nowhere")[2].splitlines()) == 1


def test_what_is_verified_is_said_in_full_as_failures_alone_or_as_json(run, tmp_path):
    (tmp_path / "modules.json").write_text("[]", encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    code, out, err = run("verify", tmp_path)
    assert (code, out.splitlines()[-1].split(" in ")[0]) == (1, "model failed")
    assert err.startswith(f"error: {tmp_path} failed verification: ")
    code, out, _ = run("verify", tmp_path, "--quiet")
    assert code == 1 and all(line.startswith("FAILED  ") for line in out.splitlines())
    code, out, _ = run("verify", tmp_path, "--json")
    assert code == 1 and json.loads(out)["passed"] is False


def test_shells_complete_commands_and_options(run, monkeypatch):
    monkeypatch.setenv("_HF_TURKEMBED_COMPLETE", "complete_bash")
    for words, expected in {"hf-turkembed ver": "verify", "hf-turkembed publish --dry": "--dry-run"}.items():
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        code, out, _ = run()
        assert (code, out.split()) == (0, [expected])


def test_publishing_to_the_hub_without_a_token_fails_before_the_network(run, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    code, _, err = run("publish", tmp_path, "--repo-id", "org/name", "--hub")
    assert code == 1
    assert "needs an access token" in err


def test_tokenizer_report_counts_tokens_by_file(run, gemma, texts):
    code, out, _ = run("tokenizer-report", gemma, "--text", texts[0], "--text", texts[1], "--json")
    report = json.loads(out)
    assert code == 0
    assert list(report) == ["vocab_size", "unreachable", "inflection", "fertility"]
    assert list(report["fertility"]) == ["tr", "en"]
    turkish, english = report["fertility"]["tr"], report["fertility"]["en"]
    assert [turkish["words"], english["words"]] == [6, 3]
    assert turkish["tokens_per_word"] == pytest.approx(turkish["tokens"] / 6)
    assert (turkish["parity"], english["parity"]) == (None, 1)
    assert 0 < turkish["renyi_efficiency"] < 1
    assert report["unreachable"] == 0
    assert report["inflection"]["words"] > 5000


def test_tokenizer_report_is_a_table_by_language_and_one_of_measures(run, gemma, texts):
    code, out, _ = run("tokenizer-report", gemma, "--text", texts[0])
    languages, measures = out.split("\n\n")
    assert code == 0
    assert languages.splitlines()[0] == (
        "| language | tokens per word | characters per token | byte fallback (%) | unknown (%) | Rényi efficiency |"
    )
    assert languages.splitlines()[2].startswith("| tr | ")
    assert measures.splitlines()[0] == "| measure | value |"
    assert "| inflected Turkish words (generated) | " in measures


def test_tokenizer_report_compares_two_tokenizers(run, encoders, texts):
    first, second = encoders("gemma3_text"), encoders("gte") / "tokenizer.json"
    code, out, _ = run("tokenizer-report", first, "--against", second, "--text", texts[0])
    assert code == 0
    assert out.splitlines()[0].startswith("| language | tokens per word |")
    assert out.splitlines()[2].startswith("| tr | ")
    assert "| measure | before | after |" in out
    # Both were trained on the same text.
    assert out.endswith("tokens stay, 0 are dropped and 0 are new.\n")


def test_tokenizer_report_shows_dropped_and_new_tokens_by_script(run, gemma, texts, tmp_path):
    spec = json.loads((gemma / "tokenizer.json").read_text(encoding="utf-8"))
    spec["model"]["vocab"] |= {"жж": 1000, "a|`b": 1001}
    (tmp_path / "more.json").write_text(json.dumps(spec), encoding="utf-8")
    code, out, _ = run("tokenizer-report", tmp_path / "more.json", "--against", gemma, "--text", texts[0])
    assert code == 0
    assert "0 are dropped and 2 are new." in out
    assert out.splitlines()[-2:] == ["| CYRILLIC | 0 |  | 1 | `жж` |", "| LATIN | 0 |  | 1 | `` a\\|`b `` |"]
    code, out, _ = run("tokenizer-report", tmp_path / "more.json", "--against", gemma, "--text", texts[0], "--json")
    report = json.loads(out)
    assert code == 0
    assert list(report) == ["before", "after", "change", "vocabulary"]
    assert report["after"]["vocab_size"] == report["before"]["vocab_size"] + 2
    # No merge makes them.
    assert report["after"]["unreachable"] == 2
    assert report["change"] == {"tr": 0}
    assert [(script["script"], script["new_examples"]) for script in report["vocabulary"]["scripts"]] == [
        ("CYRILLIC", ["жж"]),
        ("LATIN", ["a|`b"]),
    ]


@pytest.mark.parametrize(("language", "measured"), [(None, True), ("tr", True), ("en", False)])
def test_tokenizer_report_measures_inflected_words_unless_the_text_is_not_turkish(
    run, gemma, texts, language, measured
):
    arguments = [] if language is None else ["--text", next(path for path in texts if path.stem == language)]
    code, out, _ = run("tokenizer-report", gemma, *arguments, "--json")
    assert code == 0
    assert (json.loads(out)["inflection"] is not None) == measured


def test_converting_says_what_was_left_out(run, tmp_path):
    source = write_legacy_gte(tmp_path / "gte")
    code, out, _ = run("convert-gte", source, tmp_path / "new")
    assert code == 0
    assert out.splitlines()[:2] == [
        "left out classifier.bias, which belongs to a head",
        "left out classifier.weight, which belongs to a head",
    ]
    assert out.splitlines()[2].endswith(f" parameters in float32 written to {tmp_path / 'new'}")
    code, out, _ = run("convert-gte", source, tmp_path / "again", "--json")
    told = json.loads(out)
    assert (code, told["dropped"], told["dtype"]) == (0, ["classifier.bias", "classifier.weight"], "float32")
    code, out, _ = run("convert-gte", source, tmp_path / "silent", "--quiet")
    assert (code, out) == (0, "")
    code, out, _ = run("encode", tmp_path / "new", stdin="Kedi uyuyor.")
    assert (code, len(json.loads(out))) == (0, 32)


def test_encoding_gives_one_unit_vector_for_each_line(run, gemma):
    code, out, _ = run("encode", gemma, "--truncate-dim", 16, stdin="Kedi uyuyor.\nŞoför bekledi.\r\nSon satır")
    vectors = np.array([json.loads(line) for line in out.splitlines()])
    assert code == 0
    assert vectors.shape == (3, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_encoding_at_full_width_begins_with_the_direction_of_the_short_one(run, gemma):
    _, long, _ = run("encode", gemma, stdin="Kedi uyuyor.")
    _, short, _ = run("encode", gemma, "--truncate-dim", 8, stdin="Kedi uyuyor.")
    cut = np.array(json.loads(long))[:8]
    assert json.loads(short) == pytest.approx(list(cut / np.linalg.norm(cut)), abs=1e-5)


def test_width_that_was_not_trained_is_refused_with_those_that_were(run, gemma):
    code, out, err = run("encode", gemma, "--truncate-dim", 12, stdin="Kedi.")
    assert (code, out) == (1, "")
    assert "`truncate_dim`=12 is not one of the trained `matryoshka_dims` (32, 16, 8)" in err
