"""Fine-tuning: stages that learn, and going on where a stage was cut off."""

import shutil

import pytest
import torch
from damage import cut_short, flip_a_bit
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from transformers import TrainerCallback

from hf_turkembed.finetuning import Task, add_adapter, discard_unfinished, finetune, training
from hf_turkembed.finetuning.trainer_checkpoints import CHECKPOINTS, last_whole_checkpoint
from hf_turkembed.step import remove_scratch

TRIPLETS = {
    "anchor": [f"{text} {number}" for number in range(4) for text in TEXTS],
    "positive": [f"{text} {number}!" for number in range(4) for text in TEXTS],
    "negative": [f"{text} {number}" for number in range(4) for text in reversed(TEXTS)],
}
PAIRS = {
    "sentence1": list(TEXTS) * 4,
    "sentence2": [*TEXTS[1:], TEXTS[0]] * 4,
    "score": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] * 4,
}
TRAINING = {
    "num_train_epochs": 2,
    "learning_rate": 5e-3,
    "logging_steps": 1,
    "save_steps": 2,
    "save_total_limit": 1,
    "use_cpu": True,
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}


RANKING = {"nli": Task(rows=TRIPLETS, loss="multiple_negatives_ranking")}
SCORED = {loss: {"sts": Task(rows=PAIRS, loss=loss)} for loss in ("cosent", "angle", "cosine_similarity")}
BOTH = {**RANKING, **SCORED["cosent"]}


def run(folder, gemma, tasks=RANKING, rank=None, **settings):
    model = SentenceTransformer(str(gemma), device="cpu", model_kwargs={"dtype": "float32"})
    if rank is not None:
        add_adapter(model, rank=rank, alpha=32, dropout=0.1, target_modules=(), seed=3)
    arguments = {"matryoshka_dims": MATRYOSHKA_DIMS, "batch_size": 8, "training": TRAINING, "seed": 3, **settings}
    return model, finetune(model, tasks, folder, **arguments)


class CutOff(Exception):
    pass


def cut_off_at(step, patch):
    """Let training stop before a step."""

    class Stop(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == step:
                raise CutOff

    real = training.StageTrainer
    patch.setattr(training, "StageTrainer", lambda callbacks, **kwargs: real(**kwargs, callbacks=[*callbacks, Stop()]))


def distance(left, right):
    """How far the weights of two models are apart."""
    other = right.state_dict()
    return sum(float((value - other[name]).square().sum()) for name, value in left.state_dict().items()) ** 0.5


@pytest.mark.parametrize("tasks", [RANKING, *SCORED.values()], ids=["multiple_negatives_ranking", *SCORED])
def test_a_stage_changes_the_model_and_says_what_it_did(gemma, tmp_path, tasks):
    model, report = run(tmp_path, gemma, tasks)
    before = SentenceTransformer(str(gemma), device="cpu")
    assert abs(model.encode(TEXTS[0]) - before.encode(TEXTS[0])).max() > 1e-2
    assert (report.rows, report.steps, report.epochs) == (24, 6, 2.0)
    assert (report.batch_size, report.local_batch_size) == (8, 8)
    assert report.final_loss > 0
    assert report.parameters == report.trained_parameters == sum(p.numel() for p in before.parameters())


def test_a_stage_of_so_many_steps_says_how_many_epochs_they_were(gemma, tmp_path):
    _, report = run(tmp_path, gemma, training=TRAINING | {"max_steps": 2})
    assert (report.steps, report.epochs) == (2, 0.6667)


def test_two_tasks_at_once_take_turns_in_proportion_to_their_rows(gemma, tmp_path):
    model, report = run(tmp_path, gemma, BOTH)
    assert report.rows_by_task == {"nli": 24, "sts": 24} and (report.rows, report.steps) == (48, 12)
    alone, _ = run(tmp_path / "alone", gemma)
    assert distance(model, alone) > 1e-2


def test_ranking_in_small_batches_is_ranking_in_whole_ones(gemma, tmp_path):
    small = {"nli": Task(rows=TRIPLETS, loss="multiple_negatives_ranking", mini_batch_size=3)}
    whole, cached = run(tmp_path / "whole", gemma)[0], run(tmp_path / "small", gemma, small)[0]
    moved = distance(whole, SentenceTransformer(str(gemma), device="cpu"))
    assert moved > 0.1 and distance(whole, cached) < 1e-3 * moved


def test_activations_that_are_computed_twice_give_the_same_weights(gemma, tmp_path):
    once, twice = (
        run(tmp_path / str(again), gemma, training={**TRAINING, "activation_checkpointing": again})[0]
        for again in (False, True)
    )
    assert distance(once, twice) < 1e-4 * distance(once, SentenceTransformer(str(gemma), device="cpu"))


def test_bfloat16_is_for_forward_passes_and_weights_stay_float32(gemma, tmp_path):
    model, _ = run(tmp_path, gemma, training={**TRAINING, "bf16": True})
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    exact = run(tmp_path / "float32", gemma)[0]
    assert 0 < distance(model, exact) < 0.5 * distance(exact, SentenceTransformer(str(gemma), device="cpu"))


@pytest.mark.parametrize("tasks", [RANKING, BOTH], ids=["ranking", "both"])
def test_a_stage_that_was_cut_off_ends_with_the_weights_of_one_that_was_not(gemma, tmp_path, monkeypatch, tasks):
    reference, undisturbed = run(tmp_path / "undisturbed", gemma, tasks)
    with monkeypatch.context() as patch:
        cut_off_at(5, patch)
        with pytest.raises(CutOff):
            run(tmp_path / "cut", gemma, tasks)
    resumed, report = run(tmp_path / "cut", gemma, tasks)
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name])
    assert report.steps == undisturbed.steps
    assert report.final_loss == pytest.approx(undisturbed.final_loss, abs=1e-4)
    remove_scratch(tmp_path / "cut", (CHECKPOINTS,))
    assert list((tmp_path / "cut").iterdir()) == []


@pytest.mark.slow
def test_a_compiled_stage_that_was_cut_off_goes_on_from_what_it_had_trained(gemma, tmp_path, monkeypatch):
    settings = {"training": {**TRAINING, "torch_compile": True}}
    reference, _ = run(tmp_path / "undisturbed", gemma, **settings)
    with monkeypatch.context() as patch:
        cut_off_at(5, patch)
        with pytest.raises(CutOff):
            run(tmp_path / "cut", gemma, **settings)
    resumed, _ = run(tmp_path / "cut", gemma, **settings)
    # Graphs are compiled for the shapes of the first batches, which are others here, so that rounding differs.
    moved = distance(reference, SentenceTransformer(str(gemma), device="cpu"))
    assert moved > 0.1 and distance(resumed, reference) < 1e-4 * moved


def test_a_stage_that_was_trained_but_not_saved_takes_no_further_step(gemma, tmp_path):
    reference, done = run(tmp_path, gemma)
    again, report = run(tmp_path, gemma)
    for name, value in again.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name])
    assert (report.steps, report.final_loss) == (done.steps, done.final_loss)


def test_an_adapter_of_a_base_in_sixteen_bits_goes_on_from_the_bits_that_it_had(gemma, tmp_path, monkeypatch):
    SentenceTransformer(str(gemma), device="cpu", model_kwargs={"dtype": "bfloat16"}).save(str(tmp_path / "base"))
    base = tmp_path / "base"
    reference, _ = run(tmp_path / "undisturbed", base, rank=4)
    with monkeypatch.context() as patch:
        cut_off_at(5, patch)
        with pytest.raises(CutOff):
            run(tmp_path / "cut", base, rank=4)
    # Resumed in the middle, and once more when all that is missing is its saving.
    for _ in range(2):
        resumed, _ = run(tmp_path / "cut", base, rank=4)
        for name, value in resumed.state_dict().items():
            assert torch.equal(value, reference.state_dict()[name]), name


@pytest.mark.parametrize("state", [None, "", '{"epoch": 1.0, "log_hist'])
def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(gemma, tmp_path, state):
    reference, done = run(tmp_path, gemma)
    torn = tmp_path / "checkpoints" / "checkpoint-9"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    if state is not None:
        (torn / "trainer_state.json").write_text(state)
    again, report = run(tmp_path, gemma)
    assert report.steps == done.steps and not torn.exists()
    for name, value in again.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name])


@pytest.mark.parametrize("file", ["model.safetensors", "2_Dense/model.safetensors", "optimizer.pt", "rng_state.pth"])
@pytest.mark.parametrize("damage", [cut_short, flip_a_bit])
def test_a_file_of_a_checkpoint_that_was_damaged_is_named(gemma, tmp_path, file, damage):
    run(tmp_path, gemma)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    damage(checkpoint / file)
    with pytest.raises(ValueError, match=rf"checkpoint-6/{file} is not as it was written; remove .*checkpoint-6, and"):
        run(tmp_path, gemma)


def test_torn_checkpoints_may_be_removed_by_several_processes_at_once(tmp_path, monkeypatch):
    (tmp_path / "checkpoint-9").mkdir()
    remove = shutil.rmtree

    def after_another(path, **settings):
        remove(path)
        remove(path, **settings)

    monkeypatch.setattr(shutil, "rmtree", after_another)
    assert last_whole_checkpoint(tmp_path) is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("state", "kept"), [("checkpoint-2", True), ("checkpoint-0", False), (None, False)])
def test_a_refusal_leaves_what_was_trained_and_nothing_else(tmp_path, state, kept):
    (tmp_path / "checkpoints" / "checkpoint-9").mkdir(parents=True)
    if state:
        (tmp_path / "checkpoints" / state).mkdir()
        (tmp_path / "checkpoints" / state / "trainer_state.json").write_text("{}")
    with pytest.raises(ValueError, match="lower it"), discard_unfinished(tmp_path):
        raise ValueError("lower it")
    assert any(tmp_path.iterdir()) == kept


@pytest.mark.parametrize("tasks", [RANKING, SCORED["cosent"]], ids=["ranking", "graded"])
def test_a_stage_that_diverges_ends_with_the_step_and_not_as_done(gemma, tmp_path, tasks):
    wild = {**TRAINING, "optim": "sgd", "learning_rate": 1e38, "max_grad_norm": 0, "save_steps": 100}
    with pytest.raises(ValueError, match=r"the loss is nan at step \d of 6.*Lower `learning_rate`"):
        run(tmp_path, gemma, tasks, training=wild)


def test_weights_that_the_last_step_ruined_are_named(gemma, tmp_path):
    wild = {**TRAINING, "optim": "sgd", "learning_rate": 1e38, "max_grad_norm": 0, "max_steps": 1}
    with pytest.raises(
        ValueError, match=r"`.*weight` holds NaN or infinity after the last step; lower `learning_rate`"
    ):
        run(tmp_path, gemma, training=wild)


def test_a_base_that_holds_nan_is_not_trained(gemma, tmp_path):
    model = SentenceTransformer(str(gemma), device="cpu")
    with torch.no_grad():
        model[0].model.norm.weight[0] = float("nan")
    with pytest.raises(ValueError, match=r"`0\.model\.norm\.weight` of the base model holds NaN"):
        finetune(model, RANKING, tmp_path, matryoshka_dims=MATRYOSHKA_DIMS, batch_size=8, training=TRAINING, seed=3)
    assert not any(tmp_path.iterdir())


def test_bfloat16_trains_on_processors_that_nobody_spoke_of(gemma, tmp_path):
    told = {key: value for key, value in TRAINING.items() if key != "use_cpu"}
    _, report = run(tmp_path, gemma, training={**told, "bf16": True, "max_steps": 1})
    assert report.steps == 1


def test_what_the_step_decides_is_not_taken_from_the_recipe(gemma, tmp_path):
    with pytest.raises(ValueError, match=r"sets \['seed', 'push_to_hub'\], which the step decides"):
        run(tmp_path, gemma, training={**TRAINING, "push_to_hub": True, "seed": 1})


def test_widths_have_to_begin_with_the_models(gemma, tmp_path):
    with pytest.raises(ValueError, match="begins with 16; the model gives 32"):
        run(tmp_path, gemma, matryoshka_dims=(16, 8))


def test_a_batch_larger_than_the_rows_is_named_with_the_task(gemma, tmp_path):
    with pytest.raises(ValueError, match="task `nli` gave 24 rows, fewer than a batch of 25"):
        run(tmp_path, gemma, batch_size=25)


def test_rows_that_make_no_batch_without_a_text_twice_are_an_error(gemma, tmp_path):
    rows = {"anchor": TEXTS[:1] * 8, "positive": [f"{n}" for n in range(8)]}
    with pytest.raises(ValueError, match="no batch of 8 rows without a text twice"):
        run(tmp_path, gemma, {"nli": Task(rows=rows, loss="multiple_negatives_ranking")})
