"""Calls to the Hub that are made again for as long as what went wrong may pass."""

import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import httpx, parse_ratelimit_headers  # type: ignore[attr-defined]

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Refusals, lost connections (the second kind is that of xet), and answers that arrive damaged.
FAULTS = (HfHubHTTPError, httpx.TransportError, ConnectionError, UnicodeDecodeError, JSONDecodeError)
# Seconds before each further try, where the server does not say; the client library waits as long where it retries.
WAITS = (1.0, 2.0, 4.0, 8.0, 8.0)
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
# Seconds; the Hub counts requests in windows of five minutes.
_LONGEST_WAIT = 600.0


def retry(call: Callable[[], T], what: str) -> T:
    """Make a call that may be made twice, and again where it fails for a reason that may pass.

    Args:
        call: Asks the Hub for something; doing so once more does no harm.
        what: Names repo and action, for the log.

    Returns:
        What the call gives.

    Raises:
        ConnectionError: If the server asks for a longer wait than ten minutes.
        OSError: If the Hub refuses, or is still not there after five more tries.
    """
    for wait in WAITS:
        try:
            return call()
        except FAULTS as error:
            wait_out(error, wait, what)
    return call()


def may_pass(error: BaseException | None) -> bool:
    """Tell whether what went wrong may pass: not what the Hub has decided, and not where nobody may ask it."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _PASSING
    return isinstance(error, FAULTS) and not isinstance(error, OfflineModeIsEnabled)


def wait_out(error: Exception, seconds: float, what: str) -> None:
    """Wait before a further try: as long as the server asks for, else the given time.

    Args:
        error: One of `FAULTS`, raised again if waiting does not help.
        seconds: How long to wait where the server does not say.
        what: Names repo and action, for the log.

    Raises:
        ConnectionError: If the server asks for a longer wait than ten minutes.
    """
    if not may_pass(error):
        raise error
    response = error.response if isinstance(error, HfHubHTTPError) else None
    asked = None if response is None else _asked_for(response.headers)
    seconds = seconds if asked is None else asked
    if seconds > _LONGEST_WAIT:
        raise ConnectionError(f"{what}: the Hub asks to wait for {seconds:.0f} s; run it again then.") from error
    reason = f"status {response.status_code}" if response is not None else type(error).__name__
    logger.warning("%s: %s; trying again in %.0f s.", what, reason, seconds)
    time.sleep(seconds)


def _asked_for(headers: httpx.Headers) -> float | None:
    """Return how many seconds a refusal asks to wait for, one more than it says, as it says whole ones."""
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds + 1.0
    asked = headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return float(asked) + 1.0
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time()) + 1.0
    except ValueError:
        return None
