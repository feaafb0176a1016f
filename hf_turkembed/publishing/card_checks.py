"""What a card says and shows, held against the records and the scores of its repo."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load

from hf_turkembed import record as records
from hf_turkembed import tokenizer_tables
from hf_turkembed.figure_files import is_drawn_from
from hf_turkembed.profile_figure import PROFILE_FIGURE
from hf_turkembed.publishing import adapters
from hf_turkembed.publishing.card_metadata import ALLOWED_KEYS, CARD_FILE
from hf_turkembed.publishing.cards import render_card
from hf_turkembed.publishing.comparisons import Check, check_faults, describe_error
from hf_turkembed.publishing.eval_results import EVAL_RESULTS_FOLDER, format_eval_results
from hf_turkembed.publishing.licences import NOTICE_FILE, first_licence, notice_for
from hf_turkembed.publishing.lineage import RepoKind
from hf_turkembed.publishing.release_section import cut_related
from hf_turkembed.score_figure import SCORES_FIGURE
from hf_turkembed.score_tables import own_scores
from hf_turkembed.scores import SCORES_FILE, ScoreReport, read_scores

_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_REPO_ID = re.compile(r"\"([\w.-]+/[\w.-]+)\"")
_HEADER = re.compile(r"\A---\n.*?^---$", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^## .*$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"(?<!\\)\]\(([^()\s]+)\)")
_ADDRESS = re.compile(r"https://|#")


def check_card(folder: Path, kind: RepoKind, repo_id: str | None) -> list[Check]:
    """Check that the card of a repo is the one that its records and scores give, byte for byte, and what it shows.

    Licence and languages are the publisher's to state: they are taken from the card, and only their form, and the
    terms of what the repo was made from, are checked. Everything else follows from the records.

    Args:
        folder: A staged or published repo.
        kind: What it holds.
        repo_id: Name that the card has to be about, or None for any one.

    Returns:
        The checks; only that of the header where there is no card that can be read.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        detail = f"{CARD_FILE} is missing; `publish` writes it: verify what was published"
        return [Check(name="card header", passed=False, detail=detail)]
    try:
        # Line ends as they are: they are bytes of the card as well.
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return [Check(name="card header", passed=False, detail=f"{CARD_FILE} is not valid UTF-8 ({error})")]
    header, errors = _read_header(path)
    checks = [check_faults("card header", errors), check_faults("card links", _wrong_links(text, folder))]
    try:
        report = read_scores(folder / SCORES_FILE) if (folder / SCORES_FILE).is_file() else ScoreReport(scores=())
    except Exception as error:
        return [*checks, Check(name="scores", passed=False, detail=describe_error(error))]
    if header:
        checks.append(check_faults("notice", _wrong_notice(folder, first_licence(header.get("license")))))
        checks.append(check_faults("card", _wrong_card(text, header, folder, kind, repo_id, report)))
    if kind in ("model", "tokenizer"):
        checks.append(check_faults("figures", _wrong_figures(folder, kind, report)))
    if kind == "model":
        checks.append(check_faults("evaluation results", _wrong_results(folder, report)))
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
    except Exception as error:
        return {}, [f"it is not valid YAML ({' '.join(str(error).split()) or type(error).__name__})"]
    if not header:
        return {}, ["the card has none; publish again"]
    errors = [f"`{key}` is no key that the Hub reads; remove it" for key in sorted(set(header) - ALLOWED_KEYS)]
    languages, license = header.get("language", []), header.get("license")
    if not (isinstance(languages, list) and all(isinstance(language, str) for language in languages)):
        errors.append(f"`language` is {languages!r}, expected a list of texts")
    # Vectors have one of their own, and that of their texts.
    several = isinstance(license, list) and len(license) == 2 and all(isinstance(name, str) for name in license)
    if not (several or isinstance(license, str | None)):
        errors.append(f"`license` is {license!r}, expected a text")
    # What cannot be rendered again is not compared.
    return ({} if errors else header), errors


def _wrong_links(text: str, folder: Path) -> Iterator[str]:
    """Name links and pictures that lead to no file of the repo."""
    for target in _LINK.findall(_CODE.sub("", _FENCED.sub("", text))):
        if _ADDRESS.match(target):
            continue
        if target.startswith("/") or ".." in target or not (folder / target).is_file():
            yield f"`{target}` is no file of this repo; publish again"


def _wrong_notice(folder: Path, license: str | None) -> Iterator[str]:
    """Say where the notice is not what the licence asks for."""
    path, expected = folder / NOTICE_FILE, notice_for(license)
    if (path.read_bytes() if path.is_file() else None) != (None if expected is None else expected.encode()):
        yield f"{NOTICE_FILE} is not what the licence {license!r} asks for; publish again"


def _wrong_card(
    text: str, header: dict[str, Any], folder: Path, kind: RepoKind, repo_id: str | None, report: ScoreReport
) -> Iterator[str]:
    """Say where a card is not what the records and scores of its repo give."""
    named, _ = read_snippets(folder)
    if repo_id is not None and named != repo_id:
        yield f"its snippets load {named!r}, but this is {repo_id!r}; publish it under this name"
    expected = render_card(
        folder,
        repo_id=named,
        license=first_licence(header.get("license")),
        languages=header.get("language", []),
        report=report,
        base_model=adapters.read_base(folder) if kind == "adapter" else None,
    )
    # The only code that is run; what else looks like it came in by way of a record.
    if _SNIPPET.findall(expected) != _SNIPPET.findall(_split_sections(expected).get('its section "Use"', "")):
        yield 'there is Python outside its section "Use"; a record holds what it should not'
    own, related = cut_related(text)
    if "\r" in text and "\r" not in expected:
        yield "its lines do not end in line feeds alone; publish again"
    elif own != expected:
        yield from _describe_difference(own, expected)
    elif related is None:
        yield 'the section "Released together with" is not what this package writes; publish again'


def _describe_difference(found: str, expected: str) -> Iterator[str]:
    """Name what of a card differs: keys of its header, and sections."""
    headers = [yaml.safe_load(_header_of(text).strip("-\n")) or {} for text in (found, expected)]
    keys = [key for key in {**headers[0], **headers[1]} if headers[0].get(key) != headers[1].get(key)]
    for key in keys:
        yield f"`{key}` in its header is not what the records give; publish again"
    left, right = (_split_sections(_HEADER.sub("", text)) for text in (found, expected))
    titles = [title for title in {**left, **right} if left.get(title) != right.get(title)]
    for title in titles:
        yield f"{title} is not what the records and {SCORES_FILE} give; publish again"
    if not keys and not titles:
        yield "its header or the order of its sections is not as this package writes it; publish again"


def _header_of(text: str) -> str:
    """Return the header of a card, with its lines of dashes."""
    found = _HEADER.match(text)
    return "" if found is None else found[0]


def _split_sections(text: str) -> dict[str, str]:
    """Map the titles of a card's sections to their text."""
    titles = ["its beginning", *(f'its section "{title[3:]}"' for title in _SECTION.findall(text))]
    return dict(zip(titles, _SECTION.split(text), strict=True))


def _wrong_figures(folder: Path, kind: RepoKind, report: ScoreReport) -> Iterator[str]:
    """Name figures that were not drawn from the numbers beside them."""
    drawn_from: dict[str, Any] = {}
    if kind == "model":
        own = own_scores(report.all_scores, records.digest_model(folder))
        drawn_from[SCORES_FIGURE] = report.scores
        drawn_from[PROFILE_FIGURE] = [point for point in report.profile if own and point.model == own[0].model]
    if kind == "tokenizer":
        drawn_from[tokenizer_tables.FIGURE_FILE] = (tokenizer_tables.read_report(folder) or {}).get("change")
    for name, numbers in drawn_from.items():
        if (folder / name).is_file() and not is_drawn_from(folder / name, numbers):
            yield f"`{name}` does not say that it was drawn from the numbers beside it; publish again"


def _wrong_results(folder: Path, report: ScoreReport) -> Iterator[str]:
    """Say where `.eval_results` is not what scores.json holds."""
    files = format_eval_results(own_scores(report.all_scores, records.digest_model(folder)))
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes().decode("utf-8")
        for path in (folder / EVAL_RESULTS_FOLDER).glob("*")
    }
    for path in sorted({*files, *found}):
        if files.get(path) != found.get(path):
            yield f"`{path}` is not what {SCORES_FILE} holds; publish again"
