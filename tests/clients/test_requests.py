"""Python's requests, by the function of docs/downloads.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import requests

from tests.clients.conftest import BIG, LESS, NAME, Bench, sum_of
from tests.clients.manual import commands

Download = Callable[[], None]


@pytest.fixture
def download(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Download:
    """Fetch the file, or the rest of it, through the proxy."""
    monkeypatch.setenv("http_proxy", bench.proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    found: dict[str, Any] = {}
    exec(compile(commands()["requests"], "docs/downloads.md", "exec"), found)  # noqa: S102 - it is what is tested
    url = f"{bench.api.base_url}/download/{NAME}"
    return lambda: cast(None, found["download"](url, bench.api.token, str(bench.folder / NAME)))


def test_a_download_broken_off_half_way_goes_on(bench: Bench, download: Download) -> None:
    """Only the rest is fetched; called once more, nothing is."""
    body = bench.upload(BIG, seed=11)
    bench.proxy.break_after(BIG // 2)
    with pytest.raises(requests.RequestException):
        download()
    bench.proxy.break_after(BIG // 4 * 3)
    download()
    assert bench.sum() == sum_of(body)
    download()
    assert not bench.proxy.is_broken()
    assert bench.sum() == sum_of(body)


def test_if_range_brings_the_rest_or_the_whole(bench: Bench, download: Download) -> None:
    """RFC 9110 section 13.1.5, across the redirect: of the same file the rest, of another everything."""
    old = bench.upload(LESS, seed=15)
    url = f"{bench.api.base_url}/download/{NAME}"
    token = {"Authorization": f"Bearer {bench.api.token}"}
    etag = requests.head(url, headers=token, timeout=60).headers["ETag"]
    resuming = {**token, "Range": f"bytes={LESS // 2}-", "If-Range": etag}
    rest = requests.get(url, headers=resuming, timeout=60)
    assert (rest.status_code, sum_of(rest.content)) == (206, sum_of(old[LESS // 2 :]))
    new = bench.upload(LESS, seed=16)
    whole = requests.get(url, headers=resuming, timeout=60)
    assert (whole.status_code, sum_of(whole.content)) == (200, sum_of(new))


def test_the_redirect_is_followed_without_the_token(bench: Bench, download: Download) -> None:
    """S3 sees no Authorization header, and the API does."""
    body = bench.upload(LESS, seed=12)
    download()
    assert bench.sum() == sum_of(body)
    bench.assert_no_token_at_s3()
    assert all("authorization" in request.headers for request in bench.proxy.to(bench.api.base_url))


def test_a_file_replaced_in_the_middle_is_never_mixed(bench: Bench, download: Download) -> None:
    """The new file comes whole, though it has the size of the old."""
    bench.upload(LESS, seed=13)
    bench.proxy.break_after(LESS // 2)
    with pytest.raises(requests.RequestException):
        download()
    new = bench.upload(LESS, seed=14)
    bench.proxy.mend()
    download()
    assert bench.sum() == sum_of(new)
