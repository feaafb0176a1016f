"""Chains of records, found again beside each other and in published repos."""

import shutil
from dataclasses import replace

import pytest

from hf_turkembed import record
from hf_turkembed.chain import read_chain, read_whole_chain, write_lineage
from hf_turkembed.record import Identity, Input, Observed, Provenance

CLONE = Identity(step="clone", recipe={"max_length": 512}, inputs=(), code="0.1.0", seed=1)
OBSERVED = Observed(finished="2026-01-01T00:00:00Z", seconds=1.0, runs=1, num_processes=1, hardware={}, packages={})


def write(folder, identity):
    folder.mkdir(parents=True)
    record.write_provenance(folder, Provenance(identity=identity, observed=OBSERVED))


def three_steps():
    """The identities of a tokenizer, a clone made with it, and a stage of fine-tuning on that."""
    first = replace(CLONE, step="tokenizer")
    tokenizer = Input(role="tokenizer", kind="model", name="t", digest="1", record=first.digest)
    second = replace(CLONE, inputs=(tokenizer,))
    base = Input(role="base_model", kind="model", name="c", digest="2", record=second.digest)
    return first, second, replace(CLONE, step="finetune", inputs=(base,))


def test_the_chain_is_followed_to_its_first_step_and_across_runs(tmp_path):
    first, second, third = three_steps()
    write(tmp_path / "magibu" / "tokenizer", first)
    write(tmp_path / "magibu" / "clone", second)
    write(tmp_path / "turkembed" / "finetune-nli", third)
    steps = [link.identity.step for link in read_chain(tmp_path / "turkembed" / "finetune-nli")]
    assert steps == ["finetune", "clone", "tokenizer"]
    shutil.move(tmp_path / "magibu", tmp_path / "renamed")
    assert len(read_chain(tmp_path / "turkembed" / "finetune-nli")) == 3
    assert len(read_whole_chain(tmp_path / "turkembed" / "finetune-nli")) == 3
    shutil.rmtree(tmp_path / "renamed" / "tokenizer")
    assert len(read_chain(tmp_path / "turkembed" / "finetune-nli")) == 2
    with pytest.raises(
        ValueError, match=r"`clone` was made with the `tokenizer` .*Its licence and data would be missing"
    ):
        read_whole_chain(tmp_path / "turkembed" / "finetune-nli")


def test_the_chain_goes_through_a_published_repo_that_lies_beside(tmp_path):
    first, second, third = three_steps()
    write(tmp_path / "mine" / "downloaded", second)
    write_lineage(
        tmp_path / "mine" / "downloaded",
        [Provenance(identity=second, observed=OBSERVED), Provenance(identity=first, observed=OBSERVED)],
    )
    write(tmp_path / "mine" / "finetune-own", third)
    steps = [link.identity.step for link in read_whole_chain(tmp_path / "mine" / "finetune-own")]
    assert steps == ["finetune", "clone", "tokenizer"]


def test_a_damaged_record_nearby_matters_only_where_the_chain_has_a_gap(tmp_path):
    (tmp_path / "other" / "clone").mkdir(parents=True)
    (tmp_path / "other" / "clone" / "provenance.json").write_text("{")
    source = Input(role="tokenizer", kind="model", name="t", digest="1", record="0" * 64)
    write(tmp_path / "run" / "tokenizer", CLONE)
    assert len(read_chain(tmp_path / "run" / "tokenizer")) == 1
    write(tmp_path / "run" / "clone", replace(CLONE, inputs=(source,)))
    with pytest.raises(ValueError, match=r"the record behind `tokenizer` .* was not found, but .* is not valid JSON"):
        read_chain(tmp_path / "run" / "clone")
