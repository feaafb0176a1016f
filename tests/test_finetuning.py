"""Fine-tuning: stages that learn, and going on where a stage was cut off."""

import pytest
import torch
from samples import MATRYOSHKA_DIMS, TEXTS
from sentence_transformers import SentenceTransformer
from transformers import TrainerCallback

from hf_turkembed import finetuning
from hf_turkembed.finetuning import finetune, remove_checkpoints

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
    "per_device_train_batch_size": 8,
    "learning_rate": 5e-3,
    "logging_steps": 1,
    "save_steps": 2,
    "save_total_limit": 1,
    "use_cpu": True,
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}


def run(folder, gemma, table=TRIPLETS, loss="multiple_negatives_ranking", **settings):
    model = SentenceTransformer(str(gemma), device="cpu")
    arguments = {"matryoshka_dims": MATRYOSHKA_DIMS, "training": TRAINING, "seed": 3, **settings}
    return model, finetune(model, table, folder, loss=loss, **arguments)


@pytest.mark.parametrize(("table", "loss"), [(TRIPLETS, "multiple_negatives_ranking"), (PAIRS, "cosent")])
def test_a_stage_changes_the_model_and_says_what_it_did(gemma, tmp_path, table, loss):
    model, report = run(tmp_path, gemma, table, loss)
    before = SentenceTransformer(str(gemma), device="cpu")
    assert abs(model.encode(TEXTS[0]) - before.encode(TEXTS[0])).max() > 1e-2
    assert (report.rows, report.steps, report.epochs) == (24, 6, 2.0)
    assert report.final_loss > 0 and report.parameters == sum(p.numel() for p in before.parameters())


def test_a_stage_that_was_cut_off_ends_with_the_weights_of_one_that_was_not(gemma, tmp_path, monkeypatch):
    reference, undisturbed = run(tmp_path / "undisturbed", gemma)

    class CutOff(Exception):
        pass

    class CutOffAtFive(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 5:
                raise CutOff

    real = finetuning.SentenceTransformerTrainer
    monkeypatch.setattr(
        finetuning, "SentenceTransformerTrainer", lambda **kwargs: real(**kwargs, callbacks=[CutOffAtFive()])
    )
    with pytest.raises(CutOff):
        run(tmp_path / "cut", gemma)
    monkeypatch.setattr(finetuning, "SentenceTransformerTrainer", real)
    resumed, report = run(tmp_path / "cut", gemma)
    for name, value in resumed.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name], atol=1e-6, rtol=1e-5)
    assert report.steps == undisturbed.steps
    assert report.final_loss == pytest.approx(undisturbed.final_loss, abs=1e-4)
    remove_checkpoints(tmp_path / "cut")
    assert list((tmp_path / "cut").iterdir()) == []


def test_a_stage_that_was_trained_but_not_saved_takes_no_further_step(gemma, tmp_path):
    reference, done = run(tmp_path, gemma)
    again, report = run(tmp_path, gemma)
    for name, value in again.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name])
    assert (report.steps, report.final_loss) == (done.steps, done.final_loss)


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(gemma, tmp_path):
    reference, done = run(tmp_path, gemma)
    torn = tmp_path / "checkpoints" / "checkpoint-9"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    again, report = run(tmp_path, gemma)
    assert report.steps == done.steps and not torn.exists()
    for name, value in again.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name])


def test_what_the_step_decides_is_not_taken_from_the_recipe(gemma, tmp_path):
    with pytest.raises(ValueError, match=r"sets \['seed', 'push_to_hub'\], which the step decides"):
        run(tmp_path, gemma, training={**TRAINING, "push_to_hub": True, "seed": 1})


def test_widths_have_to_begin_with_the_models(gemma, tmp_path):
    with pytest.raises(ValueError, match="begins with 16; the model gives 32"):
        run(tmp_path, gemma, matryoshka_dims=(16, 8))
