"""Write the texts that a teacher will embed, read once and without repeats, as Parquet by language and split.

python recipes/corpus.py RECIPE [section.key=value ...]
"""

from hf_turkembed.corpus import count_texts, list_shards, write_sources
from hf_turkembed.corpus.shards import SCRATCH
from hf_turkembed.step import finish_step, open_step
from inputs import text_sources
from startup import clear_errors, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "corpus")
    with clear_errors(), open_step(recipe, "corpus", resumable=True, scratch=SCRATCH) as step:
        if step.done or recipe.corpus is None:
            return
        config = recipe.corpus
        left_out = write_sources(
            step.partial,
            text_sources(recipe, step.identity, "text", config.text),
            config.shard_rows,
            seed=recipe.seed,
            validation_rows=config.validation_rows,
            test_rows=config.test_rows,
            parallel=config.text.is_parallel,
        )
        counts = count_texts(step.partial) | {"left_out": left_out}
        finish_step(step, counts=counts, outputs=list_shards(step.partial))


if __name__ == "__main__":
    main()
