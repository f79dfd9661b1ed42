"""`ferry-admin export` over moto: every file once, page by page, with the key of its bytes."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config

from admin import export
from admin.cli import main
from ferry import wiring
from ferry.aws.file_repository import DynamoFileRepository
from ferry.errors import BackendUnavailable
from tests.integration.admin_commands import stacks
from tests.integration.stack import Stack

__all__ = ["stacks"]
NAMES = ["a", "a/b", "b c.txt", "ship \u00e9.jpg", "\U0001f6a2"]
"""In the order of their UTF-8 bytes."""


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages have two files."""
    monkeypatch.setattr(export, "PAGE_SIZE", 2)


@pytest.fixture
def files(stack: Stack) -> dict[str, dict[str, Any]]:
    """The files of the namespace, as completions returned them. There is an open upload too."""
    listed = stack.request("GET /files").json["files"]
    if not listed:
        for name in reversed(NAMES):
            stack.upload(name, name.encode() * 3, metadata={"of": name}, content_type="text/plain")
        stack.post_json("POST /upload/start", {"filename": "open", "size": 5})
        listed = stack.request("GET /files").json["files"]
    return {file["filename"]: file for file in listed}


def run_export(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[list[Any], str]:
    """Return the lines, parsed, and what is on stderr."""
    capsys.readouterr()
    assert main(["export", *arguments]) == code
    captured = capsys.readouterr()
    return [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_export_lists_every_file_with_its_key(
    files: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each finished file is one line, by name; the key is that of its bytes, the rest is as in its record."""
    lines, note = run_export(capsys, "--namespace", "demo", "--stack", "ferry")
    assert [line["name"] for line in lines] == NAMES
    assert note == f"5 files, {sum(line['size'] for line in lines)} B\n"
    # moto computes the checksum of a multipart object from those of its parts.
    s3 = boto3.client("s3", config=Config(response_checksum_validation="when_required"))
    for line in lines:
        content = line["name"].encode() * 3
        assert s3.get_object(Bucket="bucket", Key=line["key"])["Body"].read() == content
        record = files[line["name"]]
        assert (line["size"], line["crc32c"]) == (len(content), record["checksum"]["value"])
        assert (line["etag"], line["content_type"], line["metadata"]) == (
            record["etag"],
            "text/plain",
            {"of": line["name"]},
        )
        assert record["uploaded_at"].startswith(line["uploaded_at"].rstrip("Z"))


@pytest.mark.usefixtures("files")
def test_export_reads_next_page_after_lines_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is bounded: a page is read when all files of the one before are printed."""
    repository = DynamoFileRepository(wiring.metadata_table())
    reads = []

    def list_files(ns: str, prefix: str, *, start: str, limit: int) -> Any:
        reads.append(start)
        return DynamoFileRepository.list_files(repository, ns, prefix, start=start, limit=limit)

    monkeypatch.setattr(repository, "list_files", list_files)
    reads_at_each_file = [len(reads) for _ in export.list_files(repository, "demo")]
    assert reads_at_each_file == [1, 1, 2, 2, 3]


@pytest.mark.usefixtures("files")
def test_export_outage_exits_with_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """After an outage the lines so far are printed, without the number of files, and the error says so."""
    list_files = DynamoFileRepository.list_files

    def fail_later(self: DynamoFileRepository, ns: str, prefix: str, *, start: str, limit: int) -> Any:
        if start:
            raise BackendUnavailable
        return list_files(self, ns, prefix, start=start, limit=limit)

    monkeypatch.setattr(DynamoFileRepository, "list_files", fail_later)
    lines, error = run_export(capsys, "--namespace", "demo", "--stack", "ferry", code=3)
    assert [line["name"] for line in lines] == NAMES[:2]
    assert "the output is incomplete" in error
    assert "files," not in error


def test_export_of_namespace_without_files_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """A namespace without files has no line."""
    assert run_export(capsys, "--namespace", "empty", "--stack", "ferry", "--output", "json") == ([], "0 files, 0 B\n")


def test_export_without_metadata_table_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    """With the auth table alone the files are unknown; the hint names --stack."""
    lines, error = run_export(capsys, "--namespace", "demo", "--table", "auth", code=1)
    assert lines == []
    assert "--stack" in error


def test_export_without_namespace_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """The namespace is required."""
    with pytest.raises(SystemExit) as raised:
        main(["export", "--stack", "ferry"])
    assert raised.value.code == 2
    assert "--namespace" in capsys.readouterr().err
