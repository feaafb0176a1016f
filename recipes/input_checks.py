"""What can be said of the inputs of steps before any of them runs."""

from collections.abc import Mapping, Sequence

from hf_turkembed import corpus
from hf_turkembed import recipe as recipes
from hf_turkembed.modeling.repository import check_encoder
from hf_turkembed.recipe import FinetuneConfig, Recipe, ScoreConfig, SuiteConfig
from hf_turkembed.record import Identity
from inputs import read_classified, read_labelled, text_sources


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
