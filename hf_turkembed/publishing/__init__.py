"""From a step's folder to a published repo: card, staging, verification, and then the outbox or the Hub."""

from hf_turkembed.publishing.cards import render_card
from hf_turkembed.publishing.comparisons import Check
from hf_turkembed.publishing.hub import PlannedFile, fetch_folder, push_folder
from hf_turkembed.publishing.outbox import write_to_outbox
from hf_turkembed.publishing.publication import Published, publish_folder
from hf_turkembed.publishing.staging import stage_folder
from hf_turkembed.publishing.verification import Verification, check_loaders, verify_folder

__all__ = [
    "Check",
    "PlannedFile",
    "Published",
    "Verification",
    "check_loaders",
    "fetch_folder",
    "publish_folder",
    "push_folder",
    "render_card",
    "stage_folder",
    "verify_folder",
    "write_to_outbox",
]
