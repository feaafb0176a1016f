"""Refusals as the Hub words them: a status, a message, and the code that clients turn into an error class."""

from starlette.responses import JSONResponse


class HubError(Exception):
    """A request that is refused."""

    def __init__(self, status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}

    def response(self) -> JSONResponse:
        """Say it in the body, and in the headers for clients that read no body."""
        headers = {**self.headers, "X-Error-Message": self.message.encode("ascii", "backslashreplace").decode()}
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message}, self.status, headers=headers)
