"""Downloads with curl, wget and aria2, by the commands of docs/download-guide.md."""

from __future__ import annotations

import pytest

from dev.local.client import fetch
from tests.clients.conftest import LARGE_SIZE_BYTES, NAME, SMALL_SIZE_BYTES, DownloadHarness, sha256_of

CLIENTS = ["curl", "wget", "aria2"]
LINK_TARGET = f"/download/{NAME}?redirect=false"


@pytest.mark.parametrize("client", CLIENTS)
def test_download_interrupted_resumes(harness: DownloadHarness, client: str) -> None:
    """After an interruption, the client fetches the rest and not the whole file again; S3 receives no token."""
    body = harness.upload_large()
    harness.proxy.break_after(LARGE_SIZE_BYTES // 2)
    assert harness.run_block(f"{client} begin").returncode != 0
    assert harness.proxy.is_broken()
    harness.proxy.break_after(LARGE_SIZE_BYTES // 4 * 3)
    assert harness.run_block(f"{client} resume").returncode == 0
    assert not harness.proxy.is_broken()
    assert harness.sha256() == sha256_of(body)
    harness.assert_no_token_at_s3()


@pytest.mark.parametrize("client", CLIENTS)
def test_download_uninterrupted_completes(harness: DownloadHarness, client: str) -> None:
    """The first commands alone download the file."""
    body = harness.upload(SMALL_SIZE_BYTES, seed=2)
    assert harness.run_block(f"{client} begin").returncode == 0
    assert harness.sha256() == sha256_of(body)
    harness.assert_no_token_at_s3()


@pytest.mark.parametrize("client", CLIENTS)
def test_download_file_replaced_midway_fails_then_restarts(harness: DownloadHarness, client: str) -> None:
    """To resume fails and leaves the partial file unchanged; to start again downloads the new file of equal size."""
    old = harness.upload(SMALL_SIZE_BYTES, seed=3)
    harness.proxy.break_after(SMALL_SIZE_BYTES // 2)
    assert harness.run_block(f"{client} begin").returncode != 0
    new = harness.upload(SMALL_SIZE_BYTES, seed=4)
    harness.proxy.restore()
    partial_sha256 = harness.sha256()
    assert harness.run_block(f"{client} resume").returncode in (8, 22)
    assert harness.sha256() == partial_sha256
    if client == "curl":
        assert (harness.work_folder / NAME).read_bytes() == old[: harness.size_bytes()]
    for path in harness.work_folder.iterdir():
        path.unlink()
    assert harness.run_block(f"{client} begin").returncode == 0
    assert harness.sha256() == sha256_of(new)


@pytest.mark.parametrize(("client", "command"), [("wget", "wget --no-verbose --continue"), ("aria2", "aria2c")])
def test_presigned_url_file_replaced_serves_original(harness: DownloadHarness, client: str, command: str) -> None:
    """A URL of a replaced file still downloads it, because its object stays for a day."""
    old = harness.upload(SMALL_SIZE_BYTES, seed=5)
    harness.proxy.break_after(SMALL_SIZE_BYTES // 2)
    assert harness.run_block(f"{client} begin").returncode != 0
    harness.upload(SMALL_SIZE_BYTES, seed=6)
    harness.proxy.restore()
    output_option = {"wget": "--output-document", "aria2": "--continue --out"}[client]
    assert harness.run_shell(f'{command} {output_option}={NAME} "$(jq -r .url {NAME}.json)"').returncode == 0
    assert harness.sha256() == sha256_of(old)


def test_curl_range_follows_redirect(harness: DownloadHarness) -> None:
    """The download has exactly the requested bytes, and curl follows the redirect without the token."""
    body = harness.upload(SMALL_SIZE_BYTES, seed=7)
    assert harness.run_block("curl range").returncode == 0
    assert (harness.work_folder / f"{NAME}.part").read_bytes() == body[1_000_000:11_000_000]
    harness.assert_no_token_at_s3()


@pytest.mark.parametrize("size", [1_000_000, SMALL_SIZE_BYTES])
def test_curl_resume_any_size_completes(harness: DownloadHarness, size: int) -> None:
    """The API returns the range of a small file itself, and redirects for a large one."""
    body = harness.upload(size, seed=8)
    (harness.work_folder / NAME).write_bytes(body[: size // 2])
    (harness.work_folder / f"{NAME}.headers").write_text(
        f"ETag: {harness.client.request('HEAD', f'/download/{NAME}').headers['etag']}\r\n"
    )
    assert harness.run_block("curl resume").returncode == 0
    assert harness.sha256() == sha256_of(body)


@pytest.mark.parametrize("command", ["wget --quiet --output-document", "aria2c --allow-overwrite --out"])
def test_redirect_wget_and_aria2_forward_token(harness: DownloadHarness, command: str) -> None:
    """wget and aria2 send the token to S3, which is why the guide gets the URL first."""
    harness.upload(SMALL_SIZE_BYTES, seed=9)
    harness.run_shell(f'{command}={NAME} --header "Authorization: Bearer $TOKEN" "$FERRY/download/{NAME}"')
    assert any("authorization" in request.headers for request in harness.proxy.requests_to(harness.s3))


def test_presigned_url_needs_no_header(harness: DownloadHarness) -> None:
    """The presigned URL alone downloads the file."""
    body = harness.upload(SMALL_SIZE_BYTES, seed=10)
    assert fetch("GET", harness.client.request("GET", LINK_TARGET).json["url"]).body == body
