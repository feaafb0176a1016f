"""What every recipe script needs before its work: arguments, the process group, and the inputs a recipe names."""

import argparse
import errno
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import snapshot_download

from hf_turkembed import corpus, record
from hf_turkembed import recipe as recipes
from hf_turkembed.corpus import HubDataset, TextColumn, TextSource
from hf_turkembed.json_files import read_json
from hf_turkembed.modeling.repository import check_encoder, check_layout
from hf_turkembed.publishing.downloads import check_download
from hf_turkembed.publishing.hub_state import HubRepo
from hf_turkembed.recipe import (
    ClassifyConfig,
    CorpusConfig,
    DatasetConfig,
    FinetuneConfig,
    Recipe,
    ScoreConfig,
    SuiteConfig,
)
from hf_turkembed.record import Identity
from hf_turkembed.step import identify
from hf_turkembed.tokenizer_tables import ID_MAP_FILE

# A full disk, a full quota, a file too large for its file system, and one that cannot be written to.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# Weights in other forms than safetensors, which a model repo may hold as well.
_UNUSED_FILES = ["*.bin", "*.pt", "*.onnx", "*.h5", "*.msgpack", "*.gguf", "openvino/*", "onnx/*"]


def read_recipe(description: str, step: str) -> Recipe:
    """Read the command line of a step's script, and its recipe.

    `--dry-run` prints the identity that the run would have, and exits.

    Args:
        description: The script's docstring.
        step: The step, whose section and inputs are checked.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_recipe_arguments(parser)
    arguments = parser.parse_args()
    start_logging()
    with clear_errors():
        recipe = recipes.load_recipe(arguments.recipe, arguments.overrides)
        recipes.section_of(recipe, step)
        if arguments.dry_run:
            stages = recipe.finetune.stages if step == "finetune" and recipe.finetune else [None]
            for stage in stages:
                identity = record.as_plain(identify(recipe, step, stage))
                sys.stdout.write(json.dumps(identity, indent=2, ensure_ascii=False) + "\n")
            raise SystemExit(0)
    return recipe


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all scripts share."""
    parser.add_argument("recipe", type=Path, help="a YAML recipe, such as recipes/sandbox/magibu.yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="section.key=value", help="replaces a value of the recipe; the value is YAML"
    )
    parser.add_argument("--dry-run", action="store_true", help="check everything, say what would be done, and stop")


@contextmanager
def clear_errors() -> Iterator[None]:
    """End the script with the message alone where the user can mend the cause; other errors keep their trace."""
    try:
        yield
    except (ValueError, ConnectionError, FileNotFoundError, PermissionError) as error:
        raise SystemExit(f"error: {error}") from error
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise SystemExit(f"error: {error}; what is finished is kept: make room and run it again.") from error


def start_logging() -> None:
    """Log to standard error, without the bars that loading a small checkpoint draws."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("httpx2", "sentence_transformers", "accelerate", "datasets", "mteb"):
        logging.getLogger(name).setLevel(logging.WARNING)


def start_process_group(precision: str = "float32") -> Any:
    """Start the process group, and check that it is as large as was asked for.

    Args:
        precision: `bfloat16` runs forward passes under autocast; weights stay as they are loaded.

    Returns:
        An `accelerate.Accelerator`.

    Raises:
        ValueError: If fewer processes run than the launch configuration says.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    if not torch.accelerator.is_available():
        # `accelerate launch` passes `use_cpu` on to one process, not to several; without it no group forms on
        # processors, neither here nor in the trainer, which makes a group of its own.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    # The buffers of an encoder are constants, which need not be sent with every forward pass.
    group = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
    accelerator = Accelerator(mixed_precision="bf16" if precision == "bfloat16" else "no", kwargs_handlers=[group])
    check_topology(accelerator.num_processes, os.environ)
    return accelerator


def check_topology(num_processes: int, environment: Mapping[str, str]) -> None:
    """Check that the process group is as large as the launch configuration says.

    Args:
        num_processes: Size of the process group.
        environment: What `accelerate launch` set for this process.

    Raises:
        ValueError: If several processes were asked for and fewer form a group.
    """
    # `accelerate launch` names a main process only when its configuration has several; with
    # `distributed_type: MULTI_CPU` and no MPI it then starts one, and says nothing.
    several = "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_ADDR" in environment
    expected = int(environment.get("WORLD_SIZE", "2" if several else "1"))
    if num_processes < expected:
        raise ValueError(
            f"the launch configuration asks for several processes, but {num_processes} forms the group. Without GPUs, "
            "use `distributed_type: MULTI_GPU` with `use_cpu: true`, as accelerate_configs/cpu_x2.yaml does."
        )


def fetch(recipe: Recipe, identity: Identity, role: str, source: str) -> Path:
    """Return the folder or file behind a source, downloaded at the recorded revision where it is a Hub model.

    Raises:
        ConnectionError: If it cannot be downloaded, or arrives damaged.
        ValueError: If it has no weights in safetensors; other forms are not read, as reading them can run code.
    """
    if recipes.is_local(source):
        return recipes.local_path(recipe, source)
    found = identity.input(role)
    try:
        folder = Path(snapshot_download(found.name, revision=found.revision, ignore_patterns=_UNUSED_FILES))
        check_download(HubRepo(repo_id=found.name, repo_type="model"), folder)
    except (OSError, HTTPError) as error:
        reason = " ".join(str(error).split())
        raise ConnectionError(f"`{role}` names {found.name!r}, which cannot be downloaded: {reason}") from error
    if role != "source" and not any(folder.rglob("*.safetensors")):
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
    corpus.check_row_count(table, config.expected_rows, config.source)
    return {**table}


def read_classified(
    recipe: Recipe, identity: Identity, config: ClassifyConfig
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read the texts and labels that a head is fitted on, and those that it is measured by.

    Raises:
        ValueError: If a row is not as expected, there are more or fewer than the recipe knows of, or all rows for
            training are of one class.
    """
    train, held_out = (
        read_labelled(recipe, identity, role, data, "classes")
        for role, data in (("train", config.train), ("held_out", config.held_out))
    )
    corpus.check_classes(train, config.train.columns[1], config.train.source)
    return train, held_out


def check_local_data(recipe: Recipe, steps: Sequence[str]) -> None:
    """Read, before any work, all local data that the steps will read and that stands there already.

    Raises:
        ValueError: If a row, a number of rows or a language's text is not as expected.
        FileNotFoundError: If a model to fine-tune lacks a file.
    """
    nothing = Identity(step="", recipe={}, inputs=(), code="", seed=recipe.seed)
    if recipe.finetune is not None and "finetune" in steps:
        check_training_data(recipe, recipe.finetune, nothing)
    if recipe.classify is not None and "classify" in steps:
        found = recipe.classify
        if is_there(recipe, found.train.source) and is_there(recipe, found.held_out.source):
            read_classified(recipe, nothing, found)
    if recipe.score is not None and "score" in steps:
        check_scoring(recipe.score)
        check_suites(recipe, recipe.score.suites, nothing)
    corpora = [section.corpus for section in (recipe.tokenizer, recipe.embed) if section and section.corpus]
    corpora += [recipe.corpus.text] if recipe.corpus is not None else []
    corpora += [section.heldout for section in (recipe.tokenizer, recipe.clone) if section is not None]
    if recipe.score is not None and recipe.score.long_text is not None and "score" in steps:
        corpora.append(recipe.score.long_text.corpus)
        if is_there(recipe, recipe.score.long_text.pairs.source):
            read_labelled(recipe, nothing, "", recipe.score.long_text.pairs, "retrieval")
    for corpus_config in corpora:
        sources = [source for _, source in recipes.find_sources(corpus_config)]
        if not corpus_config.dataset and all(is_there(recipe, source) for source in sources):
            text_sources(recipe, nothing, "", corpus_config)


def check_training_data(recipe: Recipe, config: FinetuneConfig, identity: Identity) -> None:
    """Check the base model and the rows of every stage.

    Raises:
        ValueError: If a row is not as expected, or there are not enough for a batch.
        FileNotFoundError: If the model lacks a file.
    """
    for stage in config.stages.values():
        base = stage.base_model or config.base_model
        if is_there(recipe, base):
            check_encoder(recipes.local_path(recipe, base), stage.matryoshka_dims)
        for task in stage.tasks.values():
            check_suites(recipe, task.held_out, identity)
            if is_there(recipe, task.train.source):
                table = read_labelled(recipe, identity, "", task.train, task.kind)
                corpus.check_training_rows(table, stage.batch_size, task.train.source)


def check_suites(recipe: Recipe, suites: Mapping[str, SuiteConfig], identity: Identity) -> None:
    """Read the held-out data that stands there already.

    Raises:
        ValueError: If a row is not as expected.
    """
    for suite in suites.values():
        if is_there(recipe, suite.data.source):
            read_labelled(recipe, identity, "", suite.data, suite.kind)


def check_scoring(config: ScoreConfig) -> None:
    """Check that what the recipe requires of the scores will be measured, and that TR-MTEB can be run.

    Raises:
        ValueError: If a required metric is none of the suites', or a required mean of TR-MTEB is over more tasks than
            are run; or TR-MTEB has no such task or lacks mteb.
    """
    # `scoring` brings in torch, which the pipeline itself has no other use for.
    if config.require:
        from hf_turkembed.scoring.gate import check_requirements

        kinds = {name: suite.kind for name, suite in config.suites.items()}
        check_requirements(config.require, kinds, () if config.tr_mteb is None else config.tr_mteb.tasks)
    if config.tr_mteb is not None:
        from hf_turkembed.scoring.tr_mteb import check_request

        check_request(config.tr_mteb.tasks)


def is_there(recipe: Recipe, source: str) -> bool:
    """Tell whether a source is local and exists already."""
    return recipes.is_local(source) and recipes.local_path(recipe, source).exists()


def load_encoder(folder: Path, precision: str, device: Any, attention: str | None = None) -> Any:
    """Load a model in the given precision.

    Args:
        folder: A model in the sentence-transformers layout.
        precision: `float32` or `bfloat16`.
        device: Where it goes.
        attention: Name of an implementation that transformers knows; None for its choice.

    Raises:
        ValueError: If it has GTE's older layout, which has to be converted.
    """
    check_layout(folder)
    from sentence_transformers import SentenceTransformer

    settings = {"dtype": precision} | ({} if attention is None else {"attn_implementation": attention})
    return SentenceTransformer(str(folder), device=str(device), model_kwargs=settings)


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
