"""A small step, the recipe that asks for it, and what runs it."""

from hf_turkembed.recipe import load_recipe
from hf_turkembed.step import finish_step, open_step


def write_recipe(folder):
    """Write a recipe and its inputs; return what reads it with overrides."""
    for name in ("teacher", "tokenizer"):
        (folder / name).mkdir()
        (folder / name / "tokenizer.json").write_text(name)
    path = folder / "recipe.yaml"
    path.write_text(
        f"output_dir: {folder}/run\nseed: 1\nsteps: [clone]\ndata_root: {folder}\nclone:\n"
        '  teacher: "{data_root}/teacher"\n  tokenizer: "{data_root}/tokenizer"\n'
        "  matryoshka_dims: [8]\n  max_length: 16\n"
        '  heldout: {languages: [tr], folders: ["{data_root}/teacher"]}\n'
    )

    def load(*overrides):
        return load_recipe(path, overrides)

    return load


def run(recipe, text="result"):
    """Do the step, whose result is a text."""
    with open_step(recipe, "clone") as step:
        (step.partial / "result.txt").write_text(text)
        finish_step(step, counts={"rows": 1}, outputs=("result.txt",))
    return step
