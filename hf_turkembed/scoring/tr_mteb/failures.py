"""Which errors speak of one task's dataset, so that the task is missing, and which of the model or the machine."""

import errno
import re
from textwrap import shorten
from typing import Any

import torch
from mteb.models import SentenceTransformerEncoderWrapper

# What mteb, scikit-learn and scipy raise on rows that are not as a task expects: labels of another kind, too few
# classes, grades that are missing. Of the machine are MemoryError, OSError and, torch out of memory, RuntimeError.
DATA_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
# A disk that is full, read-only or broken, no room for a file, no more memory or open files: so for every task.
_OF_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
)
# Folders of an absolute path; an address has a colon before its slashes.
_FOLDERS = re.compile(r"(?<![\w:/.-])/(?:[^\s/'\"]+/)+")
# Characters; `datasets` lists every column of a table that it cannot cast.
_LONGEST_REASON = 500


class CheckedEncoder(SentenceTransformerEncoderWrapper):  # type: ignore[misc]
    """A model as mteb calls it, which knows whether an error is its own or that of the texts it was given."""

    # Whether the model is at work, or was when an error came.
    encoding = False

    def encode(self, inputs: Any, **settings: Any) -> Any:
        """Encode the texts of a data loader.

        Raises:
            ValueError: If an entry is no text; or, with `encoding` set, if the model gives a vector too few or too
                many, or one that is not finite.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        if odd := [text for text in texts if not isinstance(text, str)]:
            raise ValueError(f"{len(odd):,} of {len(texts):,} texts are none, such as {odd[0]!r}")
        self.encoding = True
        embeddings = super().encode(inputs, **settings)
        found = torch.as_tensor(embeddings)
        if len(found) != len(texts):
            raise ValueError(f"the model gives {len(found):,} vectors for {len(texts):,} texts.")
        broken = (~found.isfinite()).reshape(len(texts), -1).any(dim=1) if texts else torch.empty(0)
        if broken.any():
            raise ValueError(
                f"the model gives {int(broken.sum()):,} of {len(texts):,} texts a vector that is not finite, such as "
                f"{texts[int(broken.int().argmax())][:60]!r}."
            )
        self.encoding = False
        return embeddings


def is_of_machine(error: BaseException | None) -> bool:
    """Tell whether an error, or one that led to it, would meet every other task as well."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _OF_MACHINE):
            return True
        error = error.__cause__ or error.__context__
    return False


def describe_error(error: Exception) -> str:
    """Say in one line what went wrong and what led to it, without folders: reasons are published with the scores."""
    stated = f"{type(error).__name__}: {error}"
    if (cause := error.__cause__) is not None and str(cause) not in stated:
        stated += f" ({type(cause).__name__}: {cause})"
    return shorten(_FOLDERS.sub("", stated), _LONGEST_REASON, placeholder=" ...")
