"""What is refused before the network is touched, and the plan of a dry run."""

import hashlib

import pytest

from hf_turkembed.publishing import hub


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    """A machine where nobody is logged in."""
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.mark.parametrize("repo_id", ["name", "a/b/c", "org/", "org/na me", "org/..", "org/a--b", "datasets/org/name"])
def test_repo_id_that_is_not_org_and_name_is_refused(repo_id):
    with pytest.raises(ValueError, match=r"(?i)repo.id"):
        hub.check_repo_id(repo_id)


def test_push_without_a_token_is_refused_before_the_network(no_token, tmp_path):
    with pytest.raises(PermissionError, match="needs an access token"):
        hub.push_folder(tmp_path, repo_id="org/name", repo_type="model", message="Publish")


def test_plan_lists_every_file_with_size_and_digest(tmp_path, no_token):
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"# card")
    assert hub.plan_files(tmp_path) == (
        hub.PlannedFile(path="1_Pooling/config.json", size=2, sha256=hashlib.sha256(b"{}").hexdigest()),
        hub.PlannedFile(path="README.md", size=6, sha256=hashlib.sha256(b"# card").hexdigest()),
    )


def test_folder_is_fetched_from_where_it_is(tmp_path):
    assert hub.fetch_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["./none", "/none/at/all", "none"])
def test_name_that_is_neither_a_folder_nor_a_repo_is_refused(name):
    with pytest.raises(FileNotFoundError, match="neither a folder nor a Hub repo"):
        hub.fetch_folder(name)
