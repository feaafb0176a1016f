"""Write the teacher's vectors of a corpus, once, as Parquet shards.

accelerate launch --config_file accelerate_configs/cpu.yaml recipes/embed.py RECIPE [section.key=value ...]
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from hf_turkembed import recipe as recipes
from hf_turkembed.corpus import Shard, is_parallel, list_shards, plan_shards, read_shards, sample_rows
from hf_turkembed.distillation import (
    BatchedEncoder,
    check_checksums,
    check_vectors,
    compile_network,
    count_rows,
    embed_corpus,
)
from hf_turkembed.distillation.vectors import SCRATCH
from hf_turkembed.recipe import Recipe
from hf_turkembed.record import PROVENANCE_FILE, Identity, digest_file, read_provenance
from hf_turkembed.step import finish_step, open_step
from inputs import fetch, load_encoder, text_sources
from startup import clear_errors, read_recipe, start_process_group

# Stored vectors that are compared with the teacher's once more at the end.
_CHECKED_ROWS = 100


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "embed")
    with clear_errors():
        accelerator = start_process_group()
        with open_step(recipe, "embed", resumable=True, mendable=True, scratch=SCRATCH, group=accelerator) as step:
            if step.done or recipe.embed is None:
                return
            config = recipe.embed
            folder = fetch(recipe, step.identity, "teacher", config.teacher)
            shards, parallel = read_corpus(recipe, step.identity)
            model = load_encoder(folder, config.precision, accelerator.device, config.attention)
            if config.compile:
                compile_network(model)
            teacher = BatchedEncoder(
                model,
                max_length=config.max_length,
                batch_tokens=config.batch_tokens,
                prompt=config.prompt,
                pre_dense=config.pre_dense,
                extend_window=config.extend_window,
            )
            embed_corpus(
                teacher,
                shards,
                step.partial,
                parallel=parallel,
                recorded=read_outputs(step.partial),
                rank=accelerator.process_index,
                num_processes=accelerator.num_processes,
            )
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                checked = check_vectors(teacher, step.partial, rows=_CHECKED_ROWS, seed=recipe.seed)
                counts = count_rows(step.partial, config.batch_tokens) | {"checked": checked}
                counts["tokenizer"] = digest_file(folder / "tokenizer.json")
                # Another than was asked for where flash attention is not at hand.
                counts["attention"] = model[0].model.config._attn_implementation
                check_checksums(step.partial)
                outputs = list_shards(step.partial)
                finish_step(step, counts=counts, num_processes=accelerator.num_processes, outputs=outputs)
        accelerator.end_training()


def read_outputs(folder: Path) -> Mapping[str, str] | None:
    """Read the digests of the files of a store that was finished once and is to be mended."""
    return read_provenance(folder).observed.outputs if (folder / PROVENANCE_FILE).is_file() else None


def read_corpus(recipe: Recipe, identity: Identity) -> tuple[Iterator[Shard], bool]:
    """Cut the texts into shards; tell whether some have a text that the teacher embeds in their place."""
    config = recipes.section_of(recipe, "embed")
    if config.texts is not None:
        folder = fetch(recipe, identity, "texts", config.texts)
        return read_shards(folder, config.shard_rows), is_parallel(folder)
    sources = text_sources(recipe, identity, "corpus", config.corpus)
    held_out = config.validation_rows + config.test_rows
    rows = {source.language: sample_rows(source, seed=recipe.seed, held_out_rows=held_out) for source in sources}
    shards = plan_shards(rows, config.shard_rows, validation_rows=config.validation_rows, test_rows=config.test_rows)
    return shards, config.corpus.is_parallel


if __name__ == "__main__":
    main()
