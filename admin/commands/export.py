"""`ferry-admin export`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from admin.commands.options import Subparsers, add_command, parse_namespace
from admin.result import StreamedResult, format_size

if TYPE_CHECKING:
    from admin.connect import Connection

_DETAILS = """\
Prints one JSON object a line for each finished file of the namespace, by name: name, size (bytes), crc32c (base64, as
S3 has it), key (in the bucket that the stack's output BucketName names), etag, content_type, metadata and uploaded_at.
Both output formats print the same. The last line on stderr is the number of files: without it the list is incomplete.
Uploads in progress are left out. The bytes of a file that is replaced or deleted after it was listed stay for as long
as the file can be restored (DeletedFileRetentionDays, one day by default)."""


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "export",
        "list the files of a namespace as JSON lines, with their keys in the bucket",
        _export,
        details=_DETAILS,
        examples=[
            "ferry-admin export --namespace acme --stack ferry > files.jsonl",
            "ferry-admin export --namespace acme --stack ferry | python3 leave_ferry.py BUCKET FOLDER",
        ],
    )
    parser.add_argument(
        "--namespace", type=parse_namespace, metavar="NAMESPACE", required=True, help="the namespace of the files"
    )


def _export(options: argparse.Namespace, connection: Connection) -> StreamedResult:
    from admin.export import list_files, to_dict
    from ferry.aws.file_repository import DynamoFileRepository

    files = list_files(DynamoFileRepository(connection.metadata_table), options.namespace)
    result = StreamedResult(iter(()))

    def lines() -> Iterator[str]:
        count = size_bytes = 0
        for file in files:
            count, size_bytes = count + 1, size_bytes + file.size
            yield json.dumps(to_dict(file), ensure_ascii=False, separators=(",", ":"))
        result.note = f"{count} file{'' if count == 1 else 's'}, {format_size(size_bytes)}"

    result.lines = lines()
    return result
