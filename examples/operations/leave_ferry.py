#!/usr/bin/env python3
"""Copy the files of `ferry-admin export` from the bucket to a folder, and verify the CRC32C of each.

    ferry-admin export --namespace acme --stack ferry | python3 leave_ferry.py BUCKET FOLDER

Needs the AWS CLI with the right to read the bucket, and `pip install google-crc32c`. A file that is there with its
CRC32C is not copied again, so an interrupted run may be repeated. Exit code 1: a file was not copied, or has another
CRC32C.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import google_crc32c

BLOCK_BYTES = 1024 * 1024


def main() -> int:
    bucket, folder = sys.argv[1], Path(sys.argv[2])
    copied = failed = 0
    for line in sys.stdin:
        file = json.loads(line)
        problem = copy(bucket, file, folder / file["name"], Path(f"{folder}.partial"))
        copied, failed = copied + (not problem), failed + bool(problem)
        if problem:
            # For example a file `a` where another is `a/b`: no folder can have both.
            print(f"{file['name']}: {problem}", file=sys.stderr)
    print(f"{copied} files are in {folder}, {failed} failed")
    return 1 if failed else 0


def copy(bucket: str, file: dict[str, str], target: Path, partial: Path) -> str:
    """Copy one file, by way of `partial`, unless it is there. Return what is wrong, or an empty string."""
    if target.is_file() and crc32c(target) == file["crc32c"]:
        return ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        command = ["aws", "s3", "cp", "--only-show-errors", f"s3://{bucket}/{file['key']}", str(partial)]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)  # noqa: S603 - the arguments are the operator's
        if crc32c(partial) != file["crc32c"]:
            return "the copy has another CRC32C than the list; run the export again, then this script"
        partial.replace(target)
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)
    finally:
        partial.unlink(missing_ok=True)
    return ""


def crc32c(path: Path) -> str:
    """Return the CRC32C of a file as S3 writes it: base64 of four bytes."""
    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            checksum.update(block)
    return base64.b64encode(checksum.digest()).decode()


if __name__ == "__main__":
    sys.exit(main())
