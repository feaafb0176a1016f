"""The last section of a card, which names the other repos of its release."""

import re
from collections.abc import Mapping

from hf_turkembed.publishing.hub_state import HubRepo

_HEADING = "\n## Released together with\n\n"
_LINE = re.compile(r"- \[([\w.-]+/[\w.-]+)\]\(https://huggingface\.co/(?:datasets/)?([\w.-]+/[\w.-]+)\): (.+)")

# What the output of a step is to somebody who looks through a release.
ROLES = {
    "tokenizer": "the tokenizer",
    "corpus": "the texts that the vectors are of",
    "embed": "the teacher's vectors that the student was distilled from",
    "clone": "the student before any training",
    "distill": "the distilled student",
}
_STAGE = re.compile(r"(fine-tuned,|the adapter of) stage `[^`]+`")


def format_related(roles: Mapping[HubRepo, str]) -> str:
    """Return the section that names the other repos of the release; nothing where there are none."""
    lines = [f"- [{repo.repo_id}](https://huggingface.co/{repo}): {role}\n" for repo, role in roles.items()]
    return f"{_HEADING}{''.join(lines)}" if lines else ""


def cut_related(card: str) -> tuple[str, str | None]:
    """Split a card before the section that names the other repos of the release.

    Returns:
        What stands before it, and the section, empty where there is none; None where it is not of the form that
        `format_related` gives.
    """
    own, heading, lines = card.partition(_HEADING)
    if not heading:
        return own, ""
    found = [_LINE.fullmatch(line) for line in lines.removesuffix("\n").split("\n")]
    sound = lines.endswith("\n") and all(
        match is not None and match[1] == match[2] and (match[3] in ROLES.values() or _STAGE.fullmatch(match[3]))
        for match in found
    )
    return own, heading + lines if sound else None
