"""Listings of a bucket, page by page, each going on from the last key it gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ferry.aws import cursors
from ferry.model.objects import ObjectSummary
from ferry.ports.types import Page

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    Call = Callable[..., Mapping[str, Any]]

OBJECT_PREFIX = "o/"
_MULTIPART_CURSOR = ("multipart_uploads",)
_SEPARATOR = "/"
_AFTER_SEPARATOR = "0"
"""The character that follows `/`: with it in place of a folder's last, a key comes after all that the folder has."""


def list_multipart_uploads(
    client: S3Client, call: Call, cursor: str | None, limit: int, key: str
) -> Page[tuple[str, str, int]]:
    marker: dict[str, Any] = {}
    if cursor is not None:
        after_key, upload_id = cursors.decode(cursor, _MULTIPART_CURSOR, "ss")
        marker = {"KeyMarker": after_key} if after_key else {}
        marker |= {"UploadIdMarker": upload_id} if upload_id else {}
    answer = call(
        client.list_multipart_uploads,
        {"InvalidArgument": cursors.invalid_cursor},
        Prefix=key or OBJECT_PREFIX,
        MaxUploads=limit,
        **marker,
    )
    found = [
        (str(entry["Key"]), str(entry["UploadId"]), _to_epoch_ms(entry["Initiated"]))
        for entry in answer.get("Uploads", [])
        if key in ("", entry["Key"])
    ]
    # S3 names both; SeaweedFS goes by the id alone, and must not be told a key then.
    after = [str(answer.get(name) or "") for name in ("NextKeyMarker", "NextUploadIdMarker")]
    return Page(found, cursors.encode(_MULTIPART_CURSOR, after) if answer.get("IsTruncated") and any(after) else None)


def list_objects(client: S3Client, call: Call, prefix: str, cursor: str | None, limit: int) -> Page[ObjectSummary]:
    listing = ("objects", prefix)
    answer = call(client.list_objects_v2, Prefix=prefix, MaxKeys=limit, **_start_after(cursor, listing, prefix))
    found = [
        ObjectSummary(str(entry["Key"]), int(entry["Size"]), _to_epoch_ms(entry["LastModified"]))
        for entry in answer.get("Contents", [])
    ]
    more = bool(found) and answer.get("IsTruncated")
    return Page(found, cursors.encode(listing, [found[-1].key]) if more else None)


def list_prefixes(client: S3Client, call: Call, prefix: str, cursor: str | None, limit: int) -> Page[str]:
    listing = ("prefixes", prefix)
    after = _start_after(cursor, listing, prefix)
    if after.get("StartAfter", "").endswith(_SEPARATOR):
        after = {"StartAfter": after["StartAfter"].removesuffix(_SEPARATOR) + _AFTER_SEPARATOR}
    answer = call(client.list_objects_v2, Prefix=prefix, Delimiter=_SEPARATOR, MaxKeys=limit, **after)
    found = [str(entry["Prefix"]) for entry in answer.get("CommonPrefixes", [])]
    beside = [str(entry["Key"]) for entry in answer.get("Contents", [])]
    last = max([*found, *beside], default="")
    return Page(found, cursors.encode(listing, [last]) if last and answer.get("IsTruncated") else None)


def _start_after(cursor: str | None, listing: tuple[str, str], prefix: str) -> dict[str, str]:
    if cursor is None:
        return {}
    (key,) = cursors.decode(cursor, listing, "s")
    if not str(key).startswith(prefix):
        raise cursors.invalid_cursor()
    return {"StartAfter": str(key)}


def _to_epoch_ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
