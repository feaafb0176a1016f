"""Distillation: what training reaches, and going on where a run was cut off."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator
from damage import cut_short, flip_a_bit, kill_while_weights_are_written
from samples import MATRYOSHKA_DIMS
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import EmbedDistillLoss, MatryoshkaLoss
from stores import SCHEDULE, embed, encoder

from hf_turkembed.distillation import (
    Interrupted,
    Objective,
    distill,
    load_best,
    training,
)
from hf_turkembed.distillation.batching import plan_batches
from hf_turkembed.distillation.checkpoints import SCRATCH
from hf_turkembed.distillation.held_out import HeldOut, evaluate
from hf_turkembed.distillation.training_rows import open_training_rows, write_training_rows
from hf_turkembed.distillation.vectors import shard_files
from hf_turkembed.step import remove_scratch

OBJECTIVE = Objective(matryoshka_dims=MATRYOSHKA_DIMS)
STS = {"sentence1": ["kedi", "ev", "su"], "sentence2": ["köpek", "ev", "ateş"], "score": [0.5, 1.0, 0.1]}


def run(student, vectors, folder, schedule=SCHEDULE, objective=OBJECTIVE, **settings):
    folder.mkdir(exist_ok=True)
    arguments = {"max_length": 64, "seed": 5, **settings}
    return distill(
        student, vectors, Accelerator(cpu=True), folder, schedule=schedule, objective=objective, **arguments
    )


def stored_texts(vectors):
    return [text for file in shard_files(vectors) for text in pq.read_table(file).column("text").to_pylist()]


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_weights(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


def held_out_cosine(model, vectors):
    wrapped = encoder(model.model_card_data.base_model or model[0].model.name_or_path)
    wrapped.model = model
    return evaluate(HeldOut(encoder=wrapped, vectors=vectors), 0).mean_cosine


def test_training_moves_the_student_towards_the_teacher_on_rows_it_has_not_seen(student, vectors, tmp_path):
    schedule = replace(SCHEDULE, epochs=20, checkpoint_steps=40)
    report = run(student, vectors, tmp_path / "run", schedule, sts=STS, compared_dims=MATRYOSHKA_DIMS)
    assert report.rows == 34 and report.steps == 100 and report.matryoshka_dims == MATRYOSHKA_DIMS
    first, *_, last = report.evaluations
    assert set(last.cosine) == {"tr", "en"} and set(last.spearman) == set(map(str, MATRYOSHKA_DIMS))
    assert first.step == 40 and last.step == 100 and last.mean_cosine > first.mean_cosine > 0.5
    assert report.best_step in (40, 80, 100) and report.final_loss < 0.1


def test_it_takes_the_steps_of_a_plain_loop_with_sentence_transformers_loss(gemma, student, vectors, tmp_path):
    """The reference pads, tokenises anew, and walks the whole table with torch's AdamW."""
    schedule = replace(SCHEDULE, batch_tokens=10_000)
    plain = SentenceTransformer(str(gemma), device="cpu")
    plain.load_state_dict(student.state_dict())
    run(student, vectors, tmp_path / "run", schedule)
    rows = open_training_rows(tmp_path / "run" / "rows")
    loss = MatryoshkaLoss(plain, EmbedDistillLoss(plain, "cosine"), list(MATRYOSHKA_DIMS))
    optimizer = torch.optim.AdamW(plain.parameters(), weight_decay=schedule.weight_decay)
    batches = [batch for epoch in range(2) for batch in plan_batches(rows.lengths, 8, seed=5, epoch=epoch)]
    everything = stored_texts(vectors)
    plain.train()
    for step, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = 1e-2 * min(step + 1, (10 - step) / 9)
        texts = [everything[row] for row in batch]
        targets = torch.from_numpy(rows.vectors["embedding"][batch].astype(np.float32))
        # The sum over widths of means over rows, where ours is the mean over both.
        (loss([plain.preprocess(texts)], targets) / len(MATRYOSHKA_DIMS)).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    expected = weights(plain)
    for name, value in weights(student).items():
        torch.testing.assert_close(value, expected[name], atol=2e-3, rtol=0, msg=name)


def test_several_forward_passes_add_up_to_one(gemma, vectors, tmp_path):
    made = []
    for number, batch_tokens in enumerate((10_000, 40)):
        model = SentenceTransformer(str(gemma), device="cpu")
        run(model, vectors, tmp_path / str(number), replace(SCHEDULE, batch_tokens=batch_tokens, learning_rate=1e-4))
        made.append(weights(model))
    for name, value in made[0].items():
        # Adam divides rounding by itself where a gradient is next to nothing.
        torch.testing.assert_close(value, made[1][name], atol=2e-3, rtol=0)


class CutOff(Exception):
    pass


@pytest.mark.parametrize("last_step", [2, 8, 9])
def test_a_run_that_was_cut_off_ends_with_the_weights_of_one_that_was_not(
    gemma, vectors, tmp_path, monkeypatch, last_step
):
    undisturbed = SentenceTransformer(str(gemma), device="cpu")
    reference = run(undisturbed, vectors, tmp_path / "undisturbed", sts=STS, compared_dims=(32,))

    cut = SentenceTransformer(str(gemma), device="cpu")
    real = training.take_step

    def stop(run, batch, step, requested):
        if step == last_step:
            raise CutOff
        return real(run, batch, step, requested)

    monkeypatch.setattr(training, "take_step", stop)
    with pytest.raises(CutOff):
        run(cut, vectors, tmp_path / "cut", sts=STS, compared_dims=(32,))
    monkeypatch.setattr(training, "take_step", real)

    again = SentenceTransformer(str(gemma), device="cpu")
    report = run(again, vectors, tmp_path / "cut", sts=STS, compared_dims=(32,))
    assert same_weights(weights(again), weights(undisturbed))
    assert report.final_loss == reference.final_loss and report.evaluations == reference.evaluations


def test_told_to_stop_it_saves_first_and_goes_on_to_the_same_end(gemma, vectors, tmp_path, monkeypatch):
    undisturbed = SentenceTransformer(str(gemma), device="cpu")
    run(undisturbed, vectors, tmp_path / "undisturbed")
    real = training.take_step

    def stop(run, batch, step, requested):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(run, batch, step, requested)

    monkeypatch.setattr(training, "take_step", stop)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"stopped by SIGTERM after step \d of 10"):
        run(SentenceTransformer(str(gemma), device="cpu"), vectors, tmp_path / "stopped")
    assert signal.getsignal(signal.SIGTERM) is before
    saved = [path.name for path in (tmp_path / "stopped").glob("checkpoint-*")]
    assert saved in (["checkpoint-5"], ["checkpoint-6"])
    monkeypatch.setattr(training, "take_step", real)
    again = SentenceTransformer(str(gemma), device="cpu")
    run(again, vectors, tmp_path / "stopped")
    assert same_weights(weights(again), weights(undisturbed))


@pytest.mark.parametrize(("seconds", "expected"), [(1000.0, [3, 6, 9, 10]), (0.0, list(range(1, 11)))])
def test_without_a_terminal_the_log_says_how_far_it_is(
    student, vectors, tmp_path, monkeypatch, caplog, seconds, expected
):
    monkeypatch.setattr(training, "_LOG_SECONDS", seconds)
    with caplog.at_level("INFO"):
        run(student, vectors, tmp_path / "run", price_per_hour=3600.0)
    pattern = r"distill: step (\d+) of 10; loss 0\.\d{4}, [\d,]+ tokens/s, (0\d:\d\d) left, cost ([\d.]+) in all"
    found = [re.fullmatch(pattern, message) for message in caplog.messages if " of 10" in message]
    assert [int(match[1]) for match in found] == expected
    assert found[-1][2] == "00:00" and float(found[-1][3]) > 0


def test_the_end_of_training_is_kept_until_the_model_is_saved(student, vectors, tmp_path):
    run(student, vectors, tmp_path / "run")
    trained = weights(student)
    again = SentenceTransformer(str(student[0].model.name_or_path), device="cpu")
    run(again, vectors, tmp_path / "run")
    assert same_weights(weights(again), trained)
    remove_scratch(tmp_path / "run", SCRATCH)
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("file", ["model.safetensors", "table.safetensors", "optimizer.bin", "progress.json"])
@pytest.mark.parametrize("damage", [cut_short, flip_a_bit])
def test_a_checkpoint_that_was_damaged_is_named(student, vectors, tmp_path, file, damage):
    run(student, vectors, tmp_path / "run")
    damage(tmp_path / "run" / "checkpoint-10" / file)
    with pytest.raises(
        ValueError, match=rf"checkpoint-10/{file} is not as it was written; remove .*checkpoint-10, and"
    ):
        run(student, vectors, tmp_path / "run")


@pytest.mark.parametrize("file", ["ids", "starts", "embedding"])
def test_tokenised_rows_that_were_cut_short_are_named(student, vectors, tmp_path, file):
    run(student, vectors, tmp_path / "run")
    cut_short(tmp_path / "run" / "rows" / file)
    with pytest.raises(ValueError, match=r"rows/\w+ is not as it was written; remove .*rows, and the texts are"):
        run(student, vectors, tmp_path / "run")


def test_the_best_weights_are_kept(student, vectors, tmp_path):
    # So high a rate that the student gets worse once it has learnt.
    schedule = replace(SCHEDULE, epochs=8, learning_rate=0.5, embedding_learning_rate=0.5, warmup_ratio=0.9)
    report = run(student, vectors, tmp_path / "run", schedule)
    best = max(report.evaluations, key=lambda entry: entry.mean_cosine)
    assert report.best_step == best.step < report.steps
    load_best(student, tmp_path / "run")
    assert held_out_cosine(student, vectors) == pytest.approx(best.mean_cosine, abs=1e-5)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_batch(student, vectors, tmp_path):
    with torch.no_grad():
        student[0].model.get_input_embeddings().weight[5:] = float("nan")
    with pytest.raises(ValueError, match=r"the loss is nan at step 1; its [78] rows are listed in .*bad_batch\.json"):
        run(student, vectors, tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "bad_batch.json").read_text())
    assert saved["step"] == 1 and len(saved["rows"]) in (7, 8)
    assert set(saved["rows"][0]) == {"shard", "row", "text"} and saved["rows"][0]["shard"].startswith("data/")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_moves_no_weight_and_names_its_own_batch(student, vectors, tmp_path, value):
    # No rows for validation and a checkpoint after every step: nothing but the gradient says that the step is wrong.
    shutil.copytree(vectors, tmp_path / "vectors", ignore=shutil.ignore_patterns("validation-*"))
    head = student[2].linear.weight
    steps = []

    def spoil(gradient):
        steps.append(weights(student))
        return gradient * value if len(steps) == 5 else gradient

    head.register_hook(spoil)
    schedule = replace(SCHEDULE, batch_tokens=10_000, checkpoint_steps=1)
    with pytest.raises(ValueError, match=r"the gradient is (nan|inf) at step 5; .* another output_dir"):
        run(student, tmp_path / "vectors", tmp_path / "run", schedule)
    assert torch.equal(head, steps[-1]["2.linear.weight"]) and not torch.equal(head, steps[-2]["2.linear.weight"])
    assert json.loads((tmp_path / "run" / "bad_batch.json").read_text())["step"] == 5
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-4"]


def test_first_only_the_rows_of_new_tokens_are_trained(gemma, student, vectors, tmp_path):
    before = weights(student)
    new = [300, 301, 310]
    schedule = replace(SCHEDULE, new_rows_ratio=1.0, weight_decay=0.1)
    run(student, vectors, tmp_path / "run", schedule, new_rows=new)
    after = weights(student)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert [name.rpartition(".")[0].rpartition(".")[2] for name in moved] == ["embed_tokens"]
    table = moved.pop()
    rows = (after[table] != before[table]).any(dim=1).nonzero().flatten().tolist()
    assert rows and set(rows) <= set(new)


def test_a_run_that_was_killed_while_it_kept_the_best_weights_goes_on(student, vectors, tmp_path):
    unfinished = tmp_path / "run" / ".best.tmp"
    unfinished.mkdir(parents=True)
    kill_while_weights_are_written(unfinished / "weights.safetensors")
    run(student, vectors, tmp_path / "run")
    assert (tmp_path / "run" / "best" / "weights.safetensors").is_file() and not unfinished.exists()


def test_a_stage_of_new_rows_has_a_step_however_short_the_run(gemma, student, vectors, tmp_path):
    before = weights(student)
    schedule = replace(SCHEDULE, epochs=1, batch_size=34, new_rows_ratio=0.1)
    assert run(student, vectors, tmp_path / "run", schedule, new_rows=[300, 301]).steps == 1
    assert torch.equal(weights(student)["2.linear.weight"], before["2.linear.weight"])


def test_what_does_not_move_counts_for_nothing_in_the_norm_that_gradients_are_clipped_to(gemma, vectors, tmp_path):
    schedule = replace(SCHEDULE, epochs=2, new_rows_ratio=1.0, max_grad_norm=1e-6)
    ends = []
    for factor in (1.0, 1000.0):
        student = SentenceTransformer(str(gemma), device="cpu")
        next(student[2].parameters()).register_hook(lambda gradient, factor=factor: gradient * factor)
        run(student, vectors, tmp_path / str(factor), schedule, new_rows=[300, 301, 310])
        ends.append(weights(student))
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


def test_what_the_heads_are_given_is_a_target_too(student, vectors, tmp_path):
    objective = replace(OBJECTIVE, pre_dense_weight=1.0, similarity_weight=0.5)
    schedule = replace(SCHEDULE, epochs=10, checkpoint_steps=1000)
    report = run(student, vectors, tmp_path / "run", schedule, objective)
    alone = replace(schedule, learning_rate=0.0, embedding_learning_rate=0.0)
    other = SentenceTransformer(str(student[0].model.name_or_path), device="cpu")
    assert report.final_loss > run(other, vectors, tmp_path / "other", alone).final_loss >= 0


def test_vectors_without_what_the_objective_needs_are_refused(gemma, student, tmp_path):
    embed(gemma, tmp_path / "vectors")
    with pytest.raises(ValueError, match=r"has no \['pre_dense'\]; its columns are text, language"):
        run(student, tmp_path / "vectors", tmp_path / "run", objective=replace(OBJECTIVE, pre_dense_weight=1.0))


def test_widths_of_vectors_student_and_loss_have_to_agree(student, vectors, tmp_path):
    with pytest.raises(ValueError, match=r"32 dimensions, the student 32, `matryoshka_dims` begins with 16"):
        run(student, vectors, tmp_path / "run", objective=Objective(matryoshka_dims=(16, 8)))


def test_a_stage_of_new_rows_needs_some(student, vectors, tmp_path):
    with pytest.raises(ValueError, match="there are none"):
        run(student, vectors, tmp_path / "run", replace(SCHEDULE, new_rows_ratio=0.5))


def test_texts_are_tokenised_once(gemma, vectors, tmp_path):
    model = SentenceTransformer(str(gemma), device="cpu")
    backend = model.tokenizer.backend_tokenizer
    write_training_rows(vectors, backend, tmp_path / "rows", max_length=64, names=["embedding"])
    rows = open_training_rows(tmp_path / "rows")
    texts = stored_texts(vectors)
    assert [list(rows.tokens_of(row)) for row in range(34)] == [model.tokenizer(text)["input_ids"] for text in texts]
    assert len(rows) == 34 and rows.vectors["embedding"].shape == (34, 32) and int(rows.lengths.max()) <= 64
    stored = model.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(stored, rows.vectors["embedding"].astype(np.float32), atol=2e-3)
    made = (tmp_path / "rows" / "ids").stat().st_mtime_ns
    write_training_rows(vectors, backend, tmp_path / "rows", max_length=64, names=["embedding"])
    assert (tmp_path / "rows" / "ids").stat().st_mtime_ns == made
