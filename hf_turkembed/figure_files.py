"""Figures as files that say which numbers they were drawn from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_turkembed import record as records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOURCE = "Source"


def save_figure(figure: "Figure", path: Path, numbers: Any) -> None:
    """Write a figure as PNG, with the digest of its numbers as the source; the same numbers give the same bytes.

    Args:
        figure: The figure.
        path: File to write.
        numbers: What it was drawn from, see `record.digest_value`.
    """
    # No version of the library in the file.
    metadata = {"Software": None, _SOURCE: records.digest_value(numbers)}
    figure.savefig(path, format="png", dpi=150, metadata=metadata)


def is_drawn_from(path: Path, numbers: Any) -> bool:
    """Tell whether a PNG says that it was drawn from these numbers.

    Raises:
        OSError: If the file is no whole PNG.
    """
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as image:
        image.load()
        return bool(image.info.get(_SOURCE) == records.digest_value(numbers))
