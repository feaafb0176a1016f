"""From a step's folder to a published repo: card, staging, verification, and then the outbox or the Hub."""

from hf_turkembed.publishing.cards import render_card
from hf_turkembed.publishing.comparisons import Check
from hf_turkembed.publishing.downloads import check_download, fetch_folder
from hf_turkembed.publishing.hub import HubSettings
from hf_turkembed.publishing.hub_state import HubRepo
from hf_turkembed.publishing.outbox import write_to_outbox
from hf_turkembed.publishing.planned_files import Difference, PlannedFile
from hf_turkembed.publishing.publication import Published, describe_published, publish_folder
from hf_turkembed.publishing.releases import Release, publish_release
from hf_turkembed.publishing.staging import stage_folder
from hf_turkembed.publishing.verification import Verification, check_loaders, verify_folder

__all__ = [
    "Check",
    "Difference",
    "HubRepo",
    "HubSettings",
    "PlannedFile",
    "Published",
    "Release",
    "Verification",
    "check_download",
    "check_loaders",
    "describe_published",
    "fetch_folder",
    "publish_folder",
    "publish_release",
    "render_card",
    "stage_folder",
    "verify_folder",
    "write_to_outbox",
]
