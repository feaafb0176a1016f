"""Recipes: YAML read strictly into frozen dataclasses, one per step."""

from hf_turkembed.recipe.classification import ClassifyConfig
from hf_turkembed.recipe.data import CorpusConfig, DatasetConfig, TextTableConfig
from hf_turkembed.recipe.finetuning import FinetuneConfig, StageConfig, TaskConfig
from hf_turkembed.recipe.making import (
    CloneConfig,
    CorpusStepConfig,
    DistillConfig,
    EmbedConfig,
    SandboxConfig,
    TokenizerConfig,
)
from hf_turkembed.recipe.publishing import PublishConfig, RepoConfig
from hf_turkembed.recipe.reading import (
    STEPS,
    Recipe,
    find_sources,
    load_recipe,
    local_path,
    locate,
    portable_section,
    section_of,
    source_kind,
)
from hf_turkembed.recipe.scoring import ScoreConfig, SuiteConfig, TrMtebConfig
from hf_turkembed.recipe.sources import DataSource, ModelSource, is_local, portable_name, split_revision

__all__ = [
    "STEPS",
    "ClassifyConfig",
    "CloneConfig",
    "CorpusConfig",
    "CorpusStepConfig",
    "DataSource",
    "DatasetConfig",
    "DistillConfig",
    "EmbedConfig",
    "FinetuneConfig",
    "ModelSource",
    "PublishConfig",
    "Recipe",
    "RepoConfig",
    "SandboxConfig",
    "ScoreConfig",
    "StageConfig",
    "SuiteConfig",
    "TaskConfig",
    "TextTableConfig",
    "TokenizerConfig",
    "TrMtebConfig",
    "find_sources",
    "is_local",
    "load_recipe",
    "local_path",
    "locate",
    "portable_name",
    "portable_section",
    "section_of",
    "source_kind",
    "split_revision",
]
