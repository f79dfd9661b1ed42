"""The page of a link as the server sends it: what people see who run no scripts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dev.paths import ROOT
from ferry.http.link_pages import page_response
from ferry.model.files import File
from ferry.model.links import Link, LinkKind, LinkUsage, PasswordHash

BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
TURNED = "shared/attack\u202egpj.exe"
"""Reads as `attackexe.jpg` where the override holds (U+202E)."""

PASSWORD = PasswordHash(salt=b"salt", digest=b"digest", cost=1, block_size=1, parallelism=1)
LINK = Link(
    link_id="id",
    secret_hash=b"hash",
    ns="demo",
    kind=LinkKind.DOWNLOAD,
    created_by="demo",
    created_at=0,
    expires_at=86_400_000,
    prefix="shared/",
)


def page_of(link: Link, *names: str) -> str:
    files = [
        File(
            ns="demo",
            name=name,
            upload_id="id",
            size=1,
            etag='"etag"',
            crc32c=0,
            content_type="text/plain",
            metadata={},
            fingerprint=None,
            uploaded_at=0,
            last_modified_seconds=0,
            object_date_seconds=0,
        )
        for name in names
    ]
    response = page_response(
        "S" * 43, link, LinkUsage(), files, base_url="https://f.example", bucket_origin="https://b"
    )
    assert isinstance(response.body, str)
    return response.body


@pytest.mark.parametrize(
    "link",
    [
        LINK,
        replace(LINK, label=f"label {BIDI_CONTROLS}"),
        replace(LINK, prefix=None, filename=TURNED),
        replace(LINK, kind=LinkKind.UPLOAD, label=TURNED, max_files=1, max_bytes=1),
    ],
    ids=["folder", "label", "file", "upload"],
)
def test_page_without_scripts_shows_characters_that_turn_text(link: Link) -> None:
    """No name and no label can turn text around, be it its own or that beside it; the addresses stay as they are."""
    html = page_of(link, TURNED)
    assert set(html).isdisjoint(BIDI_CONTROLS)
    assert "<bdi>" in html
    assert "\ufffd" in html
    if link is LINK:
        assert '<a href="' + "S" * 43 + '/download/shared/attack%E2%80%AEgpj.exe"' in html
        assert "<bdi>shared/attack\ufffdgpj.exe</bdi></a>" in html


def test_page_and_scripts_replace_the_same_characters() -> None:
    """The scripts, which replace the page, show the same characters."""
    source = (ROOT / "functions" / "web" / "static" / "dom.js").read_text(encoding="utf-8")
    assert r"/[\u202a-\u202e\u2066-\u2069]/g" in source


@pytest.mark.parametrize("members", [{"kind": LinkKind.UPLOAD, "max_files": 1, "max_bytes": 1}, {"password": PASSWORD}])
def test_page_whose_scripts_do_not_load_says_what_to_do(members: dict[str, Any]) -> None:
    """A page of which nothing works without scripts says so: they are not there during an update of the service."""
    assert "load this page again" in page_of(replace(LINK, **members))
    assert "load this page again" not in page_of(LINK)
