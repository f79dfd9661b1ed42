"""The errors of links: a branch of the tree in `ferry.errors`, which requests without a link do not load."""

from __future__ import annotations

from collections.abc import Mapping

from ferry.errors import AuthError, Forbidden, Gone, NotFound, TooLarge, TooManyAttempts


class LinkNotFound(NotFound):
    title = "There is no such link"
    advice = "Check that the address is complete."


class LinkExpired(Gone):
    code = "link_expired"
    title = "The link has expired"
    advice = "Ask its owner for a new one."


class LinkRevoked(Gone):
    """The owner deleted the link, or the owner's client is disabled."""

    code = "link_revoked"
    title = "The link was deleted by its owner"
    advice = "Ask its owner for a new one."


class LinkUsedUp(Gone):
    code = "link_used_up"
    title = "The limits of the link are used up"
    advice = "Ask its owner for a new one."


class LinkForbidden(Forbidden):
    code = "link_forbidden"
    title = "The link does not allow this"
    advice = "GET /l/{secret} says what it is for."


class PrefetchForbidden(Forbidden):
    code = "prefetch_forbidden"
    title = "A link is not prefetched, because each download counts"
    advice = "Send the request without Sec-Purpose: prefetch."


class LinkPassword(AuthError):
    """The password is missing or wrong; `detail` says which. `audit_fields` are those of the audit event."""

    code = "link_password"
    title = "The link needs its password"
    advice = "Send it as password to POST /l/{secret}/token, and use the token."

    def __init__(self, detail: str = "", audit_fields: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.audit_fields = audit_fields or {}


class LinkLocked(TooManyAttempts):
    code = "link_locked"
    title = "There were too many wrong passwords"

    def __init__(self, retry_after_seconds: int, audit_fields: Mapping[str, str]) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds
        self.audit_fields = audit_fields


class LinkLimit(TooLarge):
    """The upload does not fit into what is left. `extra["left"]` has the files and bytes that are left."""

    code = "link_limit"
    title = "The upload does not fit into the limits of the link"
    advice = "Send a smaller file, or ask the owner of the link for a new one."
