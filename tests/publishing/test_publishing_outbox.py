"""The outbox: a whole repo or the one before it, never a half."""

import shutil
from pathlib import Path

import pytest

from hf_turkembed.publishing.outbox import outbox_folder, write_to_outbox


@pytest.fixture
def staged(tmp_path):
    """A staged folder with a file in a folder below it."""
    folder = tmp_path / "staged"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "README.md").write_text("first", encoding="utf-8")
    (folder / "1_Pooling" / "config.json").write_text("{}", encoding="utf-8")
    return folder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("repo_type", "place"), [("model", "org/name"), ("dataset", "datasets/org/name")])
def test_repo_stands_where_its_type_says(staged, tmp_path, repo_type, place):
    folder = write_to_outbox(staged, tmp_path / "outbox", "org/name", repo_type)
    assert folder == tmp_path / "outbox" / place
    assert files(tmp_path / "outbox") == [f"{place}/1_Pooling/config.json", f"{place}/README.md"]


def test_newer_version_replaces_the_older_one_as_a_whole(staged, tmp_path):
    write_to_outbox(staged, tmp_path / "outbox", "org/name", "model")
    (staged / "README.md").write_text("second", encoding="utf-8")
    shutil.rmtree(staged / "1_Pooling")
    folder = write_to_outbox(staged, tmp_path / "outbox", "org/name", "model")
    assert files(tmp_path / "outbox") == ["org/name/README.md"]
    assert (folder / "README.md").read_text(encoding="utf-8") == "second"


def test_older_version_stands_when_the_newer_one_cannot_be_copied(staged, tmp_path):
    folder = write_to_outbox(staged, tmp_path / "outbox", "org/name", "model")
    (staged / "README.md").write_text("second", encoding="utf-8")
    (staged / "broken.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"nowhere|broken"):
        write_to_outbox(staged, tmp_path / "outbox", "org/name", "model")
    assert (folder / "README.md").read_text(encoding="utf-8") == "first"
    assert [path.name for path in folder.parent.iterdir()] == ["name"]


def test_leftovers_of_a_run_that_was_cut_off_are_cleared(staged, tmp_path):
    place = tmp_path / "outbox" / "org"
    for leftover in (".name.partial", ".name.replaced"):
        (place / leftover).mkdir(parents=True)
    write_to_outbox(staged, tmp_path / "outbox", "org/name", "model")
    assert [path.name for path in place.iterdir()] == ["name"]


def test_outbox_shares_no_file_with_the_staged_folder(staged, tmp_path):
    folder = write_to_outbox(staged, tmp_path / "outbox", "org/name", "model")
    assert not (folder / "README.md").samefile(staged / "README.md")


@pytest.mark.parametrize(("name", "place"), [("distill", "org/name"), ("embed", "datasets/org/name")])
def test_place_of_a_folder_follows_from_the_step_that_made_it(hub_run, name, place):
    assert outbox_folder(hub_run / name, Path("outbox"), "org/name") == Path("outbox") / place
