"""Who imports whom: data flows one way."""

import ast
import re
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "hf_turkembed"
# Part of the package -> the parts it may use besides itself and `json_files`.
MAY_USE = {
    "version": set(),
    "strict_yaml": set(),
    "json_files": set(),
    "record": set(),
    "chain": {"record"},
    "digests": {"record"},
    "findings": set(),
    "scores": {"record", "findings"},
    "markdown": {"record", "scores"},
    "benchmark_tables": {"markdown", "scores"},
    "finding_tables": {"findings", "markdown"},
    "figure_files": {"record"},
    "profile_figure": {"figure_files", "findings"},
    "score_figure": {"figure_files", "scores"},
    "score_tables": {"benchmark_tables", "finding_tables", "markdown", "scores"},
    "tokenizer_tables": {"markdown", "record"},
    "corpus": set(),
    "tokenizer": {"figure_files"},
    "corpus_counting": {"corpus", "tokenizer"},
    "modeling": set(),
    "sandbox": set(),
    "recipe": {"strict_yaml", "findings", "scores"},
    "step_identity": {"recipe", "record", "version"},
    "step_licenses": {"recipe", "record", "step_identity"},
    "step": {"recipe", "record", "step_identity", "step_licenses"},
    "checkpoint": set(),
    "cloning": {"checkpoint", "tokenizer", "modeling"},
    "gte_checkpoint": {"checkpoint", "record", "version"},
    "distillation": {"corpus", "digests", "record", "modeling"},
    "finetuning": {"corpus", "digests", "record", "modeling", "strict_yaml"},
    "classification": {"markdown"},
    "recipe_release": {"publishing", "recipe", "scores"},
    "scoring": {"corpus", "findings", "record", "scores", "modeling"},
    "publishing": {
        "benchmark_tables",
        "chain",
        "checkpoint",
        "figure_files",
        "finding_tables",
        "markdown",
        "model_cards",
        "modeling",
        "profile_figure",
        "record",
        "score_figure",
        "score_tables",
        "scores",
        "tokenizer",
        "tokenizer_tables",
    },
    "__init__": {"modeling", "version"},
    "__main__": {"cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Yield the modules a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_uses_only_the_parts_below_it(path):
    part = part_of(path)
    if part == "cli":
        return
    used = {name.split(".")[1] for name in imported(path) if name.startswith("hf_turkembed.")}
    assert used - {part, "json_files"} <= MAY_USE[part]


@pytest.mark.parametrize("path", sorted((PACKAGE / "modeling").glob("modeling_*.py")), ids=lambda path: path.name)
def test_code_that_is_pushed_to_the_hub_needs_only_transformers_torch_and_safetensors(path):
    roots = {name.split(".")[0] for name in imported(path)}
    assert roots <= {"transformers", "torch", "safetensors"} | set(sys.stdlib_module_names)


def test_only_the_hub_module_writes_to_the_network():
    writers = {"create_commit", "upload_folder", "upload_file", "push_to_hub", "create_repo", "preupload_lfs_files"}
    writers |= {"create_tag", "update_repo_settings", "create_collection", "add_collection_item"}
    for path in FILES:
        called = {
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not called & writers or path.relative_to(PACKAGE).as_posix() == "publishing/hub.py", path


def test_every_folder_with_code_is_a_package_of_the_wheel():
    listed = re.search(r"^packages = (\[.*?\])", (PACKAGE.parent / "pyproject.toml").read_text(), re.M | re.S)
    folders = {".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in FILES}
    assert {*ast.literal_eval(listed[1])} == folders | {"hf_turkembed.model_cards"}
