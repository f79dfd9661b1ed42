"""Count the calls and units of requests by links, and of their creation and deletion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from moto import mock_aws

from dev.bench.usage import NS, TINY_BYTES, Usage, UsageMeter, UsageRun
from dev.testing.template import create_table
from ferry.aws.session import AwsSession
from ferry.downloads.download import DownloadRequest
from ferry.files.put import PutRequest, put_file
from ferry.links.downloads import LinkCaller, download_by_link
from ferry.links.lookup import Links
from ferry.links.manage import CreateRequest, create_link, delete_link
from ferry.links.uploads import link_services
from ferry.model.links import Link, LinkKind
from ferry.model.sequential import Protocol
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.create import CreateRequest as UploadRequest
from ferry.resumable.create import create

FOLDER, NAME = "a folder/", "a folder/a file of ordinary name.bin"
DAY_SECONDS = 86_400


@dataclass
class LinkRun:
    """A link of each kind, over services whose calls are counted."""

    run: UsageRun
    """The services."""

    links_by_kind: dict[str, Link] = field(default_factory=dict)
    """`plain` and `counted` for downloads, and `upload`."""

    def links(self) -> Links:
        """Return the links as a new instance of a function reads them."""
        return Links(self.run.services.link_repository(), lambda _: False, self.run.clock, 45_000)

    def create(self, kind: str) -> None:
        request = CreateRequest(LinkKind.DOWNLOAD, DAY_SECONDS, filename=NAME)
        if kind == "counted":
            request = CreateRequest(LinkKind.DOWNLOAD, DAY_SECONDS, filename=NAME, max_downloads=1_000)
        if kind == "upload":
            request = CreateRequest(LinkKind.UPLOAD, DAY_SECONDS, prefix=FOLDER, max_files=1_000, max_bytes=10**11)
        link, _ = create_link(self.run.services, self.links(), NS, request, client_id="client-0001", issuer="")
        self.links_by_kind[kind] = link

    def caller(self, kind: str) -> LinkCaller:
        """Return who sends a request, after the instance has read the link."""
        return LinkCaller(self.links().get_active(self.links_by_kind[kind].link_id), "192.0.2.0/24")

    def download(self, kind: str) -> None:
        download_by_link(self.run.services, self.links(), self.caller(kind), NAME, DownloadRequest())

    def upload(self) -> None:
        services = link_services(self.run.services, self.caller("upload"))
        request = UploadRequest(Protocol.TUS, name=f"{FOLDER}another file.bin", length=TINY_BYTES)
        upload = create(services, NS, request)
        append(services, NS, AppendRequest(upload.record.upload_id, 0, bytes(TINY_BYTES)))

    def upload_by_client(self) -> None:
        request = UploadRequest(Protocol.TUS, name=f"{FOLDER}another file.bin", length=TINY_BYTES)
        upload = create(self.run.services, NS, request)
        append(self.run.services, NS, AppendRequest(upload.record.upload_id, 0, bytes(TINY_BYTES)))

    def delete(self) -> None:
        delete_link(self.links(), NS, self.links_by_kind["plain"].link_id)


LINK_OPERATIONS: Mapping[str, Callable[[LinkRun], object]] = {
    "a link created": lambda run: run.create("plain"),
    "a link deleted": lambda run: run.delete(),
    "a download by a link without a limit": lambda run: run.download("plain"),
    "a download by a link with `max_downloads`": lambda run: run.download("counted"),
    "a file sent by a link in one request (tus)": lambda run: run.upload(),
    "the same by a client": lambda run: run.upload_by_client(),
}
"""The requests of the page, by what it calls them."""


@cache
def measure_link_operation(name: str) -> Usage:
    """Return the usage of one of `LINK_OPERATIONS`, with the cleanup that it causes, without that of an idle run.

    The request comes to a new instance of a function: an instance reads a link once in 45 seconds.
    """
    with mock_aws():
        client = AwsSession({}).dynamodb
        for table in ("idle", "counted"):
            create_table(client, "MetadataTable", table)
        idle, counted = UsageRun(UsageMeter(client, "idle")), UsageRun(UsageMeter(client, "counted"))
        put_file(counted.services, NS, PutRequest(NAME, bytes(TINY_BYTES)))
        run = LinkRun(counted)
        for kind in ("plain", "counted", "upload"):
            run.create(kind)
        for each in (idle, counted):
            each.run_cleanup()
        idle_before, before = idle.usage(), counted.usage()
        LINK_OPERATIONS[name](run)
        counted.requests += 1
        for each in (idle, counted):
            each.run_cleanup()
        return counted.usage().minus(before).minus(idle.usage().minus(idle_before))
