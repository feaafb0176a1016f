"""How close a new table, and the student around it, are to the teacher before any training."""

import json
import random
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from hf_turkembed.checkpoint import StoredTensor
from hf_turkembed.cloning.composition import Initialization, compose_table, plan_rows, spell_tokens
from hf_turkembed.json_files import read_json
from hf_turkembed.tokenizer.reading import read_tokenizer
from hf_turkembed.tokenizer.scripts import script_of_letters

_HELD_OUT = 5000
# Rows that stay, from which `scaled_mean` and `random` take their measure.
_REFERENCE = 20_000


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Rows of existing tokens beside what they would have been composed to."""

    # Tokens that were held out.
    tokens: int
    # Mean cosine of the composed row and the real one.
    cosine: float
    # Mean norm of the difference, divided by the norm of the real row.
    relative_l2: float


def measure_reconstruction(
    tokenizer: Path, table: StoredTensor, initialization: Initialization, *, seed: int
) -> Reconstruction:
    """Measure how close the rows that `recompose_rows` makes are to the real ones.

    Args:
        tokenizer: Folder of the teacher's tokenizer.
        table: The teacher's table, `(teacher_rows, hidden_size)`.
        initialization: How rows are composed.
        seed: Chooses the tokens.

    Returns:
        How close the rows are.

    Raises:
        ValueError: If the tokenizer has no token to hide.
    """
    return compare_rows(*recompose_rows(tokenizer, table, initialization, seed=seed))


def recompose_rows(
    tokenizer: Path, table: StoredTensor, initialization: Initialization, *, seed: int
) -> tuple[Tensor, Tensor]:
    """Hide up to 5,000 of the teacher's own tokens of two letters and more, and compose their rows anew.

    This is the only case in which the row that a composed one should have is known.

    Args:
        tokenizer: Folder of the teacher's tokenizer.
        table: The teacher's table, `(teacher_rows, hidden_size)`.
        initialization: How rows are composed.
        seed: Chooses the tokens.

    Returns:
        The composed rows and the real ones, each `(tokens, hidden_size)` in float32.

    Raises:
        ValueError: If the tokenizer has no such token.
    """
    teacher = read_tokenizer(tokenizer / "tokenizer.json")
    added = {token.content for token in teacher.get_added_tokens_decoder().values()}
    vocabulary = {token: row for token, row in teacher.get_vocab().items() if row < table.shape[0]}
    words = [token for token in sorted(vocabulary) if token not in added and _is_word(token)]
    generator = random.Random(seed)
    hidden = generator.sample(words, min(_HELD_OUT, len(words) // 2))
    without = hide_tokens(tokenizer / "tokenizer.json", set(hidden))
    spelled = spell_tokens(without, hidden, table.shape[0])
    held_out = [token for token, pieces in zip(hidden, spelled, strict=True) if pieces]
    if not held_out:
        raise ValueError(f"{tokenizer}: no token of two letters or more can be spelled with others.")
    rest = sorted(vocabulary.keys() - set(hidden))
    tokens = [*held_out, *generator.sample(rest, min(_REFERENCE, len(rest)))]
    made = compose_table(table, plan_rows(without, tokens, table.shape[0]), initialization, seed=seed)
    real = compose_table(table, plan_rows(teacher, held_out, table.shape[0]), initialization, seed=seed)
    return made[: len(held_out)].float(), real.float()


def compare_rows(made: Tensor, real: Tensor) -> Reconstruction:
    """Compare composed rows with the real ones, each `(tokens, hidden_size)`."""
    norms = real.norm(dim=1).clamp(min=1e-12)
    return Reconstruction(
        tokens=len(real),
        cosine=float(torch.cosine_similarity(made, real).mean()),
        relative_l2=float(((made - real).norm(dim=1) / norms).mean()),
    )


def measure_agreement(teacher: Path, student: Path, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Compare the sentence embeddings of teacher and student, by language.

    The two are in memory one after the other.

    Args:
        teacher: Folder of the teacher.
        student: Folder of the student.
        texts: Sentences by language.

    Returns:
        The mean cosine by language, in the order of `texts`.
    """
    first, second = (_encode(folder, texts) for folder in (teacher, student))
    return {language: float(torch.cosine_similarity(first[language], second[language]).mean()) for language in texts}


def hide_tokens(path: Path, hidden: AbstractSet[str]) -> Tokenizer:
    """Load a tokenizer of any model type without some of its tokens; the others keep their ids.

    Args:
        path: A tokenizer.json.
        hidden: The tokens.
    """
    content = read_json(path)
    model = content["model"]
    if model["type"] == "Unigram":
        # Its ids are positions, so that a hidden piece stays, as one that no text spells.
        model["vocab"] = [[f"\0{piece}" if piece in hidden else piece, score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {token: row for token, row in model["vocab"].items() if token not in hidden}
    if "merges" in model:
        pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
        model["merges"] = [pair for pair in pairs if hidden.isdisjoint((*pair, "".join(pair)))]
    return Tokenizer.from_str(json.dumps(content))


def _is_word(token: str) -> bool:
    """Tell whether a token is two or more letters of one script."""
    return script_of_letters(token) is not None and len(token.removeprefix("▁")) > 1


def _encode(folder: Path, texts: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """Encode sentences in float32."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), model_kwargs={"dtype": "float32"})
    sentences = [sentence for lines in texts.values() for sentence in lines]
    embeddings = torch.from_numpy(model.encode(sentences, batch_size=64))
    return dict(zip(texts, embeddings.split([len(lines) for lines in texts.values()]), strict=True))
