"""A run on disk: folders with the records that the steps write, and the scores of its models."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from score_samples import REPORT as FINDINGS
from score_samples import make_comparison, make_score

from hf_turkembed import record
from hf_turkembed.corpus import Shard, TextRow
from hf_turkembed.distillation.vectors import SCRATCH, make_table, write_shard
from hf_turkembed.json_files import as_plain
from hf_turkembed.publishing import render_card, stage_folder
from hf_turkembed.record import Identity, Input, Observed, Provenance
from hf_turkembed.scores import Resampling, ScoreDataset, ScoreReport
from hf_turkembed.step import remove_scratch
from hf_turkembed.tokenizer import describe_tokenizer, plot_fertility_change, read_tokenizer
from hf_turkembed.tokenizer_tables import FIGURE_FILE, ID_MAP_FILE, write_report

HARDWARE = {"machine": "x86_64", "system": "Linux", "cpus": 8, "memory_gib": 32.0, "accelerators": ["NVIDIA H200"]}
PACKAGES = {"python": "3.11.7", "sentence-transformers": "6.2.0", "torch": "2.13.0", "transformers": "5.23.0"}
CORPUS = {"languages": ["en", "tr"], "folders": [], "dataset": "example/wikipedia", "text_column": "text"}
FERTILITY = [
    {"language": "en", "before": {"tokens_per_word": 1.25}, "after": {"tokens_per_word": 1.5}, "change": 0.2},
    {"language": "tr", "before": {"tokens_per_word": 2.41}, "after": {"tokens_per_word": 1.8}, "change": -0.2531},
]
REPORT = {
    "before": {
        "vocab_size": 262144,
        "unreachable": 4,
        "inflection": {"words": 6910, "whole_word_share": 0.0055, "stem_boundary_recall": 0.4635},
        "fertility": {"en": FERTILITY[0]["before"], "tr": FERTILITY[1]["before"]},
    },
    "after": {
        "vocab_size": 32768,
        "unreachable": 0,
        "inflection": {"words": 6910, "whole_word_share": 0.05, "stem_boundary_recall": None},
        "fertility": {"en": FERTILITY[0]["after"], "tr": FERTILITY[1]["after"]},
    },
    "change": {"en": 0.2, "tr": -0.2531},
    "vocabulary": {
        "kept": 28768,
        "dropped": 233376,
        "new": 4000,
        "scripts": [
            {
                "script": "LATIN",
                "dropped": 233375,
                "new": 4000,
                "dropped_examples": ["▁diffusion", "a|b"],
                "new_examples": ["▁değil"],
            },
            {"script": "CJK", "dropped": 1, "new": 0, "dropped_examples": ["現在"], "new_examples": []},
        ],
    },
}
TEACHER_REVISION = "1" * 40
DATASET_REVISION = "2" * 40


def write_step(folder, step, recipe, inputs, counts, *, seconds=12.34, runs=1, price=None, licenses=None):
    identity = Identity(step=step, recipe=recipe, inputs=tuple(inputs), code="0.1.0", seed=7)
    observed = Observed(
        finished="2026-11-21T12:00:00Z",
        seconds=seconds,
        runs=runs,
        num_processes=1,
        hardware=HARDWARE,
        packages=PACKAGES,
        counts=counts,
        outputs={
            path.relative_to(folder).as_posix(): record.digest_file(path)
            for path in sorted(folder.rglob("*.*"))
            if record.is_output(path.relative_to(folder).as_posix()) or path.suffix == ".parquet"
        },
        licenses=licenses or {},
        price_per_hour=price,
        cost=None if price is None else round(price * seconds / 3600, 4),
    )
    folder.mkdir(parents=True, exist_ok=True)
    record.write_provenance(folder, Provenance(identity=identity, observed=observed))
    return identity.digest


def local_input(role, folder, link):
    return Input(
        role=role,
        kind="dataset" if role == "vectors" else "model",
        name=f"{{output_dir}}/{folder.name}",
        digest=record.digest_path(folder),
        record=link,
    )


def write_run(root: Path, *, teacher: Input, teacher_role_for_tokenizer: Input) -> None:
    """Write tokenizer, clone, embed, distill and finetune-nli, each linked to those before it."""
    corpus = Input(role="corpus.dataset", kind="dataset", name="example/wikipedia", revision=DATASET_REVISION)
    heldout = Input(role="heldout.dataset", kind="dataset", name="example/held-out", revision=DATASET_REVISION)
    tokenizer, clone, embed, distill = (root / name for name in ("tokenizer", "clone", "embed", "distill"))
    tokenizer_link = write_step(
        tokenizer,
        "tokenizer",
        {"source": teacher.name, "corpus": CORPUS, "vocab_size": 32768, "new_tokens": 4000},
        [teacher_role_for_tokenizer, corpus, heldout],
        {"kept": 28768, "new": 4000, "dropped": 233376, "fertility": FERTILITY},
    )
    write_report(tokenizer, REPORT)
    (tokenizer / ID_MAP_FILE).write_text('{"source":"example/teacher-300m","old_to_new":[0,null]}\n', encoding="utf-8")
    (tokenizer / FIGURE_FILE).write_bytes(b"\x89PNG\r\n\x1a\n")
    clone_link = write_step(
        clone,
        "clone",
        {"teacher": teacher.name, "matryoshka_dims": [64, 32, 16], "max_length": 2048},
        [teacher, local_input("tokenizer", tokenizer, tokenizer_link)],
        {
            "parameters": 1234567,
            "rows_copied": 28768,
            "rows_composed": 4000,
            "matryoshka_dims": [64, 32, 16],
            "reconstruction": {"tokens": 5000, "cosine": 0.71, "relative_l2": 0.842},
            "agreement": {"en": 0.93, "tr": 0.955},
        },
        seconds=3.2,
    )
    embed_link = write_step(
        embed,
        "embed",
        {"teacher": teacher.name, "corpus": CORPUS, "max_length": 512, "prompt": None, "precision": "bfloat16"},
        [teacher, corpus],
        {
            "rows": 150000,
            "embedding_dim": 64,
            "pre_dense_dim": None,
            "shards": 2,
            "tokens": 30_000_000,
            "padding_share": 0.0123,
            "columns": ["text", "language", "tokens", "embedding"],
            "splits": {"train": {"en": 49900, "tr": 99900}, "validation": {"en": 100, "tr": 100}},
            "languages": {"en": 50000, "tr": 100000},
            "checked": {"rows": 100, "lowest_cosine": 0.999987, "mean_cosine": 0.999999},
        },
        seconds=754.0,
        runs=2,
        price=3.5,
    )
    distill_link = write_step(
        distill,
        "distill",
        {
            "matryoshka_dims": [64, 32, 16],
            "epochs": 2,
            "batch_size": 256,
            "learning_rate": 5e-4,
            "embedding_learning_rate": None,
            "max_length": 512,
            "precision": "bfloat16",
        },
        [local_input("student", clone, clone_link), local_input("vectors", embed, embed_link)],
        {"rows": 150000, "steps": 1172, "epochs": 2, "final_loss": 0.08125, "matryoshka_dims": [64, 32, 16]},
        seconds=8040.0,
        price=3.5,
    )
    write_step(
        root / "finetune-nli",
        "finetune",
        {
            "max_length": 128,
            "stages": {
                "nli": {
                    "tasks": {
                        "nli": {
                            "loss": "multiple_negatives_ranking",
                            "train": {"source": "example/nli-tr", "synthetic": False},
                        }
                    },
                    "matryoshka_dims": [64, 32],
                    "batch_size": 64,
                    "lora": None,
                    "training": {"learning_rate": 2e-5, "num_train_epochs": 1, "logging_steps": 20},
                }
            },
        },
        [
            local_input("base_model", distill, distill_link),
            Input(
                role="stages.nli.tasks.nli.train.source",
                kind="dataset",
                name="example/nli-tr",
                revision=DATASET_REVISION,
            ),
        ],
        {"rows": 1000, "steps": 16, "final_loss": 1.5, "matryoshka_dims": [64, 32]},
    )
    for folder in (clone, distill, root / "finetune-nli"):
        (folder / "config.json").write_text(json.dumps({"model_type": "gemma3_text"}), encoding="utf-8")
        save_file({folder.name: np.zeros(1, dtype=np.float32)}, folder / "model.safetensors")


@pytest.fixture
def hub_run(tmp_path):
    """A run whose teacher and corpus come from the Hub."""
    root = tmp_path / "run"
    teacher = Input(role="teacher", kind="model", name="example/teacher-300m", revision=TEACHER_REVISION)
    write_run(root, teacher=teacher, teacher_role_for_tokenizer=replace(teacher, role="source"))
    return root


@pytest.fixture
def sandbox_run(tmp_path):
    """A run whose teacher was made by the sandbox step."""
    root = tmp_path / "run"
    link = write_step(
        root / "sandbox", "sandbox", {"sentences": 10, "triplets": 4, "pairs": 4}, [], {"rows": {"tr": 10}}
    )
    (root / "sandbox" / "teacher").mkdir()
    (root / "sandbox" / "teacher" / "config.json").write_text("{}", encoding="utf-8")
    teacher = replace(local_input("teacher", root / "sandbox" / "teacher", link), name="{output_dir}/sandbox/teacher")
    write_run(root, teacher=teacher, teacher_role_for_tokenizer=replace(teacher, role="source"))
    return root


@pytest.fixture
def step_writer():
    """Write the record of a step into a folder."""
    return write_step


@pytest.fixture
def scores_of():
    """Build the scores of a run: a teacher, the given folder, and made-up text."""

    def build(folder):
        own = record.digest_model(folder)
        made_up = ScoreDataset(name="{output_dir}/sandbox/sts/test.tsv", digest="3" * 64, synthetic=True)
        local = ScoreDataset(name="{data_root}/nli-tr/dev.jsonl", digest="4" * 64)
        return (
            make_score(model="teacher", model_digest=TEACHER_REVISION, value=0.8125),
            make_score(
                model="teacher",
                model_digest=TEACHER_REVISION,
                truncate_dim=32,
                value=None,
                interval=None,
                missing="all predictions are equal",
            ),
            make_score(model_digest=own),
            make_score(model_digest=own, truncate_dim=32, value=0.75, interval=None),
            make_score(
                model_digest=own, suite="nli-dev", task="triplet", metric="cosine_accuracy", dataset=local, value=0.9
            ),
            make_score(model_digest=own, suite="sandbox-sts", dataset=made_up, value=0.99),
        )

    return build


@pytest.fixture
def report_of(scores_of):
    """Build the report of a run: its scores, and the student compared with the teacher."""

    def build(folder):
        return ScoreReport(
            scores=scores_of(folder),
            command="accelerate launch recipes/score.py recipes/example.yaml",
            resampling=Resampling(resamples=10_000, seed=42),
            comparisons=(make_comparison(), make_comparison(model="another")),
        )

    return build


STUDENT = Input(role="student", kind="model", name="example/student", revision="1" * 40)
VECTORS = Input(role="vectors", kind="dataset", name="example/vectors", revision="2" * 40)
TEACHER = Input(role="teacher", kind="model", name="example/teacher-300m", revision="1" * 40)
MODEL_RECIPE = {
    "matryoshka_dims": [32, 16, 8],
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "max_length": 64,
    "precision": "float32",
}


def write_tokenizer(folder: Path, gemma: Path) -> None:
    """Write a byte-fallback tokenizer whose byte tokens are ordinary tokens, so that decoding keeps them."""
    content = json.loads((gemma / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    shutil.copyfile(gemma / "tokenizer_config.json", folder / "tokenizer_config.json")
    described = as_plain(describe_tokenizer(read_tokenizer(folder / "tokenizer.json"), {}, {}))
    write_report(folder, {**REPORT, "after": {**REPORT["after"], **described, "inflection": None}})
    plot_fertility_change(REPORT["change"], folder / FIGURE_FILE)
    corpus = Input(role="corpus.dataset", kind="dataset", name="example/wikipedia", revision=DATASET_REVISION)
    recipe = {"source": TEACHER.name, "corpus": CORPUS, "vocab_size": described["vocab_size"], "new_tokens": 0}
    write_step(folder, "tokenizer", recipe, [replace(TEACHER, role="source"), corpus], {})


def write_vectors(folder: Path) -> None:
    """Write stored vectors as the embed step leaves them: two languages, one of them in two shards."""
    random = np.random.default_rng(0)
    for language, index in (("en", 0), ("tr", 0), ("tr", 1)):
        vectors = random.normal(size=(6, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        texts = [f"{language} {index} {row}" for row in range(6)]
        shard = Shard(language=language, split="train", index=index, rows=tuple(map(TextRow, texts)))
        write_shard(folder, shard, make_table(shard, texts, None, [5] * 6, {"embedding": vectors}))
    remove_scratch(folder, SCRATCH)
    recipe = {"teacher": "t", "corpus": {"languages": ["en", "tr"]}, "max_length": 64, "prompt": None}
    counts = {"rows": 18, "embedding_dim": 8, "shards": 3, "languages": {"en": 6, "tr": 12}}
    write_step(folder, "embed", recipe, [TEACHER], counts)


@pytest.fixture(scope="session")
def step_outputs(gemma, tmp_path_factory):
    """What steps leave of each kind, by kind; to be copied before they are written to."""
    root = tmp_path_factory.mktemp("outputs")
    shutil.copytree(gemma, root / "distill")
    write_step(root / "distill", "distill", MODEL_RECIPE, [STUDENT, VECTORS], {"matryoshka_dims": [32, 16, 8]})
    write_tokenizer(root / "tokenizer", gemma)
    write_vectors(root / "embed")
    return {"model": root / "distill", "tokenizer": root / "tokenizer", "dataset": root / "embed"}


@pytest.fixture(scope="session")
def staged_repos(step_outputs, tmp_path_factory):
    """Repos of each kind as they are published, by kind; to be copied before they are written to."""
    root, staged = tmp_path_factory.mktemp("staged"), {}
    own = record.digest_model(step_outputs["model"])
    for kind, folder in step_outputs.items():
        made_up = ScoreDataset(name="{output_dir}/sandbox/sts/test.tsv", digest="3" * 64, synthetic=True)
        scores = (
            make_score(
                model="teacher", model_digest=TEACHER_REVISION, truncate_dim=32, embedding_dim=32, value=0.8125
            ),
            make_score(model_digest=own, truncate_dim=32, embedding_dim=32),
            make_score(model_digest=own, truncate_dim=16, embedding_dim=32, value=0.75),
            make_score(model_digest=own, suite="sandbox-sts", dataset=made_up, value=0.99, truncate_dim=32),
        )
        report = ScoreReport(
            scores=scores,
            command="recipes/score.py x.yaml",
            comparisons=(make_comparison(),),
            profile=FINDINGS.profile,
            long_text=FINDINGS.long_text,
            diagnostics=FINDINGS.diagnostics,
            observed_search=FINDINGS.observed_search,
        )
        card = render_card(folder, repo_id=f"acme/{kind}", license="mit", languages=["tr"], report=report)
        staged[kind] = root / kind
        stage_folder(folder, staged[kind], card=card, report=report)
    return staged


@pytest.fixture
def repo(staged_repos, tmp_path):
    """Copy a published repo of a kind, for one test to damage."""

    def copy(kind):
        return shutil.copytree(staged_repos[kind], tmp_path / kind)

    return copy
