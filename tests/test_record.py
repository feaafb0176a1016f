"""Records: identities that compare, digests, and files that are written whole or refused."""

import json
from dataclasses import replace

import pytest

from hf_turkembed import record
from hf_turkembed.record import Identity, Input, Observed, Provenance

IDENTITY = Identity(step="clone", recipe={"max_length": 512, "dims": (2, 1)}, inputs=(), code="0.1.0", seed=1)
OBSERVED = Observed(
    finished="2026-01-01T00:00:00Z", seconds=1.0, runs=1, num_processes=1, hardware={}, packages={}, counts={"rows": 3}
)


def write(folder, identity, observed=OBSERVED):
    folder.mkdir(parents=True)
    record.write_provenance(folder, Provenance(identity=identity, observed=observed))


def test_an_identity_survives_its_file_and_keeps_its_digest(tmp_path):
    identity = replace(IDENTITY, inputs=(Input(role="teacher", kind="model", name="org/t", revision="0" * 40),))
    write(tmp_path / "clone", identity)
    found = record.read_provenance(tmp_path / "clone")
    assert found.identity.digest == identity.digest
    assert found.observed == OBSERVED
    assert record.describe_differences(found.identity, identity) == []


def test_differences_name_the_keys_with_both_values():
    other = replace(IDENTITY, recipe={"max_length": 256, "dims": (2, 1)}, seed=2)
    assert record.describe_differences(IDENTITY, other) == ["recipe.max_length: 512 -> 256", "seed: 1 -> 2"]


def test_an_input_is_found_by_its_role():
    identity = replace(IDENTITY, inputs=(Input(role="teacher", kind="model", name="t"),))
    assert identity.input("teacher").name == "t"
    with pytest.raises(ValueError, match="has no input `student`"):
        identity.input("student")


def test_a_number_that_is_not_finite_never_reaches_a_record(tmp_path):
    observed = replace(OBSERVED, counts={"loss": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path / "x", IDENTITY, observed)
    assert not (tmp_path / "x" / "provenance.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 0}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(ValueError, match=r"provenance.json (is not valid JSON|has schema version)"):
        record.read_provenance(tmp_path)


def test_an_unknown_key_in_a_record_is_refused(tmp_path):
    write(tmp_path / "x", IDENTITY)
    path = tmp_path / "x" / "provenance.json"
    content = json.loads(path.read_text())
    content["observed"]["colour"] = "red"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"is damaged .*colour"):
        record.read_provenance(tmp_path / "x")


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the output folder of a step"):
        record.read_provenance(tmp_path)


def test_the_digest_of_a_folder_follows_names_and_content_but_not_observations(tmp_path):
    folder = tmp_path / "x"
    write(folder, IDENTITY)
    (folder / "a.txt").write_text("1")
    before = record.digest_path(folder)
    record.write_provenance(folder, Provenance(identity=IDENTITY, observed=replace(OBSERVED, seconds=9.0)))
    assert record.digest_path(folder) == before
    (folder / "a.txt").rename(folder / "b.txt")
    renamed = record.digest_path(folder)
    (folder / "b.txt").write_text("2")
    assert len({before, renamed, record.digest_path(folder)}) == 3


def test_what_a_download_leaves_beside_files_is_no_part_of_their_digest(tmp_path):
    write(tmp_path / "x", IDENTITY)
    (tmp_path / "x" / "a.txt").write_text("1")
    before = record.digest_path(tmp_path / "x")
    for name in (".cache/huggingface", ".git"):
        (tmp_path / "x" / name).mkdir(parents=True)
        (tmp_path / "x" / name / "HEAD").write_text("2")
    assert record.digest_path(tmp_path / "x") == before
    (tmp_path / "x" / ".gitignore").write_text("3")
    assert record.digest_path(tmp_path / "x") != before


def test_hardware_and_packages_name_no_host_and_no_user():
    import getpass
    import socket

    text = json.dumps({**record.observe_hardware(), **record.observe_packages()})
    assert "torch" in text
    assert socket.gethostname() not in text and getpass.getuser() not in json.loads(text)
