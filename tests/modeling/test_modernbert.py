"""ModernBERT: layers that see all tokens and layers that see near ones, and how config.json says which."""

import json
import shutil

import pytest
import torch
from samples import TEXTS
from transformers import AutoConfig, AutoModel, AutoTokenizer

from hf_turkembed.modeling.modeling_matryoshka_modernbert import flatten_layers

FULL, NEAR = "full_attention", "sliding_attention"
# As in ModernBERT-base: half of the window on each side.
REACH = 8


@pytest.fixture
def folder(encoders, tmp_path):
    return shutil.copytree(encoders("modernbert"), tmp_path / "model")


def change(folder, removed=(), **changes):
    path = folder / "config.json"
    config = {key: value for key, value in json.loads(path.read_text()).items() if key not in removed}
    path.write_text(json.dumps(config | changes))


def read(folder):
    return json.loads((folder / "config.json").read_text())


def hidden_of(folder, ids, **settings):
    with torch.no_grad():
        return AutoModel.from_pretrained(folder, **settings).eval()(input_ids=ids).last_hidden_state


def far_and_near():
    """Ids of one text, and the same with its last token another one."""
    ids = torch.randint(5, 300, (1, 40), generator=torch.Generator().manual_seed(0))
    return ids, torch.cat([ids[:, :-1], (ids[:, -1:] + 1) % 300 + 5], dim=1)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_layers_of_near_tokens_reach_half_a_window_to_each_side(folder, attention):
    change(folder, removed=("global_attn_every_n_layers",), layer_types=[NEAR, NEAR])
    apart = torch.stack([hidden_of(folder, ids, attn_implementation=attention)[0] for ids in far_and_near()])
    moved = (apart[0] - apart[1]).abs().amax(dim=-1) > 0
    # Two layers, one after the other; the token itself is the last of 40.
    assert moved.nonzero().flatten().tolist() == list(range(39 - 2 * REACH, 40))


def test_one_layer_of_all_tokens_reaches_every_one(folder):
    left, right = (hidden_of(folder, ids)[0] for ids in far_and_near())
    assert ((left - right).abs().amax(dim=-1) > 0).all()


# flex_attention compiles first.
@pytest.mark.parametrize("attention", ["eager", pytest.param("flex_attention", marks=pytest.mark.slow)])
def test_long_texts_are_read_alike_by_every_attention_and_on_both_sides_of_padding(folder, attention):
    found = []
    for implementation, side in (("sdpa", "right"), ("sdpa", "left"), (attention, "right"), (attention, "left")):
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
        batch = tokenizer([TEXTS[1], " ".join(TEXTS)[:150]], padding=True, return_tensors="pt")
        assert batch["input_ids"].shape[1] > 4 * REACH > len(tokenizer(TEXTS[1])["input_ids"])
        with torch.no_grad():
            model = AutoModel.from_pretrained(folder, attn_implementation=implementation).eval()
            found.append(model(**batch).pooler_output)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-6, rtol=0)


def test_the_last_hidden_state_is_behind_the_final_norm(folder):
    hidden = hidden_of(folder, far_and_near()[0])
    torch.testing.assert_close(hidden.mean(dim=-1), torch.zeros(1, 40), atol=1e-5, rtol=0)
    torch.testing.assert_close(hidden.var(dim=-1, correction=0), torch.ones(1, 40), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("layers", "period"),
    [
        ([FULL, NEAR], 2),
        ([FULL, NEAR, NEAR, FULL, NEAR, NEAR, FULL, NEAR], 3),
        ([FULL, FULL], 1),
        ([FULL, NEAR, FULL, FULL], None),
        ([NEAR, FULL], None),
        ([NEAR, NEAR], None),
    ],
)
def test_layers_are_named_by_their_period_where_it_is_all_there_is_to_say(layers, period):
    rope = {kind: {"rope_type": "default", "rope_theta": base} for kind, base in ((FULL, 8e4), (NEAR, 1e4))}
    # A period that the list contradicts.
    written = {"layer_types": layers, "rope_parameters": rope, "global_attn_every_n_layers": 7}
    config = dict(written)
    flatten_layers(config)
    if period is None:
        assert config == {"layer_types": layers, "rope_parameters": rope}
    else:
        expected = {"global_attn_every_n_layers": period, "global_rope_theta": 8e4, "local_rope_theta": 1e4}
        assert config == expected
    settings = {"model_type": "modernbert", "num_hidden_layers": len(layers)}
    first, second = (AutoConfig.for_model(**settings, **content) for content in (written, config))
    assert first.layer_types == second.layer_types == layers
    assert first.rope_parameters == second.rope_parameters == rope
    flatten_layers(config)
    assert config.get("global_attn_every_n_layers") == period


def test_scaled_rotary_settings_stay_as_transformers_writes_them(folder):
    linear = {"rope_type": "linear", "factor": 4.0, "rope_theta": 8e4}
    rope = {FULL: linear, NEAR: {"rope_type": "default", "rope_theta": 1e4}}
    change(folder, removed=("global_rope_theta", "local_rope_theta"), layer_types=[FULL, NEAR], rope_parameters=rope)
    ids = far_and_near()[0]
    before = hidden_of(folder, ids)
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    assert read(folder)["rope_parameters"] == rope and "global_rope_theta" not in read(folder)
    torch.testing.assert_close(hidden_of(folder, ids), before)


def test_a_config_that_asks_for_compilation_as_older_versions_knew_it_changes_nothing(folder, tmp_path):
    ids = far_and_near()[0]
    before = hidden_of(folder, ids)
    change(folder, reference_compile=True, layer_norm_eps=1e-5, position_embedding_type="absolute")
    torch.testing.assert_close(hidden_of(folder, ids), before)
    AutoModel.from_pretrained(folder).save_pretrained(tmp_path / "saved")
    assert "reference_compile" not in read(tmp_path / "saved")
