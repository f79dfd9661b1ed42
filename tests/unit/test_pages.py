"""The pages: their policy, their assets and the forms in which both are sent."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dev.paths import ROOT
from ferry.errors import NotFound
from ferry.http.openapi import openapi_response
from ferry.http.pages import Pages
from ferry.http.request import Request

STATIC = ROOT / "functions" / "web" / "static"
BASE_URL, BUCKET = "https://files.example.com", "https://bucket.s3.eu-west-1.amazonaws.com"
MAX_FIRST_LOAD_BYTES = 100_000
REQUEST = Request("GET /console", "id", {}, {}, {}, "", body_is_base64=False)


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages(STATIC)


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (directive.split() for directive in policy.split("; "))}


@pytest.mark.parametrize("name", ["console.html", "docs.html"])
def test_page_policy_allows_scripts_by_path_alone(pages: Pages, name: str) -> None:
    """Scripts, styles and workers come from the assets' path, never from `'self'`: users' files are on this origin."""
    response = pages.page(REQUEST, name, base_url=BASE_URL, bucket_origin=BUCKET)
    policy = directives(response.headers["Content-Security-Policy"])
    assets = f"{BASE_URL}/assets/{pages.version}/"
    for kind in ("script-src", "style-src", "worker-src"):
        assert policy[kind] == [assets]
    for kind in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert policy[kind] == ["'none'"]
    assert policy["connect-src"] == [f"{BASE_URL}/", BUCKET]
    assert policy["img-src"] == [assets, BUCKET]
    assert policy["media-src"] == policy["frame-src"] == [BUCKET]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"


def test_page_may_connect_to_chunk_endpoint(pages: Pages) -> None:
    """Where a stack has an endpoint for chunks, pages may send to it, and run nothing from there."""
    endpoint = "https://id.lambda-url.eu-west-1.on.aws"
    response = pages.page(REQUEST, "console.html", base_url=BASE_URL, bucket_origin=BUCKET, chunk_endpoint=endpoint)
    policy = directives(response.headers["Content-Security-Policy"])
    assert [name for name, values in policy.items() if f"{endpoint}/" in values] == ["connect-src"]


@pytest.mark.parametrize("name", ["console.html", "docs.html"])
def test_page_has_no_inline_script_and_no_foreign_origin(pages: Pages, name: str) -> None:
    """A page loads everything from the assets' path, without inline scripts, and links to its own address."""
    response = pages.page(REQUEST, name, base_url=BASE_URL, bucket_origin=BUCKET)
    assert isinstance(response.body, bytes)
    html = response.body.decode()
    *links, address = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(links) == 4
    assert all(link.startswith(f"/assets/{pages.version}/") for link in links)
    assert address == f"{BASE_URL}/{Path(name).stem}"
    assert not re.search(r"<style|<script(?![^>]*src=)|\son\w+=|style=", html)
    assert "{{" not in html


def test_asset_of_current_version_may_be_kept(pages: Pages) -> None:
    """An asset is immutable below its version; a page, and an unknown name are not found."""
    request = replace(REQUEST, path_parameters={"asset": f"{pages.version}/main.js"})
    response = pages.asset(request)
    assert response.body == (STATIC / "main.js").read_bytes()
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in response.headers["Cache-Control"]
    for path in (f"{pages.version}/console.html", f"{pages.version}/none.js", f"{pages.version}/../app.py", "", "x"):
        with pytest.raises(NotFound):
            pages.asset(replace(REQUEST, path_parameters={"asset": path}))


def test_asset_of_other_version_is_asked_for_again(pages: Pages, tmp_path: Path) -> None:
    """During an update instances of both versions answer: a redirect to the same asset reaches one that has it, also a
    file that only the other version has.
    """
    (tmp_path / "new.js").write_bytes(b"// new")
    updated = Pages(tmp_path)
    path, query = f"{updated.version}/new.js", dict[str, str]()
    for number in range(1, 4):
        redirect = pages.asset(replace(REQUEST, path_parameters={"asset": path}, query=query))
        assert (redirect.status, redirect.headers["Cache-Control"]) == (307, "no-store")
        assert redirect.headers["Location"] == f"/assets/{path}?attempt={number}"
        query = {"attempt": str(number)}
    response = updated.asset(replace(REQUEST, path_parameters={"asset": path}, query=query))
    assert (response.status, response.body) == (200, b"// new")


@pytest.mark.parametrize("attempt", ["16", "17", "-1", "x", "", "1" * 5_000])
def test_asset_of_other_version_is_not_found_in_the_end(pages: Pages, attempt: str) -> None:
    """An asset that no instance has any more is not found before a browser gives up (after 20 redirects)."""
    parameters = {"asset": "0123456789abcdef/main.js"}
    with pytest.raises(NotFound):
        pages.asset(replace(REQUEST, path_parameters=parameters, query={"attempt": attempt}))


@pytest.mark.parametrize(
    "path", ["0123456789abcdef//evil.example", "0123456789abcdef/a/b.js", "0123456789ABCDEF/a.js", "x/main.js", "/a.js"]
)
def test_path_that_is_no_asset_of_a_version_leads_nowhere(pages: Pages, path: str) -> None:
    """Only what has the form of an asset's path is asked for again."""
    with pytest.raises(NotFound):
        pages.asset(replace(REQUEST, path_parameters={"asset": path}))


def test_asset_of_no_version_leads_to_the_current_one(pages: Pages) -> None:
    """Pages of other functions name `current`; a name that is no asset is not found, so it redirects nowhere else."""
    response = pages.asset(replace(REQUEST, path_parameters={"asset": "current/main.js"}))
    assert (response.status, response.headers["Location"]) == (302, f"/assets/{pages.version}/main.js")
    for path in ("current/", "current//evil.example", "current/../console"):
        with pytest.raises(NotFound):
            pages.asset(replace(REQUEST, path_parameters={"asset": path}))


@pytest.mark.parametrize(
    ("accepted", "is_gzip"),
    [("gzip, br", True), ("*", True), ("GZIP;q=0.5", True), ("br", False), ("gzip;q=0", False), ("", False)],
)
def test_asset_is_compressed_where_asked_for(pages: Pages, accepted: str, is_gzip: bool) -> None:
    """gzip is used where Accept-Encoding allows it (RFC 9110 section 12.5.3); the bytes are the same."""
    parameters = {"asset": f"{pages.version}/main.js"}
    response = pages.asset(replace(REQUEST, path_parameters=parameters, headers={"accept-encoding": accepted}))
    assert isinstance(response.body, bytes)
    assert response.headers.get("Content-Encoding") == ("gzip" if is_gzip else None)
    assert (gzip.decompress(response.body) if is_gzip else response.body) == (STATIC / "main.js").read_bytes()
    assert response.headers["Vary"] == "Accept-Encoding"


def test_openapi_document_is_compressed_where_asked_for() -> None:
    """The document, which `/docs` loads, has a thirteenth of its bytes in gzip."""
    plain = openapi_response(REQUEST)
    compressed = openapi_response(replace(REQUEST, headers={"accept-encoding": "gzip, deflate, br"}))
    assert isinstance(plain.body, bytes)
    assert isinstance(compressed.body, bytes)
    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == plain.body
    assert len(compressed.body) * 10 < len(plain.body)


def test_version_follows_the_content(pages: Pages, tmp_path: Path) -> None:
    """Any change of a file changes the path of all assets."""
    for name, content in pages.files.items():
        (tmp_path / name).write_bytes(content)
    assert Pages(tmp_path).version == pages.version
    (tmp_path / "main.js").write_bytes(b"// changed")
    assert Pages(tmp_path).version != pages.version


def test_console_loads_in_under_100_kb(pages: Pages) -> None:
    """All of the console's files together, compressed, are under 100 KB."""
    sizes = [len(gzip.compress(content, 6)) for name, content in pages.files.items() if not name.startswith("docs.")]
    assert 10_000 < sum(sizes) < MAX_FIRST_LOAD_BYTES


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.glob("*.js")))
def test_script_builds_no_markup_from_text(name: str) -> None:
    """No script turns text into markup or code: names, types and metadata come from strangers."""
    source = (STATIC / name).read_text(encoding="utf-8")
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    storage = r"localStorage|sessionStorage|document\.cookie"
    assert re.search(f"{markup}|{storage}", source) is None
    imported = re.findall(r'from "([^"]+)"', source)
    assert all((STATIC / each.removeprefix("./")).is_file() for each in imported)
