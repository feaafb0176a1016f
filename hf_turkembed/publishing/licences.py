"""Whose terms go along with what is published."""

import re
from collections.abc import Sequence

from hf_turkembed.markdown import format_code, format_name
from hf_turkembed.record import Provenance

NOTICE_FILE = "NOTICE"
GEMMA_TERMS = "https://ai.google.dev/gemma/terms"
# What the Gemma terms ask to stand in every copy of a derivative.
_NOTICES = {"gemma": f"Gemma is provided under and subject to the Gemma Terms of Use found at {GEMMA_TERMS}\n"}
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
# Beginnings of the Hub's ids of licences that bind what is made from a work, not the work alone.
_BINDING = ("agpl", "bigscience", "cc-by-nc", "cc-by-sa", "creativeml", "gemma", "gpl", "llama", "openrail", "odbl")


def choose_licence(license: str | None, chain: Sequence[Provenance]) -> str | None:
    """Return the licence under which a folder may be published.

    Args:
        license: Hub licence id, or None where nobody has stated one.
        chain: Records behind the folder.

    Returns:
        The given one; without one, the one that binds what was made from an input, or None where none does. Texts keep
        the one that their own recipe states, which is not that of a model they are for; vectors have theirs where
        there is no other, see also `header_licence`.

    Raises:
        ValueError: If the given one is no id, or an input is under terms that go along with everything made from it,
            and they are others.
    """
    if license is not None and not _LICENCE.fullmatch(license):
        raise ValueError(
            f"`license` is {license!r}, expected a licence id of the Hub, such as 'apache-2.0' or 'gemma'."
        )
    if chain[0].identity.step == "corpus" and (own := text_licence(chain)) is not None:
        return own
    binding = {licence: name for name, licence in recorded_licences(chain).items() if licence.startswith(_BINDING)}
    if license is None:
        own = text_licence(chain) if chain[0].identity.step == "embed" else None
        license = next(iter(binding), own)
    for licence, name in binding.items():
        if licence != license:
            raise ValueError(
                f"`license` is {license!r}, but {name} is under {licence!r}, whose terms go along with everything "
                f"made from it; publish it under {licence!r}."
            )
    return license


def header_licence(license: str | None, chain: Sequence[Provenance]) -> str | list[str] | None:
    """Return what the header of a card states: of vectors, which hold their texts as well, the texts' licence too."""
    texts = text_licence(chain) if chain[0].identity.step == "embed" else None
    return license if license is None or texts in (None, license) else [license, texts]


def first_licence(stated: str | list[str] | None) -> str | None:
    """Return the licence of what was made, of those that a header states."""
    return stated[0] if isinstance(stated, list) else stated


def recorded_licences(chain: Sequence[Provenance]) -> dict[str, str]:
    """List the licences that the inputs of a chain stated, by name of the input, in the order of the names."""
    found = {}
    for record in chain:
        for role, licence in record.observed.licenses.items():
            found[format_name(record.identity.input(role).name)] = licence
    return dict(sorted(found.items()))


def text_licence(chain: Sequence[Provenance]) -> str | None:
    """Return the licence that a recipe stated for the texts behind a folder."""
    stated = (record.identity.recipe.get("license") for record in chain if record.identity.step == "corpus")
    return next(stated, None)


def describe_terms(license: str | None, chain: Sequence[Provenance]) -> str:
    """State the licence, and those of the inputs."""
    stated = header_licence(license, chain)
    own = "None was stated." if license is None else f"{format_code(license)}."
    if isinstance(stated, list):
        own = f"{format_code(stated[0])}, and {format_code(stated[1])} for the texts that stand beside the vectors."
    if license == "gemma":
        own += f" The [Gemma Terms of Use]({GEMMA_TERMS}) apply, see `{NOTICE_FILE}`."
    text = f"{own} The terms of what it was made from, named above, stay in force"
    recorded = [
        f"{format_code(name)} under {format_code(licence)}" for name, licence in recorded_licences(chain).items()
    ]
    if (texts := text_licence(chain)) is not None and chain[0].identity.step != "corpus":
        recorded.append(f"the texts under {format_code(texts)}")
    return f"{text}: {', '.join(recorded)}." if recorded else f"{text}."


def notice_for(license: str | None) -> str | None:
    """Return the text that has to stand beside what is published under a licence, or None."""
    return _NOTICES.get(license or "")
