"""Build the student: the teacher's network around an adapted tokenizer.

python recipes/clone.py recipes/magibu/real_small.yaml data_root=DIR
"""

from dataclasses import asdict

from hf_turkembed.cloning import clone_model
from hf_turkembed.step import finish_step, open_step
from inputs import clear_errors, fetch, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "clone")
    with clear_errors(), open_step(recipe, "clone") as step:
        if step.done or recipe.clone is None:
            return
        config = recipe.clone
        report = clone_model(
            fetch(recipe, step.identity, "teacher", config.teacher),
            fetch(recipe, step.identity, "tokenizer", config.tokenizer),
            step.partial,
            matryoshka_dims=config.matryoshka_dims,
            max_length=config.max_length,
        )
        finish_step(step, counts=asdict(report))


if __name__ == "__main__":
    main()
