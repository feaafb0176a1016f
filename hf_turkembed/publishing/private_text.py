"""What must not be told: paths of one machine, access tokens and private keys, in whatever of a repo holds text."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import get_token

# A licence or a notice has no suffix.
_TEXT_SUFFIXES = frozenset({"", ".json", ".jsonl", ".md", ".py", ".txt", ".yaml", ".yml"})
# Bytes; the format of safetensors allows no longer header.
_LONGEST_HEADER = 100_000_000
# Of the Hub, GitHub, GitLab, Amazon, Google, Slack, Stripe and OpenAI, in addresses, and keys in PEM.
_SECRET = (
    r"hf_(?:oauth_|jwt_)?[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}"
    r"|glpat-[\w-]{20,}|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{35}|xox[abeprs]-[\w-]{10,}|[rs]k_live_[A-Za-z0-9]{20,}"
    r"|sk-[A-Za-z0-9-]{20,}|://[^\s/:@]+:[^\s/:@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# Folders of people and of mounted disks, with two names below them.
_FOREIGN_PATH = re.compile(
    r"(?<![\w.:/-])/(?:home|Users|mnt|media|scratch)/[\w.-]+/[\w./-]+|\b[A-Z]:\\+Users\\+[\w.\\-]+"
)
# A whole value that names a place on one machine.
_ABSOLUTE_PATH = re.compile(r"(?:file://|~?/[^/\s]+/|[A-Za-z]:[\\/]|\\\\)\S*")
# They hold strings such as `/home/` for other reasons.
_VOCABULARIES = frozenset({"added_tokens.json", "id_map.json", "tokenizer.json", "tokenizer_report.json", "vocab.txt"})


def find_private_text(folder: Path, names: Iterable[str], private_paths: Sequence[str] = ()) -> Iterator[str]:
    """Look through all text, that which large files hold beside their numbers as well.

    Args:
        folder: A repo.
        names: Its files.
        private_paths: Absolute paths of this machine.

    Yields:
        One fault for each file that holds something private, with file and line; it does not repeat a token.

    Raises:
        ValueError: If a Parquet file is damaged.
    """
    patterns = [_path_pattern(path) for path in private_paths]
    own = get_token()
    secret = re.compile(_SECRET if own is None else f"{_SECRET}|{re.escape(own)}")
    for name in names:
        is_vocabulary = Path(name).name in _VOCABULARIES
        text = _read_text(folder / name)
        values = [] if is_vocabulary or Path(name).suffix != ".json" else _json_texts(text)
        for pattern in patterns if is_vocabulary else [*patterns, _FOREIGN_PATH]:
            if found := pattern.search(text):
                yield (
                    f"`{name}`, line {_line_of(text, found)}, holds the path {found.group()!r} of one machine; "
                    "write a Hub id or a relative name there"
                )
                break
        else:
            if path := next(filter(_ABSOLUTE_PATH.fullmatch, values), None):
                yield f"`{name}` holds the path {path!r} of one machine; write a Hub id or a relative name there"
        if found := secret.search(text):
            yield (
                f"`{name}`, line {_line_of(text, found)}, holds what looks like an access token or a private key; "
                "remove it, and revoke it"
            )
        elif any(map(secret.search, values)):
            yield f"`{name}` holds what looks like an access token or a private key; remove it, and revoke it"


def _read_text(path: Path) -> str:
    """Return the text of a file, what the formats of large files keep beside numbers; nothing for other files."""
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            return stream.read(min(length, _LONGEST_HEADER)).decode("utf-8", "replace")
    if suffix == ".parquet":
        try:
            schema = pq.read_schema(path)
        except pa.ArrowInvalid as error:
            message = f"{path.name} is no whole Parquet file ({error}); run the step that wrote it again."
            raise ValueError(message) from error
        kept = [schema.metadata or {}, *(field.metadata or {} for field in schema)]
        return "\n".join(part.decode("utf-8", "replace") for items in kept for item in items.items() for part in item)
    if suffix not in _TEXT_SUFFIXES:
        return ""
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    return content.decode(encoding, "replace")


def _json_texts(text: str) -> list[str]:
    """List the texts of a JSON file as a reader gets them; none where it is damaged, which others say."""
    try:
        waiting: list[Any] = [json.loads(text)]
    except ValueError:
        return []
    texts = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
    return texts


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
