"""The benchmarks run and say what they measured; their numbers are nobody's business here."""

import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from samples import MATRYOSHKA_DIMS, ROOT, TEXTS
from scripts import run_script
from sentence_transformers import SentenceTransformer

from hf_turkembed.corpus import TextRow, plan_shards
from hf_turkembed.distillation import BatchedEncoder, embed_corpus
from hf_turkembed.recipe import is_local, load_recipe

BENCHMARKS = sorted(path.stem for path in (ROOT / "recipes/benchmarks").glob("*.py"))


@pytest.fixture
def run(capsys):
    """Run a script; gives what it printed."""

    def printed(name, *arguments):
        assert run_script(name, *arguments) in (None, 0)
        return capsys.readouterr().out

    return printed


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_has_help(run, name):
    assert f"python recipes/benchmarks/{name}.py" in run(f"benchmarks/{name}", "--help")


def test_scoring_is_timed_beside_encoding_and_beside_scipy(run, gemma, tmp_path):
    pairs = [f"{row % 5}\t{TEXTS[row % 6]} {row}\t{TEXTS[row % 4]}" for row in range(30)]
    (tmp_path / "sts.tsv").write_text("\n".join(["score\tsentence1\tsentence2", *pairs]), encoding="utf-8")
    settings = ["--model", gemma, "--pairs", tmp_path / "sts.tsv", "--truncate-dims", 32, 8, "--runs", 1]
    text = run("benchmarks/score", *settings)
    assert "30 pairs, 34 distinct sentences" in text and "10,000 resamples of 30 pairs" in text
    for name in ("encoding the distinct sentences once", "the suite at 2 widths", "ours", "scipy, vectorised"):
        assert name in text


@pytest.mark.launch
def test_every_loader_is_timed_and_the_cut_is_counted(gemma, tmp_path):
    (tmp_path / "tr.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    command = [sys.executable, ROOT / "recipes/benchmarks/encode.py", "--model", gemma, "--text", tmp_path / "tr.txt"]
    settings = ["--truncate-dims", "8", "--runs", "1", "--batch-size", "4"]
    done = subprocess.run([*command, *settings], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:1] == "|"]
    loaders = ("SentenceTransformer", "AutoModel, trust_remote_code", "AutoModel after import")
    dtypes = ("float32", "bfloat16")
    timed = [row[:3] for row in rows if row[0] in loaders]
    assert timed == [[loader, dtype, width] for loader in loaders for dtype in dtypes for width in ("32", "8")]
    # The last head has 32 rows over 64 inputs, of which 8 are left, for each of the texts.
    counted = [row[1].split(" (")[0] for row in rows if row[0] == "8"]
    saved, total = (int(number.replace(",", "")) for number in counted[0].split(" of "))
    assert len(counted) == 4 and saved == (32 - 8) * 64 * len(TEXTS) and total > 100 * saved


def test_embedding_is_timed_beside_sentence_transformers(run, gemma, tmp_path):
    (tmp_path / "tr.txt").write_text("\n".join(TEXTS * 3), encoding="utf-8")
    settings = ["--max-length", 64, "--batch-sizes", 4, "--runs", 1, "--batch-tokens", 64]
    text = run("benchmarks/embed", "--model", gemma, "--text", tmp_path / "tr.txt", *settings)
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line[:2] == "| "]
    assert rows[1:] == ["hf_turkembed, 64 tokens a batch", "SentenceTransformer.encode, 4 texts a batch"]
    assert "18 texts" in text and "padding of ours" in text and "GFLOP/s" in text


def test_what_all_rows_would_take_follows_from_some(run, gemma, tmp_path):
    (tmp_path / "tr.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    models = ["--teacher", gemma, "--student", gemma, "--text", tmp_path / "tr.txt"]
    rows = ["--measured-rows", 24, "--rows", 2400, "--batch-size", 8, "--batch-tokens", 64, "--max-length", 64]
    settings = ["--price-per-hour", 3600, "--peak-teraflops", 0.001, "--matryoshka-dims", *MATRYOSHKA_DIMS]
    text = run("benchmarks/throughput", *models, *rows, *settings)
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:2] == "| "]
    assert [row[0] for row in table[2:]] == ["embed", "distil"] and "2,400 rows, hours" in table[0]
    for row in table[2:]:
        rate, tokens, dollars = (float(row[place].replace(",", "")) for place in (1, 2, 6))
        assert dollars == pytest.approx(2400 / rate, rel=0.02) and tokens > 3 * rate and row[3].endswith("%")


def test_models_are_timed_beside_a_rival(run, gemma, tmp_path, monkeypatch):
    (tmp_path / "tr.txt").write_text("\n".join(TEXTS * 3), encoding="utf-8")
    models = ["--models", f"rival={gemma}", f"own={gemma}", "--text", tmp_path / "tr.txt"]
    settings = ["--dtypes", "float32", "float16", "--batch-sizes", 1, 2, 8, "--runs", 1, "--short-texts", 4]
    text = run("benchmarks/speed", *models, *settings, "--long-texts", 2, "--long-characters", 200)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:2] == "| "]
    assert rows[0][-1] == "own takes, times rival"
    # No batch is larger than there are texts.
    batches = {"short": "124", "long": "12"}
    dtypes = ("float32", "float16")
    assert [row[:3] for row in rows[1:]] == [[k, d, b] for k in batches for d in dtypes for b in batches[k]]
    # Gemma overflows in float16 and is not timed there.
    assert all((row[3] == "overflows") == (row[1] == "float16") for row in rows[1:])
    assert "load average" in text


@pytest.mark.slow
def test_shapes_with_random_weights_are_timed(run, tmp_path):
    (tmp_path / "tr.txt").write_text("\n".join(TEXTS * 3), encoding="utf-8")
    settings = ["--dtypes", "float32", "--batch-sizes", 4, "--runs", 1, "--short-texts", 4, "--long-texts", 0]
    text = run("benchmarks/speed", "--text", tmp_path / "tr.txt", *settings)
    assert "bert: 110.6 M parameters" in text and "magibu: 206.9 M parameters" in text and "turkembed: 305." in text
    # All of them read the same tokens.
    (row,) = (line for line in text.splitlines() if line.startswith("| short"))
    assert len(set(re.findall(r"\((\d+) a text\)", row))) == 1 and row.count("a text") == 3


@pytest.mark.slow
@pytest.mark.launch
def test_publishing_is_timed_beside_the_client_and_a_changed_card_is_counted(run):
    text = run("benchmarks/publish", "--megabytes", 2, "--runs", 1)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:2] == "| "][1:]
    assert [row[0] for row in rows] == [
        f"{name}, {mode}" for mode in ("xet", "lfs") for name in ("hf_turkembed", "upload_folder")
    ]
    assert all(int(row[5].replace(",", "")) < 10_000 for row in rows)


@pytest.mark.slow
def test_distillation_is_timed_beside_the_trainer(run, gemma, tmp_path):
    rows = {"tr": [TextRow(f"{text} {number}") for number in range(30) for text in TEXTS]}
    teacher = BatchedEncoder(SentenceTransformer(str(gemma), device="cpu"), max_length=64, batch_tokens=512)
    embed_corpus(teacher, plan_shards(rows, 99, validation_rows=9), tmp_path)
    settings = ["--rows", 128, "--seeds", 0, "--batch-sizes", 8, 16]
    settings += ["--matryoshka-dims", *MATRYOSHKA_DIMS]
    text = run("benchmarks/distill", "--student", gemma, "--vectors", tmp_path, *settings)
    names = [line.split("|")[1].strip() for line in text.splitlines() if line[:2] == "| " and "cosine" not in line]
    trainer = "SentenceTransformerTrainer"
    others = ("", ", texts grouped by length", ", 8 texts in a batch", ", 16 texts in a batch")
    assert names[-5:] == ["hf_turkembed", *(f"{trainer}{other}" for other in others)]


@pytest.mark.slow
@pytest.mark.launch
def test_two_processes_are_timed_beside_one_with_the_student_that_stands(gemma, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "tr.txt").write_text(
        "\n".join(f"{text} {n}" for n in range(30) for text in TEXTS), encoding="utf-8"
    )
    shutil.copytree(gemma, tmp_path / "out" / "clone")
    corpus = {"text": {"languages": ["tr"], "folders": ["{data_root}/texts"]}, "shard_rows": 40, "validation_rows": 4}
    sizes = {"max_length": 64, "batch_tokens": 512}
    rates = {"learning_rate": 1e-3, "warmup_ratio": 0.0, "weight_decay": 0.0, "max_grad_norm": 1.0}
    places = {"student": "{output_dir}/clone", "vectors": "{output_dir}/embed"}
    content = {
        "output_dir": "out",
        "seed": 1,
        "steps": ["corpus", "embed", "distill"],
        "corpus": corpus,
        "embed": {"teacher": "{data_root}/out/clone", "texts": "{output_dir}/corpus", **sizes, "shard_rows": 40},
        "distill": {
            **places,
            **sizes,
            **rates,
            "epochs": 1,
            "batch_size": 16,
            "matryoshka_dims": list(MATRYOSHKA_DIMS),
        },
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    command = [sys.executable, ROOT / "recipes/benchmarks/scaling.py", "recipe.yaml", f"data_root={tmp_path}"]
    settings = ["--rows", "40", "80"]
    done = subprocess.run([*command, *settings], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:1] == "|"]
    assert [row[:2] for row in rows[2:]] == [[step, n] for n in "12" for step in ("embed", "distill")]
    assert "80 rows, s" in rows[0] and all(row[-1].endswith("%") for row in rows[2:])


def test_an_ablation_names_folders_wherever_it_writes(monkeypatch, tmp_path):
    from ablations import distillation

    planned = []
    monkeypatch.setattr(distillation, "step", lambda name, arguments, changes: planned.append((name, changes)))
    observed = SimpleNamespace(counts={"evaluations": [{}]})
    monkeypatch.setattr(distillation, "read_provenance", lambda folder: SimpleNamespace(observed=observed))
    path = ROOT / "recipes/magibu/real_small.yaml"
    arguments = SimpleNamespace(recipe=path, overrides=["output_dir=out", f"data_root={tmp_path}"])
    for variant in distillation.VARIANTS:
        distillation.run(load_recipe(path, arguments.overrides), arguments, variant, 0)
    inputs = {"clone": "tokenizer", "distill": "student"}
    for name, changes in planned:
        recipe = load_recipe(path, [*arguments.overrides, *changes])
        if name in inputs:
            assert is_local(getattr(getattr(recipe, name), inputs[name]))
    assert len(planned) > 2 * len(distillation.VARIANTS)


@pytest.mark.slow
def test_the_frontier_has_a_row_for_every_lever(run, gemma, tmp_path):
    for language, words in {"tr": "evler kitaplar", "en": "houses books", "de": "Häuser Bücher"}.items():
        (tmp_path / f"{language}.txt").write_text("\n".join(f"{words} {n}" for n in range(30)), encoding="utf-8")
    corpus = f"{{languages: [tr, en, de], folders: ['{tmp_path}'], skip_last: 5}}"
    heldout = corpus.replace("skip_last", "only_last")
    (tmp_path / "recipe.yaml").write_text(
        f"output_dir: {tmp_path}/out\nseed: 1\nsteps: [tokenizer]\ntokenizer:\n  source: {gemma}\n  vocab_size: 380\n"
        f"  language_weights: {{tr: 0.5}}\n  corpus: {corpus}\n  heldout: {heldout}\n"
    )
    levers = ["--weights", 0.3, "--rows", 10, "--priors", 0.5, "--stem-penalties", 1]
    text = run("ablations/tokenizer_frontier", tmp_path / "recipe.yaml", *levers)
    tables = [[line.split("|")[1].strip() for line in table.splitlines()[2:]] for table in text.split("\n\n")]
    assert sorted(tables[0]) == ["as the recipe", "weight 0.3"]
    assert tables[1:] == [
        ["rows 10", "as the recipe"],
        ["as the recipe", "priors 0.5"],
        ["as the recipe", "stem penalties 1"],
    ]
    assert (tmp_path / "out" / "frontier.png").stat().st_size > 10_000
