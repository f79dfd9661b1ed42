"""Downloads with Python's requests, by the function of docs/download-guide.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import requests

from tests.clients.conftest import LARGE_SIZE_BYTES, NAME, SMALL_SIZE_BYTES, DownloadHarness, sha256_of
from tests.clients.download_guide_commands import runnable_blocks

Download = Callable[[], None]


@pytest.fixture
def download(harness: DownloadHarness, monkeypatch: pytest.MonkeyPatch) -> Download:
    """The guide's function, which downloads the file, or the rest of it, through the proxy."""
    monkeypatch.setenv("http_proxy", harness.proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    namespace: dict[str, Any] = {}
    code = compile(runnable_blocks()["requests"], "docs/download-guide.md", "exec")
    exec(code, namespace)  # noqa: S102 - the guide's code is the subject of the test
    url = f"{harness.client.base_url}/download/{NAME}"
    return lambda: cast(None, namespace["download"](url, harness.client.token, str(harness.work_folder / NAME)))


def test_download_interrupted_resumes(harness: DownloadHarness, download: Download) -> None:
    """A second call fetches the rest only; a third call fetches nothing."""
    body = harness.upload_large()
    harness.proxy.break_after(LARGE_SIZE_BYTES // 2)
    with pytest.raises(requests.RequestException):
        download()
    harness.proxy.break_after(LARGE_SIZE_BYTES // 4 * 3)
    download()
    assert harness.sha256() == sha256_of(body)
    download()
    assert not harness.proxy.is_broken()
    assert harness.sha256() == sha256_of(body)


def test_if_range_match_returns_rest_else_whole(harness: DownloadHarness, download: Download) -> None:
    """Across the redirect, the same file returns its rest, another file returns whole (RFC 9110 section 13.1.5)."""
    old = harness.upload(SMALL_SIZE_BYTES, seed=15)
    url = f"{harness.client.base_url}/download/{NAME}"
    authorization = {"Authorization": f"Bearer {harness.client.token}"}
    etag = requests.head(url, headers=authorization, timeout=60).headers["ETag"]
    headers = {**authorization, "Range": f"bytes={SMALL_SIZE_BYTES // 2}-", "If-Range": etag}
    rest = requests.get(url, headers=headers, timeout=60)
    assert (rest.status_code, sha256_of(rest.content)) == (206, sha256_of(old[SMALL_SIZE_BYTES // 2 :]))
    new = harness.upload(SMALL_SIZE_BYTES, seed=16)
    whole = requests.get(url, headers=headers, timeout=60)
    assert (whole.status_code, sha256_of(whole.content)) == (200, sha256_of(new))


def test_redirect_followed_without_token(harness: DownloadHarness, download: Download) -> None:
    """S3 receives no Authorization header, and the API does."""
    body = harness.upload(SMALL_SIZE_BYTES, seed=12)
    download()
    assert harness.sha256() == sha256_of(body)
    harness.assert_no_token_at_s3()
    assert all("authorization" in request.headers for request in harness.proxy.requests_to(harness.client.base_url))


def test_download_file_replaced_midway_restarts(harness: DownloadHarness, download: Download) -> None:
    """The second call downloads the whole new file, although it has the old one's size."""
    harness.upload(SMALL_SIZE_BYTES, seed=13)
    harness.proxy.break_after(SMALL_SIZE_BYTES // 2)
    with pytest.raises(requests.RequestException):
        download()
    new = harness.upload(SMALL_SIZE_BYTES, seed=14)
    harness.proxy.restore()
    download()
    assert harness.sha256() == sha256_of(new)
