"""Quotas of a namespace: how clients meet them, and how a recount counts what existed before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from admin.recount import RecountResult, recount
from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from dev.fakes.quotas import MemoryQuotaStore
from ferry.errors import QuotaExceeded
from ferry.files.delete import delete_file
from ferry.model.files import File, IfExists
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadState
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

BODY = seeded_bytes(2 * CHUNK_BYTES)
FILE_BYTES = len(BODY)


@pytest.fixture
def service_with_limits(service: InMemoryService) -> Callable[..., InMemoryService]:
    """Return a service whose namespace has these limits."""
    return lambda **limits: InMemoryService(quota=Quota(**limits))


def upload_file(service: InMemoryService, name: str = NAME, **options: Any) -> File:
    client = Client(service, BODY, name=name)
    client.start(**options)
    client.send_chunks()
    file = client.complete()
    assert isinstance(file, File)
    return file


def quota_usage(service: InMemoryService) -> tuple[int, int]:
    quota = service.upload_repository.rows.quotas[NS]
    return quota.used_bytes, quota.open_uploads


@pytest.mark.parametrize(
    ("limits", "expected_quota"),
    [
        (
            {"max_bytes": 2 * FILE_BYTES - 1},
            {"quota": "bytes", "limit": 2 * FILE_BYTES - 1, "used": FILE_BYTES, "requested": FILE_BYTES},
        ),
        ({"max_uploads": 1}, {"quota": "uploads", "limit": 1, "used": 1, "requested": 1}),
        (
            {"max_file_bytes": FILE_BYTES - 1},
            {"quota": "file", "limit": FILE_BYTES - 1, "used": 0, "requested": FILE_BYTES},
        ),
    ],
)
def test_start_over_limit_rejected_with_details(
    service_with_limits: Callable[..., InMemoryService], limits: dict[str, int], expected_quota: dict[str, object]
) -> None:
    """The error names the limit, its usage and what was requested, and no upload was started."""
    service = service_with_limits(**limits)
    if "max_file_bytes" not in limits:
        Client(service, BODY).start()
    with pytest.raises(QuotaExceeded) as rejected:
        Client(service, BODY, name="another").start()
    assert {name: rejected.value.extra[name] for name in ("quota", "limit", "used", "requested")} == expected_quota
    assert service.upload_repository.get_current_upload(NS, "another") is None
    service.assert_quota_usage()


def test_quota_upload_ends_usage_released(service_with_limits: Callable[..., InMemoryService]) -> None:
    """Cancelling, completing, deleting and replacing release usage to the byte."""
    service = service_with_limits(max_bytes=2 * FILE_BYTES, max_uploads=1)
    client = Client(service, BODY)
    client.start()
    client.cancel()
    upload_file(service)
    upload_file(service, if_exists=IfExists.REPLACE)
    assert quota_usage(service) == (FILE_BYTES, 0)
    upload_file(service, "another")
    with pytest.raises(QuotaExceeded):
        Client(service, BODY, name="a third").start()
    delete_file(service.services, NS, NAME)
    upload_file(service, "a third")
    service.assert_quota_usage()


def test_start_resumed_reserves_once(service_with_limits: Callable[..., InMemoryService]) -> None:
    """An upload that fills the quota can be resumed by repeating the start."""
    service = service_with_limits(max_bytes=FILE_BYTES, max_uploads=1)
    client = Client(service, BODY)
    client.start()
    for _ in range(3):
        client.start()
    assert quota_usage(service) == (FILE_BYTES, 1)


def test_restart_at_limit_reuses_cancelled_usage(service_with_limits: Callable[..., InMemoryService]) -> None:
    """A restart may use what its cancelled upload releases; one without room even then cancels nothing."""
    service = service_with_limits(max_bytes=FILE_BYTES, max_uploads=1)
    client = Client(service, BODY)
    client.start()
    client.start(restart=True)
    assert quota_usage(service) == (FILE_BYTES, 1)
    larger = Client(service, BODY + b"x")
    with pytest.raises(QuotaExceeded):
        larger.start(restart=True)
    assert client.state() is UploadState.OPEN
    service.assert_quota_usage()


def test_start_concurrent_at_limit_second_rejected(service_with_limits: Callable[..., InMemoryService]) -> None:
    """Of two starts for the last room, the second is rejected with the usage at that time."""
    service = service_with_limits(max_uploads=1)
    first = Client(service, BODY)
    services = service.new_services(FaultPlan({("create_upload", 1): first.start}))
    with pytest.raises(QuotaExceeded) as rejected:
        Client(service, BODY, name="another").start(services)
    assert rejected.value.extra["used"] == 1
    service.assert_quota_usage()


def test_limits_set_add_no_calls(service_with_limits: Callable[..., InMemoryService]) -> None:
    """A file takes as many calls with limits as without."""
    logs = []
    for service in (InMemoryService(), service_with_limits(max_bytes=FILE_BYTES)):
        log = CallLog()
        client, services = Client(service, BODY), service.new_services(log=log)
        client.start(services)
        client.send_chunks()
        client.complete(services)
        logs.append(log.methods)
    assert logs[0] == logs[1]


def test_quota_without_counted_limit_counts_nothing(service_with_limits: Callable[..., InMemoryService]) -> None:
    """With a limit for the size of one file alone, no usage is counted."""
    service = service_with_limits(max_file_bytes=FILE_BYTES)
    upload_file(service)
    assert quota_usage(service) == (0, 0)


def test_recount_existing_files_and_uploads_counted_once(service: InMemoryService) -> None:
    """A recount counts each file and upload once, however often it runs and whatever ends meanwhile."""
    for name in ("a", "b", "c"):
        upload_file(service, name)
    clients = [Client(service, BODY, name=name) for name in ("d", "e", "f")]
    for client in clients:
        client.start()
    quotas = MemoryQuotaStore(service.upload_repository.table)
    quotas.set_limits(NS, max_bytes=1, max_uploads=1, max_file_bytes=None)
    clients[0].send_chunks()
    with pytest.raises(ProcessCrashed):
        clients[0].complete(service.new_services(FaultPlan({("commit_file", 1): Fault.CRASH_BEFORE})))
    cancelling = service.new_services(FaultPlan({("get_upload", 3): clients[2].cancel}))
    assert recount(cancelling.upload_repository, cancelling.file_repository, quotas, NS) == RecountResult(
        files=3, uploads=1, skipped=1
    )
    assert recount(service.upload_repository, service.file_repository, quotas, NS) == RecountResult(skipped=1)
    clients[0].complete_with_retries()
    assert recount(service.upload_repository, service.file_repository, quotas, NS) == RecountResult(files=1)
    assert quota_usage(service) == (5 * FILE_BYTES, 1)
    service.assert_quota_usage()
    clients[1].cancel()
    for name in ("a", "b", "c", "d"):
        delete_file(service.services, NS, name)
    assert quota_usage(service) == (0, 0)


@pytest.mark.parametrize("end", ["cancel", "complete", "delete", "replace"])
def test_recount_during_end_usage_released(service: InMemoryService, end: str) -> None:
    """An upload or file that is counted while it ends still releases its usage."""
    quotas = MemoryQuotaStore(service.upload_repository.table)
    quotas.set_limits(NS, max_bytes=100 * FILE_BYTES, max_uploads=None, max_file_bytes=None)
    service.upload_repository.rows.quotas.clear()
    client = Client(service, BODY)
    if end in ("cancel", "complete"):
        client.start()
        client.send_chunks()
    else:
        upload_file(service)
    before = {"cancel": "terminate", "complete": "acquire_lease", "delete": "delete_file", "replace": "commit_file"}[
        end
    ]

    def count() -> None:
        quotas.set_limits(NS, max_bytes=100 * FILE_BYTES, max_uploads=None, max_file_bytes=None)
        recount(service.upload_repository, service.file_repository, quotas, NS)

    services = service.new_services(FaultPlan({(before, 1): count}))
    if end == "cancel":
        client.cancel(services)
    elif end == "complete":
        client.complete(services)
    elif end == "delete":
        delete_file(services, NS, NAME)
    else:
        client.start(if_exists=IfExists.REPLACE)
        client.send_chunks()
        client.complete(services)
    recount(service.upload_repository, service.file_repository, quotas, NS)
    assert quota_usage(service) == ((0, 0) if end in ("cancel", "delete") else (FILE_BYTES, 0))
    service.assert_quota_usage()
