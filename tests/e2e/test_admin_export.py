"""Leaving Ferry: `ferry-admin export` of a running service, and the script that copies the listed files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.local.client import FerryClient
from dev.paths import ROOT
from tests.e2e.clients import CHUNK_BYTES, ServiceUnderTest, log_in_as, random_bytes, s3_client_and_bucket, upload_file

FAKE_AWS = """\
#!{python}
# Stands in for the AWS CLI: `aws s3 cp --only-show-errors s3://BUCKET/KEY FILE`.
import sys
import boto3
assert sys.argv[1:4] == ["s3", "cp", "--only-show-errors"], sys.argv
bucket, _, key = sys.argv[4].removeprefix("s3://").partition("/")
print(key, file=open({log!r}, "a"))
boto3.client("s3", endpoint_url={endpoint!r}).download_file(bucket, key, sys.argv[5])
"""


class Leaving:
    """The export of the namespace `other`, and the script that copies the files."""

    def __init__(self, service: ServiceUnderTest, folder: Path) -> None:
        self._backends = json.loads((service.state_folder / "backends.json").read_text(encoding="utf-8"))
        self._state_folder = service.state_folder
        _, self._bucket = s3_client_and_bucket(service)
        self.target = folder / "files"
        self._log = folder / "copied.log"
        self._programs = folder / "bin"
        self._programs.mkdir()
        aws = self._programs / "aws"
        endpoint = service.connection_info["s3_endpoint"]
        aws.write_text(FAKE_AWS.format(python=sys.executable, log=str(self._log), endpoint=endpoint))
        aws.chmod(0o755)

    def export(self) -> list[str]:
        """Return the lines of the export."""
        done = subprocess.run(
            [ROOT / "ferry-admin", "export", "--namespace", "other", "--local", self._state_folder],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        lines = done.stdout.splitlines()
        assert done.stderr.startswith(f"{len(lines)} files, ")
        return lines

    def copy(self, lines: list[str]) -> tuple[int, str, int]:
        """Run the script; return its exit code, its output, and how many files it has copied."""
        self._log.write_text("")
        done = subprocess.run(
            [
                sys.executable,
                ROOT / "examples/operations/leave_ferry.py",
                self._bucket,
                self.target,
            ],
            input="\n".join(lines),
            env={
                "PATH": f"{self._programs}{os.pathsep}/usr/bin:/bin",
                "AWS_ACCESS_KEY_ID": self._backends["access_key"],
                "AWS_SECRET_ACCESS_KEY": self._backends["secret_key"],
                "AWS_DEFAULT_REGION": self._backends["region"],
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr, len(self._log.read_text().splitlines())


def test_export_and_copy_leaves_with_every_file(service: ServiceUnderTest, tmp_path: Path) -> None:
    """The copies have the bytes of the files, in folders that the names spell; a second run copies nothing."""
    api: FerryClient = log_in_as(service, "other")
    contents = {"leaving/ship.jpg": b"x" * 1000, "leaving/é b/long.bin": random_bytes(2 * CHUNK_BYTES + 5)}
    for name, content in contents.items():
        upload_file(api, name, content)
    leaving = Leaving(service, tmp_path)
    lines = [line for line in leaving.export() if json.loads(line)["name"] in contents]
    assert leaving.copy(lines) == (0, f"2 files are in {leaving.target}, 0 failed\n", 2)
    for name, content in contents.items():
        assert (leaving.target / name).read_bytes() == content
    assert sorted(path.name for path in leaving.target.rglob("*") if path.is_file()) == ["long.bin", "ship.jpg"]
    assert leaving.copy(lines)[0::2] == (0, 0)


@pytest.mark.parametrize(
    ("member", "value", "problem"),
    [("crc32c", "AAAAAA==", "another CRC32C"), ("key", "o/" + "0" * 32, "returned non-zero exit status")],
)
def test_copy_that_differs_is_reported(
    service: ServiceUnderTest, tmp_path: Path, member: str, value: str, problem: str
) -> None:
    """A copy with another CRC32C, or none at all, is named and not kept; the other files are copied."""
    api: FerryClient = log_in_as(service, "other")
    for name in ("leaving/bad.bin", "leaving/good.bin"):
        upload_file(api, name, f"{name} {member}".encode(), if_exists="replace")
    leaving = Leaving(service, tmp_path)
    files = [json.loads(line) for line in leaving.export()]
    bad, good = (file for file in files if file["name"] in {"leaving/bad.bin", "leaving/good.bin"})
    code, output, _ = leaving.copy([json.dumps({**bad, member: value}), json.dumps(good)])
    assert code == 1
    assert "leaving/bad.bin: " in output
    assert problem in output
    assert [path.name for path in leaving.target.rglob("*") if path.is_file()] == ["good.bin"]
