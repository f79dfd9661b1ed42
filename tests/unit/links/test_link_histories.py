"""Random histories of a guest with an upload link, with faults: the counters of the link against the records."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from dev.fakes.faults import Fault, FaultPlan
from ferry.errors import FerryError
from ferry.model.files import IfExists
from ferry.model.sequential import Protocol
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.concatenate import create_final
from ferry.resumable.create import CreateRequest, create
from ferry.resumable.delete import delete
from ferry.resumable.lookup import find_sequential
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import LEASE_MS, NS, swallow_crash
from tests.unit.links.guest import BODY, Guest, assert_exact, let_hours_pass

KINDS = ("start", "chunk", "complete", "cancel", "make", "deferred", "partial", "append", "delete", "final", "hours")
requests = st.tuples(
    st.sampled_from(KINDS),
    st.integers(0, 3),
    st.integers(1, 10),
    st.one_of(st.none(), st.none(), st.sampled_from(Fault)),
    st.integers(1, 9),
)
"""What is asked for, which upload or name is meant, how many bytes, the fault, and the call that it meets."""


def run(guest: Guest, services: Services, kind: str, which: int, size: int) -> None:
    name = f"in/{which % 2}"
    if kind == "start":
        start(services, NS, StartRequest(name, size, if_exists=IfExists.RENAME, fingerprint=f"{size}"))
    elif kind == "chunk":
        accept_chunk(services, NS, ChunkRequest(name, 1, BODY[:size]))
    elif kind == "complete":
        complete(services, NS, CompleteRequest(name, if_exists=IfExists.RENAME))
    elif kind == "cancel":
        cancel(services, NS, name)
    else:
        run_sequential(guest, services, kind, which, size)


def run_sequential(guest: Guest, services: Services, kind: str, which: int, size: int) -> None:
    name = f"in/{which % 2}"
    upload_id = guest.ids[which % len(guest.ids)] if guest.ids else "none"
    if kind == "append":
        offset = find_sequential(services, NS, upload_id).state.offset
        append(services, NS, AppendRequest(upload_id, offset, BODY[:size]))
    elif kind == "delete":
        delete(services, NS, upload_id)
    elif kind == "final":
        asked = CreateRequest(Protocol.TUS, name=name)
        create_final(services, NS, asked, guest.ids[: which + 1])
    else:
        length = None if kind == "deferred" else size
        asked = CreateRequest(Protocol.TUS, name=name, length=length, is_partial=kind == "partial")
        guest.ids.append(create(services, NS, asked).record.upload_id)


@pytest.mark.slow
@pytest.mark.hypothesis
def test_random_histories_keep_the_counters_exact(request: pytest.FixtureRequest, record_property: Any) -> None:
    """Within the limits at every moment; exact once cleanup has run. `--hypothesis-seed` repeats a run."""
    chosen = int(request.config.getoption("--hypothesis-seed") or secrets.randbelow(2**32))
    record_property("model", f"links: --hypothesis-seed={chosen}")
    histories = st.lists(requests, min_size=3, max_size=25)
    check = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])(
        given(histories)(check_history)
    )
    seed(chosen)(check)()


def check_history(history: list[tuple[str, int, int, Fault | None, int]]) -> None:
    guest = Guest()
    link = guest.link
    for kind, which, size, fault, number in history:
        if kind == "hours":
            let_hours_pass(guest, size)
            continue
        plan = FaultPlan({number: fault} if fault is not None else {})
        with suppress(FerryError):
            swallow_crash(partial(run, guest, guest.services(plan), kind, which, size))
        plan.apply_in_flight()
        usage = guest.usage
        assert 0 <= usage.files <= (link.max_files or 0)
        assert 0 <= usage.bytes <= (link.max_bytes or 0)
        assert usage.received_bytes <= 2 * (link.max_bytes or 0)
        guest.fixture.service.clock.advance(LEASE_MS // 7)
    let_hours_pass(guest, 4)
    assert_exact(guest, moved=1)
    guest.fixture.service.drain_cleanup()
    assert_exact(guest, moved=1)
    assert guest.usage.reservations == {}
