"""Run uploads by links against the model of `link_state_machine`."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.links.link_state_machine import LinkStateMachine


@pytest.mark.slow
@pytest.mark.hypothesis
def test_model_of_links_random_interleavings_keep_the_counters(
    request: pytest.FixtureRequest, record_property: Any
) -> None:
    """Random requests of guests and of the owner, with faults, leave exact counters. `--hypothesis-seed` repeats."""
    chosen = int(request.config.getoption("--hypothesis-seed") or secrets.randbelow(2**32))
    record_property("model", f"links beside their owner: --hypothesis-seed={chosen}")
    run = settings(stateful_step_count=25, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(seed(chosen)(LinkStateMachine), settings=run)


def test_model_of_links_notices_a_file_that_counts_twice() -> None:
    """The model fails if a file counts twice, so a run that passes means something."""
    machine = LinkStateMachine()
    machine.do_by_guest(machine.service.services, "start", 0, 1)
    machine.do_by_guest(machine.service.services, "complete", 0, 1)
    machine.check_counters()
    link, rows = machine.links[0], machine.service.upload_repository.rows
    usage = machine.usage_of(link)
    assert (usage.files, usage.reservations) == (1, {})
    rows.link_usages[link.link_id] = replace(usage, files=2)
    with pytest.raises(AssertionError):
        machine.teardown()
