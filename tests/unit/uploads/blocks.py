"""Blocks of seeds for tests over random histories."""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet


def blocks(*, quick: int, stress: int) -> list[ParameterSet]:
    """Return block numbers to parametrize a test with: `quick` for every run, then `stress` for `make test-stress`."""
    return [
        pytest.param(number, marks=[pytest.mark.stress] if number >= quick else []) for number in range(quick + stress)
    ]
