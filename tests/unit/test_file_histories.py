"""Run finished files against the model of `file_state_machine`, and show that the model notices a broken promise."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from ferry.rules.conditions import Conditions
from tests.unit.file_state_machine import SCHEDULE_COUNTS, FileStateMachine


@pytest.mark.slow
@pytest.mark.hypothesis
def test_random_histories_of_files_keep_every_byte(request: pytest.FixtureRequest, record_property: Any) -> None:
    """Hundreds of random schedules keep every promise. `--hypothesis-seed` repeats a run with the seed it printed."""
    SCHEDULE_COUNTS.clear()
    chosen = int(request.config.getoption("--hypothesis-seed") or secrets.randbelow(2**32))
    run = settings(stateful_step_count=30, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    try:
        run_state_machine_as_test(seed(chosen)(FileStateMachine), settings=run)
        assert SCHEDULE_COUNTS.total() >= 3 * run.max_examples
    finally:
        counts = ", ".join(f"{number} of {requests} requests" for requests, number in sorted(SCHEDULE_COUNTS.items()))
        record_property("model", f"files: {SCHEDULE_COUNTS.total()} schedules ({counts}), --hypothesis-seed={chosen}")


@pytest.mark.parametrize("damage", ["other bytes", "no object", "two names"])
def test_model_notices_damaged_file(damage: str) -> None:
    """The model fails if a file has other bytes or none, or shares its object."""
    machine = FileStateMachine()
    machine.do_put(machine.service.services, "a", Conditions())
    machine.check_files()
    [key] = machine.service.object_store.objects
    stored = machine.service.object_store.objects[key]
    rows = machine.service.upload_repository.rows
    if damage == "other bytes":
        machine.service.object_store.objects[key] = replace(stored, body=b"other")
    elif damage == "no object":
        del machine.service.object_store.objects[key]
    else:
        [(ns, name)] = rows.files
        rows.files[ns, "b"] = replace(rows.files[ns, name], name="b")
    with pytest.raises(AssertionError):
        machine.check_files()
