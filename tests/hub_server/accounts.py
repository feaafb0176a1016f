"""Who is asking: access tokens, their roles, and the organisations of their owners."""

from dataclasses import dataclass

from hub_server.errors import HubError

ORGANIZATION = "acme"


@dataclass(frozen=True)
class Account:
    """The owner of an access token."""

    name: str
    # What the token allows: `read` or `write`.
    role: str = "write"
    organizations: tuple[str, ...] = ()

    def belongs_to(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.organizations

    def may_write(self, namespace: str) -> bool:
        return self.role == "write" and self.belongs_to(namespace)


# The first owns what the tests publish, the second may write there as well, the third may only look, and the last is
# a stranger.
ACCOUNTS = {
    "hf_writer": Account("writer", organizations=(ORGANIZATION,)),
    "hf_colleague": Account("colleague", organizations=(ORGANIZATION,)),
    "hf_reader": Account("reader", role="read", organizations=(ORGANIZATION,)),
    "hf_stranger": Account("stranger"),
    # The owner of a benchmark's datasets.
    "hf_trmteb": Account("trmteb"),
}


def account_of(authorization: str | None) -> Account | None:
    """Return the owner of the token in a header, None for nobody."""
    if not authorization:
        return None
    account = ACCOUNTS.get(authorization.removeprefix("Bearer ").strip())
    if account is None:
        raise HubError(401, "Invalid credentials in Authorization header")
    return account


def describe(account: Account) -> dict[str, object]:
    """Answer `whoami`."""
    return {
        "type": "user",
        "id": account.name,
        "name": account.name,
        "fullname": account.name.title(),
        "orgs": [{"type": "org", "name": name, "fullname": name.title()} for name in account.organizations],
        "auth": {"type": "access_token", "accessToken": {"displayName": "test", "role": account.role}},
    }
