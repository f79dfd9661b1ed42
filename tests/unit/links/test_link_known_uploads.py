"""An upload that an instance knows from the requests of a client is not there for those of a link."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.fakes.faults import CallLog
from ferry.errors import UploadNotFound
from ferry.links.downloads import LinkCaller
from ferry.links.uploads import link_services
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.presign import PartsRequest, presign_parts
from tests.support.in_memory_service import CHUNK_BYTES, NS, Client, seeded_bytes
from tests.unit.links.conftest import LinkFixture
from tests.unit.links.guest import make_link

NAME = "in/a"


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize(
    "request_by_link",
    [
        lambda services, body, upload_id: accept_chunk(services, NS, ChunkRequest(NAME, 2, body, upload_id)),
        lambda services, _, upload_id: presign_parts(services, NS, PartsRequest(NAME, [(1, None)], upload_id)),
        lambda services, _, upload_id: complete(services, NS, CompleteRequest(NAME, upload_id)),
        lambda services, _, upload_id: cancel(services, NS, NAME, upload_id),
    ],
    ids=["chunk", "parts", "complete", "cancel"],
)
def test_cached_upload_of_client_is_not_found_by_link(
    fixture: LinkFixture, request_by_link: Callable[[Services, bytes, str | None], object], by_id: bool
) -> None:
    """A link finds no upload of a client, and changes none, on the instance that has just served the client."""
    link = make_link(fixture)
    client = Client(fixture.service, seeded_bytes(4 * CHUNK_BYTES), name=NAME)
    client.start()
    client.send_chunk(1)
    before = fixture.service.upload_repository.get_upload(client.upload_id)
    log = CallLog()
    instance = fixture.service.new_services(log=log, warm=fixture.service.services)
    services = link_services(instance, LinkCaller(link, "192.0.2.0/24"))
    with pytest.raises(UploadNotFound):
        request_by_link(services, client.chunk_body(2), client.upload_id if by_id else None)
    assert fixture.service.upload_repository.get_upload(client.upload_id) == before
    assert [method for method in log.methods if not method.startswith("get")] == []
