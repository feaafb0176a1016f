"""Loads a folder the way its users would and writes what came out; a script, so that it runs without our package."""

import argparse
import importlib.abc
import json
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_PACKAGE = "hf_turkembed"
# What audit hooks are told before another machine is named, called or written to, or a program starts.
_NETWORK_EVENTS = frozenset(
    {
        *(f"socket.{call}" for call in ("connect", "getaddrinfo", "gethostbyaddr", "gethostbyname", "getnameinfo")),
        *("socket.sendmsg", "socket.sendto"),
        *("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"),
    }
)
# Different lengths, so that a batch of them is padded; Turkish letters, suffixes and case; a few other scripts.
SENTENCES = (
    "Evet.",
    "Hava bugün çok güzel.",
    "İstanbul'daki ışıkları söndürdüler mi?",
    "ILIK SU İÇİNİZ, ağrınız diner.",
    "Çocuklar parkta oynarken yağmur başladı ve hepsi koşarak eve döndü.",
    "Muvaffakiyetsizleştiricileştiriveremeyebileceklerimizdenmişsinizcesine konuştu.",
    "1923 yılında ilan edilen cumhuriyetin yüzüncü yılı 29 Ekim 2023'te kutlandı.",
    "Kitabın son sayfasını okuduktan sonra uzun süre pencereden dışarı baktı; aklına çocukluğu, köydeki ev, "
    "dedesinin anlattığı masallar ve bir daha hiç duymadığı o türkü geldi.",
    "The weather is very nice today.",
    "Die Kinder gingen nach Hause, als es zu regnen begann.",
    "Сегодня очень хорошая погода.",
    "今日はとても天気がいいです。",
)
# How many of them are Turkish.
_TURKISH = 8
# Rows of each config of a dataset that are looked at.
_SAMPLE_ROWS = 256


class _PackageBlocker(importlib.abc.MetaPathFinder):
    """Makes our package unimportable, as it is on a machine that does not have it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Refuse our package and leave all others to the next finder."""
        if name.partition(".")[0] == _PACKAGE:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked by the probe)", name=name)
        return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one probe and write its arrays, none of them pickled.

    Raises:
        RuntimeError: If our package was imported although it was not asked for.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(_PROBES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--widths", type=lambda text: [int(width) for width in text.split(",")], default=[])
    parser.add_argument("--base", type=Path)
    parser.add_argument("--configs", type=lambda text: text.split(","), default=[])
    parser.add_argument("--with-package", action="store_true")
    # A JSON object with pieces of code as a card shows them, by number.
    parser.add_argument("--snippets", type=Path)
    options = parser.parse_args(arguments)
    own_folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != own_folder]
    if not options.with_package:
        sys.meta_path.insert(0, _PackageBlocker())
    sys.addaudithook(_refuse_network)
    results = _PROBES[options.kind](options)
    if options.snippets:
        results |= run_snippets(options)
    if not options.with_package and _PACKAGE in sys.modules:
        raise RuntimeError(f"{_PACKAGE} was imported by a loader that has to work without it.")
    np.savez(options.output, **results)


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what would reach a network: what a folder needs to load has to be in the folder."""
    if event in _NETWORK_EVENTS:
        # The connection, where there is one, is of no interest to a reader.
        reached = [argument for argument in arguments if isinstance(argument, str | bytes | tuple)]
        raise ConnectionRefusedError(f"a loader tried to reach {reached!r}; the probe runs with the network off.")


def run_snippets(options: argparse.Namespace) -> dict[str, Any]:
    """Run the snippets of a card that are for this process, in a folder from which the repo's name leads to it.

    Returns:
        `snippet.<number>`, the sentence embeddings that it leaves under `embeddings`; empty if it leaves none.
    """
    results = {}
    for number, code in json.loads(options.snippets.read_text(encoding="utf-8")).items():
        if (f"import {_PACKAGE}\n" in code) != options.with_package:
            continue
        names: dict[str, Any] = {}
        exec(compile(code, f"<snippet {number} of the card>", "exec"), names)
        embeddings = names.get("embeddings", np.empty((0, 0)))
        if hasattr(embeddings, "detach"):
            embeddings = embeddings.detach().float().numpy()
        results[f"snippet.{number}"] = np.asarray(embeddings)
    return results


def probe_model(options: argparse.Namespace) -> dict[str, Any]:
    """Encode the sentences through AutoModel and, where our package is not there, the other loaders as well.

    Returns:
        `auto.<width>` and `plain.<width>` of shape (sentences, width); `hidden` and `native` of shape (tokens, hidden
        size), real tokens only; `refused`, the message for a width that was not trained, empty if it was taken; with
        our package also what `_describe_tokenizer` gives, and `rows`: how many the table needs, and has.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    if options.with_package:
        __import__(_PACKAGE)
    # One of the four ways that cards name; this process is for that alone, and the code was found to be our own.
    trust = {} if options.with_package else {"trust_remote_code": True}
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    batch = tokenizer(list(SENTENCES), padding=True, truncation=True, return_tensors="pt")
    real = batch["attention_mask"].bool()
    results: dict[str, Any] = {}

    def load(**settings: Any) -> Any:
        return AutoModel.from_pretrained(options.folder, dtype=torch.float32, **settings).eval()

    with torch.inference_mode():
        for width in options.widths:
            model = load(truncate_dim=width, **trust)
            output = model(**batch)
            results[f"auto.{width}"] = output.pooler_output.numpy()
        results["hidden"] = output.last_hidden_state[real].numpy()
        if not options.with_package:
            results["native"] = load()(**batch).last_hidden_state[real].numpy()
    results["refused"] = np.array(_refusal(lambda width: load(truncate_dim=width, **trust), options.widths))
    if not options.with_package:
        return {**results, **_encode_plainly(options)}
    needed = 1 + max(tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False).values())
    rows = len(model.get_input_embeddings().weight)
    return {**results, **_describe_tokenizer(tokenizer), "rows": np.array([needed, rows])}


def _encode_plainly(options: argparse.Namespace) -> dict[str, Any]:
    """Encode the sentences with stock sentence-transformers, without a prompt, at every width."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(options.folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return {
        f"plain.{width}": model.encode(
            list(SENTENCES), prompt="", truncate_dim=width, normalize_embeddings=True, show_progress_bar=False
        )
        for width in options.widths
    }


def _refusal(load: Callable[[int], Any], widths: Sequence[int]) -> str:
    """Return the message with which an untrained width is refused, empty if it is not."""
    untrained = next(width for width in range(min(widths) + 1, max(widths) + 2) if width not in widths)
    try:
        load(untrained)
    except ValueError as error:
        return str(error)
    return ""


def probe_adapter(options: argparse.Namespace) -> dict[str, Any]:
    """Encode the sentences with the base of an adapter, alone and with the adapter beside its weights.

    Returns:
        `base` and `adapted`, of shape (sentences, embedding dim); `unread`, a JSON list of the tensors that the
        adapter lacks or the base has no place for.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(options.base), device="cpu", model_kwargs={"dtype": torch.float32})
    settings: dict[str, Any] = {"prompt": "", "normalize_embeddings": True, "show_progress_bar": False}
    base = model.encode(list(SENTENCES), **settings)
    found: Any = model.load_adapter(str(options.folder))
    unread = json.dumps(sorted({*found.missing_keys, *found.unexpected_keys}))
    return {"base": base, "adapted": model.encode(list(SENTENCES), **settings), "unread": np.array(unread)}


def probe_tokenizer(options: argparse.Namespace) -> dict[str, Any]:
    """Load the tokenizer and measure what a model built on it relies on."""
    from transformers import AutoTokenizer

    return _describe_tokenizer(AutoTokenizer.from_pretrained(options.folder))


def _describe_tokenizer(tokenizer: Any) -> dict[str, Any]:
    """Measure the ids of a tokenizer, and what it makes of the sentences."""
    vocabulary = tokenizer.get_vocab()
    ids = [tokenizer(sentence).input_ids for sentence in SENTENCES]
    restored = [tokenizer.decode(row, skip_special_tokens=True) for row in ids]
    first = tokenizer.cls_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.eos_token_id is None else tokenizer.eos_token_id
    return {
        "sizes": np.array([len(tokenizer), len(vocabulary), max(vocabulary.values()) + 1]),
        "known": np.array(
            [tokenizer.unk_token_id is None or tokenizer.unk_token_id not in row for row in ids[:_TURKISH]]
        ),
        "framed": np.array([row[0] == first and row[-1] == last for row in ids]),
        "restored": np.array([text == sentence for text, sentence in zip(restored, SENTENCES, strict=True)]),
    }


def probe_corpus(options: argparse.Namespace) -> dict[str, Any]:
    """Load every config of a set of texts as its users would, streamed, and look at its first rows.

    Returns:
        For each config `<config>.facts`, a JSON text with columns, their types and the languages of the rows.
    """
    from datasets import load_dataset

    results: dict[str, Any] = {}
    for config in options.configs:
        rows = load_dataset(str(options.folder), config, split="train", streaming=True)
        facts = {
            "columns": sorted(rows.features),
            "types": sorted({feature.dtype for feature in rows.features.values()}),
            "languages": sorted({row["language"] for row in rows.take(_SAMPLE_ROWS)}),
        }
        results[f"{config}.facts"] = np.array(json.dumps(facts))
    return results


def probe_dataset(options: argparse.Namespace) -> dict[str, Any]:
    """Load every config as its users would, streamed, and measure a sample of its rows.

    Returns:
        For each config `<config>.facts`, a JSON text with columns, embedding type, width and languages, and
        `<config>.norms`, the L2 norms of the sample.
    """
    from datasets import load_dataset

    results: dict[str, Any] = {}
    for config in options.configs:
        rows = load_dataset(str(options.folder), config, split="train", streaming=True)
        sample = list(rows.take(_SAMPLE_ROWS))
        vectors = np.array([row["embedding"] for row in sample], dtype=np.float64)
        feature = rows.features["embedding"]
        facts = {
            "columns": sorted(rows.features),
            "type": feature.feature.dtype,
            "width": feature.length,
            "languages": sorted({row["language"] for row in sample}),
        }
        results[f"{config}.facts"] = np.array(json.dumps(facts))
        results[f"{config}.norms"] = np.linalg.norm(vectors, axis=1)
    return results


_PROBES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "adapter": probe_adapter,
    "corpus": probe_corpus,
    "model": probe_model,
    "tokenizer": probe_tokenizer,
    "dataset": probe_dataset,
}

if __name__ == "__main__":
    main()
