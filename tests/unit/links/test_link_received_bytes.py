"""What a link counts as received of uploads that end without a file: each byte once, whatever crashes."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import BackendUnavailable
from ferry.rules.digests import crc32c
from ferry.rules.layout import MIB
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.presign import PartsRequest, presign_parts
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS, swallow_crash
from tests.unit.links.guest import BODY, Guest, let_hours_pass

NAME = "in/a"
SIZE = 9 * MIB
"""Two chunks that make a part, and one more."""


def large_guest() -> Guest:
    guest = Guest()
    guest.link = guest.fixture.change(guest.link, max_bytes=10 * MIB)
    start(guest.services(), NS, StartRequest(NAME, SIZE))
    return guest


def send_part(guest: Guest) -> None:
    for index in (1, 2):
        accept_chunk(guest.services(), NS, ChunkRequest(NAME, index, bytes(4 * MIB)))


def cancel_upload(services: Services) -> None:
    cancel(services, NS, NAME)


def calls_of_cancel() -> int:
    guest, log = Guest(), CallLog()
    start(guest.services(), NS, StartRequest(NAME, len(BODY)))
    cancel_upload(guest.services(log=log))
    return len(log.methods)


def assert_received(guest: Guest, received_bytes: int) -> None:
    """Check that all was given back but what was received."""
    usage = guest.usage
    assert (usage.files, usage.bytes, usage.reservations) == (0, 0, {})
    assert usage.received_bytes == received_bytes


def test_received_bytes_of_an_assembled_part_count_once() -> None:
    """The chunks of a part and the part that they were assembled into are the same bytes."""
    guest = large_guest()
    send_part(guest)
    cancel_upload(guest.services())
    assert_received(guest, 8 * MIB)


def test_received_bytes_of_a_presigned_part_count() -> None:
    """A part that went straight to S3 was received, also where no chunk was."""
    guest = large_guest()
    services = guest.services()
    presign_parts(services, NS, PartsRequest(NAME, [(1, None)]))
    record = guest.records[0]
    assert record.multipart_id is not None
    body = bytes(8 * MIB)
    services.object_store.upload_part(record.object_key, record.multipart_id, 1, body, crc32c=crc32c(body))
    cancel_upload(services)
    assert_received(guest, 8 * MIB)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
@pytest.mark.parametrize("number", range(1, calls_of_cancel() + 1))
def test_received_bytes_of_a_cancelled_upload_survive_a_fault(fault: Fault, number: int) -> None:
    """Whatever call of the cancellation fails, what the upload had received counts, and its reservation ends."""
    guest = Guest()
    start(guest.services(), NS, StartRequest(NAME, len(BODY)))
    accept_chunk(guest.services(), NS, ChunkRequest(NAME, 1, BODY))
    plan = FaultPlan({number: fault})
    swallow_crash(partial(_cancel_or_fail, guest, plan))
    plan.apply_in_flight()
    let_hours_pass(guest, 4)
    guest.fixture.service.drain_cleanup()
    assert_received(guest, len(BODY))


def _cancel_or_fail(guest: Guest, plan: FaultPlan) -> None:
    with suppress(BackendUnavailable):
        cancel_upload(guest.services(plan))
