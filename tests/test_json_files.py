"""JSON files: what no reader could compute with is refused, with the file's name."""

import pytest

from hf_turkembed.json_files import read_json


def test_what_a_file_holds_is_read_as_it_is(tmp_path):
    (tmp_path / "a.json").write_text('{"ı": [1, -2.5, 1e30, 1000000000000000019884624838656, null, "ş"]}', "utf-8")
    found = read_json(tmp_path / "a.json")
    assert found == {"ı": [1, -2.5, 1e30, 1000000000000000019884624838656, None, "ş"]}
    assert [type(value) for value in found["ı"]] == [int, float, float, int, type(None), str]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1,", "Expecting value"),
        ("[NaN]", "it holds NaN"),
        ("[-Infinity]", "it holds -Infinity"),
        ("[1e400]", "it holds 1e400"),
        ("[" + "9" * 400 + "]", "it holds 9{20}[)]"),
        ("[" + "9" * 5000 + "]", "it holds 9{20}[)]"),
        ("[" * 200_000 + "]" * 200_000, "recursion"),
        ("\ufeff[]", "BOM"),
    ],
    ids=[
        "cut off",
        "NaN",
        "infinity",
        "a float too large",
        "too large",
        "far too large",
        "too deep",
        "a mark of order",
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, reason):
    (tmp_path / "a.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=rf"a\.json is not valid JSON \(.*{reason}.*run again the step"):
        read_json(tmp_path / "a.json")
