"""What became of a vocabulary: tokens that stayed, went and came, by script."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tokenizers import Tokenizer

from hf_turkembed.tokenizer.scripts import script_of
from hf_turkembed.tokenizer.source import BYTE_TOKENS

_EXAMPLES = 5
# Groups beside the scripts, in lower case so that none can be taken for one.
_RESERVED, _WITHOUT_LETTERS, _MIXED = "special and byte tokens", "without letters", "several scripts"
# What stands among the letters of more than one script: accents that are written apart, the Japanese length mark.
_NEUTRAL = frozenset({_WITHOUT_LETTERS, "COMBINING", "MODIFIER", "KATAKANA-HIRAGANA"})


@dataclass(frozen=True, kw_only=True)
class ScriptChange:
    """The tokens of one script that two vocabularies do not share."""

    # Script of all letters of the tokens, such as `LATIN`; in lower case what has no single one.
    script: str
    # Tokens that only the first vocabulary has.
    dropped: int
    # Tokens that only the second vocabulary has.
    new: int
    # The dropped tokens with the lowest ids, which most tokenizers give to what they learnt first.
    dropped_examples: tuple[str, ...]
    # The new tokens with the lowest ids.
    new_examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class VocabularyChange:
    """Two vocabularies side by side, their tokens matched by string."""

    # Tokens that both have.
    kept: int
    # Tokens that only the first has.
    dropped: int
    # Tokens that only the second has.
    new: int
    # By script, the most changed first.
    scripts: tuple[ScriptChange, ...]


def compare_vocabularies(before: Tokenizer, after: Tokenizer) -> VocabularyChange:
    """Count the tokens that two tokenizers of any model type do not share, by script.

    Args:
        before: The first tokenizer.
        after: The second tokenizer.

    Returns:
        Counts, with examples.
    """
    old, new = before.get_vocab(), after.get_vocab()
    dropped = _group(before, sorted(old.keys() - new.keys(), key=old.__getitem__))
    added = _group(after, sorted(new.keys() - old.keys(), key=new.__getitem__))
    changes = [
        ScriptChange(
            script=script,
            dropped=len(dropped.get(script, ())),
            new=len(added.get(script, ())),
            dropped_examples=tuple(dropped.get(script, ())[:_EXAMPLES]),
            new_examples=tuple(added.get(script, ())[:_EXAMPLES]),
        )
        for script in dropped.keys() | added.keys()
    ]
    return VocabularyChange(
        kept=len(old.keys() & new.keys()),
        dropped=sum(change.dropped for change in changes),
        new=sum(change.new for change in changes),
        scripts=tuple(sorted(changes, key=lambda change: (-change.dropped - change.new, change.script))),
    )


def _group(tokenizer: Tokenizer, pieces: Iterable[str]) -> dict[str, list[str]]:
    """Sort tokens by script, keeping their order."""
    reserved = BYTE_TOKENS.union(token.content for token in tokenizer.get_added_tokens_decoder().values())
    groups: dict[str, list[str]] = {}
    for piece in pieces:
        groups.setdefault(_script_of_piece(piece, reserved), []).append(piece)
    return groups


def _script_of_piece(piece: str, reserved: AbstractSet[str]) -> str:
    """Name the script of the letters of a piece."""
    if piece in reserved:
        return _RESERVED
    scripts = {script_of(character) or _WITHOUT_LETTERS for character in piece} - _NEUTRAL
    if len(scripts) > 1:
        return _MIXED
    return scripts.pop() if scripts else _WITHOUT_LETTERS
