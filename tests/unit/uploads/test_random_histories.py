"""Run Ferry against the model of `state_machine`, and show that the model notices a broken promise."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.in_memory_service import CHUNK_BYTES, seeded_bytes
from tests.unit.uploads.state_machine import SCHEDULE_COUNTS, UploadStateMachine


@pytest.mark.slow
@pytest.mark.hypothesis
def test_model_random_interleavings_keep_acknowledged_bytes(
    request: pytest.FixtureRequest, record_property: Any
) -> None:
    """Hundreds of random schedules keep every promise. `--hypothesis-seed` repeats a run with the seed it printed."""
    SCHEDULE_COUNTS.clear()
    chosen = int(request.config.getoption("--hypothesis-seed") or secrets.randbelow(2**32))
    run = settings(stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    try:
        run_state_machine_as_test(seed(chosen)(UploadStateMachine), settings=run)
        assert SCHEDULE_COUNTS.total() >= 3 * run.max_examples
    finally:
        counts = ", ".join(f"{number} of {requests} requests" for requests, number in sorted(SCHEDULE_COUNTS.items()))
        record_property("model", f"{SCHEDULE_COUNTS.total()} schedules ({counts}), --hypothesis-seed={chosen}")


UNSENT_BODY = seeded_bytes(2 * CHUNK_BYTES, seed=9)


@pytest.mark.parametrize("body", [UNSENT_BODY, UNSENT_BODY[:-1], None], ids=["other bytes", "too short", "no object"])
def test_model_file_with_wrong_bytes_fails(body: bytes | None) -> None:
    """The model fails if a finished file has lost its bytes or has other ones, so a run that passes means something."""
    machine = UploadStateMachine()
    try:
        service, [first, second] = machine.service, [1, 2]
        machine.do_start(service.services, "a", len(UNSENT_BODY), "plain")
        machine.do_send(service.services, "a", first, seed=1)
        machine.do_send(service.services, "a", second, seed=1)
        machine.do_complete(service.services, "a", "plain")
        machine.check_files()
        [key] = [key for key in service.object_store.objects if key.startswith("o/")]
        stored = service.object_store.objects.pop(key)
        if body is not None:
            service.object_store.objects[key] = replace(stored, body=body)
        with pytest.raises(AssertionError):
            machine.check_files()
    finally:
        machine.stop_patches()


def test_model_second_body_acknowledged_fails() -> None:
    """The model fails if a chunk is acknowledged again with a different body."""
    machine = UploadStateMachine()
    try:
        services = machine.service.services
        machine.do_start(services, "a", len(UNSENT_BODY), "plain")
        backup = machine.service.upload_repository.snapshot()
        machine.do_send(services, "a", 1, seed=1)
        machine.service.restore_metadata(backup)
        with pytest.raises(AssertionError, match="two bodies"):
            machine.do_send(services, "a", 1, seed=2)
    finally:
        machine.stop_patches()
