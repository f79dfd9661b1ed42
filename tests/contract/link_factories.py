"""Links, and what the repositories have of one."""

from __future__ import annotations

from dataclasses import replace

from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask
from ferry.model.links import (
    Link,
    LinkKind,
    LinkUsage,
    PasswordHash,
)
from tests.contract.conftest import Repositories

LINK_ID = "0123456789abcdef0123456789abcdef"
DOWNLOAD_LINK = Link(
    link_id=LINK_ID,
    secret_hash=b"\1" * 32,
    ns="ns",
    kind=LinkKind.DOWNLOAD,
    created_by="client",
    created_at=START_MS,
    expires_at=START_MS + 86_400_000,
    filename="a/" + "ü" * 127 + "/" + "é" * 127,
    max_downloads=3,
)
UPLOAD_LINK = replace(
    DOWNLOAD_LINK,
    kind=LinkKind.UPLOAD,
    filename=None,
    prefix="in/",
    max_downloads=None,
    max_files=2,
    max_bytes=100,
    label="Papers",
    issuer="https://issuer.example",
    password=PasswordHash(b"salt", b"digest", 16_384, 8, 5),
)


def due_tasks(repositories: Repositories, now: int) -> list[CleanupTask]:
    return list(repositories.cleanup.list_due_tasks(now, None, 10).items)


def usage_of(repositories: Repositories, link_id: str = LINK_ID) -> LinkUsage:
    return repositories.links.get_usages([link_id]).get(link_id, LinkUsage())
