"""The lifetime of a download's presigned URL."""

from __future__ import annotations

import pytest

from ferry.downloads.download import DownloadRequest, download
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes


@pytest.mark.parametrize("redirect", [True, False])
def test_link_expires_with_credentials(monkeypatch: pytest.MonkeyPatch, redirect: bool) -> None:
    """The URL of a redirect and of `redirect=false` has the lifetime that the store could sign."""
    monkeypatch.setattr("ferry.downloads.download.MAX_BODY_BYTES", 1)
    service = InMemoryService()
    client = Client(service, seeded_bytes(CHUNK_BYTES))
    client.start()
    client.send_chunks()
    client.complete()
    service.object_store.credentials_expire_at = service.clock() + 600_000
    link = download(service.services, NS, NAME, DownloadRequest(redirect=redirect)).link
    assert link is not None
    assert link.expires_at == service.clock() + 600_000
    assert service.object_store.get_presigned(link.url).status == 200
    service.clock.advance(600_000)
    assert service.object_store.get_presigned(link.url).status == 403
