"""Put parts into S3 without Ferry."""

from __future__ import annotations

from typing import Any

import boto3

from ferry import wiring


def put_only_part(name: str, content: bytes, *, complete: bool = False) -> None:
    """Put the only part of the current upload into S3, past Ferry; with `complete`, complete the upload there too."""
    current = wiring.services().upload_repository.get_current_upload("demo", name)
    assert current is not None
    upload = wiring.services().upload_repository.get_upload(current.upload_id)
    assert upload is not None
    s3 = boto3.client("s3")
    multipart: Any = {"Bucket": "bucket", "Key": upload.record.object_key, "UploadId": upload.record.multipart_id}
    part = s3.upload_part(**multipart, PartNumber=1, Body=content)
    if complete:
        s3.complete_multipart_upload(**multipart, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
