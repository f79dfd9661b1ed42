"""`ObjectStore` in S3: multipart uploads with a CRC32C of the full object, and presigned URLs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ferry.aws import object_listings
from ferry.aws.clock import wall_clock
from ferry.aws.errors import error_code, map_errors
from ferry.errors import BackendUnavailable
from ferry.model.objects import FILE_CACHE_CONTROL, ObjectSummary, StoredObject, StoredPart
from ferry.model.uploads import OBJECT_PREFIX
from ferry.ports.errors import DeadlineExceeded, MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from ferry.ports.object_store import DeleteResult, PresignedRequest
from ferry.rules.digests import crc32c_from_base64, crc32c_to_base64
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from ferry.ports.types import Clock, Page

MAX_ABORT_ATTEMPTS = 8
"""Aborts of one multipart upload, into which parts keep landing, before `abort_multipart` fails."""

PARTS_PER_PAGE = 1_000
"""S3's limit of ListParts."""

INITIAL_BACKOFF_SECONDS = 0.05
"""Wait before the second abort; doubles with each further one."""

_NO_SUCH_UPLOAD = "NoSuchUpload"

_NOT_FOUND_CODES = ("NoSuchKey", "NotFound", "404")
"""Codes of a missing object. A response to HEAD has no body, so botocore reports its status."""

_COMPLETE_ERRORS: Mapping[str, type[Exception]] = {
    _NO_SUCH_UPLOAD: MultipartUploadNotFound,
    "InvalidPart": PartChanged,
    "BadDigest": StoreChecksumMismatch,
}


class _SourceNotFound(Exception):
    """The object to copy from does not exist."""


class S3ObjectStore:
    """`ObjectStore` over one bucket. Every method raises `BackendUnavailable` if S3 fails.

    Args:
        client: makes the calls.
        bucket: the name of the bucket.
        public_client: presigns URLs with the address at which clients reach the bucket. Default: `client`.
        clock: the current time, for deadlines.
        sleep: waits for a number of seconds between aborts.
        completion_client: returns the client for CompleteMultipartUpload, which takes minutes. Default: `client`.
        credentials_expire_at: returns when the credentials of `public_client` expire, in epoch milliseconds; None if
            that is unknown.
        storage_class: the storage class of files' objects; empty for S3's default, STANDARD. Staged chunks, which live
            for hours, are always in that.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        public_client: S3Client | None = None,
        *,
        clock: Clock = wall_clock,
        sleep: Callable[[float], None] = time.sleep,
        completion_client: Callable[[], S3Client] | None = None,
        credentials_expire_at: Callable[[], int | None] = lambda: None,
        storage_class: str = "",
    ) -> None:
        self._client = client
        self._public_client = public_client or client
        self._bucket = bucket
        self._clock = clock
        self._sleep = sleep
        self._completion_client = completion_client or (lambda: client)
        self._credentials_expire_at = credentials_expire_at
        self._file_options: Mapping[str, Any] = (
            {"StorageClass": storage_class} if storage_class not in ("", "STANDARD") else {}
        )

    # Multipart uploads

    def create_multipart(self, key: str, *, content_type: str) -> str:
        response = self._call(
            self._client.create_multipart_upload,
            Key=key,
            ContentType=content_type,
            ChecksumAlgorithm="CRC32C",
            ChecksumType="FULL_OBJECT",
            **self._file_options,
        )
        return str(response["UploadId"])

    def upload_part(self, key: str, multipart_id: str, number: int, body: bytes, *, crc32c: int) -> StoredPart:
        response = self._call(
            self._client.upload_part,
            {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
            Key=key,
            UploadId=multipart_id,
            PartNumber=number,
            Body=body,
            ChecksumCRC32C=crc32c_to_base64(crc32c),
        )
        return StoredPart(number, _etag(response), len(body), crc32c)

    def copy_part(
        self, key: str, multipart_id: str, number: int, source_key: str, *, first: int, last: int
    ) -> StoredPart | None:
        try:
            response = self._call(
                self._client.upload_part_copy,
                {_NO_SUCH_UPLOAD: MultipartUploadNotFound, **dict.fromkeys(_NOT_FOUND_CODES, _SourceNotFound)},
                Key=key,
                UploadId=multipart_id,
                PartNumber=number,
                CopySource={"Bucket": self._bucket, "Key": source_key},
                CopySourceRange=f"bytes={first}-{last}",
            )
        except _SourceNotFound:
            return None
        copied = response.get("CopyPartResult", {})
        return StoredPart(number, _etag(copied), last - first + 1, _crc(copied))

    def list_parts(self, key: str, multipart_id: str, *, max_part_number: int) -> Mapping[int, StoredPart]:
        parts, listed_to = self.list_parts_page(key, multipart_id, 0)
        if listed_to is not None and listed_to < max_part_number:
            from concurrent.futures import ThreadPoolExecutor

            # 1,000 part numbers have at most 1,000 parts, so one page covers them. The pages need not be read in turn.
            starts = range(listed_to, max_part_number, PARTS_PER_PAGE)
            with ThreadPoolExecutor(len(starts)) as pool:
                for page in pool.map(lambda after: self._list_parts_range(key, multipart_id, after), starts):
                    parts |= page
        return {number: parts[number] for number in sorted(parts) if number <= max_part_number}

    def list_parts_page(
        self, key: str, multipart_id: str, after_part_number: int
    ) -> tuple[dict[int, StoredPart], int | None]:
        response = self._call(
            self._client.list_parts,
            {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
            Key=key,
            UploadId=multipart_id,
            **({"PartNumberMarker": after_part_number} if after_part_number else {}),
        )
        parts: dict[int, StoredPart] = {}
        # S3 lists a part once. SeaweedFS also lists the parts that it replaced; the newest is the current one.
        for part in sorted(response.get("Parts", []), key=lambda part: part["LastModified"]):
            number = int(part["PartNumber"])
            parts[number] = StoredPart(number, _etag(part), int(part["Size"]), _crc(part))
        return parts, int(response["NextPartNumberMarker"]) if response.get("IsTruncated") else None

    def complete_multipart(
        self,
        key: str,
        multipart_id: str,
        parts: Sequence[StoredPart],
        *,
        size: int,
        crc32c: int | None,
        deadline: int | None = None,
    ) -> StoredObject:
        """Make an object of the parts. `BackendUnavailable` also stands for gaps and for parts below 5 MiB."""
        checksum = {} if crc32c is None else {"ChecksumCRC32C": crc32c_to_base64(crc32c)}
        call = partial(
            self._call,
            self._completion_client().complete_multipart_upload,
            _COMPLETE_ERRORS,
            Key=key,
            UploadId=multipart_id,
            MultipartUpload={"Parts": [_completed_part(part) for part in parts]},
            ChecksumType="FULL_OBJECT",
            MpuObjectSize=size,
            **checksum,
        )
        response = call() if deadline is None else self._call_until(deadline, call)
        stored_crc = _crc(response)
        return StoredObject(_etag(response), size, crc32c if stored_crc is None else stored_crc)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Abort until S3 no longer lists the multipart upload. Two calls; two more for each part that lands late."""
        for attempt in range(MAX_ABORT_ATTEMPTS):
            try:
                self._call(
                    self._client.abort_multipart_upload,
                    {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
                    Key=key,
                    UploadId=multipart_id,
                )
                self._call(
                    self._client.list_parts,
                    {_NO_SUCH_UPLOAD: MultipartUploadNotFound},
                    Key=key,
                    UploadId=multipart_id,
                    MaxParts=1,
                )
            except MultipartUploadNotFound:
                return
            self._sleep(INITIAL_BACKOFF_SECONDS * 2**attempt)
        raise BackendUnavailable

    def list_multipart_uploads(self, cursor: str | None, limit: int, key: str = "") -> Page[tuple[str, str, int]]:
        return object_listings.list_multipart_uploads(self._client, self._call, cursor, limit, key)

    # Whole objects

    def put(
        self, key: str, body: bytes, *, crc32c: int, content_type: str = "application/octet-stream"
    ) -> StoredObject:
        response = self._call(
            self._client.put_object,
            Key=key,
            Body=body,
            ContentType=content_type,
            ChecksumCRC32C=crc32c_to_base64(crc32c),
            **(self._file_options if key.startswith(OBJECT_PREFIX) else {}),
        )
        return StoredObject(_etag(response), len(body), crc32c)

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        params: dict[str, Any] = {}
        if first is not None or last is not None:
            params["Range"] = f"bytes={first or 0}-{'' if last is None else last}"
        try:
            with map_errors(*_NOT_FOUND_CODES):
                response = self._client.get_object(Bucket=self._bucket, Key=key, **params)
                # `with response["Body"]` would enter the raw stream, which does not report a truncated body.
                with closing(response["Body"]) as body:
                    return body.read()
        except ClientError:
            return None

    def head(self, key: str) -> StoredObject | None:
        try:
            with map_errors(*_NOT_FOUND_CODES):
                response: Any = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError:
            return None
        modified = int(response["LastModified"].timestamp())
        return StoredObject(_etag(response), int(response["ContentLength"]), _crc(response), modified)

    def delete(self, key: str) -> None:
        self._call(self._client.delete_object, Key=key)

    def delete_prefix(self, prefix: str, *, deadline: int) -> DeleteResult:
        deleted_bytes = 0
        while self._clock() < deadline:
            # Always the first page, because the objects of the previous one are deleted.
            response = self._call(self._client.list_objects_v2, Prefix=prefix)
            found = response.get("Contents", [])
            if found:
                to_delete = {"Objects": [{"Key": entry["Key"]} for entry in found], "Quiet": True}
                if self._call(self._client.delete_objects, Delete=to_delete).get("Errors"):
                    raise BackendUnavailable
            deleted_bytes += sum(int(entry["Size"]) for entry in found)
            if not response.get("IsTruncated"):
                return DeleteResult(deleted_bytes, done=True)
        return DeleteResult(deleted_bytes, done=False)

    def list_objects(self, prefix: str, cursor: str | None, limit: int) -> Page[ObjectSummary]:
        return object_listings.list_objects(self._client, self._call, prefix, cursor, limit)

    def list_prefixes(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        return object_listings.list_prefixes(self._client, self._call, prefix, cursor, limit)

    # Presigned URLs

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, size: int, crc32c: int | None, ttl_seconds: int
    ) -> PresignedRequest:
        """Return a presigned PUT. The length is signed but not in `headers`: every HTTP client sends it."""
        headers = {} if crc32c is None else {"x-amz-checksum-crc32c": crc32c_to_base64(crc32c)}
        params: dict[str, Any] = {"Key": key, "UploadId": multipart_id, "PartNumber": number, "ContentLength": size}
        if crc32c is not None:
            params["ChecksumCRC32C"] = crc32c_to_base64(crc32c)
        return self._presign("upload_part", params, headers, ttl_seconds)

    def presign_get(self, key: str, *, content_type: str, disposition: str, ttl_seconds: int) -> PresignedRequest:
        params = {
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
            "ResponseCacheControl": FILE_CACHE_CONTROL,
        }
        return self._presign("get_object", params, {}, ttl_seconds)

    def _list_parts_range(self, key: str, multipart_id: str, after_part_number: int) -> dict[int, StoredPart]:
        """Return the parts of the next 1,000 numbers. One page, unless the store lists parts twice."""
        last_number = after_part_number + PARTS_PER_PAGE
        parts: dict[int, StoredPart] = {}
        listed_to: int | None = after_part_number
        while listed_to is not None and listed_to < last_number:
            page, listed_to = self.list_parts_page(key, multipart_id, listed_to)
            parts |= page
        return {number: part for number, part in parts.items() if number <= last_number}

    def _call_until(self, deadline: int, call: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the call's response, or raise `DeadlineExceeded` if there is none by the deadline (epoch ms).

        A read timeout cannot do this, because S3 sends white space while it completes an upload. The call runs in a
        thread of its own, which is abandoned at the deadline; S3 may still complete the upload.
        """
        from concurrent.futures import Future, wait
        from threading import Thread

        future: Future[Mapping[str, Any]] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised again by `future.result`
                future.set_exception(error)

        Thread(target=run, name="complete", daemon=True).start()
        wait([future], timeout=max(0, deadline - self._clock()) / SECOND_MS)
        if not future.done():
            raise DeadlineExceeded
        return future.result()

    def _presign(
        self, operation: str, params: Mapping[str, Any], headers: Mapping[str, str], ttl_seconds: int
    ) -> PresignedRequest:
        """Sign a request. S3 rejects it when its credentials have expired, so it does not live longer."""
        with map_errors():
            # In this order, because it may refresh the credentials.
            credentials_expire_at = self._credentials_expire_at()
            # S3 counts from the second of the signature.
            signed_at_seconds = self._clock() // SECOND_MS
            if credentials_expire_at is not None:
                ttl_seconds = max(1, min(ttl_seconds, credentials_expire_at // SECOND_MS - signed_at_seconds))
            url = self._public_client.generate_presigned_url(
                operation, Params={"Bucket": self._bucket, **params}, ExpiresIn=ttl_seconds
            )
        return PresignedRequest(url, headers, (signed_at_seconds + ttl_seconds) * SECOND_MS)

    def _call(
        self,
        operation: Callable[..., Any],
        error_types: Mapping[str, Callable[[], Exception]] | None = None,
        **params: object,
    ) -> Mapping[str, Any]:
        """Make one call on the bucket. `error_types` maps error codes to the exceptions to raise for them."""
        error_types = error_types or {}
        try:
            with map_errors(*error_types):
                response: Mapping[str, Any] = operation(Bucket=self._bucket, **params)
                return response
        except ClientError as error:
            make_error = error_types[error_code(error)]
            raise make_error() from error


def _etag(response: Mapping[str, Any]) -> str:
    """Return the ETag in double quotes, which some stores omit.

    Raises:
        BackendUnavailable: there is none. A response that was cut off within status 200 can be empty.
    """
    if not response.get("ETag"):
        raise BackendUnavailable
    return '"' + str(response["ETag"]).strip('"') + '"'


def _crc(response: Mapping[str, Any]) -> int | None:
    value = response.get("ChecksumCRC32C")
    return crc32c_from_base64(value) if value else None


def _completed_part(part: StoredPart) -> dict[str, Any]:
    """Return a part as CompleteMultipartUpload names it."""
    completed: dict[str, Any] = {"PartNumber": part.number, "ETag": part.etag}
    if part.crc32c is not None:
        completed["ChecksumCRC32C"] = crc32c_to_base64(part.crc32c)
    return completed
