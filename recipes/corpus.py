"""Write the texts that a teacher will embed, read once and without repeats, as Parquet by language and split.

python recipes/corpus.py RECIPE [section.key=value ...]
"""

from collections import Counter

from hf_turkembed.corpus import count_texts, list_shards, plan_shards, sample_rows, write_texts
from hf_turkembed.step import finish_step, open_step
from inputs import text_sources
from startup import clear_errors, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "corpus")
    with clear_errors(), open_step(recipe, "corpus") as step:
        if step.done or recipe.corpus is None:
            return
        config = recipe.corpus
        sources = text_sources(recipe, step.identity, "text", config.text)
        left_out: dict[str, Counter[str]] = {source.language: Counter() for source in sources}
        rows = {s.language: sample_rows(s, seed=recipe.seed, left_out=left_out[s.language]) for s in sources}
        shards = plan_shards(
            rows, config.shard_rows, validation_rows=config.validation_rows, test_rows=config.test_rows
        )
        write_texts(step.partial, shards, parallel=config.text.is_parallel)
        counts = count_texts(step.partial) | {"left_out": {name: found for name, found in left_out.items() if found}}
        finish_step(step, counts=counts, outputs=list_shards(step.partial))


if __name__ == "__main__":
    main()
