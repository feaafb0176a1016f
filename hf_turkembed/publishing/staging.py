"""A step's folder as it would stand in its repo: complete, with its card, and with nothing that must not leave."""

import codecs
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import ModelCard, get_token

from hf_turkembed import profile_figure, score_figure, score_tables
from hf_turkembed import record as records
from hf_turkembed.json_files import read_json
from hf_turkembed.publishing import eval_results, licences
from hf_turkembed.publishing.card_metadata import CARD_FILE
from hf_turkembed.scores import ScoreReport, write_scores

logger = logging.getLogger(__name__)

# What every file of a model class imports.
_SHARED_CODE = "modeling_matryoshka.py"
# Formats other than safetensors, most of which can run code when they are read.
_FORBIDDEN_SUFFIXES = frozenset(
    {
        *(".bin", ".ckpt", ".dill", ".gguf", ".h5", ".joblib", ".keras", ".mar", ".msgpack", ".npy", ".npz", ".onnx"),
        *(".pickle", ".pkl", ".pt", ".pth", ".pyc", ".so"),
    }
)
# What training leaves beside a model.
_FORBIDDEN_NAMES = re.compile(
    r"checkpoint-\d+|(optimizer|scheduler|scaler|rng_state|random_states|trainer_state|training_args)([._-].*)?",
    re.IGNORECASE,
)
# Files that nothing rewrites in place, so that a hard link is safe; they are the large ones.
_LINKED_SUFFIXES = frozenset({".safetensors", ".parquet"})
# A licence or a notice has no suffix.
_TEXT_SUFFIXES = frozenset({"", ".json", ".jsonl", ".md", ".py", ".txt", ".yaml", ".yml"})
# The one hidden folder that the Hub reads.
_EVAL_RESULTS = re.compile(r"\.eval_results(/[^/.][^/]*\.yaml)?$")
# Bytes; the format of safetensors allows no longer header.
_LONGEST_HEADER = 100_000_000
# What access tokens and private keys look like: of the Hub, GitHub, Amazon, OpenAI, and in PEM.
_TOKEN = (
    r"hf_(?:oauth_|jwt_)?[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|AKIA[0-9A-Z]{16}"
    r"|sk-[A-Za-z0-9-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# Folders of people and of mounted disks, with two names below them; vocabularies hold such strings for other reasons.
_FOREIGN_PATH = re.compile(
    r"(?<![\w.:/-])/(?:home|Users|mnt|media|scratch)/[\w.-]+/[\w./-]+|\b[A-Z]:\\+Users\\+[\w.\\-]+"
)
_VOCABULARIES = frozenset({"tokenizer.json", "vocab.txt"})


def stage_folder(folder: Path, staged: Path, *, card: str, report: ScoreReport) -> None:
    """Write the repo that a step's folder becomes: its files, the card and what it shows, and the model class's code.

    Args:
        folder: Output folder of a step; it is not changed.
        staged: New folder; what it holds after an error is to be thrown away.
        card: Text of README.md, which replaces the one sentence-transformers writes.
        report: Scores of the run, for scores.json and, where the folder's own are among them, a figure and
            `.eval_results`; an empty one for no such files.

    Raises:
        ValueError: If a file must not be published (the message names it), or a text file holds a path of this
            machine or an access token (the message names file and line).
        FileNotFoundError: If the folder does not exist.
        FileExistsError: If `staged` exists.
    """
    files = list_files(folder)
    staged.mkdir(parents=True)
    for name in files:
        _place(folder / name, staged / name)
    restore_model_code(staged)
    if (folder / records.PROVENANCE_FILE).is_file():
        records.write_lineage(staged, records.read_chain(folder))
    (staged / CARD_FILE).write_text(card, encoding="utf-8")
    if notice := licences.notice_for(ModelCard(card).data.get("license")):
        (staged / licences.NOTICE_FILE).write_text(notice, encoding="utf-8")
    if report.all_scores:
        _write_scores(staged, report)
    check_texts(staged, _private_paths(folder))


def _write_scores(staged: Path, report: ScoreReport) -> None:
    """Write the scores, and where some are the folder's own what shows them."""
    write_scores(staged, report)
    own = score_tables.own_scores(report.all_scores, records.digest_model(staged))
    if not own:
        return
    if report.scores:
        score_figure.plot_scores(report, staged / score_figure.SCORES_FIGURE)
    if profile := [point for point in report.profile if point.model == own[0].model]:
        profile_figure.plot_profile(profile, staged / profile_figure.PROFILE_FIGURE)
    for name, text in eval_results.format_eval_results(own).items():
        (staged / name).parent.mkdir(exist_ok=True)
        (staged / name).write_text(text, encoding="utf-8")


def list_files(folder: Path) -> list[str]:
    """List the files of a folder by relative path, all of which may be published.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If one of them may not be: a pickle, a training state, a hidden file, a link that leads out.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected the output folder of a step.")
    root = folder.resolve()
    names = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if reason := _refusal(path, name, root):
            raise ValueError(f"{folder}: `{name}` {reason}; nothing was published. Remove it from the folder.")
        if path.is_file():
            names.append(name)
    return names


def restore_model_code(folder: Path) -> None:
    """Write the files of the model class again where a checkpoint has its trained widths but lost the code.

    sentence-transformers keeps `auto_map` in config.json when it saves, but not the files that it names, and writes
    small files in a form that not all servers read.

    Args:
        folder: A staged folder; one without `matryoshka_dims` in its config.json is left as it is, and so are code and
            `auto_map` where both are there.

    Raises:
        ValueError: If no class is known for the `model_type`, or `auto_map` names a class that is not ours.
    """
    config_path = folder / "config.json"
    config = read_json(config_path) if config_path.is_file() else {}
    if not config.get("matryoshka_dims"):
        return
    from hf_turkembed.modeling.repository import write_matryoshka_code
    from hf_turkembed.modeling.server_files import write_server_files

    reference = config.get("auto_map", {}).get("AutoModel")
    if reference and all((folder / name).is_file() for name in (f"{reference.partition('.')[0]}.py", _SHARED_CODE)):
        write_server_files(folder)
        return
    write_matryoshka_code(folder, config["matryoshka_dims"])
    written = read_json(config_path)["auto_map"]["AutoModel"]
    if reference not in (None, written):
        raise ValueError(
            f"config.json names the class `{reference}` in `auto_map`, whose file is missing; for its `model_type` "
            f"the class is `{written}`. Correct it with "
            "`hf_turkembed.modeling.repository.write_matryoshka_code(folder, matryoshka_dims)`."
        )


def check_texts(folder: Path, private_paths: Sequence[str]) -> None:
    """Look through all text, that which large files hold beside their numbers as well, for paths and access tokens.

    Args:
        folder: A staged folder.
        private_paths: Absolute paths that no published file may hold.

    Raises:
        ValueError: If a file holds one; the message names file and line, and does not repeat a token.
    """
    patterns = [_path_pattern(path) for path in private_paths]
    own = get_token()
    secret = re.compile(_TOKEN if own is None else f"{_TOKEN}|{re.escape(own)}")
    for name in list_files(folder):
        text = _read_text(folder / name)
        for pattern in patterns if Path(name).name in _VOCABULARIES else [*patterns, _FOREIGN_PATH]:
            if found := pattern.search(text):
                raise ValueError(
                    f"`{name}`, line {_line_of(text, found)}, holds the path {found.group()!r} of one machine; "
                    "nothing was published. Write a Hub id or a relative name there."
                )
        if found := secret.search(text):
            raise ValueError(
                f"`{name}`, line {_line_of(text, found)}, holds what looks like an access token or a private "
                "key; nothing was published. Remove it, and revoke it."
            )


def _read_text(path: Path) -> str:
    """Return the text of a file, what the formats of large files keep beside numbers; nothing for other files."""
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            return stream.read(min(length, _LONGEST_HEADER)).decode("utf-8", "replace")
    if suffix == ".parquet":
        try:
            kept = pq.read_metadata(path).metadata or {}
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{path.name} is no whole Parquet file ({error}); run the step that wrote it again."
            ) from error
        return "\n".join(part.decode("utf-8", "replace") for item in kept.items() for part in item)
    if suffix not in _TEXT_SUFFIXES:
        return ""
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    return content.decode(encoding, "replace")


def _refusal(path: Path, name: str, root: Path) -> str | None:
    """Say why a file may not be published, or None if it may."""
    if any(part.startswith(".") or part == "__pycache__" for part in name.split("/")) and not _EVAL_RESULTS.match(
        name
    ):
        return "is hidden or a cache"
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return "is a link that leads out of the folder"
    if path.is_symlink() and not path.exists():
        return "is a broken link"
    if path.is_symlink() and path.is_dir():
        return "is a link to a folder"
    if path.suffix.lower() in _FORBIDDEN_SUFFIXES:
        return "may run code when it is loaded, where safetensors would not"
    if any(map(_FORBIDDEN_NAMES.fullmatch, name.split("/"))):
        return "is a state of training, not part of a model"
    return None


def _place(source: Path, target: Path) -> None:
    """Link a large file, or copy it where linking is not possible; copy all others."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix in _LINKED_SUFFIXES:
        try:
            os.link(source.resolve(), target)
        except OSError:
            logger.debug("%s lies on another file system; copied.", source)
        else:
            return
    shutil.copyfile(source, target)


def _private_paths(folder: Path) -> list[str]:
    """List the directories of this machine that a step may have written into a file."""
    run = folder.resolve()
    known = {
        run,
        run.parent,
        Path.cwd(),
        Path.home(),
        Path(tempfile.gettempdir()),
        Path(tempfile.gettempdir()).resolve(),
    }
    return sorted(str(path) for path in known if len(path.parts) > 1)


def _path_pattern(path: str) -> re.Pattern[str]:
    """Match a path where it is named: a deep one alone, one of the root's children only with something below it.

    Vocabularies hold strings such as `/tmp` and `/root`, which say nothing about a machine.
    """
    literal = re.escape(path)
    below = r"(?![\w-])" if len(Path(path).parts) > 2 else r"/[\w.-]+"
    # What stands before is looked at last: a pattern that begins with a literal is searched for far faster.
    return re.compile(rf"{literal}(?<![\w.-]{literal}){below}")


def _line_of(text: str, found: re.Match[str]) -> int:
    """Return the number of the line in which a match begins."""
    return text.count("\n", 0, found.start()) + 1
