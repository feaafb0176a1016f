"""What a repo's files are, checked before anything in them runs: their names, digests, headers and code."""

import re
from collections.abc import Iterator
from pathlib import Path

from hf_turkembed import record as records
from hf_turkembed import tokenizer_tables
from hf_turkembed.chain import LINEAGE_FILE
from hf_turkembed.checkpoint import list_tensors
from hf_turkembed.json_files import read_json
from hf_turkembed.modeling.repository import check_network, check_widths, expected_code
from hf_turkembed.profile_figure import PROFILE_FIGURE
from hf_turkembed.publishing.adapters import ADAPTER_WEIGHTS, wrong_adapter
from hf_turkembed.publishing.card_metadata import CARD_FILE
from hf_turkembed.publishing.comparisons import Check, check_faults
from hf_turkembed.publishing.corpora import wrong_texts
from hf_turkembed.publishing.eval_results import EVAL_RESULTS_FOLDER
from hf_turkembed.publishing.licences import NOTICE_FILE
from hf_turkembed.publishing.lineage import ADAPTER_CONFIG, RepoKind, trained_widths
from hf_turkembed.publishing.private_text import find_private_text
from hf_turkembed.score_figure import SCORES_FIGURE
from hf_turkembed.scores import SCORES_FILE

_COMMON = (
    re.escape(CARD_FILE),
    "LICENSE",
    re.escape(NOTICE_FILE),
    re.escape(records.PROVENANCE_FILE),
    re.escape(LINEAGE_FILE),
    re.escape(SCORES_FILE),
    # The Hub's own.
    r"\.gitattributes",
)
_TOKENIZER = (
    r"tokenizer\.json",
    r"tokenizer_config\.json",
    r"special_tokens_map\.json",
    r"added_tokens\.json",
    r"vocab\.txt",
)
_NAMES: dict[RepoKind, tuple[str, ...]] = {
    "model": (
        *_COMMON,
        *_TOKENIZER,
        r"config\.json",
        r"modules\.json",
        r"config_sentence_transformers\.json",
        r"sentence_bert_config\.json",
        r"model(-\d{5}-of-\d{5})?\.safetensors",
        r"model\.safetensors\.index\.json",
        r"\d+_[A-Z]\w*/(config\.json|model\.safetensors)",
        rf"adapter/({re.escape(ADAPTER_CONFIG)}|{re.escape(ADAPTER_WEIGHTS)}|{re.escape(records.PROVENANCE_FILE)})",
        r"modeling_\w+\.py",
        re.escape(SCORES_FIGURE),
        re.escape(PROFILE_FIGURE),
        rf"{re.escape(EVAL_RESULTS_FOLDER)}/[\w.-]+\.yaml",
    ),
    "adapter": (*_COMMON, re.escape(ADAPTER_CONFIG), re.escape(ADAPTER_WEIGHTS)),
    "tokenizer": (
        *_COMMON,
        *_TOKENIZER,
        re.escape(tokenizer_tables.REPORT_FILE),
        re.escape(tokenizer_tables.FIGURE_FILE),
        re.escape(tokenizer_tables.ID_MAP_FILE),
    ),
    "corpus": (*_COMMON, r"data/[\w-]+/\w+-\d{5}\.parquet"),
    "dataset": (*_COMMON, r"data/[\w-]+/\w+-\d{5}\.parquet"),
}
# What loaders read besides weights; the model's own `auto_map` is looked at with its code.
_CONFIGS = re.compile(r"(\d+_\w+/)?(\w*config\w*|modules|special_tokens_map)\.json")
# The format's names for types, by those of config.json.
_DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


def check_contents(folder: Path, kind: RepoKind) -> list[Check]:
    """Check the files of a repo without loading any of it.

    Args:
        folder: A staged or published repo.
        kind: What it holds.

    Returns:
        One check each for names and digests; if these pass also for paths and tokens in texts, and configs that name
        code of others; for a model also for its widths, its code and the headers of its weights, for an adapter for
        what its config and the headers of its weights say, for a tokenizer for its report, for a set of texts for its
        rows.
    """
    checks = [check_faults("files", _wrong_names(folder, kind)), check_faults("digests", wrong_digests(folder))]
    if not all(check.passed for check in checks):
        return checks
    checks.append(check_faults("private text", find_private_text(folder, list_names(folder))))
    checks.append(check_faults("code of others", _foreign_code(folder)))
    if kind == "model":
        widths = check_faults("trained widths", _wrong_widths(folder))
        checks += [widths, check_faults("remote code", _wrong_code(folder))]
        if widths.passed:
            checks.append(check_faults("weights fit config.json", _wrong_weights(folder)))
    if kind == "adapter":
        checks.append(check_faults("adapter fits its record", wrong_adapter(folder)))
    if kind == "corpus":
        checks.append(check_faults("texts", wrong_texts(folder)))
    if kind == "tokenizer" and (folder / tokenizer_tables.REPORT_FILE).is_file():
        checks.append(check_faults("tokenizer report", _wrong_report(folder)))
    return checks


def list_names(folder: Path) -> list[str]:
    """List the files of a folder by relative path; in a download they are links."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _wrong_names(folder: Path, kind: RepoKind) -> Iterator[str]:
    """Name files that no repo of this kind holds, and links to what is not in it."""
    roots = [folder.resolve()]
    if roots[0].parent.name == "snapshots":
        # A download is links into the cache: into the repo's own part of it, and by xet into one that repos share.
        roots += [parent / "blobs" for parent in roots[0].parents[1:3]]
    for name in list_names(folder):
        if not any((folder / name).resolve().is_relative_to(root) for root in roots):
            yield f"`{name}` is a link that leads out of the repo; remove it"
        if not any(re.fullmatch(pattern, name) for pattern in _NAMES[kind]):
            yield f"`{name}` is no file of a published {kind}; remove it"


def wrong_digests(folder: Path) -> Iterator[str]:
    """Name files that differ from what the record says of them, and weights of which it says nothing."""
    expected = records.read_provenance(folder).observed.outputs
    for name in list_names(folder):
        if (records.is_output(name) or name.endswith(".parquet")) and name not in expected:
            yield f"the record has no digest of `{name}`; run the step that wrote it again"
    for name, digest in expected.items():
        if not (folder / name).is_file():
            yield f"`{name}`, which the record names, is missing"
        elif (found := records.digest_file(folder / name)) != digest:
            yield f"`{name}` has the SHA-256 {found[:16]}, the record says {digest[:16]}; fetch it again"


def _wrong_widths(folder: Path) -> Iterator[str]:
    """Say what is wrong with the widths that config.json declares."""
    widths = read_json(folder / "config.json").get("matryoshka_dims")
    if not widths:
        yield (
            "config.json has no `matryoshka_dims`; write them with "
            "`hf_turkembed.modeling.repository.write_matryoshka_code(folder, matryoshka_dims)`"
        )
        return
    check_widths(widths)
    if (recorded := trained_widths(records.read_provenance(folder))) != tuple(widths):
        yield f"config.json has the `matryoshka_dims` {list(widths)}, the record says {list(recorded)}; publish again"


def _foreign_code(folder: Path) -> Iterator[str]:
    """Name configs by which a loader that trusts the repo would import code from elsewhere."""
    for name in filter(_CONFIGS.fullmatch, list_names(folder)):
        config = read_json(folder / name)
        for key in ("auto_map", "custom_pipelines") if isinstance(config, dict) else ():
            if config.get(key) and (name, key) != ("config.json", "auto_map"):
                yield f"`{name}` has the `{key}` {config[key]!r}, which names code; remove it"


def _wrong_code(folder: Path) -> Iterator[str]:
    """Name code that is not this package's own, byte for byte."""
    reference, files = expected_code(folder)
    found = read_json(folder / "config.json").get("auto_map")
    if found != {"AutoModel": reference}:
        yield f"config.json has the `auto_map` {found!r}, expected {{'AutoModel': {reference!r}}}"
    expected = {file.name: file for file in files}
    for name in sorted({*expected, *(name for name in list_names(folder) if name.endswith(".py"))}):
        if name not in expected:
            yield f"`{name}` is no code of this package; remove it"
        elif not (folder / name).is_file():
            yield f"`{name}` is missing"
        elif (folder / name).read_bytes() != expected[name].read_bytes():
            yield f"`{name}` is not this package's; publish again, or verify with the version that published it"


def _wrong_weights(folder: Path) -> Iterator[str]:
    """Say where the headers of the weights differ from what config.json and the modules' own configs describe."""
    config = read_json(folder / "config.json")
    check_network(folder, config["matryoshka_dims"])
    named = _DTYPES.get(config.get("dtype"))
    stored = sorted({tensor.dtype for tensor in list_tensors(folder).values() if tensor.dtype in _DTYPES.values()})
    if named is not None and stored != [named]:
        yield f"the weights are stored as {', '.join(stored)}, config.json says {config['dtype']}"


def _wrong_report(folder: Path) -> Iterator[str]:
    """Say where the report on a tokenizer differs from the tokenizer."""
    # The surgery behind it is of no use to models and datasets.
    from hf_turkembed.tokenizer import describe_tokenizer, read_tokenizer

    report = tokenizer_tables.read_report(folder) or {}
    found = describe_tokenizer(read_tokenizer(folder / "tokenizer.json"), {}, {})
    for key in ("vocab_size", "unreachable"):
        if (stated := report["after"][key]) != getattr(found, key):
            yield f"the report states {key} {stated}, the tokenizer has {getattr(found, key)}"
