"""A release: what its cards say of each other, what a second run leaves alone, and what it cannot hold."""

import json
import shutil

import pytest

from hf_turkembed.publishing import HubRepo, HubSettings, describe_published, publish_release
from hf_turkembed.publishing.releases import format_related
from hf_turkembed.record import Input
from hf_turkembed.scores import ScoreReport

SOURCE = Input(role="source", kind="model", name="example/teacher-300m", revision="1" * 40)
SETTINGS = {"license": "mit", "languages": ["tr"], "report": ScoreReport(scores=())}


@pytest.fixture
def tokenizer(gemma, tmp_path, step_writer):
    """A byte-fallback tokenizer as the tokenizer step leaves it."""
    content = json.loads((gemma / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    folder = tmp_path / "run" / "tokenizer"
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "tokenizer_config.json").write_bytes((gemma / "tokenizer_config.json").read_bytes())
    recipe = {"source": "t", "corpus": {"languages": ["tr"]}, "vocab_size": 400, "new_tokens": 0}
    step_writer(folder, "tokenizer", recipe, [SOURCE], {})
    return folder


def test_a_second_run_leaves_what_stands_there_and_a_change_is_told(tokenizer, tmp_path):
    outbox = tmp_path / "outbox"
    folders = {"example/tokenizer": tokenizer}
    (first,) = publish_release(folders, target=outbox, collection="of the Hub alone", **SETTINGS).repos
    assert first.verification.passed and set(first.difference.added) == {file.path for file in first.files}
    card = outbox / "example/tokenizer/README.md"
    written = card.stat().st_mtime_ns
    (second,) = publish_release(folders, target=outbox, **SETTINGS).repos
    assert second.verification is None and not second.difference and card.stat().st_mtime_ns == written
    assert describe_published(second)[-1] == f"stands already in {outbox}/example/tokenizer"
    card.write_text("edited", encoding="utf-8")
    (card.parent / "notes.txt").write_text("more", encoding="utf-8")
    (third,) = publish_release(folders, target=outbox, **SETTINGS).repos
    lines = describe_published(third)
    assert [line.split()[0] for line in lines] == ["changed", *["same"] * 4, "deleted", "published"]
    assert lines[5].split() == ["deleted", "notes.txt"]
    assert card.read_text(encoding="utf-8") != "edited" and not (card.parent / "notes.txt").exists()


def test_a_folder_that_may_not_be_published_holds_back_the_whole_release(tokenizer, tmp_path, step_writer):
    second = tmp_path / "run" / "second"
    shutil.copytree(tokenizer, second)
    (second / "state.pkl").write_bytes(b"")
    folders = {"example/tokenizer": tokenizer, "example/second": second}
    with pytest.raises(ValueError, match=r"`state\.pkl` may run code when it is loaded.*nothing was published"):
        publish_release(folders, target=tmp_path / "outbox", **SETTINGS)
    assert not (tmp_path / "outbox").exists()


def test_a_card_names_the_other_repos_of_its_release():
    repos = {
        HubRepo(repo_id="org/tokenizer", repo_type="model"): "the tokenizer",
        HubRepo(repo_id="org/vectors", repo_type="dataset"): "the vectors",
    }
    assert format_related(repos) == (
        "\n## Released together with\n\n"
        "- [org/tokenizer](https://huggingface.co/org/tokenizer): the tokenizer\n"
        "- [org/vectors](https://huggingface.co/datasets/org/vectors): the vectors\n"
    )
    assert format_related({}) == ""


def test_repos_of_several_owners_have_no_collection(tokenizer):
    folders = {"one/tokenizer": tokenizer, "two/tokenizer": tokenizer}
    with pytest.raises(ValueError, match="a collection holds repos of one owner, not of one, two"):
        publish_release(folders, target=HubSettings(), collection="Release", **SETTINGS)
