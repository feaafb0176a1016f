"""Licences that models state go into the record of the step that reads them."""

import pytest
from small_step import run, write_recipe

from hf_turkembed import record


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path)


def test_the_record_holds_the_licences_that_models_state(recipe, tmp_path, monkeypatch):
    (tmp_path / "tokenizer" / "README.md").write_text("---\nlicense: gemma\n---\n")
    downloaded = tmp_path / "downloaded.md"
    downloaded.write_text("---\nlicense: apache-2.0\n---\n")
    asked = []
    monkeypatch.setattr(
        "hf_turkembed.step_licenses.try_to_load_from_cache",
        lambda *name, revision: (asked.append((*name, revision)), str(downloaded))[1],
    )
    step = run(recipe(f"clone.teacher=example/teacher@{'1' * 40}"))
    assert record.read_provenance(step.output).observed.licenses == {"teacher": "apache-2.0", "tokenizer": "gemma"}
    assert asked == [("example/teacher", "README.md", "1" * 40)]


def test_a_model_without_a_card_or_a_licence_states_none(recipe, tmp_path):
    (tmp_path / "teacher" / "README.md").write_text("# teacher\n")
    assert record.read_provenance(run(recipe()).output).observed.licenses == {}


def test_a_card_that_is_no_yaml_is_named(recipe, tmp_path):
    (tmp_path / "teacher" / "README.md").write_text("---\nlicense: [mit\n---\n")
    with pytest.raises(ValueError, match=r"teacher/README\.md: its header is not valid YAML"):
        run(recipe())
