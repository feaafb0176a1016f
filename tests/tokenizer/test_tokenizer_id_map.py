import json

import pytest
from adapting import adapt
from tokenizers import Tokenizer, models

from hf_turkembed.tokenizer import map_ids, write_id_map


def make(*pieces):
    return Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token=pieces[0]))


def test_kept_tokens_get_their_new_id_and_dropped_ones_none():
    assert map_ids(make("<unk>", "ev", "yol", "dağ"), make("<unk>", "dağ", "yeni", "ev")) == [0, 3, None, 1]


def test_an_old_id_without_a_token_maps_to_none():
    gap = Tokenizer(models.WordLevel({"<unk>": 0, "ev": 2}, unk_token="<unk>"))
    assert map_ids(gap, make("ev", "<unk>")) == [1, None, 0]


def test_the_file_names_the_source_and_holds_one_entry_for_every_old_id(tmp_path):
    write_id_map(tmp_path / "map.json", "org/teacher", make("<unk>", "ev", "yol"), make("<unk>", "yol"))
    text = (tmp_path / "map.json").read_text(encoding="utf-8")
    assert text == '{"source":"org/teacher","old_to_new":[0,null,1]}\n'


@pytest.mark.parametrize("new_tokens", [0, 40])
def test_every_token_of_an_adapted_tokenizer_is_found_under_its_old_id_or_is_new(
    source_folder, source, corpus, heldout, tmp_path, new_tokens
):
    report = adapt(source_folder, corpus, heldout, tmp_path / "out", new_tokens=new_tokens)
    adapted = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    write_id_map(tmp_path / "map.json", "source", source.tokenizer, adapted)
    old_to_new = json.loads((tmp_path / "map.json").read_text(encoding="utf-8"))["old_to_new"]
    assert len(old_to_new) == report.source_size
    kept = [(old, new) for old, new in enumerate(old_to_new) if new is not None]
    assert len(kept) == len({new for _, new in kept}) == report.kept
    assert all(source.tokenizer.id_to_token(old) == adapted.id_to_token(new) for old, new in kept)
