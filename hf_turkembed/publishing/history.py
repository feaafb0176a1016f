"""How a folder was made, as card sections: the table of its chain, its description, its limits, its citations."""

from collections.abc import Mapping, Sequence
from typing import Any

from hf_turkembed.markdown import (
    escape,
    format_code,
    format_name,
    format_seconds,
    format_settings,
    format_source,
    format_table,
    format_value,
)
from hf_turkembed.publishing import lineage
from hf_turkembed.record import Input, Provenance

# The settings of each step that a reader of a card asks for; all of them are in provenance.json.
_SETTINGS = {
    "sandbox": ("sentences", "triplets", "pairs"),
    "tokenizer": ("vocab_size", "new_tokens"),
    "corpus": ("validation_rows", "test_rows"),
    "clone": ("matryoshka_dims", "max_length"),
    "embed": ("max_length", "extend_window", "prompt", "precision", "attention", "validation_rows", "test_rows"),
    "distill": (
        "matryoshka_dims",
        "epochs",
        "batch_size",
        "learning_rate",
        "embedding_learning_rate",
        "max_length",
        "precision",
        "keep",
        "pre_dense_weight",
        "similarity_weight",
        "new_rows_ratio",
    ),
    "finetune": ("max_length",),
}
_STAGE_SETTINGS = ("matryoshka_dims", "batch_size")
_TRAINING_SETTINGS = (
    "num_train_epochs",
    "learning_rate",
    "warmup_steps",
    "bf16",
)
_ROLE_NAMES = {"base_model": "base model", "heldout": "held out", "stages": "data"}
# Sources of one role that are named one by one; more are counted.
_NAMED_SOURCES = 3


def format_history(chain: Sequence[Provenance]) -> str:
    """Lay out the chain as a table, first step first."""
    header = ["step", "from", "settings", "counted", "time", "machine", "cost"]
    rows = [
        [
            _step_name(record),
            _format_inputs(record.identity.inputs),
            _format_recipe(record),
            _format_counts(record.observed.counts),
            _format_time(record),
            _format_machine(record),
            _format_cost(record),
        ]
        for record in lineage.order_chain(chain)
    ]
    filled = [index for index, _ in enumerate(header) if any(row[index] for row in rows)]
    return format_table([header[i] for i in filled], [[row[i] for i in filled] for row in rows])


def format_versions(record: Provenance) -> str:
    """Name the versions that wrote a folder."""
    packages = record.observed.packages
    named = [
        f"{name} {escape(packages[name])}"
        for name in ("sentence-transformers", "transformers", "torch")
        if name in packages
    ]
    return ", ".join([f"hf_turkembed {escape(record.identity.code)}", *named])


def describe(chain: Sequence[Provenance]) -> str:
    """Say in one sentence what the published folder is."""
    record = chain[0]
    step = record.identity.step
    if step == "tokenizer":
        size, languages = record.identity.recipe["vocab_size"], len(lineage.languages_of(record))
        return (
            f"A tokenizer of {size:,} tokens, made from {_name(record, 'source')} for text in {languages} languages."
        )
    if step == "corpus":
        count = len(record.observed.counts.get("languages", ()))
        return f"Texts in {count} languages to distil sentence encoders on, without vectors."
    if step == "embed":
        return f"Texts and their sentence embeddings by {_name(record, 'teacher')}, stored for distillation."
    width = lineage.trained_widths(record)[0]
    if step == "clone":
        return (
            f"A sentence encoder of {width} dimensions: the network of {_name(record, 'teacher')} around an adapted "
            "vocabulary, not trained since."
        )
    made = []
    if distill := lineage.find_step(chain, "distill"):
        embed = lineage.find_step(chain, "embed")
        teacher = _name(distill, "vectors") if embed is None else _name(embed, "teacher")
        made.append(f"distilled from {teacher}")
    if stages := [_step_name(r) for r in lineage.order_chain(chain) if r.identity.step == "finetune"]:
        base = lineage.find_base_model(chain)
        origin = "" if made or base is None else f" from {format_code(format_name(base.name))}"
        made.append(f"fine-tuned{origin} ({', '.join(stages)})")
    return f"A sentence encoder of up to {width} dimensions, {', then '.join(made)}."


def describe_widths(widths: Sequence[int]) -> str:
    """Say which prefixes of a sentence embedding are embeddings too."""
    whole = f"A sentence embedding has {widths[0]} dimensions"
    if len(widths) == 1:
        return f"{whole}; no shorter width was trained."
    return f"{whole}. Its first {format_value(widths[1:])} are embeddings too, once they are normalised again."


def describe_use(chain: Sequence[Provenance], kind: lineage.RepoKind, languages: Sequence[str]) -> str:
    """Say what a published folder is meant for."""
    if lineage.is_made_up(chain):
        return "Tests of the pipeline that made it, and nothing else."
    named = f" in {format_value(languages)}" if languages else ""
    if kind == "tokenizer":
        return f"Cutting text{named} into the tokens of a model that was made around this tokenizer."
    if kind == "corpus":
        return (
            "Training, distilling or comparing encoders on the very texts of this run, under the terms of the sources "
            "named below."
        )
    if kind == "dataset":
        return (
            f"Training a smaller encoder towards {_name(chain[0], 'teacher')} without running it again. The texts are "
            "those of the corpus named below, under its terms."
        )
    return (
        f"Sentence embeddings of text{named}, compared by cosine: similarity, search, clustering, finding duplicates, "
        "and as features of a classifier. Measure it on data of your own before you rely on it."
    )


def describe_training_rows(chain: Sequence[Provenance]) -> str | None:
    """Say how many texts of each language a student was distilled on, or None where no record counts them."""
    embed = lineage.find_step(chain, "embed")
    if embed is None or chain[0].identity.step == "embed":
        return None
    splits = embed.observed.counts.get("splits") or {"train": embed.observed.counts.get("languages", {})}
    rows = splits.get("train", {})
    if not rows:
        return None
    named = ", ".join(f"{escape(language)} {format_value(count)}" for language, count in rows.items())
    text = f"Texts whose vectors the distillation read, by language: {named}."
    if _is_parallel(chain):
        text += (
            " They are parallel text: the vector of a text is what the teacher makes of another one of the same "
            "meaning, such as its translation, where it has one."
        )
    return text


def _is_parallel(chain: Sequence[Provenance]) -> bool:
    """Tell whether the teacher may have read other texts than the student."""
    embed = lineage.find_step(chain, "embed")
    return embed is not None and "teacher_text" in embed.observed.counts.get("columns", ())


def model_limits(chain: Sequence[Provenance]) -> list[str]:
    """State the limits of a published model that its records hold."""
    widths = format_value(lineage.trained_widths(chain[0]))
    limits = [f"Trained widths: {widths}. AutoModel refuses any other.", *length_limits(chain)]
    if chain[0].identity.step == "clone":
        limits.append("The network has not been trained since its vocabulary changed: expect less than its teacher.")
    return limits


def length_limits(chain: Sequence[Provenance]) -> list[str]:
    """State which part of a text a model reads, and which it was trained on."""
    limits = []
    if clone := lineage.find_step(chain, "clone"):
        limits.append(f"Texts longer than {clone.identity.recipe['max_length']:,} tokens are cut.")
    for record in chain:
        if record.identity.step in ("distill", "finetune"):
            length = record.identity.recipe["max_length"]
            limits.append(f"Training in {_step_name(record)} saw at most the first {length:,} tokens of a text.")
    return limits


def tokenizer_limits(chain: Sequence[Provenance]) -> list[str]:
    """State the limits of a published tokenizer."""
    return [
        f"Its ids are its own: the embedding table of {_name(chain[0], 'source')} does not fit it; use it with a "
        "model that was made around it.",
        f"Its corpus held {format_value(lineage.languages_of(chain[0]))}; other languages were not measured.",
    ]


def dataset_limits(chain: Sequence[Provenance]) -> list[str]:
    """State the limits of published teacher vectors."""
    recipe = chain[0].identity.recipe
    prompt = "no prompt" if recipe.get("prompt") is None else f"the prompt {format_code(recipe['prompt'])}"
    return [
        f"The vectors hold what {_name(chain[0], 'teacher')} makes of a text with {prompt}, its mistakes included.",
        f"The teacher read at most {recipe['max_length']:,} of its tokens of a text; longer texts are cut there.",
        "The vectors are stored in float16.",
    ]


def format_fertility(chain: Sequence[Provenance]) -> str | None:
    """Lay out tokens per word before and after the change of vocabulary, or None if the chain changed none.

    Where a student was made, a column has its cosine with the teacher before any training, and where it was distilled,
    another has that on rows kept from training, unless the teacher read another text there.
    """
    record = lineage.find_step(chain, "tokenizer")
    if record is None:
        return None
    changes = record.observed.counts.get("fertility", ())
    clone = lineage.find_step(chain, "clone")
    agreement = clone.observed.counts.get("agreement", {}) if clone else {}
    kept = _kept_evaluation(chain)
    distilled = {} if kept is None or _is_parallel(chain) else kept["cosine"]
    cosines = {"untrained": agreement, "distilled": distilled}
    shown = {name: found for name, found in cosines.items() if found}
    header = ["language", "before", "after", "tokens", *(f"cosine with the teacher, {name}" for name in shown)]
    rows = [
        [
            escape(row["language"]),
            f"{row['before']['tokens_per_word']:.3f}",
            f"{row['after']['tokens_per_word']:.3f}",
            f"{100 * row['change']:+.1f} %",
            *(f"{found[row['language']]:.3f}" if row["language"] in found else "" for found in shown.values()),
        ]
        for row in changes
    ]
    return format_table(header, rows) if rows else None


def describe_rows(chain: Sequence[Provenance]) -> str | None:
    """Say what the rows of new tokens started as and how close the untrained student was, or None without a clone."""
    record = lineage.find_step(chain, "clone")
    rows = record.observed.counts.get("reconstruction") if record else None
    if record is None or rows is None:
        return None
    name = escape(record.identity.recipe.get("initialization", "mean").replace("_", " "))
    text = (
        f"Rows of new tokens started as the {name} of the rows of their pieces"
        if name != "random"
        else "Rows of new tokens started at random"
    )
    text += (
        f". For {rows['tokens']:,} tokens that the teacher has, rows made in this way have a mean cosine of "
        f"{rows['cosine']:.3f} with the real ones and a mean relative L2 distance of {rows['relative_l2']:.3f}."
    )
    if agreement := record.observed.counts.get("agreement"):
        low, high = min(agreement, key=agreement.__getitem__), max(agreement, key=agreement.__getitem__)
        text += (
            " Before any training, embeddings of held-out sentences had a mean cosine with the teacher's of "
            f"{agreement[low]:.3f} ({escape(low)}) to {agreement[high]:.3f} ({escape(high)})."
        )
    return text


def format_held_out_cosines(chain: Sequence[Provenance]) -> str | None:
    """Lay out a student's cosines with its teacher by language and width, or None where nobody measured."""
    record = lineage.find_step(chain, "distill")
    counts = record.observed.counts if record else {}
    before, after = counts.get("untrained_cosine"), counts.get("distilled_cosine")
    if not before or not after:
        return None
    widths = list(next(iter(after.values())))
    rows = [
        [escape(language), *(_format_gain(before[language][width], cells[width]) for width in widths)]
        for language, cells in after.items()
    ]
    return format_table(["language", *map(escape, widths)], rows)


def _format_gain(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Write a mean before and after, the latter with its interval."""
    return f"{before['cosine']:.3f} to {after['cosine']:.3f} [{after['low']:.3f}, {after['high']:.3f}]"


def describe_distillation(chain: Sequence[Provenance]) -> str | None:
    """Say how close the student came to its teacher on rows kept from training; nothing where nobody measured."""
    record, kept = lineage.find_step(chain, "distill"), _kept_evaluation(chain)
    if record is None or kept is None:
        return None
    best = record.identity.recipe.get("keep") == "best"
    when = f"where distillation did best, after step {kept['step']:,}," if best else "at the end of distillation"
    cosines = kept["cosine"]
    low, high = min(cosines, key=cosines.__getitem__), max(cosines, key=cosines.__getitem__)
    text = (
        f"On rows that were kept from training, embeddings {when} had a mean cosine with the teacher's of "
        f"{cosines[low]:.3f} ({escape(low)}) to {cosines[high]:.3f} ({escape(high)}), over {len(cosines)} languages."
    )
    if _is_parallel(chain):
        text += " The teacher's are those of the other text of the same meaning, where a row has one."
    return text


def _kept_evaluation(chain: Sequence[Provenance]) -> Mapping[str, Any] | None:
    """Return what was measured of the weights that distillation kept, or None where nobody measured."""
    record = lineage.find_step(chain, "distill")
    evaluations = record.observed.counts.get("evaluations") if record else None
    if record is None or not evaluations or not evaluations[-1]["cosine"]:
        return None
    if record.identity.recipe.get("keep") != "best":
        return dict(evaluations[-1])
    return next(dict(entry) for entry in evaluations if entry["step"] == record.observed.counts["best_step"])


def describe_check(record: Provenance) -> str | None:
    """Say how stored vectors compare with the teacher's, computed once more; nothing where that was not measured."""
    checked = record.observed.counts.get("checked")
    if not checked:
        return None
    return (
        f"Once all were stored, {checked['rows']:,} random rows were embedded again: the lowest cosine with the "
        f"stored vectors is {checked['lowest_cosine']:.5f}."
    )


def papers(chain: Sequence[Provenance]) -> list[str]:
    """Name the methods in the chain that a paper describes: `cloning`, `finetuning`."""
    steps = {record.identity.step for record in chain}
    found = {"cloning": steps & {"clone", "distill"}, "finetuning": steps & {"finetune"}}
    return [name for name, present in found.items() if present]


def _step_name(record: Provenance) -> str:
    """Name a step, with its stage."""
    step = record.identity.step
    return format_code(f"{step}-{lineage.stage_name(record)}" if step == "finetune" else step)


def _name(record: Provenance, role: str) -> str:
    """Name the input of a record in running text."""
    return format_code(format_name(record.identity.input(role).name))


def _format_inputs(inputs: Sequence[Input]) -> str:
    """Name the inputs by role; where a role has many sources, count them."""
    groups: dict[str, list[Input]] = {}
    for source in inputs:
        groups.setdefault(source.role.partition(".")[0], []).append(source)
    named = {
        role: ", ".join(map(format_source, group)) if len(group) <= _NAMED_SOURCES else f"{len(group)} sources"
        for role, group in groups.items()
    }
    return "; ".join(f"{_ROLE_NAMES.get(role, escape(role))}: {sources}" for role, sources in named.items())


def _format_recipe(record: Provenance) -> str:
    """Write the settings that matter, of switches those that are on."""
    step, recipe = record.identity.step, record.identity.recipe
    settings = {key: recipe.get(key) for key in _SETTINGS.get(step, ())}
    chosen: dict[str, Any] = {key: value for key, value in settings.items() if value is not False}
    if step == "finetune":
        stage = recipe["stages"][lineage.stage_name(record)]
        training = {key: stage["training"].get(key) for key in _TRAINING_SETTINGS}
        losses = [task["loss"] for task in stage["tasks"].values()]
        chosen = {"loss": losses, **{key: stage[key] for key in _STAGE_SETTINGS}, **chosen, **training}
        if stage["lora"] is not None:
            chosen["LoRA rank"] = stage["lora"]["rank"]
    if languages := lineage.languages_of(record):
        chosen["languages"] = len(languages)
    return format_settings({**chosen, "seed": record.identity.seed})


def _format_counts(counts: Mapping[str, Any]) -> str:
    """Write the single numbers that a step counted; lists and tables are in provenance.json."""
    return format_settings({key: value for key, value in counts.items() if isinstance(value, (int, float))})


def _format_time(record: Provenance) -> str:
    """Write the wall time, and over how many runs."""
    runs = record.observed.runs
    return format_seconds(record.observed.seconds) + (f", the last of {runs} runs" if runs > 1 else "")


def _format_machine(record: Provenance) -> str:
    """Write processors, memory and accelerators."""
    hardware = record.observed.hardware
    parts = [escape(name) for name in hardware.get("accelerators", ())]
    if "cpus" in hardware:
        parts.append(f"{escape(str(hardware['cpus']))} CPU cores")
    if "memory_gib" in hardware:
        parts.append(f"{escape(str(hardware['memory_gib']))} GiB")
    if record.observed.num_processes > 1:
        parts.append(f"{record.observed.num_processes} processes")
    return ", ".join(parts)


def _format_cost(record: Provenance) -> str:
    """Write the cost where a price was given."""
    cost, price = record.observed.cost, record.observed.price_per_hour
    # What runs cost that were cut off, nobody wrote down.
    least = "at least " if record.observed.runs > 1 else ""
    return "" if cost is None or price is None else f"{least}${cost:.2f} at ${price:.2f} an hour"
