"""The life of a step: done, another run's, cut off, finished."""

import errno
import os
import resource
import shutil

import pytest
import torch
from damage import kill_while_weights_are_written
from safetensors import SafetensorError
from safetensors.torch import save_file
from small_step import run, write_recipe

from hf_turkembed import record
from hf_turkembed import step as steps
from hf_turkembed.json_files import write_json
from hf_turkembed.step import finish_step, open_step


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path)


def killed(recipe, **settings):
    """Begin the step in a process that ends at once without leaving it, as when it is killed."""
    child = os.fork()
    if child == 0:
        left_open = open_step(recipe, "clone", **settings)
        step = left_open.__enter__()
        (step.partial / "half.txt").write_text("x")
        os._exit(0)
    os.waitpid(child, 0)


def test_the_record_names_weights_and_tokenizer_by_digest_unasked(recipe):
    with open_step(recipe(), "clone") as step:
        (step.partial / "2_Dense").mkdir()
        for name in ("2_Dense/model.safetensors", "model.safetensors", "tokenizer.json", "config.json"):
            (step.partial / name).write_text(name)
        finish_step(step, counts={}, outputs=("config.json",))
    outputs = record.read_provenance(step.output).observed.outputs
    assert list(outputs) == ["2_Dense/model.safetensors", "config.json", "model.safetensors", "tokenizer.json"]
    assert all(digest == record.digest_file(step.output / name) for name, digest in outputs.items())


def test_a_finished_step_has_its_folder_and_record_and_is_skipped_next_time(recipe):
    step = run(recipe())
    found = record.read_provenance(step.output)
    assert found.identity == step.identity or found.identity.digest == step.identity.digest
    assert found.observed.runs == 1 and found.observed.outputs["result.txt"]
    assert not step.partial.exists()
    assert sorted(path.name for path in step.output.iterdir()) == ["provenance.json", "result.txt"]
    with open_step(recipe(), "clone") as again:
        assert again.done


def test_an_output_folder_of_another_run_is_refused_with_the_keys_that_differ(recipe):
    run(recipe())
    with pytest.raises(ValueError, match=r"holds another run of `clone`[\s\S]*recipe.max_length: 16 -> 32"):
        run(recipe("clone.max_length=32"))


def test_a_foreign_folder_in_the_way_is_refused(recipe, tmp_path):
    (tmp_path / "run" / "clone").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"holds no provenance.json"):
        run(recipe())


def test_a_step_that_cannot_resume_starts_from_an_empty_folder(recipe):
    killed(recipe())
    with open_step(recipe(), "clone") as again:
        assert list(again.partial.iterdir()) == [] and again.runs_before == 0


def test_a_resumable_step_keeps_what_is_there_and_counts_its_runs(recipe):
    killed(recipe(), resumable=True)
    with open_step(recipe(), "clone", resumable=True) as again:
        assert (again.partial / "half.txt").exists() and again.runs_before == 1
        finish_step(again, counts={})
    assert record.read_provenance(again.output).observed.runs == 2


def test_half_a_file_of_weights_does_not_outlive_the_run_that_was_killed_while_it_wrote_them(recipe, tmp_path):
    killed(recipe(), resumable=True)
    (folder,) = tmp_path.glob("run/*.partial")
    for place in (folder, folder / ".best.tmp"):
        place.mkdir(exist_ok=True)
        kill_while_weights_are_written(place / "model.safetensors")
    with open_step(recipe(), "clone", resumable=True) as again:
        assert sorted(path.name for path in again.partial.rglob("*")) == [".best.tmp", "half.txt"]


@pytest.mark.parametrize("content", [None, "", "{}", '{"identity": 1, "runs": 1}'])
def test_unfinished_work_of_which_nobody_knows_the_run_is_not_gone_on_with(recipe, tmp_path, content):
    killed(recipe(), resumable=True)
    progress = tmp_path / "run" / "clone.progress.json"
    progress.unlink()
    if content is not None:
        progress.write_text(content)
    message = r"clone.partial holds unfinished work, but .*clone.progress.json, .*; remove .*clone.partial, and"
    with pytest.raises(ValueError, match=message), open_step(recipe("clone.max_length=32"), "clone", resumable=True):
        pass
    shutil.rmtree(tmp_path / "run" / "clone.partial")
    with open_step(recipe("clone.max_length=32"), "clone", resumable=True) as step:
        assert step.runs_before == 0


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("moment", ["before its scratch is removed", "after"])
def test_a_run_killed_after_its_record_is_complete_without_running_again(recipe, moment, resumable):
    settings = {"resumable": resumable, "scratch": ("unfinished", "checkpoint-*")}
    child = os.fork()
    if child == 0:
        left_open = open_step(recipe(), "clone", **settings)
        step = left_open.__enter__()
        (step.partial / "result.txt").write_text("result")
        (step.partial / "unfinished").mkdir()
        for name in ("unfinished/a.json", "checkpoint-3"):
            (step.partial / name).write_text("{}")
        if moment == "after":
            move = os.replace
            steps.os.replace = lambda *paths: os._exit(0) if paths[0] == step.partial else move(*paths)
        else:
            steps.remove_scratch = lambda *arguments: os._exit(0)
        finish_step(step, counts={}, outputs=("result.txt",))
    os.waitpid(child, 0)
    with open_step(recipe(), "clone", **settings) as again:
        assert again.done
    assert sorted(path.name for path in again.output.iterdir()) == ["provenance.json", "result.txt"]
    assert list(record.read_provenance(again.output).observed.outputs) == ["result.txt"]
    assert not again.partial.exists() and not again.progress.exists()


def test_unfinished_work_with_a_record_but_not_its_files_is_gone_on_with(recipe):
    step = run(recipe())
    step.output.rename(step.partial)
    write_json(step.progress, {"identity": step.identity, "runs": 1})
    (step.partial / "result.txt").unlink()
    with open_step(recipe(), "clone", resumable=True) as again:
        assert not again.done


class Failure(Exception):
    pass


@pytest.mark.parametrize("resumable", [False, True])
def test_a_step_that_fails_leaves_nothing_behind_but_what_it_can_go_on_from(recipe, tmp_path, resumable):
    with pytest.raises(Failure), open_step(recipe(), "clone", resumable=resumable):
        raise Failure
    assert list((tmp_path / "run").iterdir()) == []
    with pytest.raises(Failure), open_step(recipe(), "clone", resumable=resumable) as step:
        (step.partial / "half.txt").write_text("x")
        raise Failure
    assert bool(list((tmp_path / "run").iterdir())) == resumable


WRITERS = {
    "a file": (lambda path: path.write_bytes(bytes(9000)), "File too large"),
    "safetensors": (lambda path: save_file({"a": torch.zeros(2000)}, path), "File too large"),
    # Which has no word of why.
    "torch": (lambda path: torch.save({"a": torch.zeros(2000)}, path), "No space left"),
}


@pytest.mark.parametrize(("write", "message"), WRITERS.values(), ids=WRITERS)
def test_without_room_a_step_names_its_folder_whoever_writes(recipe, tmp_path, write, message):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(OSError, match=message) as raised, open_step(recipe(), "clone", resumable=True) as step:
        (step.partial / "whole.txt").write_text("x")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            write(step.partial / "cut")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(step.partial) and (step.partial / "whole.txt").is_file()


def test_other_errors_of_libraries_stay_what_they_are(recipe):
    for error in (
        RuntimeError("x"),
        RuntimeError("PytorchStreamReader in inline_container.cc"),
        SafetensorError("header too large"),
        OSError(errno.ENOENT, "none", "file"),
        OSError(errno.ECONNREFUSED, "x"),
    ):
        with pytest.raises(type(error)) as raised, open_step(recipe(), "clone"):
            raise error
        assert raised.value is error


def test_unfinished_work_of_another_run_is_refused_until_the_folder_named_is_removed(recipe, tmp_path):
    killed(recipe(), resumable=True)
    with (
        pytest.raises(
            ValueError, match=r"clone\.partial holds another run[\s\S]*seed: 1 -> 2[\s\S]*remove that folder"
        ),
        open_step(recipe("seed=2"), "clone", resumable=True),
    ):
        pass
    (removed,) = (tmp_path / "run").glob("*.partial")
    shutil.rmtree(removed)
    with open_step(recipe("seed=2"), "clone", resumable=True) as again:
        assert again.runs_before == 0


@pytest.mark.parametrize("resumable", [False, True])
def test_two_processes_never_work_in_the_same_folder(recipe, resumable):
    with open_step(recipe(), "clone", resumable=resumable) as first:
        (first.partial / "half.txt").write_text("x")
        with (
            pytest.raises(ValueError, match="another process is working in"),
            open_step(recipe(), "clone", resumable=resumable),
        ):
            pass
        assert (first.partial / "half.txt").exists()


def test_a_run_killed_between_its_last_two_moves_is_tidied_when_it_is_found_done(recipe):
    step = run(recipe())
    step.progress.write_text("{}")
    with open_step(recipe(), "clone") as again:
        assert again.done
    assert not step.progress.exists()
