"""A step's folder as it would stand in its repo: complete, with its card, and with nothing that must not leave."""

import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import ModelCard

from hf_turkembed import profile_figure, score_figure, score_tables
from hf_turkembed import record as records
from hf_turkembed.chain import read_whole_chain, write_lineage
from hf_turkembed.json_files import read_json
from hf_turkembed.publishing import eval_results, licences
from hf_turkembed.publishing.card_metadata import CARD_FILE
from hf_turkembed.publishing.private_text import find_private_text
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
# The one hidden folder that the Hub reads.
_EVAL_RESULTS = re.compile(r"\.eval_results(/[^/.][^/]*\.yaml)?$")


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
        write_lineage(staged, read_whole_chain(folder))
    (staged / CARD_FILE).write_text(card, encoding="utf-8", newline="\n")
    if notice := licences.notice_for(licences.first_licence(ModelCard(card).data.get("license"))):
        (staged / licences.NOTICE_FILE).write_text(notice, encoding="utf-8", newline="\n")
    if report.all_scores:
        _write_scores(staged, report)
    for fault in find_private_text(staged, list_files(staged), _private_paths(folder)):
        raise ValueError(f"{fault}. Nothing was published.")


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
        (staged / name).write_text(text, encoding="utf-8", newline="\n")


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
