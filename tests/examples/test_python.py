"""examples/python: the functions are called, and each script is run once."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dev.local.client import FerryClient
from dev.paths import ROOT
from tests.examples.conftest import CHUNKED_SIZE_BYTES, Credentials
from tests.examples.recording_proxy import RecordingProxy, documented_routes

SCRIPTS = ROOT / "examples/python"


@pytest.fixture(autouse=True)
def example_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import from examples/python, as a script there does, and forget the modules afterwards."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = set(sys.modules)
    yield
    for loaded in set(sys.modules) - before:
        if str(getattr(sys.modules[loaded], "__file__", "")).startswith(str(SCRIPTS)):
            del sys.modules[loaded]


def load(module: str) -> ModuleType:
    return importlib.import_module(module)


@pytest.fixture
def session(credentials: Credentials) -> Any:
    return load("connection").connect(credentials.token)


def run_script(credentials: Credentials, folder: Path, script: str, *arguments: str) -> str:
    """Run one script as a reader would, and return what it prints."""
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    run = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **credentials.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_token_verifies_with_published_keys(credentials: Credentials) -> None:
    """The token is one of this issuer's, for the demo namespace."""
    token = load("get_token").get_token(credentials.url, credentials.client_id, credentials.client_secret)
    claims = load("verify_token").verify(credentials.url, token)
    assert (claims["sub"], claims["ns"]) == ("demo", "demo")


def test_discovery_reads_public_documents(credentials: Credentials) -> None:
    """All three are there without a token."""
    found = load("discovery").discover(credentials.url)
    assert found["/health"]["status"] == "ok"
    assert found["/openapi.json"]["openapi"]
    assert found["/.well-known/jwks.json"]["keys"]


def test_upload_sends_missing_chunks(
    credentials: Credentials, session: Any, client: FerryClient, source: Path, name: str
) -> None:
    """An unfinished upload is resumed, not restarted; repeated, the file is there."""
    about = source.stat()
    plan = client.start(name, CHUNKED_SIZE_BYTES, fingerprint=f"{about.st_ino}-{about.st_mtime_ns}").json
    client.send_chunk(name, 2, source.read_bytes()[4_194_304:8_388_608])
    upload = load("upload").upload
    assert upload(credentials.url, session, source, name)["upload_id"] == plan["upload_id"]
    assert client.download(name).body == source.read_bytes()
    assert upload(credentials.url, session, source, name)["state"] == "complete"


def test_upload_of_other_file_reports_code(credentials: Credentials, session: Any, source: Path, name: str) -> None:
    """The error names the stable code."""
    load("upload").upload(credentials.url, session, source, name)
    source.write_bytes(b"changed")
    with pytest.raises(RuntimeError, match="409 file_exists"):
        load("upload").upload(credentials.url, session, source, name)


def test_upload_parts_sends_parts(
    credentials: Credentials, session: Any, client: FerryClient, source: Path, name: str
) -> None:
    """Parts sent to S3 make the same bytes."""
    load("upload_parts").upload_parts(credentials.url, session, source, name)
    assert client.download(name).body == source.read_bytes()


def test_upload_parallel_sends_missing_chunks(
    credentials: Credentials, session: Any, client: FerryClient, source: Path, name: str
) -> None:
    """Chunks of several parts at once make the same bytes, also where one was sent before."""
    about = source.stat()
    client.start(name, CHUNKED_SIZE_BYTES, fingerprint=f"{about.st_ino}-{about.st_mtime_ns}")
    client.send_chunk(name, 2, source.read_bytes()[4_194_304:8_388_608])
    load("upload_parallel").upload_parallel(credentials.url, session, source, name)
    assert client.download(name).body == source.read_bytes()


def test_watch_yields_each_change(credentials: Credentials, session: Any, client: FerryClient, name: str) -> None:
    """The first status is pending, the last complete; the list has the upload in between."""
    status = load("status")
    client.start(name, 1)
    changes = status.watch(credentials.url, session, name, seconds=5)
    assert next(changes)["state"] == "pending"
    assert name in [upload["filename"] for upload in status.list_uploads(credentials.url, session)]
    client.send_chunk(name, 1, b"x")
    assert next(changes)["state"] == "partial"
    client.complete(name)
    assert [change["state"] for change in changes][-1] == "complete"
    etag = client.status(name).headers["etag"]
    assert status.is_unchanged(credentials.url, session, name, etag)


def test_cancel_example_may_be_repeated(credentials: Credentials, session: Any, client: FerryClient, name: str) -> None:
    """The upload is cancelled, and the request may be repeated."""
    client.start(name, 1)
    for _ in range(2):
        load("cancel").cancel(credentials.url, session, name)
    assert client.status(name).json["state"] == "cancelled"


def test_download_resumes_partial_file(
    credentials: Credentials, session: Any, source: Path, name: str, tmp_path: Path
) -> None:
    """A target that was cut off is continued with the same version of the file."""
    load("upload").upload(credentials.url, session, source, name)
    target, url = tmp_path / "copy.bin", f"{credentials.url}/download/{name}"
    example = load("download")
    example.download(url, credentials.token, str(target))
    assert target.read_bytes() == source.read_bytes()
    target.write_bytes(source.read_bytes()[:1_000_000])
    example.download(url, credentials.token, str(target))
    assert target.read_bytes() == source.read_bytes()
    assert int(example.head(url, credentials.token).headers["Content-Length"]) == CHUNKED_SIZE_BYTES


def test_download_range_returns_range(credentials: Credentials, session: Any, source: Path, name: str) -> None:
    """Exactly the bytes that were asked for; a range beyond the end is an error."""
    load("upload").upload(credentials.url, session, source, name)
    fetch = load("download_range").download_range
    assert fetch(credentials.url, session, name, 4_194_000, 4_194_999) == source.read_bytes()[4_194_000:4_195_000]
    with pytest.raises(ValueError, match="9000001 bytes"):
        fetch(credentials.url, session, name, CHUNKED_SIZE_BYTES, CHUNKED_SIZE_BYTES)


def test_files_lists_and_deletes(credentials: Credentials, session: Any, client: FerryClient, name: str) -> None:
    """The files of a prefix, by name; a deleted one is gone."""
    files = load("files")
    for number in range(2):
        client.start(f"{name}-{number}", 0)
        client.complete(f"{name}-{number}")
    files.delete_file(credentials.url, session, f"{name}-0")
    assert [file["filename"] for file in files.list_files(credentials.url, session, name)] == [f"{name}-1"]


def test_put_file_stores_and_changes(credentials: Credentials, session: Any, name: str, tmp_path: Path) -> None:
    """The file is stored once; a repetition finds it, other bytes do not replace it, and a change needs its ETag."""
    example, source = load("put_file"), tmp_path / "small.txt"
    source.write_bytes(b"small")
    arguments = (credentials.url, session, source, name, "text/plain")
    file = example.put_file(*arguments)
    assert example.put_file(*arguments) == file == example.get_record(credentials.url, session, name)
    source.write_bytes(b"larger")
    with pytest.raises(OSError, match="412"):
        example.put_file(*arguments)
    changed = example.change_file(credentials.url, session, name, file["etag"], {"metadata": {"sha256": None}})
    assert changed == {**file, "metadata": {}}
    assert example.usage(credentials.url, session) == {}


def test_folders_are_listed_and_files_moved_and_restored(
    credentials: Credentials, session: Any, client: FerryClient, name: str
) -> None:
    """A folder shows its files and folders; a repeated move is the same; a deleted file is listed and restored."""
    example, connection = load("folders"), (credentials.url, session)
    for each in ("a", "b", "below/c"):
        client.start(f"{name}/{each}", 0)
        client.complete(f"{name}/{each}")
    assert list(example.list_folder(*connection, f"{name}/")) == [f"{name}/{each}" for each in ("a", "b", "below/")]
    etag = load("put_file").get_record(*connection, f"{name}/a")["etag"]
    moved = [example.move_file(*connection, f"{name}/a", f"{name}/z", etag) for _ in range(2)]
    assert moved[0] == moved[1]
    results = example.delete_files(*connection, [f"{name}/b", f"{name}/a"])
    assert results == {"deleted": [f"{name}/b"], "missing": [f"{name}/a"], "errors": []}
    assert [file["filename"] for file in example.list_deleted(*connection, f"{name}/")] == [f"{name}/b"]
    assert example.restore_file(*connection, f"{name}/b")["filename"] == f"{name}/b"


def test_resumable_upload_has_content(
    credentials: Credentials, session: Any, client: FerryClient, source: Path
) -> None:
    """The file has its bytes, also when the first of them went by POST; a cancelled upload is gone."""
    example, name = load("resumable"), "resumable.bin"
    upload = example.create(credentials.url, session, name, source.stat().st_size)
    assert example.append(session, upload, 0, source.read_bytes()[:10], override=True) == 10
    example.send(session, upload, source)
    assert client.download(name).body == source.read_bytes()
    other = example.create(credentials.url, session, f"{name} 2", 1)
    example.cancel(session, other)
    assert session.head(other, headers=example.TUS).status_code in (404, 410)


def test_link_takes_a_file_without_token(
    credentials: Credentials, session: Any, client: FerryClient, source: Path
) -> None:
    """The file is in the folder of the link, and the link has its activity."""
    example = load("link_upload")
    link = example.upload_link(credentials.url, session, prefix="inbox of python/")
    example.send_by_link(link["url"], "a.bin", source)
    assert client.download("inbox of python/a.bin").body == source.read_bytes()
    assert [each["action"] for each in example.activity(credentials.url, session, link["link_id"])] == ["upload"]


def test_links_are_opened_without_token(credentials: Credentials, session: Any, client: FerryClient, name: str) -> None:
    """A file and a folder are fetched by their links; a deleted link is listed as revoked."""
    example, connection = load("links"), (credentials.url, session)
    for each in ("a", "b"):
        client.start(f"{name}/{each}", 0)
        client.complete(f"{name}/{each}")
    link_id, secret = example.create_link(*connection, kind="download", filename=f"{name}/a", max_downloads=2)
    assert example.open_link(credentials.url, secret)["left"] == {"downloads": 2}
    assert example.download(credentials.url, secret) == b""
    assert [each["filename"] for each in example.activity(*connection, link_id)] == [f"{name}/a"]
    _, secret = example.create_link(*connection, kind="download", prefix=f"{name}/")
    assert example.files_of_link(credentials.url, secret) == [f"{name}/a", f"{name}/b"]
    assert example.download(credentials.url, secret, f"{name}/b") == b""
    _, secret = example.create_link(*connection, kind="download", prefix=f"{name}/", password="correct horse")
    assert example.get_token(credentials.url, secret, "correct horse").count(".") == 2
    example.delete_link(*connection, link_id)
    assert example.get_link(*connection, link_id)["state"] == "revoked"
    assert link_id in [each["link_id"] for each in example.list_links(*connection)]
    assert "Disallow: /l/" in session.get(f"{credentials.url}/robots.txt").text


def test_names_transfer_returns_content(credentials: Credentials, session: Any) -> None:
    """A name with spaces, quotes, "?" and "#" goes through every route."""
    assert load("names").transfer(credentials.url, session, b"Hello") == b"Hello"


def test_cleanup_dry_run_expires_nothing(
    credentials: Credentials, session: Any, client: FerryClient, name: str
) -> None:
    """A dry run counts the upload and leaves it open."""
    client.start(name, 1)
    assert load("cleanup").cleanup(credentials.url, session, 0, dry_run=True) >= 1
    assert client.status(name).json["state"] == "pending"


def test_scripts_run_from_command_line(credentials: Credentials, source: Path, name: str, tmp_path: Path) -> None:
    """Each file is a program of its own as well."""
    (tmp_path / "small.txt").write_bytes(b"small")
    scripts = [
        ("get_token.py",),
        ("discovery.py",),
        ("verify_token.py",),
        ("upload.py", str(source)),
        ("upload_parts.py", str(source), f"{name}-2"),
        ("upload_parallel.py", str(source), f"{name}-parallel"),
        ("status.py", name),
        ("download.py", name, "copy.bin"),
        ("download_range.py", name, "0", "9", "range.bin"),
        ("names.py",),
        ("files.py", name, name),
        ("put_file.py", "small.txt", f"{name}-3"),
        ("put_file.py", "small.txt", f"{name}/a"),
        ("put_file.py", "small.txt", f"{name}/b"),
        ("resumable.py", str(source), f"{name}-4"),
        ("links.py", f"{name}/a", f"{name}/", f"{name}/b"),
        ("link_upload.py", str(source), f"{name}-5"),
        ("folders.py", f"{name}/", f"{name}/a", f"{name}/z", f"{name}/b"),
        ("cleanup.py",),
    ]
    for script, *arguments in scripts:
        run_script(credentials, tmp_path, script, *arguments)
    assert (tmp_path / "copy.bin").read_bytes() == source.read_bytes()
    assert (tmp_path / "range.bin").read_bytes() == source.read_bytes()[:10]
    named = {script for script, *_ in scripts} | {"cancel.py", "connection.py"}
    assert named == {path.name for path in SCRIPTS.glob("*.py")}


def test_scripts_call_every_route(proxy: RecordingProxy) -> None:
    """The tests above have called each route of the API description. Runs last, as pytest keeps the file's order."""
    assert documented_routes() - proxy.called == set()
