"""curl, wget and aria2, by the commands of docs/downloads.md."""

from __future__ import annotations

import pytest

from local.api import fetch
from tests.clients.conftest import BIG, LESS, NAME, Bench, sum_of

CLIENTS = ["curl", "wget", "aria2"]
TELL = f"/download/{NAME}?redirect=false"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_download_broken_off_half_way_goes_on(bench: Bench, client: str) -> None:
    """Half of the file has come, and the rest is fetched, not the whole again; S3 never sees the token."""
    body = bench.upload(BIG, seed=1)
    bench.proxy.break_after(BIG // 2)
    assert bench.run(f"{client} begin").returncode != 0
    assert bench.proxy.is_broken()
    bench.proxy.break_after(BIG // 4 * 3)
    assert bench.run(f"{client} resume").returncode == 0
    assert not bench.proxy.is_broken()
    assert bench.sum() == sum_of(body)
    bench.assert_no_token_at_s3()


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unbroken_download(bench: Bench, client: str) -> None:
    """The first commands alone bring the file."""
    body = bench.upload(LESS, seed=2)
    assert bench.run(f"{client} begin").returncode == 0
    assert bench.sum() == sum_of(body)
    bench.assert_no_token_at_s3()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_replaced_in_the_middle_is_never_mixed(bench: Bench, client: str) -> None:
    """Going on fails, with what was there untouched; beginning again brings the new file, of the same size."""
    old = bench.upload(LESS, seed=3)
    bench.proxy.break_after(LESS // 2)
    assert bench.run(f"{client} begin").returncode != 0
    new = bench.upload(LESS, seed=4)
    bench.proxy.mend()
    before = bench.sum()
    assert bench.run(f"{client} resume").returncode in (8, 22)
    assert bench.sum() == before
    if client == "curl":
        assert (bench.folder / NAME).read_bytes() == old[: bench.size()]
    for left in bench.folder.iterdir():
        left.unlink()
    assert bench.run(f"{client} begin").returncode == 0
    assert bench.sum() == sum_of(new)


@pytest.mark.parametrize(("client", "command"), [("wget", "wget --no-verbose --continue"), ("aria2", "aria2c")])
def test_a_url_goes_on_with_the_file_it_was_told_for(bench: Bench, client: str, command: str) -> None:
    """Replaced meanwhile or not: its object stays for a day."""
    old = bench.upload(LESS, seed=5)
    bench.proxy.break_after(LESS // 2)
    assert bench.run(f"{client} begin").returncode != 0
    bench.upload(LESS, seed=6)
    bench.proxy.mend()
    tell = {"wget": "--output-document", "aria2": "--continue --out"}[client]
    assert bench.shell(f'{command} {tell}={NAME} "$(jq -r .url {NAME}.json)"').returncode == 0
    assert bench.sum() == sum_of(old)


def test_curl_fetches_a_range_through_the_redirect(bench: Bench) -> None:
    """Exactly those bytes; the redirect is followed without the token."""
    body = bench.upload(LESS, seed=7)
    assert bench.run("curl range").returncode == 0
    assert (bench.folder / f"{NAME}.part").read_bytes() == body[1_000_000:11_000_000]
    bench.assert_no_token_at_s3()


@pytest.mark.parametrize("size", [1_000_000, LESS])
def test_curl_goes_on_with_a_file_of_any_size(bench: Bench, size: int) -> None:
    """A small file's range comes from the API itself."""
    body = bench.upload(size, seed=8)
    (bench.folder / NAME).write_bytes(body[: size // 2])
    (bench.folder / f"{NAME}.headers").write_text(
        f"ETag: {bench.api.request('HEAD', f'/download/{NAME}').headers['etag']}\r\n"
    )
    assert bench.run("curl resume").returncode == 0
    assert bench.sum() == sum_of(body)


@pytest.mark.parametrize("command", ["wget --quiet --output-document", "aria2c --allow-overwrite --out"])
def test_why_there_is_redirect_false(bench: Bench, command: str) -> None:
    """wget and aria2 would hand the token on to S3."""
    bench.upload(LESS, seed=9)
    bench.shell(f'{command}={NAME} --header "Authorization: Bearer $TOKEN" "$FERRY/download/{NAME}"')
    assert any("authorization" in request.headers for request in bench.proxy.to(bench.s3))


def test_a_url_that_is_told_needs_no_header(bench: Bench) -> None:
    """It is all that S3 wants."""
    body = bench.upload(LESS, seed=10)
    assert fetch("GET", bench.api.request("GET", TELL).json["url"]).body == body
