"""Cards: rendered from the records of a folder's chain and the scores of its run, and from nothing else."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from hf_turkembed import benchmark_tables, finding_tables, score_tables, tokenizer_tables
from hf_turkembed import record as records
from hf_turkembed.chain import read_whole_chain
from hf_turkembed.json_files import read_json
from hf_turkembed.markdown import escape, format_code, format_name
from hf_turkembed.profile_figure import PROFILE_FIGURE
from hf_turkembed.publishing import adapters, card_metadata, corpora, history, licences, lineage
from hf_turkembed.publishing.hub import check_repo_id
from hf_turkembed.record import Provenance
from hf_turkembed.score_figure import SCORES_FIGURE
from hf_turkembed.scores import ScoreReport
from hf_turkembed.tokenizer_tables import FIGURE_FILE, ID_MAP_FILE, REPORT_FILE

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|multilingual")


def render_card(
    folder: Path,
    *,
    repo_id: str,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
    base_model: str | None = None,
) -> str:
    """Render the README.md of a folder that a step wrote.

    Args:
        folder: Output folder of a step, with its record and the records of its chain beside it.
        repo_id: `org/name` on the Hub.
        license: Hub licence id; None for the one that the records name, where they name one whose terms go along.
        languages: ISO 639 codes; none for those of the corpus in the records.
        report: Scores of the run, or an empty report. The ones whose `model_digest` is that of `folder`, see
            `record.digest_model`, are this model's own, the others stand beside them.
        base_model: Of an adapter: see `adapters.choose_base`.

    Returns:
        The card; the same arguments and records give the same text.

    Raises:
        FileNotFoundError: If `folder` has no record.
        ValueError: If the output of its step is not published, a record is damaged or holds a number that is not
            finite, the repo's name, the licence or a language is none, or the licence is not that of the teacher whose
            terms go along with what is made from it.
    """
    check_repo_id(repo_id)
    chain = read_whole_chain(folder)
    kind = lineage.kind_of_output(folder)
    license = licences.choose_licence(license, chain)
    for language in languages:
        if not _LANGUAGE.fullmatch(language):
            raise ValueError(f"`language` is {language!r}, expected an ISO 639 code such as 'tr'.")
    languages = list(languages) or _recorded_languages(chain)
    common = {
        "repo_id": repo_id,
        "description": history.describe(chain),
        "intended_use": history.describe_use(chain, kind, languages),
        "is_made_up": lineage.is_made_up(chain),
        "terms": licences.describe_terms(license, chain),
        "failures": kind == "model",
        "of_merged": kind == "adapter",
        "training_rows": history.describe_training_rows(chain),
        "history": history.format_history(chain),
        "fertility": history.format_fertility(chain),
        "rows": history.describe_rows(chain),
        "distillation": history.describe_distillation(chain),
        "held_out_cosines": history.format_held_out_cosines(chain),
        "versions": history.format_versions(chain[0]),
        "papers": history.papers(chain),
    }
    if kind == "model":
        values = _model_values(folder, chain, repo_id, license, languages, report)
    elif kind == "adapter":
        values = _adapter_values(chain, adapters.choose_base(chain, base_model), license, languages, report)
    elif kind == "tokenizer":
        metadata = card_metadata.tokenizer_metadata(chain, license=license, languages=languages)
        values = {"metadata": metadata, "limits": history.tokenizer_limits(chain), **_tokenizer_values(folder, chain)}
    elif kind == "corpus":
        metadata = corpora.corpus_metadata(chain, license=license, languages=languages)
        values = {"metadata": metadata, "limits": corpora.corpus_limits(), **corpora.corpus_values(chain)}
    else:
        metadata = card_metadata.dataset_metadata(chain, license=license, languages=languages)
        values = {"metadata": metadata, "limits": history.dataset_limits(chain), **_dataset_values(chain)}
    return _render(f"{kind}.md.j2", {**common, **values})


def _choose_example_width(widths: Sequence[int]) -> int:
    """Return the width that the snippets show: small enough to show the saving, where there is such a width.

    Args:
        widths: Trained widths, largest first.
    """
    return next((width for width in widths if 2 * width <= widths[0]), widths[-1])


def _model_values(
    folder: Path,
    chain: Sequence[Provenance],
    repo_id: str,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
) -> dict[str, Any]:
    """Prepare what only a model's card shows."""
    digest = records.digest_model(folder) if report.all_scores else ""
    own = score_tables.own_scores(report.all_scores, digest)
    widths = lineage.trained_widths(chain[0])
    limits = history.model_limits(chain)
    if own and (statement := score_tables.teacher_statement(report.scores)):
        limits.append(statement)
    return {
        "metadata": card_metadata.model_metadata(
            chain, repo_id=repo_id, license=license, languages=languages, own_scores=own
        ),
        "widths": history.describe_widths(widths),
        "example_width": _choose_example_width(widths),
        "refuses_float16": read_json(folder / "config.json").get("model_type") == "gemma3_text",
        **_score_values(report, digest),
        "limits": limits,
    }


def _adapter_values(
    chain: Sequence[Provenance],
    base_model: str,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
) -> dict[str, Any]:
    """Prepare what only an adapter's card shows, and what was found of the model that it was merged into."""
    widths = lineage.trained_widths(chain[0])
    found = _score_values(report, chain[0].observed.counts.get("merged_digest", ""))
    return {
        "metadata": card_metadata.adapter_metadata(chain, base_model=base_model, license=license, languages=languages),
        "description": adapters.describe_adapter(chain[0], base_model),
        "base_model": base_model,
        "widths": history.describe_widths(widths),
        "example_width": _choose_example_width(widths),
        "training": adapters.describe_training(chain[0]),
        "limits": adapters.adapter_limits(chain, base_model),
        # Figures stand beside that model.
        **{**found, "figure": None, "profile_figure": None},
    }


def _score_values(report: ScoreReport, digest: str) -> dict[str, Any]:
    """Prepare what a model's card shows of scores: those of the whole run, if the model's own are among them."""
    own = score_tables.own_scores(report.all_scores, digest)
    shown = report.scores if own else ()
    benchmark = report.benchmark if own else None
    compared = [comparison for comparison in report.comparisons if own and comparison.model == own[0].model]
    real = [score for score in shown if not score.dataset.synthetic]
    synthetic = [score for score in shown if score.dataset.synthetic]
    return {
        "real_scores": score_tables.format_scores(real, digest) if real else None,
        "synthetic_scores": score_tables.format_scores(synthetic, digest) if synthetic else None,
        "figure": SCORES_FIGURE if shown else None,
        "benchmark": benchmark_tables.format_benchmark(benchmark, digest=digest) if benchmark else None,
        "benchmark_name": escape(benchmark.name) if benchmark else None,
        "comparisons": score_tables.format_comparisons(compared) if compared else None,
        "comparison_count": len(report.comparisons),
        "conditions": score_tables.format_conditions(report.all_scores if own else ()),
        "resampling": score_tables.describe_resampling(report.resampling) if own and report.resampling else None,
        "command": format_code(report.command) if own and report.command is not None else None,
        **_finding_values(report, own[0].model if own else None),
    }


def _finding_values(report: ScoreReport, role: str | None) -> dict[str, Any]:
    """Prepare what the run found beside scores: of this model, and of long texts beside the others."""
    profile = [point for point in report.profile if point.model == role]
    long_text = report.long_text if any(point.model == role for point in report.long_text) else ()
    diagnostics = [found for found in report.diagnostics if found.model == role]
    return {
        "findings": finding_tables.format_findings(profile, report.observed_search, long_text, diagnostics),
        "profile_figure": PROFILE_FIGURE if profile else None,
    }


def _tokenizer_values(folder: Path, chain: Sequence[Provenance]) -> dict[str, Any]:
    """Prepare what only a tokenizer's card shows: what of its report, figure and id map its folder holds."""
    report = tokenizer_tables.read_report(folder)
    change = None
    if report is not None:
        change = {
            "source": format_code(format_name(chain[0].identity.input("source").name)),
            "summary": tokenizer_tables.describe_vocabulary(report["vocabulary"]),
            "scripts": tokenizer_tables.format_scripts(report["vocabulary"]["scripts"]),
            "measures": tokenizer_tables.format_measures(report),
            "has_inflection": report["after"]["inflection"] is not None,
            "file": REPORT_FILE,
        }
    return {
        "change": change,
        "figure": FIGURE_FILE if (folder / FIGURE_FILE).is_file() else None,
        "id_map": ID_MAP_FILE if (folder / ID_MAP_FILE).is_file() else None,
    }


def _dataset_values(chain: Sequence[Provenance]) -> dict[str, Any]:
    """Prepare what only a dataset's card shows."""
    counts = chain[0].observed.counts
    configs = card_metadata.dataset_configs(chain[0])
    return {
        "rows_by_language": corpora.format_splits(chain[0], configs),
        "embedding_dim": escape(str(counts.get("embedding_dim") or "")),
        "pre_dense_dim": escape(str(counts.get("pre_dense_dim") or "")),
        "is_parallel": "teacher_text" in counts.get("columns", ()),
        "checked": history.describe_check(chain[0]),
        "example_config": card_metadata.default_config(configs),
    }


def _recorded_languages(chain: Sequence[Provenance]) -> list[str]:
    """Return the languages of the nearest step that read a corpus, as far as a corpus names them by their codes."""
    found = next((found for record in chain if (found := lineage.languages_of(record))), ())
    return list(filter(_LANGUAGE.fullmatch, found))


def _render(template: str, values: Mapping[str, Any]) -> str:
    """Fill a template in which every name has to be given."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        loader=jinja2.FunctionLoader(_read_template),
    )
    return environment.get_template(template).render(values)


def _read_template(name: str) -> str:
    """Read a packaged template."""
    return resources.files("hf_turkembed.model_cards").joinpath(name).read_text(encoding="utf-8")
