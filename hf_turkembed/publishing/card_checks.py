"""What a card says, held against the files beside it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load

from hf_turkembed import record as records
from hf_turkembed.json_files import read_json
from hf_turkembed.markdown import escape
from hf_turkembed.publishing import adapters, card_metadata, lineage
from hf_turkembed.publishing.card_metadata import ALLOWED_KEYS, CARD_FILE, dump_yaml
from hf_turkembed.publishing.cards import choose_example_width, render_scores, render_use
from hf_turkembed.publishing.comparisons import Check, check_faults
from hf_turkembed.publishing.eval_results import EVAL_RESULTS_FOLDER, format_eval_results
from hf_turkembed.publishing.hub import check_repo_id
from hf_turkembed.publishing.lineage import RepoKind
from hf_turkembed.score_tables import own_scores, teacher_statement
from hf_turkembed.scores import SCORES_FILE, ScoreReport, read_scores

_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_REPO_ID = re.compile(r"\"([\w.-]+/[\w.-]+)\"")
# With what was found beside them, up to the section that follows.
_SCORES = re.compile(r"^## Scores\n.*?(?=^## How it was made$)", re.DOTALL | re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"(?<!\\)\]\(([^()\s]+)\)")
_ADDRESS = re.compile(r"https://|#")


def check_card(folder: Path, kind: RepoKind, repo_id: str | None) -> list[Check]:
    """Check the card of a repo: its header, its links, its snippets, and a model's scores.

    Args:
        folder: A staged or published repo.
        kind: What it holds.
        repo_id: Name that the snippets have to load, or None for any one.

    Returns:
        The checks; only that of the header where there is no card that can be read.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        detail = f"{CARD_FILE} is missing; `publish` writes it: verify what was published"
        return [Check(name="card header", passed=False, detail=detail)]
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return [Check(name="card header", passed=False, detail=f"{CARD_FILE} is not valid UTF-8 ({error})")]
    header, errors = _read_header(path)
    checks = [check_faults("card header", errors), check_faults("card links", _wrong_links(text, folder))]
    checks.append(check_faults("card snippets", _wrong_snippets(text, folder, kind, repo_id)))
    if kind == "model":
        checks += _check_scores(text, header, folder)
    return checks


def read_snippets(folder: Path) -> tuple[str, list[str]]:
    """Read the Python snippets of a card.

    Args:
        folder: A repo with a card.

    Returns:
        The repo that the first of them loads, and their code.

    Raises:
        ValueError: If none of them loads a repo.
    """
    found = _SNIPPET.findall((folder / CARD_FILE).read_text(encoding="utf-8"))
    # An adapter is loaded onto another repo.
    named = [name for name in _REPO_ID.findall("".join(found)) if name != adapters.read_base(folder)]
    if not named:
        raise ValueError(f"{CARD_FILE} has no snippet that loads the repo; publish again.")
    return named[0], found


def _read_header(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the header of a card, and say what is wrong with it."""
    try:
        header = metadata_load(path)
    except (yaml.YAMLError, ValueError) as error:
        return {}, [f"it is not valid YAML ({' '.join(str(error).split())})"]
    if not header:
        return {}, ["the card has none; publish again"]
    errors = [f"`{key}` is no key that the Hub reads; remove it" for key in sorted(set(header) - ALLOWED_KEYS)]
    for key in ("language", "tags", "datasets", "metrics", "task_categories", "source_datasets"):
        if key in header and not (isinstance(header[key], list) and all(isinstance(v, str) for v in header[key])):
            errors.append(f"`{key}` is {header[key]!r}, expected a list of texts")
    for key in ("license", "library_name", "pipeline_tag", "base_model", "base_model_relation"):
        if key in header and not isinstance(header[key], str):
            errors.append(f"`{key}` is {header[key]!r}, expected a text")
    return header, errors


def _wrong_links(text: str, folder: Path) -> Iterator[str]:
    """Name links and pictures that lead to no file of the repo."""
    for target in _LINK.findall(_CODE.sub("", _FENCED.sub("", text))):
        if _ADDRESS.match(target):
            continue
        if target.startswith("/") or ".." in target or not (folder / target).is_file():
            yield f"`{target}` is no file of this repo; publish again"


def _wrong_snippets(text: str, folder: Path, kind: RepoKind, repo_id: str | None) -> Iterator[str]:
    """Say where the snippets differ from those that this package writes: only these are run."""
    named, found = read_snippets(folder)
    check_repo_id(named)
    if repo_id is not None and named != repo_id:
        yield f"they load {named!r}, but this is {repo_id!r}; publish under this name"
    values: dict[str, Any] = {"repo_id": named}
    if kind == "model":
        widths = read_json(folder / "config.json").get("matryoshka_dims")
        if not isinstance(widths, list) or not widths or not all(isinstance(width, int) for width in widths):
            # That is another check's matter.
            return
        values["example_width"] = choose_example_width(sorted(widths, reverse=True))
    if kind == "adapter":
        widths = lineage.trained_widths(records.read_provenance(folder))
        values |= {"base_model": adapters.read_base(folder), "example_width": choose_example_width(widths)}
    if kind == "dataset":
        configs = sorted({path.parent.name for path in folder.glob("data/*/*.parquet")})
        values["example_config"] = card_metadata.default_config(configs)
    expected = _SNIPPET.findall(render_use(kind, values))
    if len(found) != len(expected):
        yield f"there are {len(found)}, expected {len(expected)}"
    for place, (one, other) in enumerate(zip(found, expected, strict=False), start=1):
        if one != other:
            yield f"number {place} is not what this package writes; publish again"


def _check_scores(text: str, header: dict[str, Any], folder: Path) -> list[Check]:
    """Hold what a model's card says of scores against scores.json."""
    try:
        report = read_scores(folder / SCORES_FILE) if (folder / SCORES_FILE).is_file() else ScoreReport(scores=())
    except ValueError as error:
        return [Check(name="scores in the card", passed=False, detail=str(error))]
    digest = _own_digest(text, report)
    checks = [check_faults("scores in the card", _wrong_scores(text, report, digest))]
    if header:
        checks.append(check_faults("scores as data", _wrong_data(header, folder, report, digest)))
    return checks


def _own_digest(text: str, report: ScoreReport) -> str:
    """Return the digest of the model whose column a card marks as its own; empty if it marks none."""
    for digest in dict.fromkeys(score.model_digest for score in report.all_scores):
        if f"**{escape(own_scores(report.all_scores, digest)[0].model)} (this model)**" in text:
            return digest
    return ""


def _wrong_scores(text: str, report: ScoreReport, digest: str) -> Iterator[str]:
    """Say where what the card shows of scores is not what scores.json holds."""
    section = _SCORES.search(text)
    if section is None:
        yield 'there is no section "Scores"'
    elif section[0].strip() != render_scores(report, digest).strip():
        yield f"the section is not what {SCORES_FILE} holds; publish again"
    statement = teacher_statement(report.scores) if digest else None
    if statement and statement not in text:
        yield f"the limitations do not state the teacher's own scores as {SCORES_FILE} holds them"


def _wrong_data(header: dict[str, Any], folder: Path, report: ScoreReport, digest: str) -> Iterator[str]:
    """Say where `model-index` and `.eval_results` are not what scores.json holds."""
    own = own_scores(report.all_scores, digest)
    shown = header.get("model-index") or []
    name = shown[0].get("name", "") if shown and isinstance(shown[0], dict) else ""
    expected = card_metadata.model_index(name, own)
    if yaml.safe_load(dump_yaml(expected)) != shown:
        yield f"`model-index` is not what {SCORES_FILE} holds; publish again"
    files = format_eval_results(own)
    found = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in (folder / EVAL_RESULTS_FOLDER).glob("*")
    }
    for path in sorted({*files, *found}):
        if files.get(path) != found.get(path):
            yield f"`{path}` is not what {SCORES_FILE} holds; publish again"
