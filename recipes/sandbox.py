"""Write the sandbox: made-up Turkish-centred text, and a small teacher trained on it from scratch.

python recipes/sandbox.py recipes/sandbox/magibu.yaml
"""

from hf_turkembed.sandbox.teacher import train_sandbox_teacher
from hf_turkembed.sandbox.text import write_sandbox_text
from hf_turkembed.step import finish_step, open_step
from startup import clear_errors, read_recipe


def main() -> None:
    """Run the step."""
    recipe = read_recipe(__doc__ or "", "sandbox")
    with clear_errors(), open_step(recipe, "sandbox") as step:
        if step.done or recipe.sandbox is None:
            return
        sizes = recipe.sandbox
        rows = write_sandbox_text(
            step.partial, seed=recipe.seed, sentences=sizes.sentences, triplets=sizes.triplets, pairs=sizes.pairs
        )
        teacher = train_sandbox_teacher(step.partial, step.partial / "teacher", seed=recipe.seed)
        finish_step(step, counts={"rows": rows, "teacher": teacher})


if __name__ == "__main__":
    main()
