"""The inputs that a recipe names: found, fetched, read and loaded."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import snapshot_download

from hf_turkembed import corpus
from hf_turkembed import recipe as recipes
from hf_turkembed.corpus import HubDataset, TextColumn, TextSource
from hf_turkembed.json_files import read_json
from hf_turkembed.modeling.repository import check_layout
from hf_turkembed.modeling.window import limit_length
from hf_turkembed.publishing.downloads import check_download
from hf_turkembed.publishing.hub_state import HubRepo
from hf_turkembed.recipe import ClassifyConfig, CorpusConfig, DatasetConfig, Recipe
from hf_turkembed.record import Identity
from hf_turkembed.tokenizer_tables import ID_MAP_FILE

logger = logging.getLogger(__name__)

# Weights in other forms than safetensors, which a model repo may hold as well.
_UNUSED_FILES = ["*.bin", "*.pt", "*.onnx", "*.h5", "*.msgpack", "*.gguf", "openvino/*", "onnx/*"]


def fetch(recipe: Recipe, identity: Identity, role: str, source: str) -> Path:
    """Return the folder or file behind a source, downloaded at the recorded revision where it is on the Hub.

    Raises:
        ConnectionError: If it cannot be downloaded, or arrives damaged.
        ValueError: If a model has no weights in safetensors; other forms are not read, as reading them can run code.
    """
    if recipes.is_local(source):
        return recipes.local_path(recipe, source)
    found = identity.input(role)
    try:
        unused = _UNUSED_FILES if found.kind == "model" else None
        folder = Path(
            snapshot_download(found.name, repo_type=found.kind, revision=found.revision, ignore_patterns=unused)
        )
        check_download(HubRepo(repo_id=found.name, repo_type=found.kind), folder)
    except (OSError, HTTPError) as error:
        reason = " ".join(str(error).split())
        raise ConnectionError(f"`{role}` names {found.name!r}, which cannot be downloaded: {reason}") from error
    if found.kind == "model" and role != "source" and not any(folder.rglob("*.safetensors")):
        raise ValueError(
            f"`{role}` names {found.name!r}, which holds no .safetensors weights; other forms are not read."
        )
    return folder


def text_sources(recipe: Recipe, identity: Identity, role: str, config: CorpusConfig) -> list[TextSource]:
    """Find the text of every language of a corpus, and check that there is some.

    Raises:
        ValueError: If a language has neither files nor a dataset, or none has usable text.
    """
    folders = [recipes.local_path(recipe, folder) for folder in config.folders]
    sources = []
    for language in config.languages:
        whole = [recipes.local_path(recipe, file) for file in config.files.get(language, ())]
        sources.append(
            TextSource(
                language=language,
                files=tuple(file for folder in folders for file in corpus.find_text_files(folder, language)),
                whole_files=tuple(whole),
                columns=tuple(find_columns(recipe, config, language)),
                dataset=_text_dataset(recipe, identity, role, config, language),
                text_column=config.text_column,
                teacher_column=config.teacher_column,
                skip_rows=config.skip_rows_by_language.get(language, config.skip_rows),
                rows=config.rows_by_language.get(language, config.rows),
                skip_last=config.skip_last,
                only_last=config.only_last,
            )
        )
    check_tables(recipe, config)
    corpus.check_text_sources(sources)
    return sources


def read_all(sources: Sequence[TextSource], seed: int) -> dict[str, list[str]]:
    """Read the text of each language into memory; languages without any are left out."""
    texts = {source.language: list(corpus.read_texts(source, seed=seed)) for source in sources}
    return {language: lines for language, lines in texts.items() if lines}


def check_tables(recipe: Recipe, config: CorpusConfig) -> None:
    """Check that every table of a corpus has a file for some language.

    Raises:
        FileNotFoundError: If one has none.
    """
    for table in config.tables:
        folder = recipes.local_path(recipe, table.source)
        patterns = [table.files.replace("{language}", language) for language in config.languages]
        if not any(any(folder.glob(pattern)) for pattern in patterns):
            raise FileNotFoundError(f"{folder} holds no file {table.files!r} of any language of the corpus.")


def find_columns(recipe: Recipe, config: CorpusConfig, language: str) -> Iterator[TextColumn]:
    """Find the columns that hold text of one language.

    Raises:
        FileNotFoundError: If a table that is all of one language has no file.
    """
    for table in config.tables:
        if table.language not in (None, language):
            continue
        folder = recipes.local_path(recipe, table.source)
        files = sorted(folder.glob(table.files.replace("{language}", language)))
        if not files and table.language is not None:
            raise FileNotFoundError(
                f"{folder} holds no file {table.files!r}, which the corpus names for `{language}`."
            )
        for file in files:
            yield TextColumn(file=file, column=table.column, teacher_column=table.teacher_column)


def labelled_source(recipe: Recipe, identity: Identity, role: str, config: DatasetConfig) -> Path | HubDataset:
    """Return the file or the Hub dataset behind labelled text."""
    if recipes.is_local(config.source):
        return recipes.local_path(recipe, config.source)
    found = identity.input(f"{role}.source")
    return HubDataset(name=found.name, config=config.config, split=config.split or "train", revision=found.revision)


def read_labelled(
    recipe: Recipe, identity: Identity, role: str, config: DatasetConfig, kind: str
) -> dict[str, list[Any]]:
    """Read labelled text of a suite's kind or "classes", its number of rows checked; "sts" is any scored pairs.

    Raises:
        ValueError: If a row is not as expected, or there are more or fewer than the recipe knows of.
    """
    source = labelled_source(recipe, identity, role, config)
    columns, rows = config.columns, config.rows
    table: Mapping[str, list[Any]]
    if kind == "triplets":
        table = corpus.read_triplets(source, columns=columns, rows=rows)
    elif kind == "pairs":
        table = corpus.read_labelled_pairs(source, columns=columns, labels=config.labels, rows=rows)
    elif kind in ("bitext", "retrieval"):
        table = corpus.read_bitext(source, columns=columns, rows=rows)
    elif kind == "classes":
        table = corpus.read_classes(source, columns=columns, rows=rows)
    else:
        table = corpus.read_pairs(source, columns=columns, highest_score=config.highest_score, rows=rows)
    corpus.check_row_count(table, config.expected_rows, str(source))
    return {**table}


def read_classified(
    recipe: Recipe, identity: Identity, config: ClassifyConfig
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read the texts and labels that a head is fitted on, and those that it is measured by.

    Raises:
        ValueError: If a row is not as expected, there are more or fewer than the recipe knows of, or all rows for
            training or all held-out ones are of one class, or these are of none that is trained.
    """
    train, held_out = (
        read_labelled(recipe, identity, role, data, "classes")
        for role, data in (("train", config.train), ("held_out", config.held_out))
    )
    for role, data, table, known in (
        ("train", config.train, train, None),
        ("held_out", config.held_out, held_out, {*train["label"]}),
    ):
        name = str(labelled_source(recipe, identity, role, data))
        corpus.check_classes(table, data.columns[1], name, known=known)
    return train, held_out


def load_encoder(folder: Path, precision: str, device: Any, attention: str | None = None) -> Any:
    """Load a model in the given precision.

    Args:
        folder: A model in the sentence-transformers layout.
        precision: `float32` or `bfloat16`.
        device: Where it goes.
        attention: Name of an implementation that transformers knows; None for its choice, which also stands in for
            flash attention where that is not at hand.

    Raises:
        ValueError: If it has GTE's older layout, which has to be converted.
    """
    check_layout(folder)
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils.import_utils import is_flash_attn_2_available

    if attention == "flash_attention_2" and not is_flash_attn_2_available():
        logger.warning("flash_attention_2 needs a GPU and flash-attn, which are not at hand; without it, then.")
        attention = None
    settings = {"dtype": precision} | ({} if attention is None else {"attn_implementation": attention})
    # BERT's pooler, which no sentence embedding passes through, is drawn where a checkpoint lacks it, and then saved:
    # alike in every run.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SentenceTransformer(str(folder), device=str(device), model_kwargs=settings)
    limit_length(model)
    return model


def new_rows(recipe: Recipe, tokenizer: str | None, rows: int) -> list[int]:
    """List the rows of a student's table whose tokens the old tokenizer did not have, by the map of its ids."""
    if tokenizer is None:
        return []
    id_map = read_json(recipes.local_path(recipe, tokenizer) / ID_MAP_FILE)
    return sorted(set(range(rows)) - {row for row in id_map["old_to_new"] if row is not None})


def _text_dataset(
    recipe: Recipe, identity: Identity, role: str, config: CorpusConfig, language: str
) -> HubDataset | None:
    """Return the dataset config of one language."""
    if config.dataset is None:
        return None
    found = identity.input(f"{role}.dataset")
    return HubDataset(
        name=recipes.locate(recipe, config.dataset),
        config=config.dataset_config.format(language=language),
        split="train",
        revision=found.revision,
    )
