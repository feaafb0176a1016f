"""The student: the teacher's network around an adapted tokenizer, with a new embedding table."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import MODEL_MAPPING, AutoConfig, PreTrainedConfig

from hf_turkembed.checkpoint import StoredTensor, list_tensors, write_checkpoint
from hf_turkembed.cloning.composition import Initialization, compose_table, plan_rows
from hf_turkembed.json_files import read_json
from hf_turkembed.modeling.repository import check_network, write_matryoshka_code
from hf_turkembed.modeling.window import unused_positions
from hf_turkembed.tokenizer.reading import read_tokenizer

# Last parts of the table's name in the architectures we clone: Gemma; GTE, BERT and XLM-R; ModernBERT.
_TABLE_NAMES = ("embed_tokens.weight", "word_embeddings.weight", "tok_embeddings.weight")
_POSITIONS = "position_embeddings.weight"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_SETTINGS_FILES = ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json")
_SPECIAL_IDS = ("pad_token", "bos_token", "eos_token", "cls_token", "sep_token")


@dataclass(frozen=True, kw_only=True)
class CloneReport:
    """What became of the embedding table."""

    teacher_parameters: int
    parameters: int
    vocab_size: int
    # Rows copied from the teacher's token of the same spelling, and rows composed of several.
    rows_copied: int
    rows_composed: int
    # Mean number of teacher tokens behind a composed row.
    pieces_per_composed_row: float
    embedding_dim: int
    matryoshka_dims: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Head:
    """A dense layer behind the network."""

    weights: StoredTensor
    parameters: int


def clone_model(
    teacher: Path,
    tokenizer: Path,
    output: Path,
    *,
    matryoshka_dims: Sequence[int],
    max_length: int,
    initialization: Initialization = "mean",
    yarn: bool = False,
    seed: int,
) -> CloneReport:
    """Write the student's folder: new table and tokenizer, everything else bit for bit the teacher's.

    A token the teacher spells the same keeps its row; the row of any other is composed of those of the pieces that the
    teacher's own model cuts it into (https://huggingface.co/papers/2605.29992). Tensors go from file to file, so that
    the new table is all that is held of the two models.

    Args:
        teacher: Folder of a model in the sentence-transformers layout.
        tokenizer: Folder of the adapted tokenizer.
        output: Existing folder to write into.
        matryoshka_dims: Widths the teacher was trained at, largest first; the largest is its embedding dimension.
        max_length: Longest text of the student, in tokens.
        initialization: How new rows are composed; see `compose_table`.
        yarn: Stretch the positions of the layers with full attention from the teacher's window to `max_length`
            (https://huggingface.co/papers/2309.00071), which changes the embeddings of short texts as well.
        seed: Of what is drawn.

    Raises:
        FileNotFoundError: If the teacher or the tokenizer folder lacks a file.
        ValueError: If the teacher has GTE's older layout, would attend causally or overflow its type, its table has
            fewer rows than its tokenizer needs, a weight is not finite or a file damaged, or widths, length or the id
            of padding do not fit. Nothing is written then.
    """
    table = find_table(teacher)
    check_network(teacher, matryoshka_dims)
    for name in _TOKENIZER_FILES:
        if not (tokenizer / name).is_file():
            raise FileNotFoundError(f"{tokenizer} holds no {name}; expected the folder of a fast tokenizer.")
    config = AutoConfig.from_pretrained(teacher)
    tensors = _find_network(teacher, config)
    _check_precision(config, tensors, table, teacher)
    _check_length(tensors, config, max_length, yarn, teacher)
    heads = _find_heads(teacher)
    embedding_dim = heads[-1].weights.shape[0] if heads else config.hidden_size
    if matryoshka_dims[0] != embedding_dim:
        raise ValueError(f"`matryoshka_dims` begins with {matryoshka_dims[0]}, but the teacher gives {embedding_dim}.")
    old_tokenizer = read_tokenizer(teacher / "tokenizer.json")
    _check_rows(old_tokenizer, table, teacher)
    tokens = _list_tokens(tokenizer)
    special_ids = _find_special_ids(tokenizer, tokens, config, old_tokenizer)
    _check_padding(config, special_ids, teacher, tokenizer)
    plan = plan_rows(old_tokenizer, tokens, table.shape[0])
    new_table = compose_table(table, plan, initialization, seed=seed)
    replaced = {name: new_table for name, stored in tensors.items() if stored == table}
    write_checkpoint(output / "model.safetensors", tensors, replaced)
    _write_config(config, special_ids, output, len(tokens), max_length, yarn)
    _copy_tokenizer(tokenizer, output, max_length)
    _copy_modules(teacher, output, max_length)
    write_matryoshka_code(output, matryoshka_dims)
    rest = sum(stored.numel for stored in tensors.values()) - table.numel + sum(head.parameters for head in heads)
    composed = len(plan.composed)
    return CloneReport(
        teacher_parameters=rest + table.numel,
        parameters=rest + new_table.numel(),
        vocab_size=len(new_table),
        rows_copied=len(new_table) - composed,
        rows_composed=composed,
        pieces_per_composed_row=round(len(plan.pieces) / composed, 3) if composed else 0.0,
        embedding_dim=embedding_dim,
        matryoshka_dims=tuple(matryoshka_dims),
    )


def _check_precision(
    config: PreTrainedConfig, tensors: Mapping[str, StoredTensor], table: StoredTensor, teacher: Path
) -> None:
    """Refuse a table of whole numbers, and a Gemma checkpoint that would overflow its type."""
    if "F" not in table.dtype:
        raise ValueError(f"{table.file}: `{table.name}` is stored as {table.dtype}; convert it to float32.")
    stored = [tensor.name for tensor in tensors.values() if tensor.dtype == "F16"]
    if config.model_type == "gemma3_text" and (stored or config.dtype == torch.float16):
        where = f"`{stored[0]}`" if stored else "`dtype` in config.json"
        raise ValueError(
            f"{teacher}: {where} is float16, in which Gemma 3's activations overflow and embeddings become NaN; "
            "convert it to bfloat16 or float32."
        )


def find_table(teacher: Path) -> StoredTensor:
    """Find the token embedding table of a model folder.

    Raises:
        FileNotFoundError: If there is no checkpoint in safetensors.
        ValueError: If there is no such table, or several.
    """
    tensors = list_tensors(teacher)
    found = [name for name in tensors if name.endswith(_TABLE_NAMES)]
    if len(found) != 1:
        raise ValueError(f"{teacher} has the embedding tables {found}, expected one named like {_TABLE_NAMES}.")
    return tensors[found[0]]


def _check_length(
    tensors: Mapping[str, StoredTensor], config: PreTrainedConfig, max_length: int, yarn: bool, teacher: Path
) -> None:
    """Refuse texts longer than a table of positions, and a stretch that the network does not know."""
    unused = unused_positions(config.to_dict())
    for stored in tensors.values():
        if stored.name.endswith(_POSITIONS) and max_length > (window := stored.shape[0] - unused):
            raise ValueError(
                f"`max_length` is {max_length}, but {teacher} has a table of positions for {window} tokens; lower it."
            )
    if max_length < 1:
        raise ValueError(f"`max_length` is {max_length}; expected at least 1.")
    if yarn and config.model_type != "gemma3_text":
        raise ValueError(f"`yarn` is for Gemma 3; {teacher} has the model_type {config.model_type!r}.")
    if yarn and max_length <= config.max_position_embeddings:
        raise ValueError(
            f"`yarn` stretches the window of {config.max_position_embeddings} tokens to `max_length`, which is only "
            f"{max_length}; leave it off."
        )


def _check_padding(config: PreTrainedConfig, special_ids: Mapping[str, int], teacher: Path, tokenizer: Path) -> None:
    """Refuse another id of padding where positions are counted from it, as all of them would be other ones."""
    found = special_ids.get("pad_token_id", config.pad_token_id)
    if unused_positions(config.to_dict()) and found != config.pad_token_id:
        raise ValueError(
            f"{tokenizer} has the `pad_token` at id {found}, but {teacher} counts positions from its own, at "
            f"{config.pad_token_id}; keep it there."
        )


def _check_rows(tokenizer: Tokenizer, table: StoredTensor, teacher: Path) -> None:
    """Refuse a tokenizer with more tokens than the table has rows, but for special ones that text never holds."""
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    past = [token for token, row in tokenizer.get_vocab().items() if row >= table.shape[0] and token not in special]
    if past:
        raise ValueError(
            f"{teacher}/tokenizer.json has {len(past)} tokens without a row, such as {min(past)!r}: the table has "
            f"{table.shape[0]} rows. The two are not of one model."
        )


def _find_network(teacher: Path, config: PreTrainedConfig) -> dict[str, StoredTensor]:
    """List the network's tensors by its own names, without a head for masked tokens that the checkpoint may hold."""
    tensors = list_tensors(teacher)
    network: Any = MODEL_MAPPING[type(config)]
    prefix = f"{network.base_model_prefix}."
    return {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)} or tensors


def _find_heads(teacher: Path) -> list[_Head]:
    """Find the dense layers behind the network, in order."""
    heads = []
    for module in read_json(teacher / "modules.json")[1:]:
        if module["type"].rpartition(".")[2] != "Dense":
            continue
        tensors = list_tensors(teacher / module["path"])
        numbers = sum(stored.numel for stored in tensors.values())
        heads.append(_Head(weights=tensors["linear.weight"], parameters=numbers))
    return heads


def _list_tokens(folder: Path) -> list[str]:
    """List the tokens of a tokenizer by id."""
    vocab: dict[str, int] = read_tokenizer(folder / "tokenizer.json").get_vocab(with_added_tokens=True)
    tokens = sorted(vocab, key=vocab.__getitem__)
    if vocab[tokens[-1]] != len(tokens) - 1:
        raise ValueError(f"{folder}/tokenizer.json has {len(tokens)} tokens, but ids up to {vocab[tokens[-1]]}.")
    return tokens


def _find_special_ids(
    tokenizer: Path, tokens: Sequence[str], config: PreTrainedConfig, old_tokenizer: Tokenizer
) -> dict[str, int]:
    """Find the ids of the special tokens that a config.json holds, by their names, or else by those of the old ids."""
    path = tokenizer / "tokenizer_config.json"
    names = read_json(path)
    found = {key: names[key] for key in _SPECIAL_IDS if isinstance(names.get(key), str)}
    for key, name in found.items():
        if name not in tokens:
            raise ValueError(f"{path} has the `{key}` {name!r}, which is not among the tokens.")
    for key in _SPECIAL_IDS:
        row = getattr(config, f"{key}_id", None)
        name = old_tokenizer.id_to_token(row) if isinstance(row, int) else None
        if key not in found and name in tokens:
            found[key] = name
    return {f"{key}_id": tokens.index(name) for key, name in found.items()}


def _write_config(
    config: PreTrainedConfig,
    special_ids: Mapping[str, int],
    output: Path,
    vocab_size: int,
    max_length: int,
    yarn: bool,
) -> None:
    """Write the student's config.json; through `to_dict`, since some attributes differ from what is stored."""
    content = config.to_dict()
    content["vocab_size"] = vocab_size
    if yarn:
        window = content["max_position_embeddings"]
        content["rope_parameters"]["full_attention"] |= {
            "rope_type": "yarn",
            "factor": max_length / window,
            "original_max_position_embeddings": window,
        }
    content["max_position_embeddings"] = max(max_length, content["max_position_embeddings"])
    content |= {key: value for key, value in special_ids.items() if key in content}
    type(config).from_dict(content).save_pretrained(output)


def _copy_tokenizer(tokenizer: Path, output: Path, max_length: int) -> None:
    """Copy the tokenizer and set its limit, which is where sentence-transformers finds the longest text."""
    for name in _TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, output / name)
    path = output / "tokenizer_config.json"
    settings = read_json(path)
    settings["model_max_length"] = max_length
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_modules(teacher: Path, output: Path, max_length: int) -> None:
    """Copy the sentence-transformers modules."""
    for name in _SETTINGS_FILES:
        if (teacher / name).is_file():
            shutil.copyfile(teacher / name, output / name)
    _set_max_seq_length(output / "sentence_bert_config.json", max_length)
    for module in read_json(teacher / "modules.json")[1:]:
        (output / module["path"]).mkdir()
        for name in ("config.json", "model.safetensors"):
            if (teacher / module["path"] / name).is_file():
                shutil.copyfile(teacher / module["path"] / name, output / module["path"] / name)


def _set_max_seq_length(path: Path, max_length: int) -> None:
    """Correct the limit where an older layout keeps it beside the tokenizer's."""
    settings: dict[str, Any] = read_json(path) if path.is_file() else {}
    if "max_seq_length" in settings:
        settings["max_seq_length"] = max_length
        path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
