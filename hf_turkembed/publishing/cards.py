"""Cards: rendered from the records of a folder's chain and the scores of its run, and from nothing else."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from hf_turkembed import record as records
from hf_turkembed import score_tables, tokenizer_tables
from hf_turkembed.markdown import format_name
from hf_turkembed.publishing import card_metadata, history, lineage
from hf_turkembed.record import Provenance
from hf_turkembed.scores import ScoreReport
from hf_turkembed.tokenizer_tables import FIGURE_FILE, ID_MAP_FILE, REPORT_FILE


def render_card(
    folder: Path, *, repo_id: str, license: str | None, languages: Sequence[str], report: ScoreReport
) -> str:
    """Render the README.md of a folder that a step wrote.

    Args:
        folder: Output folder of a step, with its record and the records of its chain beside it.
        repo_id: `org/name` on the Hub.
        license: Hub licence id, or None where nobody has stated one.
        languages: ISO 639 codes; none for those of the corpus in the records.
        report: Scores of the run, or an empty report. The ones whose `model_digest` is the digest of `folder` are this
            model's own, the others stand beside them.

    Returns:
        The card; the same arguments and records give the same text.

    Raises:
        FileNotFoundError: If `folder` has no record.
        ValueError: If the output of its step is not published, or a record is damaged.
    """
    chain = records.read_chain(folder)
    kind = lineage.kind_of_step(chain[0].identity.step)
    languages = list(languages) or _recorded_languages(chain)
    common = {
        "repo_id": repo_id,
        "license": license,
        "description": history.describe(chain),
        "is_made_up": lineage.is_made_up(chain),
        "history": history.format_history(chain),
        "fertility": history.format_fertility(chain),
        "rows": history.describe_rows(chain),
        "distillation": history.describe_distillation(chain),
        "versions": history.format_versions(chain[0]),
        "papers": history.papers(chain),
    }
    if kind == "model":
        values = _model_values(folder, chain, repo_id, license, languages, report)
    elif kind == "tokenizer":
        metadata = card_metadata.tokenizer_metadata(chain, license=license, languages=languages)
        values = {"metadata": metadata, "limits": history.tokenizer_limits(chain), **_tokenizer_values(folder, chain)}
    else:
        metadata = card_metadata.dataset_metadata(chain, license=license, languages=languages)
        values = {"metadata": metadata, "limits": history.dataset_limits(chain), **_dataset_values(chain)}
    return _render(f"{kind}.md.j2", {**common, **values})


def _model_values(
    folder: Path,
    chain: Sequence[Provenance],
    repo_id: str,
    license: str | None,
    languages: Sequence[str],
    report: ScoreReport,
) -> dict[str, Any]:
    """Prepare what only a model's card shows."""
    digest = records.digest_path(folder)
    roles = score_tables.own_roles(report.scores, digest)
    own = [score for score in report.scores if score.model in roles[:1]]
    shown = report.scores if own else ()
    compared = [comparison for comparison in report.comparisons if comparison.model in roles[:1]]
    real = [score for score in shown if not score.dataset.synthetic]
    synthetic = [score for score in shown if score.dataset.synthetic]
    widths = lineage.trained_widths(chain[0])
    limits = history.model_limits(folder, chain)
    if statement := score_tables.teacher_statement(shown):
        limits.append(statement)
    return {
        "metadata": card_metadata.model_metadata(
            chain, repo_id=repo_id, license=license, languages=languages, own_scores=own
        ),
        "widths": history.describe_widths(widths),
        # Small enough to show the saving, where the model has such a width.
        "example_width": next((width for width in widths if 2 * width <= widths[0]), widths[-1]),
        "real_scores": score_tables.format_scores(real, digest) if real else None,
        "synthetic_scores": score_tables.format_scores(synthetic, digest) if synthetic else None,
        "comparisons": score_tables.format_comparisons(compared) if compared else None,
        "comparison_count": len(report.comparisons),
        "conditions": score_tables.format_conditions(shown),
        "resampling": score_tables.describe_resampling(report.resampling) if own and report.resampling else None,
        "command": report.command if own else None,
        "limits": limits,
    }


def _tokenizer_values(folder: Path, chain: Sequence[Provenance]) -> dict[str, Any]:
    """Prepare what only a tokenizer's card shows: what of its report, figure and id map its folder holds."""
    report = tokenizer_tables.read_report(folder)
    change = None
    if report is not None:
        change = {
            "source": format_name(chain[0].identity.input("source").name),
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
        "rows_by_language": [
            (name, f"{counts['languages'][name]:,}", ", ".join(card_metadata.splits_of(chain[0], name)))
            for name in configs
        ],
        "embedding_dim": counts.get("embedding_dim"),
        "pre_dense_dim": counts.get("pre_dense_dim"),
        "is_parallel": "teacher_text" in counts.get("columns", ()),
        "checked": history.describe_check(chain[0]),
        "example_config": card_metadata.default_config(configs),
    }


def _recorded_languages(chain: Sequence[Provenance]) -> list[str]:
    """Return the languages of the nearest step that read a corpus."""
    return list(next((found for record in chain if (found := lineage.languages_of(record))), ()))


def _render(template: str, values: dict[str, Any]) -> str:
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
