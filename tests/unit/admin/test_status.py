"""What `ferry-admin status` suggests to do next."""

from __future__ import annotations

import pytest

from admin.connect import Target
from admin.status import health_steps


@pytest.mark.parametrize(("endpoint_url", "check"), [(None, "the stack's status"), ("http://127.0.0.1:1", "make run")])
def test_health_steps_of_unreachable_target_name_what_runs_it(endpoint_url: str | None, check: str) -> None:
    """The hint for a stack is about AWS, the hint for the local service about `make run`."""
    (step,) = health_steps("unreachable", Target("--option", {}, endpoint_url=endpoint_url))
    assert check in step


@pytest.mark.parametrize("health", ["ok", "unknown"])
def test_health_steps_of_other_health_are_empty(health: str) -> None:
    """A service that responds, or whose address is unknown, needs no check."""
    assert not list(health_steps(health, Target("--option", {})))
