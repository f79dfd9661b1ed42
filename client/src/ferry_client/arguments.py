"""Check what callers pass, so that a mistake is a `UsageError` at once, and not an error of the network later."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import get_args

from ferry_client.errors import UsageError
from ferry_client.models import IfExists
from ferry_client.options import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, ClientOptions


def check_login(client_id: object, client_secret: object) -> None:
    """Raise unless id and secret are text that is not empty: a variable that is not set is None."""
    for name, value in (("client_id", client_id), ("client_secret", client_secret)):
        if not isinstance(value, str) or not value:
            kind = "empty" if value == "" else type(value).__name__
            raise UsageError(f"{name} must be text that is not empty, this one is {kind}. Is a variable not set?")


def check_options(options: ClientOptions) -> None:
    """Raise unless each option is within its bounds."""
    for name in ("retry_for_seconds", "stall_seconds", "connect_seconds"):
        value = getattr(options, name)
        minimum = 0.0 if name == "retry_for_seconds" else 0.01
        if not isinstance(value, int | float) or not minimum <= value < math.inf:
            raise UsageError(f"ClientOptions.{name} must be a number of seconds of at least {minimum:g}.")
    for name, minimum_bytes in (("max_jobs", 1), ("direct_from_bytes", 0), ("part_bytes", 1), ("range_bytes", 1)):
        count = getattr(options, name)
        if count is None and name in ("max_jobs", "range_bytes"):
            continue
        if not isinstance(count, int) or count < minimum_bytes:
            raise UsageError(f"ClientOptions.{name} must be a whole number of at least {minimum_bytes}.")
    chunk = options.chunk_bytes
    if chunk is not None and (not MIN_CHUNK_BYTES <= chunk <= MAX_CHUNK_BYTES or chunk & (chunk - 1)):
        raise UsageError("ClientOptions.chunk_bytes must be a power of two from 65,536 to 4,194,304.")
    limit = options.rate_limit_bytes
    if limit is not None and not callable(limit) and limit < 1:
        raise UsageError("ClientOptions.rate_limit_bytes must be at least 1; None is no limit.")


def check_name(name: object) -> None:
    """Raise unless a file's name is text that UTF-8 can hold. The service checks the other rules of names."""
    if not isinstance(name, str) or not name:
        raise UsageError("The name of a file must be text that is not empty.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"The name {name!r} has bytes that are not UTF-8. Choose another name.") from error


def check_etag(etag: str | None) -> None:
    """Raise unless an ETag can be sent in a header field."""
    if etag is not None and not (etag.isascii() and etag.isprintable()):
        raise UsageError("An etag is text such as stat returns it, in double quotes.")


def check_upload(name: object, if_exists: object, content_type: object, metadata: Mapping[str, str] | None) -> None:
    """Raise unless the arguments of an upload have the right form."""
    check_name(name)
    choices = get_args(IfExists)
    if if_exists not in choices:
        raise UsageError(f"if_exists must be one of {', '.join(choices)}, this one is {if_exists!r}.")
    if not isinstance(content_type, str | None):
        raise UsageError("content_type must be text, for example image/png.")
    for key, value in (metadata or {}).items():
        if not all(isinstance(entry, str) for entry in (key, value)):
            raise UsageError(f"metadata must have names and values that are text; {key!r} has {value!r}.")


def checked_path(path: object) -> str:
    """Return a path as text. Raises `UsageError` if no file can have it."""
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"A path is text or a Path, this one is {type(path).__name__}.")
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise UsageError("A path is text that is not empty and has no NUL character.")
    return text
