"""Build the student: the teacher's network around an adapted tokenizer.

python recipes/clone.py recipes/magibu/real_small.yaml data_root=DIR
"""

from dataclasses import asdict

from hf_turkembed.cloning import clone_model, find_table, measure_agreement, measure_reconstruction
from hf_turkembed.step import finish_step, open_step
from inputs import fetch, read_all, text_sources
from startup import clear_errors, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "clone")
    with clear_errors(), open_step(recipe, "clone") as step:
        if step.done or recipe.clone is None:
            return
        config = recipe.clone
        teacher = fetch(recipe, step.identity, "teacher", config.teacher)
        texts = read_all(text_sources(recipe, step.identity, "heldout", config.heldout), recipe.seed)
        report = clone_model(
            teacher,
            fetch(recipe, step.identity, "tokenizer", config.tokenizer),
            step.partial,
            matryoshka_dims=config.matryoshka_dims,
            max_length=config.max_length,
            initialization=config.initialization,
            yarn=config.yarn,
            seed=recipe.seed,
        )
        rows = measure_reconstruction(teacher, find_table(teacher), config.initialization, seed=recipe.seed)
        agreement = measure_agreement(teacher, step.partial, texts)
        finish_step(step, counts={**asdict(report), "reconstruction": asdict(rows), "agreement": agreement})


if __name__ == "__main__":
    main()
