"""Which script a character belongs to, as far as cutting words and protecting letters needs it."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cache

TURKISH_LETTERS = frozenset("abcçdefgğhıijklmnoöprsştuüvyzABCÇDEFGĞHIİJKLMNOÖPRSŞTUÜVYZâîûÂÎÛ")

# A script belongs to a language when at least this share of the letters in its distinct words is written in it.
_SCRIPT_SHARE = 0.01
_SHARED_CATEGORIES = frozenset({"Nd", "No", "Cc", "Cf", "Zs", "Zl", "Zp"})


@cache
def script_of(character: str) -> str | None:
    """Name the script of one letter or mark.

    The name is the first word of the character's Unicode name (`LATIN`, `CYRILLIC`, `HANGUL`, `CJK`), because the
    standard library has no script property. Modifier letters and combining marks form groups of their own
    (`MODIFIER`, `COMBINING`), so an apostrophe-like letter never joins a Latin word.

    Args:
        character: A string of length 1.

    Returns:
        The script, or None for digits, punctuation, symbols, spaces and unnamed code points.
    """
    if unicodedata.category(character)[0] not in "LM":
        return None
    return unicodedata.name(character, "").partition(" ")[0] or None


def is_shared(character: str) -> bool:
    """Tell whether a character is used with every script: digits, punctuation, symbols, spaces, combining marks.

    Args:
        character: A string of length 1.

    Returns:
        True for such a character, False for letters, private-use and unassigned code points.
    """
    category = unicodedata.category(character)
    return category[0] in "PS" or category in _SHARED_CATEGORIES or script_of(character) == "COMBINING"


def scripts_in_use(characters: Mapping[str, Counter[str]]) -> frozenset[str]:
    """Collect the scripts that the languages of a corpus are written in.

    Args:
        characters: Per language, how often each character occurs in its distinct words.

    Returns:
        Every script that holds at least 1 % of the letters of some language; single foreign names do not count.
    """
    scripts: set[str] = set()
    for counts in characters.values():
        letters: Counter[str] = Counter()
        for character, count in counts.items():
            script = script_of(character)
            if script is not None:
                letters[script] += count
        scripts.update(script for script, count in letters.items() if count >= _SCRIPT_SHARE * letters.total())
    return frozenset(scripts)


def script_of_letters(piece: str) -> str | None:
    """Name the one script of a piece made of letters only, a leading `▁` aside.

    Args:
        piece: A token as it stands in the vocabulary.

    Returns:
        The script, or None when the piece is empty, mixes scripts, or holds anything but letters and marks.
    """
    scripts = {script_of(character) for character in piece.removeprefix("▁")}
    return scripts.pop() if len(scripts) == 1 else None
