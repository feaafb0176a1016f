"""Write the teacher's vectors of a corpus, once, as Parquet shards.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/embed.py RECIPE [section.key=value ...]
"""

from hf_turkembed.corpus import read_texts
from hf_turkembed.distillation import count_rows, embed_corpus
from hf_turkembed.step import finish_step, open_step
from inputs import clear_errors, fetch, load_encoder, read_recipe, start_process_group, text_sources


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
            embed_corpus(
                load_encoder(folder, config.precision, accelerator.device, config.max_length),
                {source.language: read_texts(source, seed=recipe.seed) for source in sources},
                step.partial,
                shard_rows=config.shard_rows,
                batch_size=config.batch_size,
                prompt=config.prompt,
                rank=accelerator.process_index,
                num_processes=accelerator.num_processes,
            )
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                finish_step(step, counts=count_rows(step.partial), num_processes=accelerator.num_processes)
        accelerator.end_training()


if __name__ == "__main__":
    main()
