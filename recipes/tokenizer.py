"""Adapt a tokenizer to a corpus: prune it, extend it, end at exactly the wanted size.

python recipes/tokenizer.py recipes/magibu/real_small.yaml data_root=DIR
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tokenizers import Tokenizer

from hf_turkembed.corpus import strip_text
from hf_turkembed.corpus_counting import count_corpus
from hf_turkembed.markdown import format_name
from hf_turkembed.recipe import TokenizerConfig
from hf_turkembed.sandbox.inflection import inflected_words, inflectional_suffixes
from hf_turkembed.step import finish_step, open_step
from hf_turkembed.tokenizer import (
    Preferences,
    WordCounts,
    adapt_tokenizer,
    compare_tokenizers,
    find_stem_lengths,
    plot_fertility_change,
    write_id_map,
)
from hf_turkembed.tokenizer_tables import FIGURE_FILE, ID_MAP_FILE, write_report
from inputs import fetch, read_all, text_sources
from startup import clear_errors, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "tokenizer")
    with clear_errors(), open_step(recipe, "tokenizer") as step:
        if step.done or recipe.tokenizer is None:
            return
        config, identity = recipe.tokenizer, step.identity
        corpus = text_sources(recipe, identity, "corpus", config.corpus)
        heldout = text_sources(recipe, identity, "heldout", config.heldout)
        source_folder = fetch(recipe, identity, "source", config.source)
        lines = read_all(heldout, recipe.seed)
        held_out = {strip_text(text) for texts in lines.values() for text in texts}
        counts = count_corpus(corpus, seed=recipe.seed, max_words=config.max_words, held_out=held_out)
        report = adapt_tokenizer(
            source_folder,
            counts,
            step.partial,
            vocab_size=config.vocab_size,
            new_tokens=config.new_tokens,
            language_weights=config.language_weights,
            heldout=lines,
            preferences=read_preferences(config, counts),
        )
        write_report_files(step.partial, source_folder, format_name(identity.input("source").name), lines)
        finish_step(step, counts=asdict(report))


def read_preferences(config: TokenizerConfig, counts: Mapping[str, WordCounts]) -> Preferences:
    """Return what sways the choice of tokens, with the stems of Turkish words where they matter."""
    stems = {}
    if config.stem_penalty and "tr" in counts:
        stems = find_stem_lengths(counts["tr"].words, inflectional_suffixes())
    return Preferences(
        merge_order_prior=config.merge_order_prior, stem_penalty=config.stem_penalty, stem_lengths=stems
    )


def write_report_files(folder: Path, source_folder: Path, source_name: str, heldout: Mapping[str, list[str]]) -> None:
    """Write beside a new tokenizer how it differs from its source: the id map, the report, and a figure."""
    source, adapted = (Tokenizer.from_file(str(path / "tokenizer.json")) for path in (source_folder, folder))
    write_id_map(folder / ID_MAP_FILE, source_name, source, adapted)
    comparison = compare_tokenizers(source, adapted, heldout, inflected_words() if "tr" in heldout else {})
    write_report(folder, comparison)
    plot_fertility_change(comparison.change, folder / FIGURE_FILE)


if __name__ == "__main__":
    main()
