"""Readers: what is counted, what is left out, what is refused."""

import csv
import json
import logging
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_turkembed import corpus
from hf_turkembed.corpus import (
    HubDataset,
    TextColumn,
    TextRow,
    TextSource,
    read_bitext,
    read_classes,
    read_labelled_pairs,
    read_pairs,
    read_rows,
    read_texts,
    read_triplets,
    sample_rows,
    strip_text,
)


def texts(file: Path, **settings):
    return list(read_texts(TextSource(language="tr", files=(file,), **settings), seed=0))


@pytest.fixture
def file(tmp_path):
    def write(content: bytes, name: str = "tr.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_empty_lines_invalid_utf8_and_repeats_are_left_out_and_counted(file):
    path = file("ılık\n\n  \nışık\nılık\na\x00b\n".encode() + b"\xff\xfe\n")
    left_out = Counter()
    assert list(read_texts(TextSource(language="tr", files=(path,)), seed=0, left_out=left_out)) == ["ılık", "ışık"]
    assert left_out == {
        "empty lines": 2,
        "repeated texts": 1,
        "texts with NUL characters": 1,
        "lines of invalid UTF-8": 1,
    }


@pytest.mark.parametrize("content", [b"", b"\n \n\t\n", b"\xff\xfe\n\xc3\n"])
def test_a_language_without_one_usable_line_is_warned_of_and_fatal_when_all_are(file, content, caplog):
    empty = TextSource(language="tr", files=(file(content),))
    full = TextSource(language="en", files=(file(b"a\n", "en.txt"),))
    with caplog.at_level(logging.WARNING):
        corpus.check_text_sources([full, empty])
    assert "no usable text of `tr`" in caplog.text
    with pytest.raises(
        ValueError, match=r"no language has usable text: `tr`: .*tr.txt holds only empty lines or invalid"
    ):
        corpus.check_text_sources([empty])


def test_a_language_without_files_is_refused():
    with pytest.raises(ValueError, match=r"expected tr.txt or tr/"):
        corpus.check_text_sources([TextSource(language="tr")])


def test_the_last_lines_are_left_out_or_the_only_ones(file):
    path = file(b"a\nb\nc\nd\n")
    assert texts(path, skip_last=1) == ["a", "b", "c"]
    assert texts(path, only_last=1) == ["d"]
    assert texts(path, skip_last=9) == []
    whole = TextSource(language="tr", files=(path,), whole_files=(file(b"e\nf\n", "more.txt"),), only_last=1)
    assert list(read_texts(whole, seed=0)) == ["d", "e", "f"]


def test_memory_holds_the_digests_of_so_many_texts(file, monkeypatch):
    monkeypatch.setattr("hf_turkembed.corpus.texts._MOST_DIGESTS", 2)
    path = file(b"a\na\nb\nc\nc\na\n")
    assert texts(path) == ["a", "b", "c", "a"]
    assert texts(path, rows=3) == ["a", "b", "c"]


def test_no_more_rows_are_read_than_asked_for(file):
    assert texts(file(b"a\na\nb\nc\n"), rows=2) == ["a", "b"]


def test_files_of_a_language_are_found_beside_and_below(tmp_path):
    (tmp_path / "tr").mkdir()
    for name in ("tr/b.txt", "tr/a.txt", "tr.txt", "en.txt"):
        (tmp_path / name).write_text("x")
    found = corpus.find_text_files(tmp_path, "tr")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["tr.txt", "tr/a.txt", "tr/b.txt"]


def test_lone_quotation_marks_do_not_join_rows(file):
    path = file(b'score\tsentence1\tsentence2\n5\t"a\tb\n0\tc"\td\n2.5\te\tf\n', "x.tsv")
    assert read_pairs(path, highest_score=5) == {
        "sentence1": ['"a', 'c"', "e"],
        "sentence2": ["b", "d", "f"],
        "score": [1.0, 0.0, 0.5],
    }


@pytest.mark.real
@pytest.mark.parametrize(("name", "rows"), [("train", 5749), ("dev", 1500)])
def test_stsb_tr_gives_every_row(shared_data, name, rows):
    table = read_pairs(shared_data / "data" / "stsb-tr" / f"stsb_tr_{name}.tsv", highest_score=5)
    corpus.check_row_count(table, rows, name)
    assert len(table["score"]) == rows and 0 <= min(table["score"]) and max(table["score"]) == 1


def test_a_wrong_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="gave 2 rows, expected 3"):
        corpus.check_row_count({"a": [1, 2]}, 3, "x.tsv")


@pytest.mark.parametrize("score", ["-0.1", "5.1", "nan", "high", "", "1_0", "٣"])
def test_a_score_out_of_range_is_refused_with_its_row(file, score):
    path = file(f"score\tsentence1\tsentence2\n1\ta\tb\n{score}\tc\td\n".encode(), "x.tsv")
    with pytest.raises(ValueError, match=r"x\.tsv, row 2: column 'score' is .*, expected 0 to 5"):
        read_pairs(path, highest_score=5)


def test_a_truth_value_is_no_score_and_half_a_character_no_text(file):
    row = '{"score": %s, "sentence1": "a", "sentence2": "%s"}'
    with pytest.raises(ValueError, match=r"x\.jsonl, row 1: column 'score' is True, expected 0 to 5"):
        read_pairs(file((row % ("true", "b")).encode(), "x.jsonl"), highest_score=5)
    with pytest.raises(ValueError, match=r"x\.jsonl, row 2: column 'sentence2' is .*half a character; correct it"):
        read_pairs(file("\n".join([row % (1, "b"), row % (1, r"b\ud83d")]).encode(), "x.jsonl"), highest_score=5)


def test_scores_of_another_scale_and_triplets_that_contradict_themselves_are_warned_of(file, caplog):
    path = file(b"score\tsentence1\tsentence2\n0.5\ta\tb\n1\tc\td\n", "x.tsv")
    corpus.check_training_rows(read_pairs(path, highest_score=5), 1, "x.tsv", highest_score=5.0)
    assert "x.tsv: the highest score in column 'score' is 1 of 5; correct `highest_score`" in caplog.text
    triplets = {"anchor": ["a", "b", "c"], "positive": ["d", "e", "f"], "negative": ["g", "e", "f"]}
    corpus.check_training_rows(triplets, 1, "x.jsonl")
    assert "x.jsonl: positive and negative are the same text in 2 rows, first row 2." in caplog.text
    caplog.clear()
    corpus.check_training_rows(read_pairs(path, highest_score=1), 1, "x.tsv")
    assert not caplog.text


def test_rows_of_a_streamed_dataset_come_from_all_over_its_one_file(tmp_path):
    texts = [f"makale {number}" for number in range(60_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "train.parquet", row_group_size=1000)
    dataset = corpus.HubDataset(name=str(tmp_path), config=None, split="train", revision=None)
    source = TextSource(language="tr", dataset=dataset, rows=500)
    found = [int(text.split()[1]) for text in read_texts(source, seed=0)]
    assert len({number // 10_000 for number in found}) >= 5
    assert found == [int(text.split()[1]) for text in read_texts(source, seed=0)]


def test_a_missing_column_is_refused_with_those_there_are(file):
    path = file(b"score\tsentence_a\tsentence2\n1\ta\tb\n", "x.tsv")
    with pytest.raises(ValueError, match=r"no column 'sentence1'; its columns are score, sentence_a"):
        read_pairs(path, highest_score=5)


def test_an_empty_text_is_refused_with_its_row(file):
    row = {"anchor": "a", "positive": " ", "negative": "c"}
    with pytest.raises(ValueError, match=r"row 1: column 'positive' is ' ', expected text"):
        read_triplets(file(json.dumps(row).encode(), "x.jsonl"))


def test_a_line_that_is_not_json_is_refused_with_its_row(file):
    with pytest.raises(ValueError, match="row 2 is not valid JSON"):
        read_triplets(file(b'{"anchor": "a", "positive": "b", "negative": "c"}\n{\n', "x.jsonl"))


def test_another_ending_is_refused(file):
    with pytest.raises(ValueError, match=r"ends in '\.xlsx'; expected \.csv, \.tsv or \.jsonl"):
        read_triplets(file(b"", "x.xlsx"))


def test_quoted_fields_of_a_csv_hold_commas_line_ends_and_doubled_quotes(file):
    content = '\ufeffid,a,b,puan\r\n1,"bir, iki","üç ""dört""",4\r\n\r\n2,"beş\r\naltı",5" ekran,0\r\n'
    columns = ("a", "b", "puan")
    assert read_pairs(file(content.encode(), "x.csv"), columns=columns, highest_score=4) == {
        "sentence1": ["bir, iki", "beş\r\naltı"],
        "sentence2": ['üç "dört"', '5" ekran'],
        "score": [1.0, 0.0],
    }


CELLS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")).filter(str.strip)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1))
def test_what_a_csv_writer_wrote_is_read_again(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("x") / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("query", "passage"), *rows])
    table = read_bitext(path, columns=("query", "passage"))
    assert list(zip(*table.values(), strict=True)) == [(left.strip(), right.strip()) for left, right in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a;b\n1;2\n", r"x\.csv has ';' between its columns \('a;b'\), expected ','; save it with commas"),
        ("a\tb\n1\t2\n", r"x\.csv has '\\t' between its columns"),
        ("a,b,a\n1,2,3\n", r"x\.csv has two columns 'a'; rename one"),
        ("a,c\n1,2\n", r"x\.csv, row 1: no column 'b'; its columns are a, c"),
        (
            "a,b\n1,2\n1,2,3\n",
            r"x\.csv, row 2 has more fields than the header, which has 2; put texts that hold a comma",
        ),
        ("a,b\n1\n", r"x\.csv, row 1 has fewer fields than the header"),
        ('a,b\n1,2\n"1,2\n3,4\n', r"x\.csv, row 2: unexpected end of data; a quotation mark inside"),
        ('a,b\n1,"2"3\n', r"x\.csv, row 1: .* a quotation mark inside"),
        ("a,b\n1,2\n ,2\n", r"x\.csv, row 2: column 'a' is ' ', expected text"),
        ('a,b\n\n"1\n",2\n\n,4\n', r"x\.csv, row 4: column 'a' is '', expected text"),
        ("a,b\n", r"x\.csv holds no rows; expected columns a, b and at least one row"),
        ("", r"x\.csv holds no rows"),
    ],
)
def test_a_csv_that_is_not_as_it_seems_is_refused_by_name_and_place(file, content, message):
    with pytest.raises(ValueError, match=message):
        read_bitext(file(content.encode(), "x.csv"), columns=("a", "b"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\ta\n1\t2\t3\n", r"x\.tsv has two columns 'a'; rename one"),
        ("a\tb\n1\t2\n1\t2\t3\n", r"x\.tsv, row 2 has more fields than the header, which has 2; a text cannot hold"),
        ("a\tb\n\n1\t2\t3\n", r"x\.tsv, row 2 has more fields than the header"),
        ("a\tb\n1\n", r"x\.tsv, row 1 has fewer fields than the header"),
        ("a,b\n1,2\n", r"x\.tsv has ',' between its columns \('a,b'\), expected '\\t'; save it with tabs"),
    ],
)
def test_a_tsv_that_is_not_as_it_seems_is_refused_by_name_and_place(file, content, message):
    with pytest.raises(ValueError, match=message):
        read_bitext(file(content.encode(), "x.tsv"), columns=("a", "b"))


def test_classes_are_texts_with_labels_of_any_kind(file):
    path = file(b'{"text": "kedi", "label": "hayvan"}\n{"text": "masa", "label": 7}\n', "x.jsonl")
    table = read_classes(path, columns=("text", "label"))
    assert table == {"text": ["kedi", "masa"], "label": ["hayvan", "7"]}
    corpus.check_classes(table, "label", "x.jsonl")
    with pytest.raises(ValueError, match=r"x\.csv: column 'tür' is 'a' in all 2 rows; expected two classes or more"):
        corpus.check_classes({"text": ["b", "c"], "label": ["a", "a"]}, "tür", "x.csv")
    corpus.check_classes(table, "label", "x.jsonl", known={"7", "8"})
    with pytest.raises(
        ValueError, match=r"x\.jsonl: column 'tür' holds none of the labels that are trained, such as '8'"
    ):
        corpus.check_classes(table, "tür", "x.jsonl", known={"8", "9"})


@pytest.mark.parametrize(("label", "shown"), [(0.5, r"0\.5"), (None, "holds nothing"), ("", "''"), ([], r"\[\]")])
def test_a_label_that_names_no_class_is_refused_with_its_row(file, label, shown):
    rows = [{"text": "kedi", "label": 1}, {"text": "masa", "label": label}]
    with pytest.raises(ValueError, match=f"row 2: column 'label'.*{shown}"):
        read_classes(file("\n".join(map(json.dumps, rows)).encode(), "x.jsonl"), columns=("text", "label"))


def test_a_table_that_is_not_utf8_is_refused_by_name(file):
    with pytest.raises(ValueError, match=r"x\.tsv is not valid UTF-8"):
        read_pairs(file(b"score\tsentence1\tsentence2\n1\t\xff\tb\n", "x.tsv"), highest_score=5)


def test_a_table_without_rows_is_refused(file):
    with pytest.raises(ValueError, match=r"x\.tsv holds no rows; expected columns sentence1, sentence2, score"):
        read_pairs(file(b"score\tsentence1\tsentence2\n", "x.tsv"), highest_score=5)


def test_a_field_of_a_million_characters_is_read(file):
    text = "a" * 1_000_000
    path = file(f"score\tsentence1\tsentence2\n1\t{text}\tb\n".encode(), "x.tsv")
    assert read_pairs(path, highest_score=5)["sentence1"] == [text]


def test_a_dataset_without_the_text_column_is_refused_with_those_it_has(tmp_path):
    (tmp_path / "data.jsonl").write_text(json.dumps({"body": "x"}))
    dataset = corpus.HubDataset(name=str(tmp_path), config=None, split="train", revision=None)
    with pytest.raises(ValueError, match="no column 'text'; its columns are body"):
        list(read_texts(TextSource(language="tr", dataset=dataset), seed=0))


def test_columns_are_renamed_to_ours(file):
    path = file(b'{"a": "1", "b": "2", "c": "3"}\n', "x.jsonl")
    assert read_triplets(path, columns=("a", "b", "c")) == {"anchor": ["1"], "positive": ["2"], "negative": ["3"]}


def test_a_dataset_folder_is_streamed_shuffled_and_cut(tmp_path):
    rows = [{"text": f"metin {number}"} for number in range(50)]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = corpus.HubDataset(name=str(tmp_path), config=None, split="train", revision=None)
    first = list(read_texts(TextSource(language="tr", dataset=dataset, rows=10), seed=1))
    rest = list(read_texts(TextSource(language="tr", dataset=dataset, skip_rows=10), seed=1))
    assert first != [row["text"] for row in rows[:10]]
    assert len(first) == 10 and len(rest) == 40 and not set(first) & set(rest)


@given(st.lists(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\n\r\x0b\x0c"))))
def test_every_line_that_is_read_was_written(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("x") / "tr.txt"
    path.write_bytes("\n".join(["son", *lines]).encode())
    read = texts(path)
    assert read[0] == "son" and len(read) == len(set(read))
    assert set(read) == {line.lstrip("\ufeff").strip() for line in ["son", *lines]} - {""}


LABELLED = b"""premise\thypothesis\tlabel
kedi uyuyor\tbir kedi uyuyor\tentailment
kedi uyuyor\tkedi siyah\tneutral
kedi uyuyor\t"kedi\tcontradiction
"""
LABELS = {"entailment": 1, "contradiction": 0}


def test_pairs_keep_the_labels_that_count_and_leave_out_the_others(file):
    columns = ("premise", "hypothesis", "label")
    table = read_labelled_pairs(file(LABELLED, "nli.tsv"), columns=columns, labels=LABELS)
    assert table == {
        "sentence1": ["kedi uyuyor", "kedi uyuyor"],
        "sentence2": ["bir kedi uyuyor", '"kedi'],
        "label": [1, 0],
    }
    with pytest.raises(ValueError, match="has no row whose 'label' is 'contradict'; correct `labels`"):
        read_labelled_pairs(file(LABELLED, "nli.tsv"), columns=columns, labels={"entailment": 1, "contradict": 0})


def test_labels_of_a_dataset_may_be_numbers(file):
    rows = [{"premise": "a", "hypothesis": "b", "label": label} for label in (0, 1, 2)]
    path = file("\n".join(map(json.dumps, rows)).encode(), "nli.jsonl")
    table = read_labelled_pairs(path, columns=("premise", "hypothesis", "label"), labels={"0": 1, "2": 0})
    assert table["label"] == [1, 0]


def test_a_bitext_is_two_columns_in_step(file):
    path = file(b"en\ttr\na cat\tbir kedi\na dog\tbir k\xc3\xb6pek\n", "wmt.tsv")
    assert read_bitext(path, columns=("en", "tr")) == {
        "sentence1": ["a cat", "a dog"],
        "sentence2": ["bir kedi", "bir köpek"],
    }
    assert read_bitext(path, columns=("tr", "en"), rows=1) == {"sentence1": ["bir kedi"], "sentence2": ["a cat"]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split": "dev"}, "dev"),
        ({"config": "tr"}, "'tr' not found"),
        ({"name": "org/no-such-dataset"}, "reach"),
    ],
)
def test_a_dataset_without_the_split_or_config_or_out_of_reach_is_named(tmp_path, changes, reason):
    (tmp_path / "test.jsonl").write_text('{"en": "a", "tr": "b"}\n')
    found = {"name": str(tmp_path), "config": None, "split": "test", "revision": None}
    assert read_bitext(HubDataset(**found), columns=("en", "tr")) == {"sentence1": ["a"], "sentence2": ["b"]}
    dataset = HubDataset(**{**found, **changes})
    with pytest.raises(ValueError, match="cannot be read") as raised:
        read_bitext(dataset, columns=("en", "tr"))
    assert dataset.name in str(raised.value) and reason in str(raised.value)


def test_columns_of_tables_are_text_too_and_rows_without_it_are_left_out_and_counted(file):
    numbered = file(b"a cat\tbir kedi\nno second column\nx\t \n\xff\t\xff\n\tbir k\xc3\xb6pek\n", "en-tr.tsv")
    named = file(b'label\tpremise\nneutral\t"kedi\nneutral\tbir kedi\n', "nli.tsv")
    keyed = file(b'{"anchor": "iki kedi"}\n{"anchor": 1}\n[]\n{\n{"anchor": "\\ud800"}\n', "nli.jsonl")
    columns = ((numbered, "2"), (named, "premise"), (keyed, "anchor"))
    source = TextSource(language="tr", columns=tuple(TextColumn(file=f, column=c) for f, c in columns))
    corpus.check_text_sources([source])
    left_out = Counter()
    assert list(read_texts(source, seed=0, left_out=left_out)) == ["bir kedi", "bir köpek", '"kedi', "iki kedi"]
    assert left_out == {
        "rows without text in the column": 3,
        "lines of invalid UTF-8": 1,
        "repeated texts": 1,
        "lines that are no JSON object": 2,
        "texts with half a character": 1,
    }
    with pytest.raises(ValueError, match=r"nli.tsv has no column 'text'; its columns are label, premise"):
        list(read_texts(TextSource(language="tr", columns=(TextColumn(file=named, column="text"),)), seed=0))


@pytest.mark.parametrize(
    ("content", "name", "column", "teacher_column", "message"),
    [
        (b"a\tb\tc\nd\te\tf\n", "x.tsv", "2", "7", "no column '7' in any row; those of the first are 1, 2, 3"),
        (b"a\tb\nc\td\n", "x.tsv", "7", None, "no column '7' in any row; those of the first are 1, 2"),
        (b"a\tb\nc\td\n", "x.tsv", "0", None, "no column '0' in any row; those of the first are 1, 2"),
        (b"en\ttr\na\tb\n", "x.tsv", "tr", "7", "no column '7'; its columns are en, tr"),
        (
            b'{"en": "a", "tr": "b"}\n',
            "x.jsonl",
            "tr",
            "de",
            "no column 'de' in any row; those of the first are en, tr",
        ),
        (b'{"en": "a", "tr": "b"}\n', "x.jsonl", "text", None, "no column 'text' in any row"),
    ],
)
def test_a_table_without_the_column_is_refused_with_those_it_has(file, content, name, column, teacher_column, message):
    column = TextColumn(file=file(content, name), column=column, teacher_column=teacher_column)
    with pytest.raises(ValueError, match=f"{name} has {message}"):
        corpus.check_text_sources([TextSource(language="tr", columns=(column,))])


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"a\n\nb\tbir\tc\n", "x.tsv"), (b'{}\n{"1": "a"}\n{"1": "b", "2": "bir", "3": "c"}\n', "x.jsonl")],
)
def test_a_column_may_be_missing_from_some_rows(file, content, name):
    column = TextColumn(file=file(content, name), column="2", teacher_column="3")
    left_out = Counter()
    source = TextSource(language="tr", columns=(column,))
    assert list(read_rows(source, seed=0, left_out=left_out)) == [TextRow("bir", "c")]
    assert left_out == {"rows without text in the column": 2}


@pytest.mark.parametrize("content", [b"\n \n", b"\xff\t\xff\n"])
def test_a_table_without_any_text_lacks_no_column(file, content):
    column = TextColumn(file=file(content, "x.tsv"), column="2")
    assert list(read_texts(TextSource(language="tr", columns=(column,)), seed=0)) == []


def test_texts_that_are_held_out_are_not_read_however_they_are_written(file):
    held_out = {strip_text(text) for text in ("Bir kedi, uyuyor!", "iki")}
    left_out = Counter()
    source = TextSource(language="tr", files=(file("bir kedi uyuyor\nüç\nİki\nIKI\n".encode()),))
    assert list(read_texts(source, seed=0, held_out=held_out, left_out=left_out)) == ["üç"]
    assert left_out == {"texts that are held out": 3}


def test_an_empty_table_and_an_empty_dataset_hold_no_text(file, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "train.jsonl").write_bytes(b"")
    dataset = HubDataset(name=str(tmp_path / "empty"), config=None, split="train", revision=None)
    column = TextColumn(file=file(b"", "x.tsv"), column="text")
    assert list(read_texts(TextSource(language="tr", columns=(column,), dataset=dataset), seed=0)) == []


def test_a_header_that_is_not_utf8_is_refused(file):
    column = TextColumn(file=file(b"a\xff\ttext\n1\tx\n", "x.tsv"), column="text")
    with pytest.raises(ValueError, match=r"x\.tsv: the header line is not valid UTF-8"):
        list(read_texts(TextSource(language="tr", columns=(column,)), seed=0))


def test_json_that_no_reader_takes_is_left_out(file):
    rows = ['{"text": ' + "1" * 5000 + "}", "[" * 200_000, '{"text": "kedi"}']
    column = TextColumn(file=file("\n".join(rows).encode(), "x.jsonl"), column="text")
    left_out = Counter()
    assert list(read_texts(TextSource(language="tr", columns=(column,)), seed=0, left_out=left_out)) == ["kedi"]
    assert left_out == {"lines that are no JSON object": 2}


def test_a_sample_comes_from_anywhere_in_the_files_and_follows_the_seed(tmp_path):
    path = tmp_path / "tr.txt"
    path.write_text("\n".join(f"satır {number}" for number in range(1000)), encoding="utf-8")
    source = TextSource(language="tr", files=(path,), rows=50)
    first, again, other = (list(sample_rows(source, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other and len(set(first)) == 50
    numbers = [int(row.text.split()[1]) for row in first]
    assert numbers != sorted(numbers) and 300 < sum(numbers) / 50 < 700


def test_a_sample_of_everything_is_everything(tmp_path):
    path = tmp_path / "tr.txt"
    path.write_text("iki\nbir\nüç\n", encoding="utf-8")
    source = TextSource(language="tr", files=(path,))
    assert sorted(row.text for row in sample_rows(source, seed=0)) == sorted(read_texts(source, seed=0))


@pytest.mark.parametrize("most", [100_000, 400])
def test_rows_to_hold_out_come_from_anywhere_and_the_others_shuffled(tmp_path, monkeypatch, most):
    path = tmp_path / "tr.txt"
    path.write_text("\n".join([*(f"satır {number}" for number in range(1000)), "satır 7"]), encoding="utf-8")
    monkeypatch.setattr("hf_turkembed.corpus.texts._SHUFFLED_ROWS", most)
    source, left_out = TextSource(language="tr", files=(path,)), Counter()
    rows = [int(row.text.split()[1]) for row in sample_rows(source, seed=1, held_out_rows=50, left_out=left_out)]
    assert sorted(rows) == list(range(1000)) and left_out == {"repeated texts": 1}
    assert 300 < sum(rows[:50]) / 50 < 700
    # Neighbours are a third of all rows apart where all are shuffled at once.
    assert sum(abs(a - b) for a, b in pairwise(rows[50:])) / 949 > min(most, 950) / 4


def test_parallel_text_comes_with_what_the_teacher_reads(tmp_path):
    table = tmp_path / "pairs.tsv"
    table.write_text("en\ttr\na cat\tbir kedi\n\tboş\na dog\tbir köpek\n", encoding="utf-8")
    plain = tmp_path / "tr.txt"
    plain.write_text("iki kedi\n", encoding="utf-8")
    column = TextColumn(file=table, column="tr", teacher_column="en")
    left_out = Counter()
    source = TextSource(language="tr", files=(plain,), columns=(column,))
    rows = list(read_rows(source, seed=0, left_out=left_out))
    assert rows == [TextRow("iki kedi"), TextRow("bir kedi", "a cat"), TextRow("bir köpek", "a dog")]
    assert left_out["rows without text in the column"] == 1
    with pytest.raises(ValueError, match="has no column 'de'; its columns are en, tr"):
        list(read_rows(replace(source, columns=(replace(column, teacher_column="de"),)), seed=0))
