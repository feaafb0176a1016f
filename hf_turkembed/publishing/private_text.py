"""What must not be told: paths of one machine, access tokens and private keys, in whatever of a repo holds text."""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub import get_token

# A licence or a notice has no suffix.
_TEXT_SUFFIXES = frozenset({"", ".json", ".jsonl", ".md", ".py", ".txt", ".yaml", ".yml"})
_JSON_SUFFIXES = frozenset({".json", ".jsonl", ".safetensors"})
# Bytes; the format of safetensors allows no longer header.
_LONGEST_HEADER = 100_000_000
# Of the Hub, GitHub, GitLab, Amazon, Google, Slack, Stripe, npm, PyPI, OpenAI and those that name theirs alike, and
# keys in PEM. Python and Arrow both read it, so nothing in it looks ahead or behind.
_TOKEN = (
    r"hf_(?:oauth_|jwt_)?[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}"
    r"|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}"
    r"|ya29\.[A-Za-z0-9_-]{20,}|xox[abeprs]-[A-Za-z0-9_-]{10,}|[rs]k_live_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{36}"
    r"|gsk_[A-Za-z0-9]{40,}|nvapi-[A-Za-z0-9_-]{40,}|xai-[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{30,}|dop_v1_[0-9a-f]{60,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{30,}|pypi-AgE[A-Za-z0-9_-]{30,}"
    r"|sk-(?:proj|svcacct|admin|ant|or)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{32,}"
    r"|(?:secret|SECRET|Secret)[ _-]?(?:(?:access|ACCESS|Access)[ _-]?)?(?:key|KEY|Key)"
    r"[\s\"'`:=]{1,8}[A-Za-z0-9/+]{40}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"
)
# What files of a run have no reason to hold, whereas texts of the Web hold examples of it: keys that begin or are
# short, signed tokens and addresses, and addresses with a name and a password or with a token.
_SECRET = (
    rf"{_TOKEN}|-----BEGIN [A-Z ]*PRIVATE KEY-----|ASIA[0-9A-Z]{{16}}"
    # Slovak is `sk` in the names of datasets, which have no word so long.
    r"|\bsk-(?:[A-Za-z0-9_]{1,12}-){0,4}[A-Za-z0-9]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{8,300}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    r"|X-(?:Amz|Goog)-Signature=[0-9a-fA-F]{16,}|[?&;](?:Signature|sig)=[A-Za-z0-9%/+~_-]{20,}"
    r"|://[^\s/:@]+:[^\s/:@]+@|://[A-Za-z_-]*[0-9][A-Za-z0-9_-]{15,}@"
)
# Folders of people and of mounted disks with two names below them, and a name below one in a home. What stands before
# them would make them a part of an address, or of a path that begins with a placeholder.
_FOREIGN_PATH = re.compile(
    r"(?<![\w.:/}>)*~-])(?:/(?:home|Users|Volumes|mnt|media|scratch|data|workspace|workspaces|work|fsx|srv|content|kaggle"
    r"|root|nfs|gpfs|lustre|storage|projects)/[\w.-]+/[\w./-]+|~(?:[a-z_][a-z0-9_-]*)?/[A-Za-z_.][\w.-]*/[\w./-]+)"
    # A prompt may read `S:\nBu ne?\nC:`, where the signs of a line break are no folder.
    r"|\b[A-Za-z]:(?:\\+(?![nrt](?![a-z]))|/(?!/))[\w. -]+[\\/]+[\w.\\/-]+"
)
# A whole value of JSON that names a place on one machine, whatever its folders are called.
_JSON_PATH = re.compile(r'"(?:file://|~(?:[a-z_][a-z0-9_-]*)?/[A-Za-z_.]|/[\w.-]+/[\w.-]|[A-Za-z]:[\\/]|\\\\)[^"\n]*"')
# Of JSON: what a string cannot hold as it is, and what it may write in another way.
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")
# They hold strings such as `/home/` for other reasons.
_VOCABULARIES = frozenset({"added_tokens.json", "id_map.json", "tokenizer.json", "tokenizer_report.json", "vocab.txt"})
# Rows of a Parquet file that are looked through at a time.
_BATCH_ROWS = 10_000


def find_private_text(folder: Path, names: Iterable[str], private_paths: Sequence[str] = ()) -> Iterator[str]:
    """Look through all text, that which large files hold beside their numbers as well.

    Args:
        folder: A repo.
        names: Its files.
        private_paths: Absolute paths of this machine.

    Yields:
        One fault for each file that holds something private, with file and line or row; it does not repeat a token.

    Raises:
        ValueError: If a Parquet file is damaged.
    """
    patterns = [_path_pattern(path) for path in private_paths]
    own = [re.escape(token) for token in [get_token()] if token is not None]
    secret = "|".join([_SECRET, *own])
    for name in names:
        path = folder / name
        text = _read_text(path)
        searched = list(patterns)
        if path.name not in _VOCABULARIES:
            searched += [_FOREIGN_PATH, *([_JSON_PATH] if path.suffix.lower() in _JSON_SUFFIXES else [])]
        if found := next(filter(None, (pattern.search(text) for pattern in searched)), None):
            yield (
                f"`{name}`, line {_line_of(text, found)}, holds the path {found.group().strip(chr(34))!r} of one "
                "machine; write a Hub id or a relative name there"
            )
        place = _find_line(text, secret)
        if place is None and path.suffix.lower() == ".parquet":
            place = _find_row(path, "|".join([_TOKEN, *own]))
        if place is not None:
            yield (
                f"`{name}`, {place}, holds what looks like an access token or a private key; remove it, and revoke it"
            )


def _read_text(path: Path) -> str:
    """Return the text of a file, what the formats of large files keep beside numbers; nothing for other files."""
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            return _read_escapes(stream.read(min(length, _LONGEST_HEADER)).decode("utf-8", "replace"))
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
    text = content.decode(encoding, "replace")
    return _read_escapes(text) if suffix in _JSON_SUFFIXES else text


def _find_line(text: str, secret: str) -> str | None:
    """Find the first line of a text that holds a secret; None where none does."""
    # Arrow takes a tenth of the time that Python takes for a vocabulary of 30 MB, but does not say where.
    found = pc.match_substring_regex(text, secret).as_py() and re.search(secret, text, re.ASCII)
    return f"line {_line_of(text, found)}" if found else None


def _find_row(path: Path, secret: str) -> str | None:
    """Find the first row of a Parquet file whose text holds an access token or a key; None where none does.

    Rows may name paths: whoever wrote a text of the Web or of an encyclopedia named them, and no step of ours.
    """
    try:
        with pq.ParquetFile(path) as parquet:
            texts = [field.name for field in parquet.schema_arrow if _is_text(field.type)]
            row = 1
            for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=texts) if texts else ():
                for name in texts:
                    rows = batch.column(name).cast(pa.string())
                    found = pc.index(pc.match_substring_regex(rows, secret), True).as_py()
                    if found >= 0:
                        return f"row {row + found} of column `{name}`"
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name} cannot be read ({error}); run the step that wrote it again.") from error
    return None


def _is_text(kind: pa.DataType) -> bool:
    """Tell whether a column holds strings, in whichever way they are stored."""
    stored = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))


def _read_escapes(text: str) -> str:
    """Write strings of JSON as a reader gets them, in the lines in which they stand, and quotes in them as others."""
    return _JSON_ESCAPE.sub(_read_escape, text) if "\\" in text else text


def _read_escape(escape: re.Match[str]) -> str:
    """Return the character that an escape stands for, another for an end of line or string or half of a character."""
    code, letter = escape.groups()
    character = letter if code is None else chr(int(code, 16))
    if character == '"' or "\ud800" <= character <= "\udfff":
        return "'"
    return " " if character < " " or (code is None and letter in "bfnrt") else character


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
