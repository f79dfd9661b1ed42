"""Listings of a bucket, page by page. A cursor names the last key of its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ferry.aws import cursors
from ferry.model.objects import ObjectSummary
from ferry.model.uploads import OBJECT_PREFIX
from ferry.ports.types import Page

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    Call = Callable[..., Mapping[str, Any]]

_MULTIPART_CURSOR = ("multipart_uploads",)
_SEPARATOR = "/"
_AFTER_SEPARATOR = "0"
"""The character after `/` in ASCII: `<prefix>0` sorts after every key that begins with `<prefix>/`."""


def list_multipart_uploads(
    client: S3Client, call: Call, cursor: str | None, limit: int, key: str
) -> Page[tuple[str, str, int]]:
    """Return multipart uploads of files' objects, or of one key: (key, multipart id, created at in epoch ms)."""
    marker: dict[str, Any] = {}
    if cursor is not None:
        after_key, upload_id = cursors.decode(cursor, _MULTIPART_CURSOR, "ss")
        marker = {"KeyMarker": after_key} if after_key else {}
        marker |= {"UploadIdMarker": upload_id} if upload_id else {}
    response = call(
        client.list_multipart_uploads,
        {"InvalidArgument": cursors.invalid_cursor},
        Prefix=key or OBJECT_PREFIX,
        MaxUploads=limit,
        **marker,
    )
    found = [
        (str(entry["Key"]), str(entry["UploadId"]), _to_epoch_ms(entry["Initiated"]))
        for entry in response.get("Uploads", [])
        if key in ("", entry["Key"])
    ]
    # S3 returns both markers. SeaweedFS returns the upload id alone, and must then be sent no key.
    after = [str(response.get(name) or "") for name in ("NextKeyMarker", "NextUploadIdMarker")]
    has_more = response.get("IsTruncated") and any(after)
    return Page(found, cursors.encode(_MULTIPART_CURSOR, after) if has_more else None)


def list_objects(client: S3Client, call: Call, prefix: str, cursor: str | None, limit: int) -> Page[ObjectSummary]:
    listing = ("objects", prefix)
    response = call(client.list_objects_v2, Prefix=prefix, MaxKeys=limit, **_start_after(cursor, listing, prefix))
    found = [
        ObjectSummary(str(entry["Key"]), int(entry["Size"]), _to_epoch_ms(entry["LastModified"]))
        for entry in response.get("Contents", [])
    ]
    has_more = bool(found) and response.get("IsTruncated")
    return Page(found, cursors.encode(listing, [found[-1].key]) if has_more else None)


def list_prefixes(client: S3Client, call: Call, prefix: str, cursor: str | None, limit: int) -> Page[str]:
    listing = ("prefixes", prefix)
    after = _start_after(cursor, listing, prefix)
    if after.get("StartAfter", "").endswith(_SEPARATOR):
        after = {"StartAfter": after["StartAfter"].removesuffix(_SEPARATOR) + _AFTER_SEPARATOR}
    response = call(client.list_objects_v2, Prefix=prefix, Delimiter=_SEPARATOR, MaxKeys=limit, **after)
    prefixes = [str(entry["Prefix"]) for entry in response.get("CommonPrefixes", [])]
    keys_without_separator = [str(entry["Key"]) for entry in response.get("Contents", [])]
    last = max([*prefixes, *keys_without_separator], default="")
    return Page(prefixes, cursors.encode(listing, [last]) if last and response.get("IsTruncated") else None)


def _start_after(cursor: str | None, listing: tuple[str, str], prefix: str) -> dict[str, str]:
    """Return the request parameter that continues after a cursor's key."""
    if cursor is None:
        return {}
    (key,) = cursors.decode(cursor, listing, "s")
    if not str(key).startswith(prefix):
        raise cursors.invalid_cursor()
    return {"StartAfter": str(key)}


def _to_epoch_ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
