"""What answers hold, as JSON Schema. The integration tests hold every answer they get against these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
BYTES: Schema = {"type": "integer", "minimum": 0}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC."}
URL: Schema = {"type": "string", "format": "uri"}
RANGES: Schema = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2},
    "description": "Inclusive ranges, counted from 1, ascending.",
}
ETAG: Schema = {"type": "string", "description": "As the header has it, quotes included."}
CURSOR: Schema = {"type": "string", "description": "Where to go on; absent when there is no more."}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def enum_schema(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def object_schema(
    required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, description: str = ""
) -> Schema:
    """An object with these members and no others."""
    schema: Schema = {"type": "object", "description": description} if description else {"type": "object"}
    return schema | {
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def array_schema(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_FILE = {
    "filename": TEXT,
    "upload_id": TEXT,
    "size": BYTES,
    "etag": ETAG,
    "content_type": TEXT,
    "checksum": ref("FileChecksum"),
    "uploaded_at": TIME,
    "metadata": {"type": "object", "additionalProperties": TEXT},
    "state": enum_schema("complete"),
}

SCHEMAS: Mapping[str, Schema] = {
    "Problem": {
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "code": {"type": "string", "description": "Stable, for machines."},
            "request_id": TEXT,
            "errors": array_schema(object_schema({"loc": array_schema({"type": ["string", "integer"]}), "msg": TEXT})),
            "upload_id": {"type": "string", "description": "With `upload_in_progress`."},
            "size": {"type": "integer", "description": "With `upload_in_progress` and `range_not_satisfiable`."},
            "expires_at": TIME | {"description": "With `upload_in_progress`."},
            "missing": RANGES | {"description": "With `upload_incomplete`: ranges of chunks, at most 1,000."},
            "quota": object_schema(
                {
                    "which": enum_schema("bytes", "uploads", "file"),
                    "limit": BYTES | {"description": "What the namespace may have."},
                    "used": BYTES | {"description": "What it has, by files and open uploads."},
                    "requested": BYTES | {"description": "What was asked for on top of it."},
                },
                description="With `quota_exceeded`: bytes, or uploads in progress.",
            ),
            "scope": {"type": "string", "description": "With `insufficient_scope`: what would have been enough."},
        },
        "required": ["type", "title", "status", "detail", "code", "request_id"],
    },
    "OAuthError": object_schema(
        {
            "error": enum_schema(
                "invalid_request",
                "invalid_client",
                "unsupported_grant_type",
                "invalid_scope",
                "temporarily_unavailable",
                "server_error",
            ),
            "error_description": TEXT,
        },
        description="RFC 6749 section 5.2.",
    ),
    "GatewayMessage": object_schema({"message": TEXT}, description="What the gateway refuses by itself."),
    "Token": object_schema(
        {
            "access_token": {"type": "string", "description": "A JWT, signed ES256."},
            "token_type": enum_schema("Bearer"),
            "expires_in": {"type": "integer", "description": "Seconds."},
            "scope": TEXT,
        }
    ),
    "KeySet": object_schema(
        {
            "keys": array_schema(
                object_schema(
                    {
                        "kty": enum_schema("EC"),
                        "crv": enum_schema("P-256"),
                        "x": TEXT,
                        "y": TEXT,
                        "kid": TEXT,
                        "use": enum_schema("sig"),
                        "alg": enum_schema("ES256"),
                    }
                )
            )
        },
        description="RFC 7517 section 5.",
    ),
    "Health": object_schema({"status": enum_schema("ok"), "version": TEXT}),
    "FileChecksum": object_schema(
        {
            "algorithm": enum_schema("crc32c"),
            "value": {"type": "string", "description": "Base64 of four bytes, big-endian."},
        }
    ),
    "Limits": object_schema(
        {
            "chunk_size_min": BYTES,
            "chunk_size_max": BYTES,
            "parts_max": COUNT,
            "file_size_max": BYTES | {"description": "Straight to S3."},
            "file_size_max_chunks": BYTES | {"description": "Through the API, with chunks of the greatest size."},
            "parts_signed_max": COUNT | {"description": "Parts in one request."},
            "metadata_bytes_max": BYTES,
            "session_idle_timeout": COUNT | {"description": "Seconds."},
            "session_max_age": COUNT | {"description": "Seconds."},
            "url_lifetime": COUNT | {"description": "Seconds."},
        }
    ),
    "Plan": object_schema(
        {
            "upload_id": TEXT,
            "filename": TEXT,
            "size": BYTES,
            "state": enum_schema("pending", "partial", "completing"),
            "chunk_size": BYTES,
            "chunk_count": COUNT,
            "part_size": BYTES,
            "part_count": COUNT,
            "chunks_per_part": COUNT,
            "received": object_schema({"chunks": RANGES, "parts": RANGES}),
            "received_bytes": BYTES,
            "expires_at": TIME,
            "limits": ref("Limits"),
        },
        description="How the file is cut, and what is there already.",
    ),
    "File": object_schema(_FILE),
    "AlreadyComplete": object_schema(_FILE | {"limits": ref("Limits")}, description="This very file is already there."),
    "ChunkAccepted": object_schema(
        {
            "filename": TEXT,
            "upload_id": TEXT,
            "chunk_index": {"type": "integer", "minimum": 1},
            "received_bytes": BYTES,
            "size": BYTES,
            "state": enum_schema("partial"),
        }
    ),
    "SignedParts": object_schema(
        {
            "parts": array_schema(
                object_schema(
                    {
                        "part_number": {"type": "integer", "minimum": 1},
                        "url": URL,
                        "headers": {
                            "type": "object",
                            "additionalProperties": TEXT,
                            "description": "To be sent with the PUT, exactly as they are.",
                        },
                        "size": BYTES,
                        "expires_at": TIME,
                    }
                )
            )
        }
    ),
    "Completing": object_schema({"filename": TEXT, "upload_id": TEXT, "state": enum_schema("completing")}),
    "Link": object_schema({"url": URL, "expires_at": TIME, "size": BYTES, "etag": ETAG}),
    "Status": object_schema(
        {
            "filename": TEXT,
            "upload_id": TEXT,
            "state": enum_schema("pending", "partial", "completing", "complete", "expired", "cancelled"),
            "size": BYTES,
            "received_bytes": BYTES,
            "percent": {"type": "number", "minimum": 0, "maximum": 100, "description": "One decimal, rounded down."},
            "chunk_size": nullable(BYTES),
            "chunk_count": nullable(COUNT),
            "missing": RANGES | {"description": "Ranges of chunks; those of parts sent straight to S3 count too."},
            "next_offset": BYTES | {"description": "Where the first missing byte is; the size when none is missing."},
            "created_at": TIME,
            "updated_at": TIME,
            "expires_at": nullable(TIME),
            "version": {"type": "integer", "description": "Grows with every change; for `since`."},
        },
        {
            "etag": ETAG,
            "checksum": ref("FileChecksum"),
            "current_file": ref("File"),
        },
        description="`current_file` is the finished file of the name, beside an upload that is to replace it.",
    ),
    "Uploads": object_schema({"uploads": array_schema(ref("Status"))}, {"cursor": CURSOR}),
    "Files": object_schema({"files": array_schema(ref("File"))}, {"cursor": CURSOR}),
    "Cleanup": object_schema(
        {
            "examined": COUNT,
            "expired": COUNT,
            "bytes_reclaimed": BYTES,
            "orphans": object_schema({"multipart_uploads": COUNT, "staged_objects": COUNT, "objects": COUNT}),
            "errors": COUNT,
            "complete": FLAG,
            "dry_run": FLAG,
        },
        {"cursor": CURSOR},
    ),
}
