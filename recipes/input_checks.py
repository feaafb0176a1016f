"""What can be said of the inputs of steps before any of them runs."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hf_turkembed import corpus
from hf_turkembed import recipe as recipes
from hf_turkembed.modeling.repository import (
    check_encoder,
    check_linear_layers,
    check_loadable,
    check_widths,
    check_window,
)
from hf_turkembed.recipe import (
    DatasetConfig,
    FinetuneConfig,
    Recipe,
    ScoreConfig,
    StageConfig,
    SuiteConfig,
    TaskConfig,
)
from hf_turkembed.record import Identity, Input
from hf_turkembed.step_identity import only_stage
from inputs import fetch, read_classified, read_labelled, text_sources


def check_local_data(recipe: Recipe, steps: Sequence[str]) -> None:
    """Read, before any work, all local data that the steps will read and that stands there already.

    Raises:
        ValueError: If a row, a number of rows or a language's text is not as expected.
        FileNotFoundError: If a model to fine-tune, or to put a head on, lacks a file.
    """
    nothing = Identity(step="", recipe={}, inputs=(), code="", seed=recipe.seed)
    if recipe.finetune is not None and "finetune" in steps:
        check_training_data(recipe, recipe.finetune, nothing)
    if recipe.classify is not None and "classify" in steps:
        found = recipe.classify
        if is_there(recipe, found.model):
            check_loadable(recipes.local_path(recipe, found.model))
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
        ValueError: If a model cannot be trained or its table of positions is too short, it has no layer of which an
            adapter is asked for, the widths of a stage do not begin with the model's, or with those of another stage
            of the same model; a row is not as expected, or there are not enough for a batch. The message names the
            stage.
        FileNotFoundError: If the model lacks a file.
    """
    first: dict[str, str] = {}
    for name, stage in config.stages.items():
        base = find_base(recipe, config, name)
        other = first.setdefault(base, name)
        try:
            check_widths(stage.matryoshka_dims)
            if other == name:
                check_base(recipe, base, stage, config.max_length)
            # Of a base on the Hub the width is known once the first stage has it.
            elif (found := stage.matryoshka_dims[0]) != (width := config.stages[other].matryoshka_dims[0]):
                raise ValueError(
                    f"`matryoshka_dims` begins with {found}, but that of `{other}` with {width}; both are of {base}, "
                    "whose width comes first."
                )
            if stage.lora is not None and is_there(recipe, base):
                check_linear_layers(recipes.local_path(recipe, base), stage.lora.target_modules)
            check_tasks(recipe, stage, identity)
        except (ValueError, FileNotFoundError) as error:
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            raise kind(f"stage `{name}`: {error}") from error


def check_base(recipe: Recipe, base: str, stage: StageConfig, max_length: int) -> None:
    """Check a model that stands there already against the widths of a stage and the length of its texts.

    Raises:
        ValueError: See `check_training_data`.
        FileNotFoundError: If the model lacks a file.
    """
    if is_there(recipe, base):
        folder = recipes.local_path(recipe, base)
        width = check_encoder(folder, stage.matryoshka_dims)
        if (found := stage.matryoshka_dims[0]) != width:
            raise ValueError(f"`matryoshka_dims` begins with {found}, but {base} gives {width}; begin with that.")
        check_window(folder, max_length)


def check_tasks(recipe: Recipe, stage: StageConfig, identity: Identity) -> None:
    """Read the rows of a stage that stand there already, held-out ones too.

    Raises:
        ValueError: If a row is not as expected, or there are not enough for a batch.
    """
    for task in stage.tasks.values():
        check_suites(recipe, task.held_out, identity)
        if is_there(recipe, task.train.source):
            corpus.check_training_rows(
                read_rows_to_train(recipe, task, identity),
                stage.batch_size,
                str(recipes.local_path(recipe, task.train.source)),
                columns=task.train.columns,
                highest_score=task.train.highest_score,
            )


def read_rows_to_train(recipe: Recipe, task: TaskConfig, identity: Identity) -> dict[str, list[Any]]:
    """Read the rows of a task, without those that share a text with held-out data that stands there already.

    Raises:
        ValueError: If a row is not as expected, or none would be left.
    """
    table = read_labelled(recipe, identity, "", task.train, task.kind)
    if task.shared_texts == "keep":
        return table
    held_out = {
        name: read_labelled(recipe, identity, "", suite.data, suite.kind)
        for name, suite in task.held_out.items()
        if is_there(recipe, suite.data.source)
    }
    return corpus.set_shared_texts_apart(table, held_out, remove=True)[0]


def find_base(recipe: Recipe, config: FinetuneConfig, stage: str) -> str:
    """Return what a stage begins with; where that is an earlier stage that is still to run, what that begins with."""
    base: str = only_stage(config, stage).base_model
    names = list(config.stages)
    earlier = {f"{{output_dir}}/finetune-{name}": name for name in names[: names.index(stage)]}
    if base in earlier and not is_there(recipe, base):
        return find_base(recipe, config, earlier[base])
    return base


def check_hub_inputs(recipe: Recipe, config: FinetuneConfig, stages: Sequence[str]) -> None:
    """Fetch the bases and read the data of the Hub that stages name, as if these were to be trained now.

    Args:
        recipe: The whole recipe.
        config: Its section.
        stages: Names of stages that wait for others; the one that comes first meets its errors before it trains.

    Raises:
        ConnectionError: If a base cannot be downloaded.
        ValueError: If a base cannot be trained at the widths or has no layer of which an adapter is asked for, a
            dataset cannot be read, or a row or the number of rows is not as expected; the message names the stage.
    """
    for name in stages:
        try:
            stage, base = config.stages[name], find_base(recipe, config, name)
            if not recipes.is_local(base):
                folder = fetch(recipe, _identify_on_hub(recipe, "base_model", "model", base), "base_model", base)
                check_encoder(folder, stage.matryoshka_dims)
                if stage.lora is not None:
                    check_linear_layers(folder, stage.lora.target_modules)
            for task in stage.tasks.values():
                check_hub_task(recipe, task, stage.batch_size)
        except ValueError as error:
            raise ValueError(f"stage `{name}`: {error}") from error


def check_hub_task(recipe: Recipe, task: TaskConfig, batch_size: int) -> None:
    """Read all data of the Hub that a task names.

    Raises:
        ValueError: If a dataset cannot be read, a row or the number of rows is not as expected, or there is not enough
            for a batch.
    """
    if not recipes.is_local(task.train.source):
        table = _read_on_hub(recipe, task.train, task.kind)
        corpus.check_training_rows(
            table,
            batch_size,
            task.train.source,
            columns=task.train.columns,
            highest_score=task.train.highest_score,
        )
    check_hub_suites(recipe, task.held_out)


def check_hub_scoring(recipe: Recipe, config: ScoreConfig) -> None:
    """Read all data of the Hub that is scored on, before what is to be scored is trained for hours.

    Raises:
        ValueError: If a dataset cannot be read, or a row or the number of rows is not as expected.
    """
    check_hub_suites(recipe, config.suites)
    if config.long_text is None:
        return
    if not recipes.is_local(config.long_text.pairs.source):
        _read_on_hub(recipe, config.long_text.pairs, "retrieval")
    section = config.long_text.corpus
    if section.dataset is not None:
        found = _identify_on_hub(recipe, ".dataset", "dataset", section.dataset)
        for source in text_sources(recipe, found, "", section):
            next(corpus.read_texts(source, seed=recipe.seed), None)


def check_hub_suites(recipe: Recipe, suites: Mapping[str, SuiteConfig]) -> None:
    """Read the held-out data that is on the Hub.

    Raises:
        ValueError: If a dataset cannot be read, a row or the number of rows is not as expected, or all scores or
            labels are the same.
    """
    for suite in suites.values():
        data = suite.data
        if not recipes.is_local(data.source):
            table = _read_on_hub(recipe, data, suite.kind)
            corpus.check_grades(table, data.source, column=data.columns[-1], highest_score=data.highest_score)


def _read_on_hub(recipe: Recipe, data: DatasetConfig, kind: str) -> dict[str, list[Any]]:
    """Read a dataset of the Hub, at whatever revision the recipe names."""
    return read_labelled(recipe, _identify_on_hub(recipe, ".source", "dataset", data.source), "", data, kind)


def _identify_on_hub(recipe: Recipe, role: str, kind: Literal["model", "dataset"], source: str) -> Identity:
    """Return an identity with one input of the Hub, whose commit nobody has asked for."""
    repo_id, revision = recipes.split_revision(source)
    asked = Input(role=role, kind=kind, name=repo_id, revision=revision)
    return Identity(step="", recipe={}, inputs=(asked,), code="", seed=recipe.seed)


def check_suites(recipe: Recipe, suites: Mapping[str, SuiteConfig], identity: Identity) -> None:
    """Read the held-out data that stands there already.

    Raises:
        ValueError: If a row is not as expected, or all scores or labels are the same.
    """
    for suite in suites.values():
        if is_there(recipe, suite.data.source):
            data = suite.data
            table = read_labelled(recipe, identity, "", data, suite.kind)
            path = str(recipes.local_path(recipe, data.source))
            corpus.check_grades(table, path, column=data.columns[-1], highest_score=data.highest_score)


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
