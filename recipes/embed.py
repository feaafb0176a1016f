"""Write the teacher's vectors of a corpus, once, as Parquet shards.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/embed.py RECIPE [section.key=value ...]
"""

from hf_turkembed.corpus import sample_rows
from hf_turkembed.distillation import (
    BatchedEncoder,
    check_vectors,
    count_rows,
    embed_corpus,
    list_shards,
    remove_checksums,
)
from hf_turkembed.step import finish_step, open_step
from inputs import clear_errors, fetch, load_encoder, read_recipe, start_process_group, text_sources

# Stored vectors that are compared with the teacher's once more at the end.
_CHECKED_ROWS = 100


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "embed")
    with clear_errors():
        accelerator = start_process_group()
        with open_step(recipe, "embed", resumable=True, group=accelerator) as step:
            if step.done or recipe.embed is None:
                return
            config = recipe.embed
            folder = fetch(recipe, step.identity, "teacher", config.teacher)
            sources = text_sources(recipe, step.identity, "corpus", config.corpus)
            teacher = BatchedEncoder(
                load_encoder(folder, config.precision, accelerator.device, config.attention),
                max_length=config.max_length,
                batch_tokens=config.batch_tokens,
                prompt=config.prompt,
                pre_dense=config.pre_dense,
                extend_window=config.extend_window,
            )
            embed_corpus(
                teacher,
                {source.language: sample_rows(source, seed=recipe.seed) for source in sources},
                step.partial,
                shard_rows=config.shard_rows,
                validation_rows=config.validation_rows,
                test_rows=config.test_rows,
                parallel=config.corpus.is_parallel,
                rank=accelerator.process_index,
                num_processes=accelerator.num_processes,
            )
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                checked = check_vectors(teacher, step.partial, rows=_CHECKED_ROWS, seed=recipe.seed)
                counts = count_rows(step.partial, config.batch_tokens) | {"checked": checked}
                remove_checksums(step.partial)
                outputs = list_shards(step.partial)
                finish_step(step, counts=counts, num_processes=accelerator.num_processes, outputs=outputs)
        accelerator.end_training()


if __name__ == "__main__":
    main()
