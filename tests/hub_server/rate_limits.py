"""How many requests a window of time allows, told in the headers of every answer."""

import time

from hub_server.errors import HubError


class RateLimit:
    """A fixed window for all requests to the API."""

    def __init__(self, quota: int, window: int) -> None:
        self.quota, self.window = quota, window
        self.begin, self.used = time.monotonic(), 0

    def take(self) -> dict[str, str]:
        """Count a request and return the headers of its answer; refuse it where the window is used up."""
        now = time.monotonic()
        if now >= self.begin + self.window:
            self.begin, self.used = now, 0
        left = max(0, self.quota - self.used)
        self.used += 1
        wait = max(1, round(self.begin + self.window - now))
        headers = {
            "RateLimit": f'"api";r={max(0, left - 1)};t={wait}',
            "RateLimit-Policy": f'"fixed window";"api";q={self.quota};w={self.window}',
        }
        if left == 0:
            raise HubError(429, "We had to rate limit you", headers=headers)
        return headers
