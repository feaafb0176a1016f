"""Adapt a tokenizer to a corpus: prune it, extend it, end at exactly the wanted size.

python recipes/tokenizer.py recipes/magibu/real_small.yaml data_root=DIR
"""

from dataclasses import asdict

from hf_turkembed.corpus import read_texts
from hf_turkembed.step import finish_step, open_step
from hf_turkembed.tokenizer import adapt_tokenizer
from inputs import clear_errors, fetch, read_recipe, text_sources


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "tokenizer")
    with clear_errors(), open_step(recipe, "tokenizer") as step:
        if step.done or recipe.tokenizer is None:
            return
        config, identity = recipe.tokenizer, step.identity
        corpus = text_sources(recipe, identity, "corpus", config.corpus)
        heldout = text_sources(recipe, identity, "heldout", config.heldout)
        report = adapt_tokenizer(
            fetch(recipe, identity, "source", config.source),
            {source.language: read_texts(source, seed=recipe.seed) for source in corpus},
            step.partial,
            vocab_size=config.vocab_size,
            new_tokens=config.new_tokens,
            language_weights=config.language_weights,
            heldout={source.language: list(read_texts(source, seed=recipe.seed)) for source in heldout},
        )
        finish_step(step, counts=asdict(report))


if __name__ == "__main__":
    main()
