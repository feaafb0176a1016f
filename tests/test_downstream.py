"""A published model on somebody's own data: similarity, retrieval, classes, and plain torch."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from samples import MATRYOSHKA_DIMS, ROOT, TEXTS
from scripts import run_script
from sentence_transformers import SentenceTransformer

from hf_turkembed import record
from hf_turkembed.corpus import read_bitext
from hf_turkembed.finetuning import hard_negatives, training
from hf_turkembed.json_files import read_json
from hf_turkembed.scores import read_scores

FOLDER = ROOT / "recipes" / "downstream"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
DIMS = f"[{', '.join(map(str, MATRYOSHKA_DIMS))}]"
QUICK = "{num_train_epochs: 1, learning_rate: 1.0e-3, logging_steps: 1, use_cpu: true, disable_tqdm: true}"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def write(path, header, rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def lines(kind, first, last):
    texts = [f"{text} {number}" for number in range(first, last) for text in TEXTS]
    if kind == "similarity":
        header = ("sentence1", "sentence2", "score")
        return header, [(text, f'"{text}", dedi', row % 11) for row, text in enumerate(texts)]
    if kind == "retrieval":
        return ("query", "passage"), [(f"{text}?", f"Cevap: {text}, evet.") for text in texts]
    return ("text", "label"), [(text, f"sınıf {row % len(TEXTS)}") for row, text in enumerate(texts)]


@pytest.fixture
def own(tmp_path, gemma):
    """A folder of somebody's files; gives the arguments that run a recipe on them and on a small model."""

    def arguments(kind):
        write(tmp_path / "train.csv", *lines(kind, 0, 5))
        write(tmp_path / "held_out.csv", *lines(kind, 4, 7))
        changes = [f"data_root={tmp_path}", f"output_dir={tmp_path / kind}"]
        if kind == "classification":
            return [FOLDER / f"{kind}.yaml", *changes, f"classify.model={gemma}"]
        changes += [f"finetune.base_model={gemma}", f"score.models.before={gemma}", f"score.truncate_dims={DIMS}"]
        changes += [f"finetune.stages.own.matryoshka_dims={DIMS}", f"finetune.stages.own.training={QUICK}"]
        changes += ["finetune.stages.own.batch_size=8", "score.resamples=1000"]
        if kind == "similarity":
            task = "finetune.stages.own.tasks.pairs"
            places = (f"{task}.train", f"{task}.held_out.own.data", "score.suites.own.data")
            changes += [f"{place}.highest_score=10" for place in places]
        return [FOLDER / f"{kind}.yaml", *changes]

    return arguments


def test_a_model_learns_somebodys_own_similarity_and_is_scored_before_and_after(own, tmp_path):
    arguments = own("similarity")
    assert run_script("finetune", *arguments) is None and run_script("score", *arguments) is None
    counts = record.read_provenance(tmp_path / "similarity/finetune-own").observed.counts
    # Six of thirty rows stand in the held-out file too.
    assert counts["rows"] == 24 and counts["shared_texts"]["pairs"]["own"]["rows"] == 6
    found = read_scores(tmp_path / "similarity/score/scores.json")
    assert {score.model for score in found.scores} == {"before", "after"} and found.comparisons
    assert {score.rows for score in found.scores} == {18}


def test_a_model_learns_to_search_and_goes_on_with_the_negatives_it_had(own, tmp_path, monkeypatch):
    arguments = [*own("retrieval"), "finetune.stages.own.tasks.search.hard_negatives.relative_margin=0.01"]

    def cut_off(**kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "StageTrainer", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run_script("finetune", *arguments)
    assert (tmp_path / "retrieval/finetune-own.partial/checkpoints/negatives-search.parquet").is_file()
    monkeypatch.setattr(hard_negatives, "_mine", None)
    assert run_script("finetune", *arguments) is None and run_script("score", *arguments) is None
    observed = record.read_provenance(tmp_path / "retrieval/finetune-own").observed
    mined = observed.counts["hard_negatives"]["search"]
    assert mined["pairs"] == 24 >= mined["rows"] == observed.counts["rows"] > 8 and observed.runs == 2
    assert not list((tmp_path / "retrieval/finetune-own").rglob("*.parquet"))
    found = read_scores(tmp_path / "retrieval/score/scores.json")
    assert {score.metric for score in found.scores} == {"ndcg_at_10_cosine", "recall_at_1_cosine"}


@pytest.mark.slow
@pytest.mark.launch
def test_two_processes_train_on_the_negatives_that_one_of_them_found(own, tmp_path):
    arguments = [*own("retrieval"), "finetune.stages.own.tasks.search.hard_negatives.relative_margin=0.01"]
    assert run_script("finetune", *arguments, f"output_dir={tmp_path}/one") is None
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        ROOT / "accelerate_configs/cpu_x2.yaml",
    ]
    command = [*launch, ROOT / "recipes/finetune.py", *arguments, f"output_dir={tmp_path}/two"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (record.read_provenance(tmp_path / name / "finetune-own").observed for name in ("one", "two"))
    assert (one.num_processes, two.num_processes) == (1, 2)
    assert one.counts["hard_negatives"] == two.counts["hard_negatives"]
    assert one.counts["final_loss"] == pytest.approx(two.counts["final_loss"], rel=1e-3)


def test_a_head_is_fitted_measured_and_loaded_as_the_readme_says(own, tmp_path, gemma, capsys, monkeypatch):
    arguments = [*own("classification"), f"output_dir={tmp_path}/output/downstream/classification"]
    assert run_script("classify", *arguments) is None
    assert "| 18 held-out rows | accuracy | macro-F1 |" in capsys.readouterr().out
    folder = tmp_path / "output/downstream/classification/classify"
    counts = record.read_provenance(folder).observed.counts
    assert counts["classes"] == 6 and counts["head"]["accuracy"] > counts["baseline"]["accuracy"]
    assert not [path for path in folder.iterdir() if path.suffix not in (".json", ".safetensors", ".md")]
    assert run_script("classify", *arguments) is None
    assert "| head | " in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    (snippet,) = blocks("python")
    exec(compile(snippet.replace('"MODEL"', f'"{gemma}", device="cpu"'), "README.md", "exec"), {})
    assert re.fullmatch(r"\['sınıf \d'\]\n", capsys.readouterr().out)


def test_plain_torch_trains_saves_and_loads_again(gemma, tmp_path, capsys):
    import downstream.plain_torch as example

    example.main(str(gemma), str(tmp_path / "trained"))
    printed = capsys.readouterr().out
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", printed)]
    assert len(losses) == 5 and losses[-1] < losses[0] and float(printed.split()[-1]) < 1e-6
    before, after = (
        SentenceTransformer(str(path), device="cpu").encode(TEXTS) for path in (gemma, tmp_path / "trained")
    )
    assert 1e-4 < np.abs(before - after).max() < 1


@pytest.mark.parametrize("model_type", ["bert", "gemma3_text"])
def test_plain_torch_stops_at_a_model_that_gives_no_sentence_embedding(encoders, tmp_path, model_type):
    import downstream.plain_torch as example

    bare = shutil.copytree(encoders(model_type), tmp_path / "bare")
    config = {key: value for key, value in read_json(bare / "config.json").items() if key != "matryoshka_dims"}
    (bare / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match="bare has no `matryoshka_dims`"):
        example.main(str(bare), str(tmp_path / "trained"))
    assert not (tmp_path / "trained").exists()


@pytest.mark.parametrize(
    ("kind", "file", "content", "message"),
    [
        ("similarity", "train", "sentence1,sentence2\na,b\n", r"train\.csv, row 1: no column 'score'"),
        (
            "similarity",
            "train",
            "sentence1,sentence2,score\na,b,1\nc,d,yüksek\n",
            "row 2: column 'score' is 'yüksek', expected 0 to 10",
        ),
        ("similarity", "held_out", "sentence1,sentence2,score\n", r"held_out\.csv holds no rows"),
        ("similarity", "train", "sentence1;sentence2;score\na;b;1\n", "has ';' between its columns"),
        ("retrieval", "train", "query,passage\na,\n", r"train\.csv, row 1: column 'passage' is '', expected text"),
        ("retrieval", "train", "query,passage\na,b\n", r"train\.csv gave 1 rows, fewer than a batch of 8"),
        ("retrieval", "train", "soru,passage\na,b\n", r"row 1: no column 'query'; its columns are soru, passage"),
        ("classification", "train", "text,label\na,x\nb,x\n", r"train\.csv: column 'label' is 'x' in all 2 rows"),
        ("classification", "held_out", "text,label\n", r"held_out\.csv holds no rows; expected columns text, label"),
        (
            "classification",
            "train",
            "text,label\na,x\nb,\n",
            r"train\.csv, row 2: column 'label' is '', expected text",
        ),
        ("classification", "train", "text,label\n", r"train\.csv holds no rows"),
    ],
)
def test_rows_that_cannot_be_used_are_named_before_any_work(own, tmp_path, kind, file, content, message):
    arguments = own(kind)
    (tmp_path / f"{file}.csv").write_text(content, encoding="utf-8")
    assert re.search(message, str(run_script("pipeline", *arguments)))
    assert not (tmp_path / kind).exists()


@pytest.mark.parametrize("kind", ["similarity", "retrieval", "classification"])
def test_a_recipe_and_its_part_of_the_readme_are_short(kind):
    recipe = (FOLDER / f"{kind}.yaml").read_text(encoding="utf-8")
    (section,) = [part for part in README.split("\n## ") if f"{kind}.yaml" in part]
    assert len(recipe.splitlines()) + len(section.splitlines()) < 60


@pytest.mark.parametrize("command", [line for block in blocks("bash") for line in block.splitlines()])
def test_a_command_of_the_readme_is_one_that_runs(own, command):
    program, script, *words = shlex.split(command)
    assert program == "python" and (ROOT / script).is_file()
    if script.endswith("pipeline.py"):
        (path,) = [word for word in words if word.endswith(".yaml")]
        assert words == [path, "data_root=DIR"]
        assert run_script("pipeline", *own(Path(path).stem), "--dry-run") is None


@pytest.mark.real
def test_intents_of_flight_questions_are_told_apart_better_than_by_the_commonest(shared_data, tmp_path, capsys):
    columns = [f"classify.{part}.columns=[text, intent]" for part in ("train", "held_out")]
    sources = ["classify.train.source={data_root}/train.jsonl", "classify.held_out.source={data_root}/dev.jsonl"]
    where = [f"data_root={shared_data / 'data/atis-tr'}", f"output_dir={tmp_path}"]
    arguments = [*where, "classify.train.rows=1000", f"classify.model={shared_data / 'teacher'}", *sources, *columns]
    assert run_script("classify", FOLDER / "classification.yaml", *arguments) is None
    counts = record.read_provenance(tmp_path / "classify").observed.counts
    assert (counts["rows"], counts["held_out_rows"], counts["commonest_class"]) == (1000, 572, "flight")
    assert counts["head"]["accuracy_interval"][0] > counts["baseline"]["accuracy"] > 0.7
    assert counts["head"]["macro_f1"] > 5 * counts["baseline"]["macro_f1"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("kind", "folder", "train", "held_out", "columns", "metric"),
    [
        ("similarity", "stsb-tr", "stsb_tr_train.tsv", "stsb_tr_dev.tsv", "sentence1, sentence2, score", "spearman"),
        ("retrieval", "paraphrase-tr", "tqp_train.csv", "tqp_dev.csv", "input, target", "ndcg_at_10"),
    ],
)
def test_a_recipe_on_real_text_leaves_the_model_no_worse_and_scores_it_before_and_after(
    shared_data, tmp_path, kind, folder, train, held_out, columns, metric
):
    task = {"similarity": "pairs", "retrieval": "search"}[kind]
    stage, data = "finetune.stages.own", f"finetune.stages.own.tasks.{task}"
    teacher = shared_data / "teacher"
    changes = [f"data_root={shared_data / 'data' / folder}", f"output_dir={tmp_path}", "score.resamples=1000"]
    changes += [f"finetune.base_model={teacher}", f"score.models.before={teacher}", "score.truncate_dims=[128]"]
    changes += [f"{stage}.matryoshka_dims=[128, 64, 32]", f"{stage}.training.num_train_epochs=1"]
    for place, file, rows in (
        (f"{data}.train", train, 192),
        (f"{data}.held_out.own.data", held_out, 200),
        ("score.suites.own.data", held_out, 200),
    ):
        changes += [f"{place}.source={{data_root}}/{file}", f"{place}.columns=[{columns}]", f"{place}.rows={rows}"]
    arguments = [FOLDER / f"{kind}.yaml", *changes]
    assert run_script("finetune", *arguments) is None and run_script("score", *arguments) is None
    counts = record.read_provenance(tmp_path / "finetune-own").observed.counts
    assert counts["rows"] > 96 and counts["epochs"] == 1.0
    scores = read_scores(tmp_path / "score" / "scores.json").scores
    before, after = (
        next(score for score in scores if score.model == name and score.metric.startswith(metric))
        for name in ("before", "after")
    )
    # An hour of training would do more than these few steps; what they must not do is harm.
    assert before.rows == after.rows > 0 and before.value != after.value
    assert after.interval is not None and after.interval[1] > before.value > 0.3


@pytest.mark.real
def test_negatives_of_real_paraphrases_are_near_and_no_paraphrases_that_are_known(shared_data, tmp_path):
    file = shared_data / "data/paraphrase-tr/tqp_dev.csv"
    pairs = read_bitext(file, columns=("input", "target"), rows=400)
    model = SentenceTransformer(str(shared_data / "teacher"), device="cpu")
    settings = {"count": 1, "relative_margin": 0.05, "candidates": 100, "batch_size": 64}
    rows, found = hard_negatives.mine_negatives(model, pairs, tmp_path, "tqp", **settings)
    assert found.pairs > found.rows > 0.5 * found.pairs and found.positive_cosine > found.negative_cosine > 0.3
    known = set(zip(*pairs.values(), strict=True))
    mined = list(zip(rows["anchor"], rows["negative_1"], strict=True))
    assert not known & set(mined) and all(anchor != negative for anchor, negative in mined)
