"""Checks of members and bodies that the models name. They load pydantic-core alone, as the functions do."""

from __future__ import annotations

import unicodedata
from typing import Protocol, TypeVar

from pydantic_core import PydanticCustomError

from ferry.http.limits import MAX_FINGERPRINT_BYTES
from ferry.rules.media_types import is_media_type
from ferry.rules.metadata import metadata_problem

MIN_PASSWORD_BYTES, MAX_PASSWORD_BYTES = 8, 256
"""Length of a link's password in UTF-8."""


class LinkMembers(Protocol):
    """The members of `LinkCreateBody` that depend on each other."""

    kind: str
    """`download` or `upload`."""
    filename: str | None
    """The one file of a download link."""
    prefix: str | None
    """The folder of the link."""
    model_fields_set: set[str]
    """The members that the request has."""


LinkMembersT = TypeVar("LinkMembersT", bound=LinkMembers)


def reject_null(value: object) -> object:
    """Raise a validation error for null: the client has probably meant a condition, and its variable is empty."""
    if value is None:
        raise PydanticCustomError("null_condition", "null")
    return value


def validate_media_type(value: str) -> str:
    """Return a media type (RFC 9110 section 8.3.1). It becomes a header of the download, so other text is rejected."""
    if not is_media_type(value):
        raise PydanticCustomError("ferry", "must be a media type, such as text/plain; charset=utf-8")
    return value


def validate_metadata(value: dict[str, str]) -> dict[str, str]:
    problem = metadata_problem(value)
    if problem is not None:
        raise PydanticCustomError("ferry", "{problem}", {"problem": problem})
    return value


def validate_fingerprint(value: str) -> str:
    if len(value.encode()) > MAX_FINGERPRINT_BYTES:
        raise PydanticCustomError("ferry", f"must have at most {MAX_FINGERPRINT_BYTES} bytes of UTF-8")
    return value


def validate_label(value: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise PydanticCustomError("ferry", "must have no control characters")
    return value


def validate_password(value: str) -> str:
    if not MIN_PASSWORD_BYTES <= len(value.encode()) <= MAX_PASSWORD_BYTES:
        raise PydanticCustomError(
            "ferry", f"must have from {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes of UTF-8"
        )
    return value


def validate_link_kind(body: LinkMembersT) -> LinkMembersT:
    """Reject members that do not belong to the kind."""
    foreign = ("filename", "max_downloads") if body.kind == "upload" else ("max_files", "max_bytes")
    for name in foreign:
        if name in body.model_fields_set:
            message = f"{name} does not belong to a link of kind {body.kind}; omit it"
            raise PydanticCustomError("ferry", message)
    if body.kind == "download" and (body.filename is None) == (body.prefix is None):
        raise PydanticCustomError("ferry", "send one of filename and prefix")
    return body
