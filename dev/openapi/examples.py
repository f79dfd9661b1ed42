"""Examples of the OpenAPI document, as instances of the request models and response dataclasses.

The requests work in the order of this page: they upload `hello.txt`, which has the five bytes `hello`.
"""

from __future__ import annotations

import base64
from dataclasses import replace

from ferry import __version__
from ferry.errors import FerryError
from ferry.http.json_values import Crc32c, Timestamp
from ferry.http.limits import MAX_SIGNED_PARTS
from ferry.http.models.body import Checksum
from ferry.http.models.chunks import ChunkBody
from ferry.http.models.completions import CompleteBody
from ferry.http.models.files import FilePatchBody
from ferry.http.models.links import LinkCreateBody, LinkTokenBody
from ferry.http.models.parts import PartBody, PartsBody
from ferry.http.models.start import StartBody
from ferry.http.problems import status_of
from ferry.http.responses.chunks import ChunkProgress
from ferry.http.responses.cleanup import CleanupBody, Orphans
from ferry.http.responses.completions import CompletionPending
from ferry.http.responses.downloads import DownloadLink
from ferry.http.responses.existing_files import ExistingFile
from ferry.http.responses.file_lists import FileList
from ferry.http.responses.files import FileBody, FileChecksum
from ferry.http.responses.health import Health
from ferry.http.responses.keys import JsonWebKey, JsonWebKeySet
from ferry.http.responses.links import (
    ActivityBody,
    ActivityList,
    DownloadLinkBody,
    LinkLimitsLeft,
    LinkList,
    LinkTokenResponse,
    LinkUsed,
    SharedLink,
)
from ferry.http.responses.lists import UploadList
from ferry.http.responses.parts import SignedPart, SignedParts
from ferry.http.responses.plans import Limits, Received, UploadPlan
from ferry.http.responses.problems import Problem
from ferry.http.responses.status import StatusBody
from ferry.http.responses.tokens import AccessToken
from ferry.http.responses.usage import QuotaLimits, QuotaUsage, Usage
from ferry.model.files import IfExists
from ferry.model.links import ActivityAction, LinkKind
from ferry.rules.digests import crc32c, crc32c_to_base64
from ferry.rules.layout import (
    MAX_ASSEMBLED_PART_BYTES,
    MAX_CHUNK_BYTES,
    MAX_FILE_BYTES,
    MAX_PARTS,
    MIN_CHUNK_BYTES,
    ChunkLayout,
)
from ferry.rules.metadata import MAX_METADATA_BYTES
from ferry.status.upload_status import UploadStatus

CONTENT = b"hello"
FILENAME = "hello.txt"
CRC32C = crc32c(CONTENT)

_UPLOAD_ID = "0b6f0f3e8f7b4d0c9c0a4f4e2d1b7a55"
_REQUEST_ID = "JKJaXmPLvHcESHA="
_ETAG = '"5d41402abc4b2a76b9719d911017c592-1"'
_TYPE = "text/plain; charset=utf-8"
_METADATA = {"mtime": "2026-09-21T14:00:00.000000Z"}
_STARTED_AT = Timestamp(1_790_000_000_000)
_COMPLETED_AT = Timestamp(_STARTED_AT + 1_500)
_EXPIRES_AT = Timestamp(_STARTED_AT + 86_400_000)
_JWT = "eyJhbGciOiJFUzI1NiJ9..."
_LAYOUT = ChunkLayout.plan(len(CONTENT), MAX_CHUNK_BYTES)
_PRESIGNED_URL = "https://bucket.s3.eu-central-1.amazonaws.com/{}?X-Amz-Signature=..."

START = StartBody(
    filename=FILENAME,
    size=len(CONTENT),
    content_type=_TYPE,
    checksum=Checksum(algorithm="crc32c", value=crc32c_to_base64(CRC32C)),
    metadata=_METADATA,
)
CHUNK = ChunkBody(filename=FILENAME, chunk_index=1, data=base64.b64encode(CONTENT).decode())
PARTS_TO_SIGN = PartsBody(filename=FILENAME, parts=[PartBody(part_number=1)])
COMPLETE = CompleteBody(filename=FILENAME)
TOKEN_FORM = {"grant_type": "client_credentials", "scope": "files:read files:write"}

LIMITS = Limits(
    chunk_size_min=MIN_CHUNK_BYTES,
    chunk_size_max=MAX_CHUNK_BYTES,
    parts_max=MAX_PARTS,
    file_size_max=MAX_FILE_BYTES,
    file_size_max_chunks=MAX_PARTS * MAX_ASSEMBLED_PART_BYTES,
    parts_signed_max=MAX_SIGNED_PARTS,
    metadata_bytes_max=MAX_METADATA_BYTES,
    session_idle_timeout=86_400,
    session_max_age=604_800,
    url_lifetime=900,
)
PLAN = UploadPlan(
    upload_id=_UPLOAD_ID,
    filename=FILENAME,
    size=_LAYOUT.size,
    state=UploadStatus.PENDING,
    chunk_url="https://id.execute-api.eu-central-1.amazonaws.com/upload/chunk",
    chunk_size=_LAYOUT.chunk_size,
    chunk_count=_LAYOUT.chunk_count,
    part_size=_LAYOUT.part_size,
    part_count=_LAYOUT.part_count,
    chunks_per_part=_LAYOUT.chunks_per_part,
    received=Received([], []),
    received_bytes=0,
    expires_at=_EXPIRES_AT,
    limits=LIMITS,
    if_exists=IfExists.FAIL,
    content_type=_TYPE,
    metadata=_METADATA,
)
CHUNK_PROGRESS = ChunkProgress(
    filename=FILENAME, upload_id=_UPLOAD_ID, chunk_index=1, received_bytes=len(CONTENT), size=len(CONTENT)
)
PARTS = SignedParts(
    [
        SignedPart(
            part_number=1,
            url=_PRESIGNED_URL.format(_UPLOAD_ID),
            headers={"x-amz-checksum-crc32c": crc32c_to_base64(CRC32C)},
            size=len(CONTENT),
            expires_at=Timestamp(_STARTED_AT + 900_000),
        )
    ]
)
COMPLETION_PENDING = CompletionPending(FILENAME, _UPLOAD_ID)
FILE = FileBody(
    filename=FILENAME,
    upload_id=_UPLOAD_ID,
    size=len(CONTENT),
    etag=_ETAG,
    content_type=_TYPE,
    checksum=FileChecksum(value=Crc32c(CRC32C)),
    uploaded_at=_COMPLETED_AT,
    metadata=_METADATA,
)
EXISTING_FILE = ExistingFile(
    filename=FILE.filename,
    upload_id=FILE.upload_id,
    size=FILE.size,
    etag=FILE.etag,
    content_type=FILE.content_type,
    checksum=FILE.checksum,
    uploaded_at=FILE.uploaded_at,
    metadata=FILE.metadata,
    limits=LIMITS,
)
FILES = FileList([FILE], ["photos/"])
FILE_PATCH = FilePatchBody(content_type="text/csv", metadata={"mtime": None, "camera": "front"})
USAGE = Usage(QuotaLimits(bytes=10**12, uploads=100), QuotaUsage(bytes=len(CONTENT), uploads=0))
LINK = DownloadLink(_PRESIGNED_URL.format(_UPLOAD_ID), Timestamp(_COMPLETED_AT + 900_000), len(CONTENT), _ETAG)
SHARE_LINK = LinkCreateBody(kind="download", filename=FILENAME, label="Greetings", expires_in=86_400)
LINK_USED = LinkUsed(downloads=0, files=0, bytes=0)
DOWNLOAD_LINK = DownloadLinkBody(
    link_id=_UPLOAD_ID,
    filename=FILENAME,
    label="Greetings",
    max_downloads=1_000,
    password=False,
    used=LINK_USED,
    state="active",
    created_by="demo",
    created_at=_STARTED_AT,
    expires_at=_EXPIRES_AT,
    url="https://id.execute-api.eu-central-1.amazonaws.com/l/3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
)
LINKS = LinkList([replace(DOWNLOAD_LINK, url=None)])
ACTIVITY = ActivityList(
    [
        ActivityBody(
            at=_COMPLETED_AT,
            action=ActivityAction.DOWNLOAD,
            filename=FILENAME,
            size=len(CONTENT),
            network="192.0.2.0/24",
        )
    ]
)
LINK_PASSWORD = LinkTokenBody(password="correct horse battery")  # noqa: S106 - an example
LINK_TOKEN = LinkTokenResponse(access_token=_JWT, expires_in=900, scope="link:download", filename=FILENAME)
SHARED_LINK = SharedLink(
    kind=LinkKind.DOWNLOAD,
    filename=FILENAME,
    label="Greetings",
    password=False,
    left=LinkLimitsLeft(downloads=1_000),
    expires_at=_EXPIRES_AT,
)
STATUS = StatusBody(
    filename=FILENAME,
    upload_id=_UPLOAD_ID,
    state=UploadStatus.PENDING,
    size=len(CONTENT),
    received_bytes=0,
    percent=0.0,
    chunk_size=_LAYOUT.chunk_size,
    chunk_count=_LAYOUT.chunk_count,
    missing=[(1, 1)],
    next_offset=0,
    created_at=_STARTED_AT,
    updated_at=_STARTED_AT,
    expires_at=_EXPIRES_AT,
    version=1,
    checksum=FileChecksum(value=Crc32c(CRC32C)),
)
UPLOADS = UploadList([STATUS])
CLEANUP = CleanupBody(
    examined=3, expired=1, bytes_reclaimed=8_388_608, orphans=Orphans(0, 0, 0), errors=0, complete=True, dry_run=True
)
TOKEN = AccessToken(access_token=_JWT, expires_in=3_600, scope="files:read files:write")
KEYS = JsonWebKeySet(
    [
        JsonWebKey(
            kty="EC",
            crv="P-256",
            x="f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            y="x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            kid="oxuoP8C7f2iVwVCOz5mrKYRmRbWJOlPfgCNHZUdkoQs",
        )
    ]
)
HEALTH = Health(version=__version__)


def problem(kind: type[FerryError]) -> Problem:
    """Return the problem details of an error, without members of its own."""
    return Problem(
        type=f"urn:ferry:problem:{kind.code}",
        title=kind.title,
        status=status_of(kind),
        detail=kind.default_detail(),
        code=kind.code,
        request_id=_REQUEST_ID,
    )
