"""The memory of the `ferry` command stays bounded, however large the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.clients import MIB, ServiceUnderTest
from tests.e2e.ferry_command import FerryCommand

SIZE = 128 * MIB
MAX_PEAK_MIB = 150

PRINT_PEAK = """
import os, sys
end = os._exit
def print_peak(code):
    with open("/proc/self/status") as status:
        print("peak", *[line.split()[1] for line in status if line.startswith("VmHWM")], file=sys.stderr, flush=True)
    end(code)
os._exit = print_peak
"""


def peak_mib(text: str) -> float:
    """Return the peak memory that the command printed at its end."""
    found = re.search(r"peak (\d+)", text)
    assert found is not None, text
    return int(found[1]) / 1024


@pytest.mark.stress
def test_client_with_eight_jobs_stays_below_150_mib(
    service: ServiceUnderTest, tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    """Parts of 16 MiB up and ranges of 8 MiB down are never whole in memory."""
    ferry = FerryCommand(service, tmp_path)
    with (tmp_path / "a").open("wb") as file:
        file.truncate(SIZE)
    up = ferry.run("put", "--jobs", "8", "a", name, before=PRINT_PEAK)
    assert up.code == 0, up.err
    down = ferry.run("get", "--jobs", "8", name, "b", before=PRINT_PEAK)
    assert down.code == 0, down.err
    assert (tmp_path / "b").stat().st_size == SIZE
    record_property("peak_mib", {"up": round(peak_mib(up.err)), "down": round(peak_mib(down.err))})
    assert peak_mib(up.err) < MAX_PEAK_MIB
    assert peak_mib(down.err) < MAX_PEAK_MIB
